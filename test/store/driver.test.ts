import { join } from "node:path";
import { describe, expect, test, vi } from "vitest";
import { openSqlite } from "../../src/store/sqlite.ts";
import { rejection } from "../support/wait.ts";
import { temporaryFolder } from "./databases.ts";

vi.mock("better-sqlite3", () => {
  throw Object.assign(new Error("Cannot find package 'better-sqlite3'"), { code: "ERR_MODULE_NOT_FOUND" });
});

const hasBuiltIn = Number(process.versions.node.split(".")[0]) >= 22;

describe.skipIf(hasBuiltIn)("without a driver for SQLite", () => {
  test("the error names the package, and what else can be done", async () => {
    const error = await rejection(openSqlite(join(temporaryFolder(), "bifrost.db")));
    expect(error).toMatchObject({ name: "StoreError", fault: "no_driver" });
    const { message } = error instanceof Error ? error : { message: "" };
    for (const part of ["better-sqlite3", `Node ${process.versions.node}`, "npm install", 'storage.kind to "memory"'])
      expect(message).toContain(part);
  });
});
