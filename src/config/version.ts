/** The version in package.json. */
import { readFileSync } from "node:fs";

export function packageVersion(): string {
  const up = import.meta.url.endsWith(".ts") ? "../../package.json" : "../../../package.json";
  const { version }: { version: string } = JSON.parse(readFileSync(new URL(up, import.meta.url), "utf8"));
  return version;
}
