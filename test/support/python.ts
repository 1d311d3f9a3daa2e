/** Python scripts of `test/e2e/python/` as child processes. */
import { spawn, spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { inherited } from "./gateway.ts";

/** The version of boto3 that `python3` imports, or undefined, with a warning that says what is not tested. */
export function findBoto3(): string | undefined {
  const found = spawnSync("python3", ["-c", "import boto3; print(boto3.__version__)"], { encoding: "utf8" });
  if (found.status === 0) return found.stdout.trim();
  console.warn("python3 with boto3 was not found: NOTHING IS TESTED WITH BOTO3. `pip install boto3` brings it.");
  return undefined;
}

export interface PythonRun {
  readonly stdout: string;
  /** Its last line, parsed. */
  readonly result: unknown;
}

const documentedAddress = "http://localhost:8080";

/**
 * Runs a script in which the address of the documentation stands, at this gateway.
 *
 * @throws Error with what the script wrote to stderr when it fails
 */
export async function runPython(script: string, gatewayUrl: string): Promise<PythonRun> {
  const source = readFileSync(new URL(`../e2e/python/${script}`, import.meta.url), "utf8");
  if (!source.includes(documentedAddress)) throw new Error(`${script} does not name ${documentedAddress}`);
  const child = spawn("python3", ["-W", "error::UserWarning", "-c", source.replaceAll(documentedAddress, gatewayUrl)], {
    env: { ...inherited(), AWS_EC2_METADATA_DISABLED: "true", PYTHONIOENCODING: "utf-8" },
    stdio: ["ignore", "pipe", "pipe"],
  });
  let stdout = "";
  let stderr = "";
  child.stdout.setEncoding("utf8").on("data", (text: string) => {
    stdout += text;
  });
  child.stderr.setEncoding("utf8").on("data", (text: string) => {
    stderr += text;
  });
  const code = await new Promise<number | null>((resolve) => child.once("close", resolve));
  if (code !== 0) throw new Error(`${script} ended with ${code}:\n${stderr}\n${stdout}`);
  return { stdout, result: parse(stdout.trimEnd().split("\n").at(-1) ?? "") };
}

function parse(line: string): unknown {
  try {
    return JSON.parse(line);
  } catch {
    // The documentation's examples print for people.
    return undefined;
  }
}
