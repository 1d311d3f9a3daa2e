/** The keys a client may use at a provider: the configured ones, some of them, or one of its own. */
import { BedrockError, refuseField } from "../bedrock/errors.ts";
import type { Choosable } from "../keys/choose.ts";
import type { KeyPool } from "../keys/pool.ts";
import type { BedrockService, EndpointOverrides } from "../upstream/endpoints.ts";
import type { KeySource } from "./attempts.ts";
import { type ClientAuth, directForOther } from "./client-auth.ts";
import { configuredKeys, type KeyWish, ownKey } from "./key-source.ts";
import type { BedrockKey, BedrockProvider, TranslatedKey, TranslatedProvider } from "./providers.ts";

/** Keys, and whether they are the client's own: then what the upstream says of them is the client's business. */
export interface ClientKeys<Key> {
  readonly source: KeySource<Key>;
  readonly own: boolean;
}

const directKey = {
  id: "direct",
  name: "direct",
  enabled: true,
  weight: 1,
  models: ["*"],
  blacklisted_models: [],
  aliases: {},
} as const;

export function bedrockKeys(
  provider: BedrockProvider,
  auth: ClientAuth,
  wish: KeyWish<BedrockKey>,
): ClientKeys<BedrockKey> {
  if (auth.kind !== "direct") return configured(provider.name, provider.pool, auth, wish);
  const { credential, region } = auth.bedrock;
  const [first] = provider.keys;
  if (first === undefined) throw new Error(`the provider ${provider.name} has no keys`);
  const key = {
    ...directKey,
    region: region ?? first.region,
    overrides: directOverrides(provider, region ?? first.region),
    credentials: { current: () => credential },
    signs: credential.kind === "sigv4",
  };
  return { source: ownKey(key, provider.pool.budget), own: true };
}

/**
 * The runtime is at the provider's `base_url`. For what that does not name, the operator's way to AWS is that of the
 * configured keys: of one in the same region, else of any.
 */
function directOverrides({ keys }: BedrockProvider, region: string): EndpointOverrides {
  const near = keys.filter((key) => key.region === region);
  const endpoints: { [service in BedrockService]?: string } = {};
  for (const service of ["control", "agent_runtime", "s3"] as const) {
    for (const { overrides } of [...near, ...keys]) {
      const endpoint = overrides.endpoints?.[service];
      if (endpoint) endpoints[service] ??= endpoint;
    }
  }
  return { base_url: keys[0]?.overrides.base_url, endpoints };
}

/**
 * The keys that can sign for S3.
 *
 * @throws BedrockError ValidationException when there is none: S3 takes no Bedrock API keys
 */
export function filesKeys(
  provider: BedrockProvider,
  auth: ClientAuth,
  wish: KeyWish<BedrockKey>,
): ClientKeys<BedrockKey> {
  if (auth.kind === "direct") {
    const { credential, header } = auth.bedrock;
    if (credential.kind === "sigv4") return bedrockKeys(provider, auth, wish);
    throw refuseField(header, "is a Bedrock API key, and S3 takes none: send AWS credentials in x-bf-bedrock headers.");
  }
  const signers = provider.keys.filter((key) => key.signs);
  if (signers.length === provider.keys.length) return bedrockKeys(provider, auth, wish);
  const reason = "has no key with AWS credentials, and S3 takes no Bedrock API keys.";
  if (signers.length === 0) throw new BedrockError("ValidationException", `The provider ${provider.name} ${reason}`);
  const allowed = signers.map(({ id }) => id).filter((id) => wish.allowedIds?.has(id) !== false);
  return bedrockKeys(provider, auth, { ...wish, allowedIds: new Set(allowed) });
}

/** @throws BedrockError ValidationException for credentials that this provider does not take */
export function translatedKeys(
  provider: TranslatedProvider,
  auth: ClientAuth,
  wish: KeyWish<TranslatedKey>,
): ClientKeys<TranslatedKey> {
  const secret = directForOther(auth, provider.name);
  if (secret === undefined) return configured(provider.name, provider.pool, auth, wish);
  const first = provider.keys.find((key) => key.credential !== undefined);
  const scheme = first?.credential?.scheme;
  if (first === undefined || scheme === undefined) {
    throw refuseField("x-bf-direct-key", `the provider ${provider.name} takes no key.`);
  }
  const key = { ...first, ...directKey, credential: { scheme, current: () => secret } };
  return { source: ownKey(key, provider.pool.budget), own: true };
}

/** A signature by a configured key pins that key, at the provider it belongs to. */
function configured<Key extends Choosable>(
  provider: string,
  pool: KeyPool<Key>,
  auth: ClientAuth,
  wish: KeyWish<Key>,
): ClientKeys<Key> {
  const pinned = auth.kind === "signed" ? auth.pinned?.filter((one) => one.provider === provider) : undefined;
  if (pinned === undefined || pinned.length === 0) return { source: configuredKeys(pool, wish), own: false };
  const ids = pinned.map((one) => one.id);
  const allowedIds = new Set(ids.filter((id) => wish.allowedIds?.has(id) !== false));
  return { source: configuredKeys(pool, { ...wish, allowedIds }), own: false };
}
