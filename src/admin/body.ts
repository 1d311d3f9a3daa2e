/** What a client writes: the entity's own fields, with what answers add taken off again. */
import type { Document, EntityRecord } from "../store/store.ts";
import { AdminFailure, invalid } from "./failure.ts";
import type { Fault } from "./faults.ts";
import { readOnlyFields } from "./show.ts";

const mostBytes = 1024 * 1024;

/**
 * Reads a body that has to be a JSON object.
 *
 * @throws AdminFailure
 */
export function readObject(body: Uint8Array): Document {
  if (body.length > mostBytes)
    throw new AdminFailure("payload_too_large", `The body is larger than ${mostBytes} bytes.`);
  let value: unknown;
  try {
    value = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(body));
  } catch {
    // The parser's message repeats the text, which may hold a secret.
    throw invalid([{ path: "", message: "The body is not JSON." }]);
  }
  if (typeof value === "object" && value !== null && !Array.isArray(value))
    return Object.fromEntries(Object.entries(value));
  throw invalid([{ path: "", message: "The body must be a JSON object." }]);
}

/** What a client writes of an entity. */
export interface EntityBody {
  /** Undefined when the client leaves it to us. */
  readonly id: string | undefined;
  /** The version it means to change; undefined: whichever. */
  readonly version: number | undefined;
  readonly document: Document;
}

/**
 * Takes an entity's body apart. What answers show of secrets may stand in it, so that what was read can be written
 * back, and never takes the place of a secret.
 *
 * @param mask what is shown of the present value of a virtual key
 * @throws AdminFailure
 */
export function readEntityBody(body: Document, mask: string | undefined): EntityBody {
  const { id, version, value, ...rest } = body;
  const faults: Fault[] = [];
  if (id !== undefined && typeof id !== "string") faults.push({ path: "id", message: "must be a text" });
  if (version !== undefined && !(typeof version === "number" && Number.isSafeInteger(version)))
    faults.push({ path: "version", message: "must be a whole number" });
  if (value !== undefined && value !== mask) {
    const message = "cannot be set: the gateway makes it, and /rotate makes another";
    faults.push({ path: "value", message });
  }
  checkPrevious(rest.previous_values, faults);
  if (faults.length > 0) throw invalid(faults);
  const added: readonly string[] = readOnlyFields;
  return {
    id: typeof id === "string" ? id : undefined,
    version: typeof version === "number" ? version : undefined,
    document: Object.fromEntries(Object.entries(rest).filter(([name]) => !added.includes(name))),
  };
}

function checkPrevious(previous: unknown, faults: Fault[]): void {
  if (previous === undefined || previous === null) return;
  const isShown = (one: unknown): boolean =>
    typeof one === "object" &&
    one !== null &&
    "value" in one &&
    typeof one.value === "string" &&
    one.value.includes("****");
  if (Array.isArray(previous) && previous.every(isShown)) return;
  faults.push({ path: "previous_values", message: "cannot be set: only /rotate makes them" });
}

/** What the row's virtual key shows of its value. */
export function maskOf(record: EntityRecord): string | undefined {
  const mask = record.secret?.mask;
  return typeof mask === "string" ? mask : undefined;
}
