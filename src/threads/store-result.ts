/** What a call of a store's thread came to: errors lose their fields between threads, so that a failure is a result. */
import { StoreError, type StoreFault } from "../store/store.ts";

export type StoreResult<Value> =
  | { readonly ok: true; readonly value: Value }
  | {
      readonly ok: false;
      readonly fault: StoreFault;
      readonly message: string;
      /** For the log. */
      readonly cause: string | undefined;
    };

/** In the store's thread. Never rejects. */
export async function asResult<Value>(work: () => Promise<Value>): Promise<StoreResult<Value>> {
  try {
    return { ok: true, value: await work() };
  } catch (error) {
    const known = error instanceof StoreError ? error : new StoreError("failed", String(error));
    return { ok: false, fault: known.fault, message: known.message, cause: textOf(known.cause) };
  }
}

function textOf(cause: unknown): string | undefined {
  return cause instanceof Error ? `${cause.name}: ${cause.message}` : undefined;
}
