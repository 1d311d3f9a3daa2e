/**
 * What a SigV4 signature costs: `src/upstream/sigv4.ts` against `@smithy/signature-v4`, both over a Converse request
 * with a body of 1 KB whose hash is part of the work, both with their signing key cached. `npx tsx bench/sign.ts`.
 */
import { SignatureV4 } from "@smithy/signature-v4";
import { type AwsCredentials, sha256Hex, sign } from "../src/upstream/sigv4.ts";
import { NodeSha256 } from "../test/support/verify-sigv4.ts";
import { type Case, isStarted, type Part, printParts, rowsOf } from "./measure.ts";

const credentials: AwsCredentials = { accessKeyId: "AKIDEXAMPLE", secretAccessKey: "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEX" };
const host = "bedrock-runtime.us-east-1.amazonaws.com";
const path = "/model/us.anthropic.claude-sonnet-4-20250514-v1%3A0/converse";
const body = Buffer.alloc(1024, "body");

export const parts: readonly Part[] = [
  {
    name: "signing",
    title: "Signing",
    text: "A SigV4 signature over a request of 1 KB, hash of the body included, signing key cached.",
    measure: (ms) => rowsOf(cases(), ms),
  },
];

function cases(): Case[] {
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
  return [
    { name: "ours", run: ours(credentials) },
    { name: "ours, with a session token of 800 bytes", run: ours(temporary) },
    {
      name: "`@smithy/signature-v4`",
      theirs: true,
      run: () =>
        smithy.sign(
          { method: "POST", protocol: "https:", hostname: host, path, headers: { host, ...headers }, query: {}, body },
          { signingDate: new Date(clock()) },
        ),
    },
  ];
}

if (isStarted(import.meta.url)) await printParts(parts);
