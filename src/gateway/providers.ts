/** The configured providers, made ready to serve: what the configuration says, with credentials and endpoints to use. */

import { isErrorType } from "../bedrock/errors.ts";
import type { BedrockConfig, Config, MockConfig, NetworkConfig, TranslatedConfig } from "../config/schema.ts";
import type { Choosable } from "../keys/choose.ts";
import type { KeyPool } from "../keys/pool.ts";
import { type KeySlots, keyIdentity } from "../keys/registry.ts";
import { RetryBudget } from "../keys/retry-budget.ts";
import { KeyRing } from "../keys/ring.ts";
import type { KeyState } from "../keys/state.ts";
import type { MockRule } from "../providers/mock/mock.ts";
import { type AuthScheme, baseUrlFor, providerRow } from "../providers/table.ts";
import { type CredentialSource, credentialSource } from "../upstream/credentials.ts";
import type { Network } from "../upstream/dispatch.ts";
import type { EndpointOverrides } from "../upstream/endpoints.ts";
import { googleTokenSource } from "../upstream/google-credentials.ts";
import { Secret } from "../upstream/secret.ts";

export type Provider = BedrockProvider | TranslatedProvider | MockProvider;

interface Remote<Key extends Choosable> {
  readonly name: string;
  readonly network: Network;
  readonly extraHeaders: readonly (readonly [name: string, value: string])[];
  readonly retries: Retries;
  /** Milliseconds a stream may take to begin, while another key or target could be asked. */
  readonly streamStartMs: number;
  readonly keys: readonly Key[];
  readonly pool: KeyPool<Key>;
  /** The credentials that stand in the configuration: an upstream must not repeat any of them to a client. */
  readonly secrets: readonly string[];
}

/** Relayed to. */
export interface BedrockProvider extends Remote<BedrockKey> {
  readonly kind: "bedrock";
}

export interface BedrockKey extends Choosable {
  readonly region: string;
  readonly overrides: EndpointOverrides;
  readonly credentials: CredentialSource;
  /** It signs with AWS credentials. The others are Bedrock API keys, of which S3 knows nothing. */
  readonly signs: boolean;
}

/** Translated for. */
export interface TranslatedProvider extends Remote<TranslatedKey> {
  readonly kind: "translated";
  /** The row of the provider table. */
  readonly type: string;
}

export interface TranslatedKey extends Choosable {
  /** Scheme, host and port. */
  readonly origin: string;
  /** What stands before the dialect's path: empty, or without a slash at its end. */
  readonly pathPrefix: string;
  /** Undefined for a server that wants no key. */
  readonly credential: { readonly scheme: AuthScheme; current(): Secret | Promise<Secret> } | undefined;
  readonly azure: { readonly apiVersion?: string } | undefined;
  readonly vertex: { readonly project?: string; readonly region: string } | undefined;
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

/** In place of a key, for a server that wants none. */
const noKey = "none";

/** The state of keys that all threads share. */
export interface SharedKeys {
  readonly state: KeyState;
  readonly slots: KeySlots;
}

/**
 * @param environment only for the region where a key names none (`AWS_REGION`, `AWS_DEFAULT_REGION`)
 * @param onProblem told when credentials in use could not be renewed
 * @throws Error naming what is wrong, where only those who use it can know
 */
export function buildProviders(
  config: Config,
  shared: SharedKeys,
  environment: NodeJS.ProcessEnv,
  onProblem: (message: string) => void,
): readonly Provider[] {
  return Object.entries(config.providers).map(([name, provider]) => {
    if (provider.kind === "mock") return buildMock(name, provider);
    if (provider.kind === "bedrock") return buildBedrock(name, provider, shared, environment, onProblem);
    return buildTranslated(name, provider, shared, onProblem);
  });
}

function buildMock(name: string, { rules }: MockConfig): MockProvider {
  for (const [index, rule] of rules.entries()) {
    if (rule.error == null || isErrorType(rule.error.type)) continue;
    throw new Error(`providers.${name}.rules[${index}].error.type: ${rule.error.type} is no exception of Bedrock's`);
  }
  return { kind: "mock", name, rules };
}

function buildBedrock(
  name: string,
  config: BedrockConfig,
  shared: SharedKeys,
  environment: NodeJS.ProcessEnv,
  onProblem: (message: string) => void,
): BedrockProvider {
  const { keys: configured, network_config: network } = config;
  const defaultRegion = environment.AWS_REGION ?? environment.AWS_DEFAULT_REGION ?? "us-east-1";
  const secrets = configured.flatMap((key) => {
    const { access_key, secret_key, session_token } = key.bedrock_key_config ?? {};
    return [key.value, secret_key, session_token, access_key];
  });
  const keys = configured.map((key) => ({
    ...key,
    region: key.bedrock_key_config?.region ?? defaultRegion,
    overrides: { endpoints: key.bedrock_key_config?.endpoints, base_url: network.base_url },
    credentials: credentialSource(key, { onProblem }),
    signs: !key.value,
  }));
  return { kind: "bedrock", ...remote(name, network, secrets), keys, pool: poolOf(name, config, keys, shared) };
}

function buildTranslated(
  name: string,
  config: TranslatedConfig,
  shared: SharedKeys,
  onProblem: (message: string) => void,
): TranslatedProvider {
  const { type, keys: configured, network_config: network } = config;
  const row = providerRow(type);
  if (row === undefined) throw new Error(`providers.${name}: there is no provider type ${type}`);
  const keys = configured.map((key): TranslatedKey => {
    const { azure_key_config: azure, vertex_key_config: vertex } = key;
    const baseUrl = baseUrlFor(type, azure?.endpoint ?? network.base_url, vertex?.region);
    if (baseUrl === undefined) throw new Error(`providers.${name}: the key ${key.name} has no base URL`);
    const { origin, pathname } = new URL(baseUrl);
    return {
      ...key,
      origin,
      pathPrefix: pathname.replace(/\/+$/, ""),
      credential: credentialOf(key, row.auth, onProblem),
      azure: azure == null ? undefined : { ...(azure.api_version != null && { apiVersion: azure.api_version }) },
      vertex: vertex == null ? undefined : vertexPlace(vertex),
    };
  });
  const secrets = configured.map((key) => (key.value === noKey ? undefined : key.value));
  return {
    kind: "translated",
    type,
    ...remote(name, network, secrets),
    keys,
    pool: poolOf(name, config, keys, shared),
  };
}

/** The keys as they stand in the shared memory, in the order of the configuration. */
function poolOf<Key extends Choosable>(
  name: string,
  config: BedrockConfig | TranslatedConfig,
  keys: readonly Key[],
  { state, slots }: SharedKeys,
): KeyPool<Key> {
  const places = config.keys.map((key) => slots.keys.get(keyIdentity(name, key)) ?? -1);
  const ring = new KeyRing(state, keys, places, { provider: name, strategy: config.load_balancing });
  return { ring, budget: new RetryBudget(state.memory, slots.providers.get(name) ?? 0) };
}

function vertexPlace(vertex: NonNullable<TranslatedConfig["keys"][number]["vertex_key_config"]>) {
  return { region: vertex.region, ...(vertex.project_id != null && { project: vertex.project_id }) };
}

function credentialOf(
  key: TranslatedConfig["keys"][number],
  scheme: AuthScheme,
  onProblem: (message: string) => void,
): TranslatedKey["credential"] {
  if (key.value != null) {
    if (key.value === noKey) return undefined;
    const secret = new Secret(key.value);
    // An API key on Vertex is the express mode.
    return { scheme: scheme === "google-oauth" ? "x-goog-api-key" : scheme, current: () => secret };
  }
  if (scheme !== "google-oauth") return undefined;
  const source = googleTokenSource({ name: key.name, ...key.vertex_key_config }, { onProblem });
  return { scheme, current: () => source.current() };
}

function remote(name: string, network: NetworkConfig, secrets: readonly (string | null | undefined)[]) {
  return {
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
    streamStartMs: network.stream_start_timeout_in_seconds * 1000,
    secrets: secrets.flatMap((secret) => (secret ? [secret] : [])),
  };
}
