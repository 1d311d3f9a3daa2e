/** Requests signed as an AWS SDK signs them, by AWS's own signer, to be sent as they are or tampered with. */
import { SignatureV4 } from "@smithy/signature-v4";
import type { Identity } from "./fake-bedrock.ts";
import { NodeSha256 } from "./verify-sigv4.ts";

export interface Signable {
  /** Raw, without a query. */
  readonly path: string;
  readonly body: string;
  readonly headers?: Readonly<Record<string, string>>;
  /** @default the present */
  readonly at?: Date;
  /** @default "us-west-2" */
  readonly region?: string;
}

/** The headers of a signed `POST`: those given and those the signature adds, the origin's `host` included. */
export async function signPost(
  origin: string,
  credentials: Identity,
  { path, body, headers = {}, at = new Date(), region = "us-west-2" }: Signable,
): Promise<Record<string, string>> {
  const signer = new SignatureV4({ credentials, region, service: "bedrock", sha256: NodeSha256 });
  const { host, hostname } = new URL(origin);
  const request = { method: "POST", protocol: "http:", hostname, path, query: {}, headers: { ...headers, host }, body };
  return (await signer.sign(request, { signingDate: at })).headers;
}
