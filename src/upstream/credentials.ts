/** The AWS identity of a configured Bedrock key: fixed, or fetched, kept, and renewed before it expires. */
import { CredentialsError, Identities, type RenewOptions, type Source } from "./renewed.ts";
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

/** Where a key's credentials come from. */
export type CredentialSource = Source<Resolved>;

export type CredentialOptions = RenewOptions;

export { CredentialsError };

/** Renewal begins this long before credentials expire. */
const refreshAheadMs = 5 * 60_000;

/** Identities of one thread, kept across reloads. */
const identities = new Identities<Resolved>(refreshAheadMs);

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
  load: () => Promise<FetchedCredentials>,
  name: string,
  options: CredentialOptions,
): CredentialSource {
  const loadResolved = async () => {
    const { accessKeyId, secretAccessKey, sessionToken, expiration } = await load();
    const credentials = awsCredentials(accessKeyId, secretAccessKey, sessionToken);
    return { value: { kind: "sigv4", credentials } as const, expiresAt: expiration?.getTime() };
  };
  return identities.source(id, `${name}: ${label} gave no AWS credentials`, loadResolved, options);
}

interface FetchedCredentials extends AwsCredentials {
  readonly expiration?: Date;
}

interface Base {
  /** Equal for equal identities. */
  readonly id: string;
  readonly label: string;
  readonly fixed?: AwsCredentials;
  readonly load: () => Promise<FetchedCredentials>;
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

async function assumeRole(role: Role, by: AwsCredentials): Promise<FetchedCredentials> {
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
