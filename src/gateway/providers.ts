/** The configured providers, made ready to serve: what the configuration says, with credentials and endpoints to use. */
import type { Config } from "../config/schema.ts";
import type { Choosable } from "../keys/choose.ts";
import type { MockRule } from "../providers/mock/mock.ts";
import { type CredentialSource, credentialSource } from "../upstream/credentials.ts";
import type { Network } from "../upstream/dispatch.ts";
import type { EndpointOverrides } from "../upstream/endpoints.ts";

export type Provider = BedrockProvider | MockProvider;

export interface BedrockProvider {
  readonly kind: "bedrock";
  readonly name: string;
  readonly network: Network;
  readonly extraHeaders: readonly (readonly [name: string, value: string])[];
  readonly retries: Retries;
  readonly keys: readonly BedrockKey[];
}

export interface BedrockKey extends Choosable {
  readonly region: string;
  readonly overrides: EndpointOverrides;
  readonly credentials: CredentialSource;
}

/** How often and how soon the same key is tried again. */
export interface Retries {
  readonly max: number;
  readonly initialBackoffMs: number;
  readonly maxBackoffMs: number;
}

export interface MockProvider {
  readonly kind: "mock";
  readonly name: string;
  readonly rules: readonly MockRule[];
}

/**
 * @param environment only for the region where a key names none (`AWS_REGION`, `AWS_DEFAULT_REGION`)
 * @param onProblem told when credentials in use could not be renewed
 * @throws CredentialsError when a key's credentials cannot be complete
 */
export function buildProviders(
  config: Config,
  environment: NodeJS.ProcessEnv,
  onProblem: (message: string) => void,
): readonly Provider[] {
  const defaultRegion = environment.AWS_REGION ?? environment.AWS_DEFAULT_REGION ?? "us-east-1";
  return Object.entries(config.providers).map(([name, provider]): Provider => {
    if (provider.kind === "mock") return { kind: "mock", name, rules: provider.rules };
    const network = provider.network_config;
    return {
      kind: "bedrock",
      name,
      network,
      extraHeaders: Object.entries(network.extra_headers).map(
        ([header, value]) => [header.toLowerCase(), value] as const,
      ),
      retries: {
        max: network.max_retries,
        initialBackoffMs: network.retry_backoff_initial,
        maxBackoffMs: network.retry_backoff_max,
      },
      keys: provider.keys.map((key) => ({
        ...key,
        region: key.bedrock_key_config?.region ?? defaultRegion,
        overrides: { endpoints: key.bedrock_key_config?.endpoints, base_url: network.base_url },
        credentials: credentialSource(key, { onProblem }),
      })),
    };
  });
}
