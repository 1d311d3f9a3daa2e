/** Answers of the management API. */
import type { LogFilter } from "../store/log-store.ts";

export interface AdminAnswer {
  readonly status: number;
  readonly headers: readonly (readonly [name: string, value: string])[];
  /** JSON, or empty. */
  readonly body: string;
  /** The answer goes on with what the request log's feed has of this. */
  readonly live?: LogFilter;
}

export function json(status: number, value: unknown, headers: AdminAnswer["headers"] = []): AdminAnswer {
  return answer(status, JSON.stringify(value), headers);
}

/** @param body JSON, or empty */
export function answer(status: number, body: string, headers: AdminAnswer["headers"] = []): AdminAnswer {
  const type = body === "" ? [] : [["content-type", "application/json"] as const];
  // An answer may show a value, once, to one client.
  return { status, headers: [...type, ["cache-control", "no-store"], ...headers], body };
}
