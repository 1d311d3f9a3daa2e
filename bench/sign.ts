/**
 * What a SigV4 signature costs: `src/upstream/sigv4.ts` against `@smithy/signature-v4`, both over a Converse request
 * with a body of 1 KB whose hash is part of the work, both with their signing key cached. `npx tsx bench/sign.ts`.
 */
import { fileURLToPath } from "node:url";
import { SignatureV4 } from "@smithy/signature-v4";
import { type AwsCredentials, sha256Hex, sign } from "../src/upstream/sigv4.ts";
import { NodeSha256 } from "../test/support/verify-sigv4.ts";
import { medians } from "./measure.ts";
import { markdownTable, renderSection, type Section } from "./report.ts";

const credentials: AwsCredentials = { accessKeyId: "AKIDEXAMPLE", secretAccessKey: "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEX" };
const host = "bedrock-runtime.us-east-1.amazonaws.com";
const path = "/model/us.anthropic.claude-sonnet-4-20250514-v1%3A0/converse";
const body = Buffer.alloc(1024, "body");

/** @param ms how long each of three cases is measured */
export async function run(ms: number): Promise<Section> {
  const temporary = { ...credentials, sessionToken: "t".repeat(800) };
  const smithy = new SignatureV4({ credentials, region: "us-east-1", service: "bedrock", sha256: NodeSha256 });
  const headers = { "content-type": "application/json", accept: "application/json" };
  const request = { method: "POST", host, path, query: "", headers: Object.entries(headers) };
  const started = Date.now();
  // A millisecond a signature: as under load, a new `x-amz-date` once in a thousand.
  let tick = 0;
  const clock = () => started + tick++;
  const ours = (own: AwsCredentials) => () =>
    sign({ ...request, bodyHash: sha256Hex(body) }, own, "us-east-1", "bedrock", clock());

  const cases = [
    { name: "ours", run: ours(credentials) },
    { name: "ours, with a session token of 800 bytes", run: ours(temporary) },
    {
      name: "`@smithy/signature-v4`",
      run: () =>
        smithy.sign(
          { method: "POST", protocol: "https:", hostname: host, path, headers: { host, ...headers }, query: {}, body },
          { signingDate: new Date(clock()) },
        ),
    },
  ];
  const micros = await medians(cases, ms);
  const base = micros[0] ?? Number.NaN;
  return {
    title: "Signing",
    text: "A SigV4 signature over a request of 1 KB, hash of the body included, signing key cached.",
    table: markdownTable(
      ["", "median µs", "ratio"],
      micros.map((value, n) => [cases[n]?.name ?? "", value.toFixed(2), (value / base).toFixed(1)]),
    ),
  };
}

if (process.argv[1] === fileURLToPath(import.meta.url)) console.log(renderSection(await run(2000)));
