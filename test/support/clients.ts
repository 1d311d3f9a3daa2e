/** AWS SDK clients as their users make them, pointed at the gateway. */
import { BedrockClient } from "@aws-sdk/client-bedrock";
import { BedrockAgentRuntimeClient } from "@aws-sdk/client-bedrock-agent-runtime";
import { BedrockRuntimeClient } from "@aws-sdk/client-bedrock-runtime";
import { NodeHttpHandler } from "@smithy/node-http-handler";
import type { RunningGateway } from "./gateway.ts";

/** The protocol a client speaks: HTTP/2 is the SDK's default, HTTP/1.1 comes with `NodeHttpHandler`. */
export type Protocol = "h2" | "http/1.1";

export const protocols: readonly Protocol[] = ["h2", "http/1.1"];

export const dummy = { accessKeyId: "bifrost-dummy-key", secretAccessKey: "bifrost-dummy-secret" };

/** A stock client for its protocol; one attempt, so that every answer is the first one. */
export function runtimeClient(gateway: RunningGateway, protocol: Protocol): BedrockRuntimeClient {
  return new BedrockRuntimeClient(settings(gateway, protocol));
}

export function agentRuntimeClient(gateway: RunningGateway, protocol: Protocol): BedrockAgentRuntimeClient {
  return new BedrockAgentRuntimeClient(settings(gateway, protocol));
}

/** The control plane's client speaks HTTP/1.1 by default. */
export function controlClient(gateway: RunningGateway): BedrockClient {
  return new BedrockClient(settings(gateway, "http/1.1"));
}

/** A client with a Bedrock API key instead of AWS credentials. */
export function bearerClient(gateway: RunningGateway, protocol: Protocol, token: string): BedrockRuntimeClient {
  const { credentials: _unused, ...rest } = settings(gateway, protocol);
  return new BedrockRuntimeClient({ ...rest, token: { token }, authSchemePreference: ["httpBearerAuth"] });
}

function settings(gateway: RunningGateway, protocol: Protocol) {
  const origin = protocol === "h2" ? gateway.h2url : gateway.url;
  return {
    region: "us-west-2",
    endpoint: `${origin}/bedrock`,
    credentials: dummy,
    maxAttempts: 1,
    ...(protocol === "http/1.1" && { requestHandler: new NodeHttpHandler() }),
  };
}
