import { mkdtempSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, expect, test, vi } from "vitest";
import { lookAt, watch } from "../../src/threads/watch.ts";

const ends: (() => void)[] = [];
let folder = "";

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "bifrost-watch-"));
});
afterEach(() => {
  for (const end of ends.splice(0)) end();
});
afterAll(() => rmSync(folder, { recursive: true }));

function watched(name: string, since?: string) {
  const path = join(folder, name);
  const changed = vi.fn();
  ends.push(watch(path, since ?? lookAt(path), 5, changed));
  return { path, changed };
}

test("a file that is written or replaced has changed, each time once", async () => {
  writeFileSync(join(folder, "a"), "1");
  const { path, changed } = watched("a");
  await new Promise((resolve) => setTimeout(resolve, 40));
  expect(changed).not.toHaveBeenCalled();
  writeFileSync(path, "22");
  await vi.waitFor(() => expect(changed).toHaveBeenCalledTimes(1));
  writeFileSync(`${path}.new`, "22");
  renameSync(`${path}.new`, path);
  await vi.waitFor(() => expect(changed).toHaveBeenCalledTimes(2));
});

test("a change between the reading of a file and the begin of the watch is noticed", async () => {
  writeFileSync(join(folder, "b"), "1");
  const since = lookAt(join(folder, "b"));
  writeFileSync(join(folder, "b"), "22");
  const { changed } = watched("b", since);
  await vi.waitFor(() => expect(changed).toHaveBeenCalledTimes(1));
});

test("a file that goes has changed, and again when it comes back", async () => {
  writeFileSync(join(folder, "c"), "1");
  const { path, changed } = watched("c");
  rmSync(path);
  await vi.waitFor(() => expect(changed).toHaveBeenCalledTimes(1));
  writeFileSync(path, "1");
  await vi.waitFor(() => expect(changed).toHaveBeenCalledTimes(2));
});
