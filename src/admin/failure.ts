/** How the management API refuses. */
import { StoreError } from "../store/store.ts";
import { type Fault, faultText } from "./faults.ts";

const statuses = {
  invalid_request: 400,
  unauthorized: 401,
  forbidden: 403,
  not_found: 404,
  method_not_allowed: 405,
  conflict: 409,
  read_only: 409,
  in_use: 409,
  payload_too_large: 413,
  internal_error: 500,
  store_unavailable: 503,
} as const;

export type FailureType = keyof typeof statuses;

/** A refusal: `{"error": {"type", "message", "path"}}`. */
export class AdminFailure extends Error {
  override readonly name = "AdminFailure";
  readonly type: FailureType;
  readonly status: number;
  /** The field that is wrong, or null. */
  readonly path: string | null;
  readonly headers: readonly (readonly [name: string, value: string])[];

  constructor(type: FailureType, message: string, path: string | null = null, headers: AdminFailure["headers"] = []) {
    super(message);
    this.type = type;
    this.status = statuses[type];
    this.path = path;
    this.headers = headers;
  }
}

/** The refusal of a body. The path is that of the first fault; the message tells of all. */
export function invalid(faults: readonly Fault[]): AdminFailure {
  return new AdminFailure("invalid_request", faultText(faults), faults[0]?.path ?? null);
}

/** What the store's failure means to a client; undefined when it is no failure of the store. */
export function storeFailure(error: unknown): AdminFailure | undefined {
  if (!(error instanceof StoreError)) return undefined;
  // Where the file lies is for the log.
  const reasons = {
    unavailable: "does not answer; whether the change was stored is seen when it is back",
    full: "cannot write: its disk is full or fails",
    unreadable: "cannot read its file",
    no_driver: "has no driver",
    failed: "failed",
  } as const;
  return new AdminFailure("store_unavailable", `The store ${reasons[error.fault]}.`, null, [["retry-after", "1"]]);
}

export function failureBody({ type, message, path }: AdminFailure): string {
  return JSON.stringify({ error: { type, message, path } });
}
