/** What InvokeModel says in headers and Converse says in its body. */
import type { ConverseRequest, GuardrailConfig } from "../bedrock/converse.ts";
import { refuseField } from "../bedrock/errors.ts";
import { readAnyObject, readText, readWord } from "../bedrock/reading.ts";
import type { RequestHeaders } from "../http/exchange.ts";

const prefix = "x-amzn-bedrock-";

/**
 * The members of a Converse request that stand in the headers of an Invoke request. Nothing for those not sent.
 *
 * @throws BedrockError ValidationException naming the header that is wrong
 */
export function readInvokeHeaders(headers: RequestHeaders): Partial<ConverseRequest> {
  const latency = headers.get(`${prefix}performanceconfig-latency`);
  const tier = headers.get(`${prefix}service-tier`);
  const metadata = headers.get(`${prefix}request-metadata`);
  const guardrail = readGuardrail(headers);
  return {
    ...(latency !== undefined && {
      performanceConfig: {
        latency: readWord(latency, `${prefix}performanceconfig-latency`, ["standard", "optimized"]),
      },
    }),
    ...(tier !== undefined && {
      serviceTier: { type: readWord(tier, `${prefix}service-tier`, ["priority", "default", "flex", "reserved"]) },
    }),
    ...(metadata !== undefined && { requestMetadata: readMetadata(metadata) }),
    ...(guardrail !== undefined && { guardrailConfig: guardrail }),
  };
}

/** A trace is of a guardrail, so without one there is nothing to say about it. */
function readGuardrail(headers: RequestHeaders): GuardrailConfig | undefined {
  const trace = headers.get(`${prefix}trace`);
  const words = ["ENABLED", "DISABLED", "ENABLED_FULL"] as const;
  const traced = trace === undefined ? undefined : traces[readWord(trace, `${prefix}trace`, words)];
  const guardrailIdentifier = headers.get(`${prefix}guardrailidentifier`);
  const guardrailVersion = headers.get(`${prefix}guardrailversion`);
  if (guardrailIdentifier === undefined && guardrailVersion === undefined) return undefined;
  return {
    ...(guardrailIdentifier !== undefined && { guardrailIdentifier }),
    ...(guardrailVersion !== undefined && { guardrailVersion }),
    ...(traced !== undefined && { trace: traced }),
  };
}

const traces = { ENABLED: "enabled", DISABLED: "disabled", ENABLED_FULL: "enabled_full" } as const;

function readMetadata(header: string): { readonly [key: string]: string } {
  const path = `${prefix}request-metadata`;
  let parsed: unknown;
  try {
    parsed = JSON.parse(header);
  } catch {
    // The refusal says all there is to say; where the syntax is wrong is plain to see in a header.
    throw refuseField(path, "must be a JSON object");
  }
  const entries = Object.entries(readAnyObject(parsed, path));
  return Object.fromEntries(entries.map(([name, value]) => [name, readText(value, `${path}.${name}`)]));
}
