/** The store that the configuration asks for. */
import { join } from "node:path";
import { MemoryLog } from "./log-memory.ts";
import type { LogStore } from "./log-store.ts";
import { MemoryStore } from "./memory.ts";
import type { Store } from "./store.ts";

export interface StoreSettings {
  readonly kind: "sqlite" | "memory";
  /** The folder of `bifrost.db` and `logs.db`. */
  readonly dataDir: string;
}

/** @throws StoreError when it cannot be opened */
export async function openStore({ kind, dataDir }: StoreSettings): Promise<Store> {
  if (kind === "memory") return new MemoryStore();
  // The query builder takes a while to load, and only this kind needs it.
  const { openSqlite } = await import("./sqlite.ts");
  return openSqlite(join(dataDir, "bifrost.db"));
}

/**
 * The request log, in a file of its own: what is looked up in it, and how much of it there is, is no burden on what
 * requests need.
 *
 * @throws StoreError when it cannot be opened
 */
export async function openLogStore({ kind, dataDir }: StoreSettings): Promise<LogStore> {
  if (kind === "memory") return new MemoryLog();
  const { openSqliteLog } = await import("./log-sqlite.ts");
  return openSqliteLog(join(dataDir, "logs.db"));
}
