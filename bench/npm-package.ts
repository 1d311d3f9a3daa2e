/** Packages from npm that something is measured with, kept in the user's cache folder: they are no dependencies of the project. */
import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync } from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";
import { NotMeasured } from "./report.ts";

const installMs = 120_000;

/** A folder of the benchmarks' own in the user's cache. */
export function cacheFolder(name: string): string {
  return join(process.env.XDG_CACHE_HOME ?? join(homedir(), ".cache"), "bifrost-bench", name);
}

/**
 * Installs a package that is not there yet, without running any script of it.
 *
 * @param file one of the package's
 * @returns where the file is
 * @throws NotMeasured when it cannot be installed
 */
export function installed(name: string, version: string, file: string): string {
  const folder = cacheFolder(`${name.replace(/^.*\//, "")}-${version}`);
  const entry = join(folder, "node_modules", name, file);
  if (existsSync(entry)) return entry;
  mkdirSync(folder, { recursive: true });
  const flags = ["--no-audit", "--no-fund", "--no-save", "--ignore-scripts", "--legacy-peer-deps", "--fetch-retries=1"];
  const args = ["install", "--prefix", folder, ...flags, `${name}@${version}`];
  const { status, stderr, error } = spawnSync("npm", args, { encoding: "utf8", timeout: installMs, cwd: folder });
  if (status === 0 && existsSync(entry)) return entry;
  const said =
    error?.message ?? stderr.split("\n").find((line) => line.includes("error")) ?? `npm ended with ${status}`;
  throw new NotMeasured(`${name} ${version} could not be installed: ${said}`);
}
