/** What is wrong with an entity, by the path of the field. */
import { ZodError } from "zod";
import { pathText } from "../config/problems.ts";

export interface Fault {
  /** As in `budgets[0].max_limit`; empty for the whole body. */
  readonly path: string;
  /** Without the value, which may be a secret. */
  readonly message: string;
}

/** A schema's complaints, one for each field. */
export function faultsOf(error: ZodError, path: readonly PropertyKey[] = []): Fault[] {
  return error.issues.flatMap((issue) => {
    const at = [...path, ...issue.path];
    if (issue.code === "unrecognized_keys")
      return issue.keys.map((key) => ({ path: pathOf([...at, key]), message: "is not a known field" }));
    if (issue.code === "invalid_union") {
      const [first, ...others] = issue.errors;
      if (first === undefined) return [{ path: pathOf(at), message: lower(issue.message) }];
      const closest = others.reduce((best, one) => (one.length < best.length ? one : best), first);
      return faultsOf(new ZodError([...closest]), at);
    }
    return [{ path: pathOf(at), message: lower(issue.message) }];
  });
}

/** Faults as one line. */
export function faultText(faults: readonly Fault[]): string {
  return faults.map(({ path, message }) => (path === "" ? message : `${path}: ${message}`)).join("; ");
}

export function pathOf(path: readonly PropertyKey[]): string {
  return path.length === 0 ? "" : pathText(path);
}

function lower(message: string): string {
  return message.charAt(0).toLowerCase() + message.slice(1);
}
