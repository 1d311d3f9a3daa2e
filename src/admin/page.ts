/** Which part of a list is wanted. */
import { invalid } from "./failure.ts";

const defaultLimit = 100;
const mostLimit = 1000;

export interface Page {
  readonly limit: number;
  readonly offset: number;
}

/**
 * @param others names of parameters that are read elsewhere
 * @throws AdminFailure for a parameter that is unknown or wrong
 */
export function readPage(parameters: URLSearchParams, others: readonly string[] = []): Page {
  const known = ["limit", "offset", ...others];
  const faults = [...new Set(parameters.keys())]
    .filter((name) => !known.includes(name))
    .map((path) => ({ path, message: "is not a known parameter" }));
  const read = (name: string, fallback: number, least: number, most: number): number => {
    const text = parameters.get(name);
    if (text === null) return fallback;
    const number = Number(text);
    if (/^\d+$/.test(text) && number >= least && number <= most) return number;
    faults.push({ path: name, message: `must be a whole number from ${least} to ${most}` });
    return fallback;
  };
  const page = {
    limit: read("limit", defaultLimit, 1, mostLimit),
    offset: read("offset", 0, 0, Number.MAX_SAFE_INTEGER),
  };
  if (faults.length > 0) throw invalid(faults);
  return page;
}
