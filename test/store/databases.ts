/** Folders of their own for the tests of stores. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { onTestFinished } from "vitest";
import type { Counter, EntityWrite } from "../../src/store/store.ts";

/** A new folder, removed when the test has ended. */
export function temporaryFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), "bifrost-store-"));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

export function entity(id: string, more: Partial<EntityWrite> = {}): EntityWrite {
  return { kind: "teams", id, replaces: 0, document: { name: id }, secret: null, now: 1000, ...more };
}

export function counter(id: string, more: Partial<Counter> = {}): Counter {
  return { id, window: 0, value: 1, at: 1, until: 1_000_000, ...more };
}
