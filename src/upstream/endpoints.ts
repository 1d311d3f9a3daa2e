/** Where Bedrock and the S3 of its batches answer: hosts by region and partition, a configuration's own endpoints, and the region in a model id. */
import { LRUCache } from "lru-cache";

export type BedrockService = "runtime" | "control" | "agent_runtime" | "s3";

/** The signing name in a SigV4 scope, the same for all of Bedrock's own endpoints. */
export function signingService(service: BedrockService): "bedrock" | "s3" {
  return service === "s3" ? "s3" : "bedrock";
}

/** What a configuration puts in the place of AWS's hosts. */
export interface EndpointOverrides {
  /** A key's `bedrock_key_config.endpoints`. */
  readonly endpoints?: { readonly [service in BedrockService]?: string | null | undefined } | null | undefined;
  /** The provider's `network_config.base_url`: the runtime endpoint where the key names none. */
  readonly base_url?: string | null | undefined;
}

export interface Endpoint {
  /** Scheme, host and port, e.g. `https://bedrock-runtime.us-east-1.amazonaws.com`. */
  readonly origin: string;
  /** The `host` header: the port is left out when it is the scheme's own. */
  readonly host: string;
  /** Percent-encoded, stands before Bedrock's path: empty, or with a leading and without a trailing slash. */
  readonly pathPrefix: string;
}

export interface RegionalModel {
  /** Present when the id itself says where the model is. */
  readonly region?: string;
  readonly modelId: string;
}

/** A region or an endpoint that must not become part of an origin. The message names what is wrong, and with what. */
export class EndpointError extends Error {
  override readonly name = "EndpointError";
  /** `region`, `modelId`, `base_url`, or `endpoints.` and the service. */
  readonly field: string;
  constructor(field: string, reason: string) {
    super(`${field}: ${reason}`);
    this.field = field;
  }
}

const hostLabels: Readonly<Record<BedrockService, string>> = {
  runtime: "bedrock-runtime",
  control: "bedrock",
  agent_runtime: "bedrock-agent-runtime",
  // Buckets are addressed by path, so that their names, dots included, never become part of a host.
  s3: "s3",
};

/** AWS's partitions by region name, and their DNS suffixes (`partitions.json` of the AWS SDKs). First match wins. */
const partitions: readonly (readonly [region: RegExp, dnsSuffix: string])[] = [
  [/^us-iso-[a-z]+-\d{1,2}$/, "c2s.ic.gov"],
  [/^us-isob-[a-z]+-\d{1,2}$/, "sc2s.sgov.gov"],
  [/^eu-isoe-[a-z]+-\d{1,2}$/, "cloud.adc-e.uk"],
  [/^us-isof-[a-z]+-\d{1,2}$/, "csp.hci.ic.gov"],
  [/^eusc-de-[a-z]+-\d{1,2}$/, "amazonaws.eu"],
  [/^cn-[a-z]+-\d{1,2}$/, "amazonaws.com.cn"],
  [/^us-gov-[a-z]+-\d{1,2}$/, "amazonaws.com"],
  [/^(?:us|eu|ap|sa|ca|me|af|il|mx)-[a-z]+-\d{1,2}$/, "amazonaws.com"],
];

/** Looser than {@link partitions}: a region AWS opens tomorrow is a region, but nothing that can move a host is. */
const regionGrammar = /^[a-z]{2,4}(?:-[a-z]{2,16}){1,2}-\d{1,2}$/;

/**
 * The endpoint of a Bedrock service. A key's own endpoint comes first, then (for the runtime) the provider's
 * `base_url`, then AWS's host of that region.
 *
 * @throws EndpointError when the region is not a region name, or an override is not a plain http(s) URL
 */
export function endpointFor(service: BedrockService, region: string, overrides: EndpointOverrides = {}): Endpoint {
  // The region also becomes part of the signature's scope, so it is checked where it does not become part of the host.
  checkRegion(region, "region");
  const own = overrides.endpoints?.[service];
  if (own) return parseEndpoint(`endpoints.${service}`, own);
  if (service === "runtime" && overrides.base_url) return parseEndpoint("base_url", overrides.base_url);
  const host = `${hostLabels[service]}.${region}.${dnsSuffix(region)}`;
  return { origin: `https://${host}`, host, pathPrefix: "" };
}

/**
 * Reads the region out of a model id: `eu-north-1/anthropic.claude-…` is split, a Bedrock or SageMaker ARN stays whole
 * and gives its own region, any other id is answered as it came.
 *
 * @param modelId percent-decoded
 * @throws EndpointError when an ARN's region is not a region name
 */
export function splitModelId(modelId: string): RegionalModel {
  if (modelId.startsWith("arn:")) {
    const region = modelId.split(":", 4)[3];
    if (region === undefined || region === "") return { modelId };
    checkRegion(region, "modelId");
    return { region, modelId };
  }
  const slash = modelId.indexOf("/");
  if (slash < 0 || slash === modelId.length - 1) return { modelId };
  const first = modelId.slice(0, slash);
  // Only regions of a known partition: `my-lab-1/model` is not Bedrock's, and belongs to whoever calls it so.
  if (!partitions.some(([region]) => region.test(first))) return { modelId };
  return { region: first, modelId: modelId.slice(slash + 1) };
}

function checkRegion(region: string, field: string): void {
  if (regionGrammar.test(region)) return;
  throw new EndpointError(field, `${JSON.stringify(region.slice(0, 64))} is not the name of an AWS region`);
}

function dnsSuffix(region: string): string {
  return partitions.find(([names]) => names.test(region))?.[1] ?? "amazonaws.com";
}

/** A configuration names few endpoints, and every request asks for one. */
const parsed = new LRUCache<string, Endpoint>({ max: 256 });

function parseEndpoint(field: string, text: string): Endpoint {
  const known = parsed.get(text);
  if (known !== undefined) return known;
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url === undefined) throw new EndpointError(field, "is not a URL");
  if (url.protocol !== "https:" && url.protocol !== "http:") {
    throw new EndpointError(field, "must be an http or https URL");
  }
  if (url.username !== "" || url.password !== "") throw new EndpointError(field, "must not carry a user or a password");
  if (/[?#]/.test(text)) throw new EndpointError(field, "must not have a query or a fragment");
  const endpoint = { origin: url.origin, host: url.host, pathPrefix: url.pathname.replace(/\/+$/, "") };
  parsed.set(text, endpoint);
  return endpoint;
}
