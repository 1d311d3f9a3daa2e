/** The store that the configuration asks for. */
import { join } from "node:path";
import { MemoryStore } from "./memory.ts";
import type { Store } from "./store.ts";

export interface StoreSettings {
  readonly kind: "sqlite" | "memory";
  /** The folder of `bifrost.db`. */
  readonly dataDir: string;
}

/** @throws StoreError when it cannot be opened */
export async function openStore({ kind, dataDir }: StoreSettings): Promise<Store> {
  if (kind === "memory") return new MemoryStore();
  // The query builder takes a while to load, and only this kind needs it.
  const { openSqlite } = await import("./sqlite.ts");
  return openSqlite(join(dataDir, "bifrost.db"));
}
