/** The parameters behind `?`, each read once; what is wrong with any of them is told together. */
import { parseDuration } from "../config/governance.ts";
import { invalid } from "./failure.ts";
import type { Fault } from "./faults.ts";

export class QueryReader {
  readonly #parameters: URLSearchParams;
  readonly #unread: Set<string>;
  readonly #faults: Fault[] = [];

  constructor(query: string) {
    this.#parameters = new URLSearchParams(query);
    this.#unread = new Set(this.#parameters.keys());
  }

  /** Undefined where it is missing or empty. */
  text(name: string): string | undefined {
    this.#unread.delete(name);
    const all = this.#parameters.getAll(name);
    if (all.length > 1) this.fault(name, "must stand once");
    return all[0] === "" ? undefined : all[0];
  }

  /** Separated by commas, or in several parameters of the name. */
  list(name: string): readonly string[] | undefined {
    this.#unread.delete(name);
    const values = this.#parameters.getAll(name).flatMap((text) => text.split(","));
    const given = values.map((text) => text.trim()).filter((text) => text !== "");
    if (given.length > mostValues) this.fault(name, `must not have more than ${mostValues} values`);
    return given.length === 0 ? undefined : given;
  }

  choice<Choice extends string>(name: string, choices: readonly Choice[], fallback: Choice): Choice {
    const text = this.text(name);
    const found = choices.find((one) => one === text);
    if (text !== undefined && found === undefined) this.fault(name, `must be one of ${choices.join(", ")}`);
    return found ?? fallback;
  }

  flag(name: string): boolean {
    return this.choice(name, ["true", "false"], "false") === "true";
  }

  integer(name: string, fallback: number, least: number, most: number): number {
    const text = this.text(name);
    if (text === undefined) return fallback;
    const number = Number(text);
    if (/^\d+$/.test(text) && number >= least && number <= most) return number;
    this.fault(name, `must be a whole number from ${least} to ${most}`);
    return fallback;
  }

  /** Not negative. */
  number(name: string): number | undefined {
    const text = this.text(name);
    if (text === undefined) return undefined;
    if (/^\d+(?:\.\d+)?$/.test(text)) return Number(text);
    this.fault(name, "must be a number");
    return undefined;
  }

  /** Milliseconds since 1970, of an ISO 8601 time or of themselves. */
  time(name: string): number | undefined {
    const text = this.text(name);
    if (text === undefined) return undefined;
    const time = /^\d{1,16}$/.test(text) ? Number(text) : isoTime.test(text) ? Date.parse(text) : Number.NaN;
    if (!Number.isNaN(time)) return time;
    this.fault(name, "must be a time such as 2027-01-31T12:00:00Z, or milliseconds since 1970");
    return undefined;
  }

  /** Milliseconds. */
  duration(name: string): number | undefined {
    const text = this.text(name);
    if (text === undefined) return undefined;
    const duration = parseDuration(text);
    if (duration === undefined) this.fault(name, "must be a duration such as 30s, 5m, 1h or 1d");
    return duration?.milliseconds;
  }

  /** The parameters that begin with the prefix: the rest of their names, and their values. */
  prefixed(prefix: string): [name: string, value: string][] {
    const found = [...this.#unread].filter((name) => name.startsWith(prefix) && name.length > prefix.length);
    return found.map((name) => [name.slice(prefix.length).toLowerCase(), this.text(name) ?? ""]);
  }

  fault(path: string, message: string): void {
    this.#faults.push({ path, message });
  }

  /** @throws AdminFailure naming the parameters that are wrong or not known */
  end(): void {
    for (const path of this.#unread) this.#faults.push({ path, message: "is not a known parameter" });
    if (this.#faults.length > 0) throw invalid(this.#faults);
  }
}

const mostValues = 100;
const isoTime = /^\d{4}-\d{2}-\d{2}(?:T\d{2}:\d{2}(?::\d{2}(?:\.\d{1,9})?)?(?:Z|[+-]\d{2}:\d{2})?)?$/;
