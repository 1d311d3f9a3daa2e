/**
 * What a SigV4 signature costs: `src/upstream/sigv4.ts` against `@smithy/signature-v4`, both over a Converse request
 * with a body of 1 KB whose hash is part of the work, both with their signing key cached. `npx tsx bench/sign.ts`.
 */
import { cpus } from "node:os";
import { fileURLToPath } from "node:url";
import { SignatureV4 } from "@smithy/signature-v4";
import { Bench } from "tinybench";
import { type AwsCredentials, sha256Hex, sign } from "../src/upstream/sigv4.ts";
import { NodeSha256 } from "../test/support/verify-sigv4.ts";

export interface SignFigures {
  /** Median microseconds for one signature. */
  readonly ours: number;
  readonly oursWithSessionToken: number;
  readonly smithy: number;
  /** How many times as long Smithy's takes: the ratio of the medians. */
  readonly ratio: number;
}

const credentials: AwsCredentials = { accessKeyId: "AKIDEXAMPLE", secretAccessKey: "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEX" };
const host = "bedrock-runtime.us-east-1.amazonaws.com";
const path = "/model/us.anthropic.claude-sonnet-4-20250514-v1%3A0/converse";
const body = Buffer.alloc(1024, "body");

/** Measures for about six seconds, prints a table, and answers the figures. */
export async function run(): Promise<SignFigures> {
  const temporary = { ...credentials, sessionToken: "t".repeat(800) };
  const smithy = new SignatureV4({ credentials, region: "us-east-1", service: "bedrock", sha256: NodeSha256 });
  const headers = { "content-type": "application/json", accept: "application/json" };
  const request = { method: "POST", host, path, query: "", headers: Object.entries(headers) };
  const started = Date.now();
  // A millisecond a signature: as under load, a new `x-amz-date` once in a thousand.
  let tick = 0;
  const clock = () => started + tick++;

  const bench = new Bench({ time: 2000, warmupTime: 300 })
    .add("ours", () => {
      sign({ ...request, bodyHash: sha256Hex(body) }, credentials, "us-east-1", "bedrock", clock());
    })
    .add("ours, session token", () => {
      sign({ ...request, bodyHash: sha256Hex(body) }, temporary, "us-east-1", "bedrock", clock());
    })
    .add("@smithy/signature-v4", async () => {
      await smithy.sign(
        { method: "POST", protocol: "https:", hostname: host, path, headers: { host, ...headers }, query: {}, body },
        { signingDate: new Date(clock()) },
      );
    });
  await bench.run();

  const [ours = 0, oursWithSessionToken = 0, theirs = 0] = bench.tasks.map((task) => median(task.result));
  const figures = { ours, oursWithSessionToken, smithy: theirs, ratio: theirs / ours };
  console.log(`SigV4, 1 KB body, cached key; Node ${process.version}, ${cpus()[0]?.model ?? "unknown processor"}`);
  console.table({
    ours: { "median µs": ours.toFixed(2), ratio: "1.0" },
    "ours, session token": {
      "median µs": oursWithSessionToken.toFixed(2),
      ratio: (oursWithSessionToken / ours).toFixed(1),
    },
    "@smithy/signature-v4": { "median µs": theirs.toFixed(2), ratio: figures.ratio.toFixed(1) },
  });
  return figures;
}

function median(result: Bench["tasks"][number]["result"]): number {
  if (result.state !== "completed") throw new Error(`the measurement ended as ${result.state}`);
  return result.latency.p50 * 1000;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) await run();
