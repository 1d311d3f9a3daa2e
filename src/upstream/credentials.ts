/** The AWS identity of a configured Bedrock key: fixed, or fetched, kept, and renewed before it expires. */
import { LRUCache } from "lru-cache";
import { Secret } from "./secret.ts";
import type { AwsCredentials } from "./sigv4.ts";

type Text = string | null | undefined;

/** The members of a configured Bedrock key that say who it is, as the configuration file names them. */
export interface BedrockIdentity {
  readonly name: string;
  /** A Bedrock API key. When there is one, it comes before everything in `bedrock_key_config`, as in the AWS SDKs. */
  readonly value?: Text;
  readonly bedrock_key_config?:
    | {
        readonly access_key?: Text;
        readonly secret_key?: Text;
        readonly session_token?: Text;
        /** Where STS is asked to assume `role_arn`. */
        readonly region?: Text;
        /** Of the shared AWS configuration files; SSO and `credential_process` profiles included. */
        readonly profile?: Text;
        /** Assumed with the access key, else with the profile, else with what the default chain finds. */
        readonly role_arn?: Text;
        readonly external_id?: Text;
        readonly session_name?: Text;
      }
    | null
    | undefined;
}

/** What a request is authorized with. */
export type Resolved =
  | { readonly kind: "bearer"; readonly token: Secret }
  | { readonly kind: "sigv4"; readonly credentials: AwsCredentials };

export interface CredentialSource {
  /**
   * The credentials to use now, without a promise while valid ones are held.
   *
   * @throws CredentialsError (as a rejection) when there are none
   */
  current(): Resolved | Promise<Resolved>;
}

export interface CredentialOptions {
  /** Told when credentials in use could not be renewed; they serve until they expire. Holds no secret. */
  readonly onProblem?: (message: string) => void;
  /** Milliseconds since 1970. */
  readonly now?: () => number;
}

/** A key has no usable credentials. The message names the key and the kind of source, never a secret. */
export class CredentialsError extends Error {
  override readonly name = "CredentialsError";
}

/** Renewal begins this long before credentials expire. */
const refreshAheadMs = 5 * 60_000;
/** Credentials that do not say when they expire (a file that someone else rewrites) are read again this often. */
const rereadMs = 5 * 60_000;
/** Between two attempts to renew credentials that still serve. */
const retryMs = 30_000;
/** With nothing to serve, a failure stands this long, so that a burst of requests does not become a burst on STS. */
const failureMs = 2000;
/** A source that has not answered by then has failed. */
const loadTimeoutMs = 30_000;

/** Identities of one thread. One that is pushed out is fetched anew when it is asked for. */
const identities = new LRUCache<string, Identity>({ max: 1000 });

/**
 * The credential source of one key. Keys with the same identity share what is fetched, across reloads too.
 *
 * @throws CredentialsError when half of an access key is missing
 */
export function credentialSource(key: BedrockIdentity, options: CredentialOptions = {}): CredentialSource {
  const name = `key ${JSON.stringify(key.name)}`;
  if (key.value) return fixed({ kind: "bearer", token: new Secret(key.value) });

  const config = key.bedrock_key_config ?? {};
  const base = baseOf(config, name);
  if (config.role_arn) {
    const role = {
      arn: config.role_arn,
      externalId: config.external_id || undefined,
      sessionName: config.session_name || "bifrost-session",
      region: config.region || undefined,
    };
    const id = JSON.stringify([base.id, role.arn, role.externalId, role.sessionName, role.region]);
    const load = async () => assumeRole(role, base.fixed ?? (await base.load()));
    return fetched(id, `the role ${role.arn}, assumed with ${base.label},`, load, name, options);
  }
  if (base.fixed !== undefined) return fixed({ kind: "sigv4", credentials: base.fixed });
  return fetched(base.id, base.label, base.load, name, options);
}

/** Credentials whose secrets show in no log or JSON, although they read like any others. */
export function awsCredentials(accessKeyId: string, secretAccessKey: string, sessionToken?: Text): AwsCredentials {
  return sessionToken
    ? new TemporaryCredentials(accessKeyId, secretAccessKey, sessionToken)
    : new HeldCredentials(accessKeyId, secretAccessKey);
}

/** The secrets live behind accessors of the prototype, where neither `JSON.stringify` nor `inspect` looks. */
class HeldCredentials implements AwsCredentials {
  readonly accessKeyId: string;
  readonly #secretAccessKey: string;
  constructor(accessKeyId: string, secretAccessKey: string) {
    this.accessKeyId = accessKeyId;
    this.#secretAccessKey = secretAccessKey;
  }
  get secretAccessKey(): string {
    return this.#secretAccessKey;
  }
}

class TemporaryCredentials extends HeldCredentials {
  readonly #sessionToken: string;
  constructor(accessKeyId: string, secretAccessKey: string, sessionToken: string) {
    super(accessKeyId, secretAccessKey);
    this.#sessionToken = sessionToken;
  }
  get sessionToken(): string {
    return this.#sessionToken;
  }
}

function fixed(resolved: Resolved): CredentialSource {
  return { current: () => resolved };
}

function fetched(
  id: string,
  label: string,
  load: () => Promise<Loaded>,
  name: string,
  { onProblem, now = Date.now }: CredentialOptions,
): CredentialSource {
  const describe = (cause: unknown) => `${name}: ${label} gave no AWS credentials (${reasonOf(cause)})`;
  let identity = identities.get(id);
  if (identity === undefined) {
    identity = new Identity(load, now);
    identities.set(id, identity);
  }
  const shared = identity;
  return {
    current: () => {
      const held = shared.held((cause) => onProblem?.(`${describe(cause)}; the ones in use serve until they expire`));
      if (held !== undefined) return held;
      return shared.wait().catch((cause: unknown) => {
        throw new CredentialsError(describe(cause));
      });
    },
  };
}

interface Loaded extends AwsCredentials {
  readonly expiration?: Date;
}

/** One identity's credentials: held, renewed by one call at a time. */
class Identity {
  readonly #load: () => Promise<Loaded>;
  readonly #now: () => number;
  #resolved: Resolved | undefined;
  #expiresAt = 0;
  /** When a renewal may next begin. */
  #renewAt = 0;
  #loading: Promise<Resolved> | undefined;
  #failure: { readonly cause: unknown; readonly until: number } | undefined;

  constructor(load: () => Promise<Loaded>, now: () => number) {
    this.#load = load;
    this.#now = now;
  }

  /** What still serves. When its renewal is due, that begins; `onProblem` hears of its failure. */
  held(onProblem: (cause: unknown) => void): Resolved | undefined {
    const now = this.#now();
    if (this.#resolved === undefined || now >= this.#expiresAt) return undefined;
    if (now >= this.#renewAt && this.#loading === undefined) {
      this.#renewAt = now + retryMs;
      this.#renew().catch(onProblem);
    }
    return this.#resolved;
  }

  /** What the load under way, or a new one, brings. */
  wait(): Promise<Resolved> {
    if (this.#loading !== undefined) return this.#loading;
    if (this.#failure !== undefined && this.#now() < this.#failure.until) return Promise.reject(this.#failure.cause);
    return this.#renew();
  }

  #renew(): Promise<Resolved> {
    this.#loading = this.#fetch().finally(() => {
      this.#loading = undefined;
    });
    return this.#loading;
  }

  async #fetch(): Promise<Resolved> {
    try {
      const loaded = await inTime(this.#load());
      const now = this.#now();
      const expiresAt = loaded.expiration?.getTime() ?? Number.POSITIVE_INFINITY;
      if (expiresAt <= now) throw new LoadFailure("they have expired already: is the clock right?");
      const credentials = awsCredentials(loaded.accessKeyId, loaded.secretAccessKey, loaded.sessionToken);
      this.#resolved = { kind: "sigv4", credentials };
      this.#expiresAt = expiresAt;
      this.#renewAt = loaded.expiration ? Math.max(expiresAt - refreshAheadMs, now + retryMs) : now + rereadMs;
      this.#failure = undefined;
      return this.#resolved;
    } catch (cause) {
      this.#failure = { cause, until: this.#now() + failureMs };
      throw cause;
    }
  }
}

/** A failure that is described in our own words, which may be shown. */
class LoadFailure extends Error {}

function inTime(load: Promise<Loaded>): Promise<Loaded> {
  return new Promise((resolve, reject) => {
    const seconds = loadTimeoutMs / 1000;
    const timer = setTimeout(() => reject(new LoadFailure(`no answer in ${seconds} seconds`)), loadTimeoutMs);
    timer.unref();
    load.then(resolve, reject).finally(() => clearTimeout(timer));
  });
}

/**
 * The name of a failure, not its message: STS repeats the signed request, and `credential_process` its command line,
 * with whatever secrets they hold.
 */
function reasonOf(cause: unknown): string {
  if (cause instanceof LoadFailure) return cause.message;
  if (!(cause instanceof Error)) return "unknown reason";
  const code = "code" in cause && typeof cause.code === "string" ? cause.code : cause.name;
  return /^[\w.]{1,64}$/.test(code) ? code : "unknown reason";
}

interface Base {
  /** Equal for equal identities. */
  readonly id: string;
  readonly label: string;
  readonly fixed?: AwsCredentials;
  readonly load: () => Promise<Loaded>;
}

function baseOf(config: NonNullable<BedrockIdentity["bedrock_key_config"]>, name: string): Base {
  const { access_key: accessKey, secret_key: secretKey, session_token: sessionToken, profile } = config;
  if (accessKey && secretKey) {
    const credentials = awsCredentials(accessKey, secretKey, sessionToken);
    const id = JSON.stringify(["static", accessKey, secretKey, sessionToken]);
    return { id, label: "its access key", fixed: credentials, load: () => Promise.resolve(credentials) };
  }
  if (accessKey) throw new CredentialsError(`${name}: bedrock_key_config.secret_key is missing`);
  if (secretKey || sessionToken) throw new CredentialsError(`${name}: bedrock_key_config.access_key is missing`);
  // Each load makes its provider anew: the SDK's own keep what they found, and files may have changed since.
  if (profile) {
    const load = async () => (await sdk()).fromIni({ profile, ignoreCache: true })();
    return { id: JSON.stringify(["profile", profile]), label: `the AWS profile ${JSON.stringify(profile)}`, load };
  }
  const load = async () => (await sdk()).fromNodeProviderChain({ ignoreCache: true })();
  return { id: JSON.stringify(["default"]), label: "the default AWS credential chain", load };
}

interface Role {
  readonly arn: string;
  readonly externalId: string | undefined;
  readonly sessionName: string;
  readonly region: string | undefined;
}

async function assumeRole(role: Role, by: AwsCredentials): Promise<Loaded> {
  const { accessKeyId, secretAccessKey, sessionToken } = by;
  const { fromTemporaryCredentials } = await sdk();
  return fromTemporaryCredentials({
    masterCredentials: { accessKeyId, secretAccessKey, ...(sessionToken ? { sessionToken } : {}) },
    params: {
      RoleArn: role.arn,
      RoleSessionName: role.sessionName,
      ...(role.externalId ? { ExternalId: role.externalId } : {}),
    },
    clientConfig: role.region ? { region: role.region } : {},
  })();
}

/** Loaded when first needed: a gateway with static keys or none of AWS starts without its 9 MB. */
function sdk() {
  // The SDK would otherwise print a paragraph about the Node versions its next releases need.
  process.env.AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED ??= "true";
  return import("@aws-sdk/credential-providers");
}
