/** SQLite's failures in the words of {@link StoreError}. */
import { StoreError, type StoreFault } from "./store.ts";

/** Primary result codes, https://www.sqlite.org/rescode.html: by name for better-sqlite3, by number for node:sqlite. */
const faults: readonly (readonly [name: string, code: number, fault: StoreFault, message: string])[] = [
  ["SQLITE_BUSY", 5, "unavailable", "is held by another process"],
  ["SQLITE_LOCKED", 6, "unavailable", "is held by another process"],
  ["SQLITE_READONLY", 8, "full", "cannot be written: it or its disk is read-only"],
  ["SQLITE_IOERR", 10, "full", "cannot be read or written: its disk fails or is full"],
  ["SQLITE_CORRUPT", 11, "unreadable", "is damaged; it is left as it is: restore it from a backup or move it away"],
  ["SQLITE_FULL", 13, "full", "cannot be written: its disk is full"],
  ["SQLITE_CANTOPEN", 14, "unreadable", "cannot be opened: look at its folder and permissions"],
  ["SQLITE_NOTADB", 26, "unreadable", "is not a SQLite database; it is left as it is: move it away or name another"],
];

/** What went wrong with the file, without SQL and values. */
export function describeFault(error: unknown, file: string): StoreError {
  if (error instanceof StoreError) return error;
  for (const [name, code, fault, message] of faults) {
    if (isResult(error, name, code)) return new StoreError(fault, `${file} ${message}`, error);
  }
  if (hasCode(error) && typeof error.code === "string" && /^E[A-Z]+$/.test(error.code)) {
    return new StoreError(
      error.code === "ENOSPC" ? "full" : "unreadable",
      `${file} cannot be opened (${error.code})`,
      error,
    );
  }
  return new StoreError("failed", `${file}: the store failed`, error);
}

function isResult(error: unknown, name: string, code: number): boolean {
  if (!hasCode(error)) return false;
  // Extended codes: SQLITE_IOERR_WRITE, and the primary code in the low byte.
  if (typeof error.code === "string" && (error.code === name || error.code.startsWith(`${name}_`))) return true;
  return "errcode" in error && typeof error.errcode === "number" && (error.errcode & 0xff) === code;
}

function hasCode(error: unknown): error is Error & { readonly code: unknown } {
  return error instanceof Error && "code" in error;
}
