/**
 * Completes package-lock.json for `npm ci`.
 *
 * npm writes no entry for an optional platform package that the registry at hand does not hold, and `npm ci` then calls
 * the lock out of step. This adds an entry that says only for which platform the package is, so that npm passes it over.
 * Run by `npm run lock` after every change of dependencies; `--check` only says whether something is missing.
 */
import { readFileSync, writeFileSync } from "node:fs";

const file = new URL("../package-lock.json", import.meta.url);
const lock = JSON.parse(readFileSync(file, "utf8"));
const packages = lock.packages;
const missing = [];

for (const [holder, entry] of Object.entries(packages)) {
  for (const [name, range] of Object.entries(entry.optionalDependencies ?? {})) {
    if (holder === "" || isLocked(holder, name)) continue;
    const platform = platformOf(name);
    if (platform === undefined || isOurs(platform)) continue;
    packages[`node_modules/${name}`] = { version: range.replace(/^[^0-9]*/, ""), optional: true, ...platform };
    missing.push(name);
  }
}

if (missing.length === 0) {
  console.log("package-lock.json names every platform package");
} else if (process.argv.includes("--check")) {
  console.error(
    `package-lock.json lacks ${missing.length} platform packages: run npm run lock\n  ${missing.join("\n  ")}`,
  );
  process.exitCode = 1;
} else {
  lock.packages = Object.fromEntries(Object.entries(packages).sort(([a], [b]) => (a < b ? -1 : 1)));
  writeFileSync(file, `${JSON.stringify(lock, null, 2)}\n`);
  console.log(`package-lock.json: ${missing.length} platform packages added`);
}

/** Looks where Node would: beside the holder, then in each folder above. */
function isLocked(holder, name) {
  for (let at = holder; ; ) {
    if (packages[`${at === "" ? "" : `${at}/`}node_modules/${name}`] !== undefined) return true;
    if (at === "") return false;
    const parent = at.lastIndexOf("/node_modules/");
    at = parent < 0 ? "" : at.slice(0, parent);
  }
}

function platformOf(name) {
  const os = /(android|darwin|freebsd|netbsd|openbsd|openharmony|linux|win32|sunos|aix)/.exec(name)?.[1];
  const cpu = /(x64|arm64|arm|ia32|ppc64|riscv64|s390x|loong64|mips64el|wasm32)/.exec(name)?.[1];
  return os === undefined ? undefined : { os: [os], ...(cpu !== undefined && { cpu: [cpu] }) };
}

/** A package for Linux on x64 that is missing is missing in earnest. */
function isOurs({ os, cpu }) {
  return os[0] === "linux" && cpu?.[0] === "x64";
}
