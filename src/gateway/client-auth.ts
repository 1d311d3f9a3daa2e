/**
 * What a client's credentials mean: nothing (dummy credentials), an identity known here that must have signed, or
 * credentials of the client's own for the upstream ("direct keys").
 *
 * Every AWS SDK insists on sending an `authorization` header, so what stands there and means nothing here is a dummy.
 * `x-bf-*` headers are set on purpose: where they cannot be honoured the request is refused, because serving it with
 * the operator's keys would bill the wrong account.
 */
import { BedrockError, refuseField } from "../bedrock/errors.ts";
import {
  accessKeyIdOf,
  parseAuthorization,
  presignedParameter,
  type SignedPayload,
  verifySignature,
} from "../bedrock/signature.ts";
import type { Config } from "../config/schema.ts";
import type { Exchange, RequestHeaders } from "../http/exchange.ts";
import { awsCredentials, type Resolved } from "../upstream/credentials.ts";
import { EndpointError, endpointFor } from "../upstream/endpoints.ts";
import { Secret } from "../upstream/secret.ts";

/** The identities whose signatures can be verified, and the values that are virtual keys. */
export interface KnownCredentials {
  secretOf(accessKeyId: string): Signer | undefined;
  /** Besides those that begin with `sk-bf-`. */
  isVirtualKey?(value: string): boolean;
}

/** An identity that signs requests with a secret known here. */
export type Signer =
  | { readonly kind: "key"; readonly secret: Secret; readonly keys: readonly KeyReference[] }
  | { readonly kind: "virtual_key"; readonly secret: Secret; readonly id: string };

/** A configured key. */
export interface KeyReference {
  readonly provider: string;
  /** The key's id. */
  readonly id: string;
}

/** What {@link readClientAuth} finds. Where there is a `signer`, nothing may be done before {@link checkSignature}. */
export type ClientAuth =
  | { readonly kind: "none" }
  | {
      readonly kind: "signed";
      readonly signer: Signer;
      /** Only these keys may serve the first target; undefined where load balancing stays. */
      readonly pinned: readonly KeyReference[] | undefined;
    }
  | {
      readonly kind: "direct";
      readonly signer: Signer | undefined;
      /** For a target that is Bedrock. */
      readonly bedrock: DirectBedrock;
      /** For a target that is not, when the client says `x-bf-direct-key: true`. */
      readonly other: Secret | undefined;
    };

/** The client's own credentials for Bedrock. */
export interface DirectBedrock {
  readonly credential: Resolved;
  /** The name of an AWS region. Undefined: that of the model's ARN, else of the provider's first key. */
  readonly region: string | undefined;
  /** The header the client brought them in, for messages. */
  readonly header: string;
}

const directPrefix = "x-bf-bedrock-";
const accessKeyHeader = `${directPrefix}access-key`;
const secretKeyHeader = `${directPrefix}secret-key`;
const sessionTokenHeader = `${directPrefix}session-token`;
const regionHeader = `${directPrefix}region`;
const apiKeyHeader = `${directPrefix}api-key`;
const directHeaders = [accessKeyHeader, secretKeyHeader, sessionTokenHeader, regionHeader, apiKeyHeader];
const flagHeader = "x-bf-direct-key";

const realAccessKey = /^A[KS]IA[A-Z0-9]{16}$/;
const dummyPrefix = "bifrost-dummy";
const virtualKeyPrefix = "sk-bf-";

/**
 * Reads who the client is and which credentials it brings. Verifies nothing and calls nobody.
 *
 * A signature by a known identity has to be right whatever `allowDirectKeys` says; only with it does a configured key
 * that signed serve alone.
 *
 * @throws BedrockError UnrecognizedClientException for a signature by a real AWS key that is not configured,
 * AccessDeniedException for direct keys that are not allowed, ValidationException naming the header that is wrong or
 * missing, IncompleteSignatureException for a signature that names nobody
 */
export function readClientAuth(
  request: Pick<Exchange, "headers" | "query">,
  policy: { readonly allowDirectKeys: boolean },
  known: KnownCredentials,
): ClientAuth {
  const presigned = presignedParameter(request.query);
  if (presigned !== undefined) {
    throw refuseField(presigned, "presigned requests are not supported; sign with the Authorization header.");
  }
  const authorization = request.headers.get("authorization") ?? "";
  const accessKeyId = readAccessKeyId(authorization);
  const signer = accessKeyId === undefined ? undefined : known.secretOf(accessKeyId);
  if (!policy.allowDirectKeys) {
    refuseDirectHeaders(request.headers);
    return signer === undefined ? { kind: "none" } : { kind: "signed", signer, pinned: undefined };
  }

  const direct = readDirect(request.headers, authorization, accessKeyId, known);
  if (direct !== undefined) return { kind: "direct", signer, ...direct };
  if (signer !== undefined) {
    return { kind: "signed", signer, pinned: signer.kind === "key" ? signer.keys : undefined };
  }
  if (accessKeyId !== undefined && realAccessKey.test(accessKeyId)) throw unrecognized();
  return { kind: "none" };
}

/**
 * Verifies the signature of a request that names a known identity.
 *
 * @param payload the body that arrived
 * @param now milliseconds since 1970
 * @throws BedrockError InvalidSignatureException or IncompleteSignatureException; ValidationException for a body that is
 *   not in the chunks its headers announce
 */
export async function checkSignature(
  request: Pick<Exchange, "method" | "path" | "query" | "headers">,
  payload: SignedPayload,
  signer: Signer,
  now: number,
): Promise<void> {
  const { method, path, query, headers } = request;
  const verification = await verifySignature({ method, path, query, headers, ...payload, now }, signer.secret.reveal());
  if (!verification.ok) throw new BedrockError(verification.type, verification.message);
}

/**
 * The client's own key for a provider that is not Bedrock; undefined when the provider's configured keys serve. A
 * bearer token without `x-bf-direct-key: true` is no key for it.
 *
 * @throws BedrockError ValidationException when the client set credentials that only Bedrock takes
 */
export function directForOther(auth: ClientAuth, provider: string): Secret | undefined {
  if (auth.kind !== "direct") return undefined;
  if (auth.other === undefined && auth.bedrock.header.startsWith(directPrefix)) {
    const way = `send its key as a bearer token or as x-api-key, with ${flagHeader}: true`;
    throw refuseField(auth.bedrock.header, `is for Bedrock, but the model is served by ${provider}: ${way}.`);
  }
  return auth.other;
}

/** The access keys of a configuration. Those that are fetched (profiles, roles, the default chain) have no fixed id. */
export function configuredCredentials(providers: Config["providers"]): KnownCredentials {
  const signers = new Map<string, { readonly kind: "key"; readonly secret: Secret; readonly keys: KeyReference[] }>();
  for (const [provider, config] of Object.entries(providers)) {
    if (config.kind !== "bedrock") continue;
    for (const { id, bedrock_key_config: identity } of config.keys) {
      if (!identity?.access_key || !identity.secret_key) continue;
      const known = signers.get(identity.access_key);
      if (known === undefined) {
        const secret = new Secret(identity.secret_key);
        signers.set(identity.access_key, { kind: "key", secret, keys: [{ provider, id }] });
      } else if (known.secret.reveal() === identity.secret_key) {
        // The same identity in several regions or providers. An id with two secrets is signed with the first.
        known.keys.push({ provider, id });
      }
    }
  }
  return { secretOf: (accessKeyId) => signers.get(accessKeyId) };
}

/** Undefined when the request is not signed. Of a dummy's signature only the access key id is looked at. */
function readAccessKeyId(authorization: string): string | undefined {
  if (!authorization.startsWith("AWS4-")) return undefined;
  const accessKeyId = accessKeyIdOf(authorization);
  if (accessKeyId !== undefined) return accessKeyId;
  const parsed = parseAuthorization(authorization);
  if (parsed.ok) return parsed.accessKeyId;
  throw new BedrockError(parsed.type, parsed.message);
}

function refuseDirectHeaders(headers: RequestHeaders): void {
  const header = isFlagged(headers) ? flagHeader : directHeaders.find((name) => headers.get(name));
  if (header === undefined) return;
  throw new BedrockError(
    "AccessDeniedException",
    `${header}: this gateway takes no credentials from clients; its operator may set client.allow_direct_keys. ` +
      "Without this header it uses its own.",
  );
}

interface Direct {
  readonly bedrock: DirectBedrock;
  readonly other: Secret | undefined;
}

function readDirect(
  headers: RequestHeaders,
  authorization: string,
  accessKeyId: string | undefined,
  known: KnownCredentials,
): Direct | undefined {
  const token = readBearer(authorization);
  const bearer = readToken("authorization", token, known);
  const flagged = isFlagged(headers);
  const apiKey = flagged ? readToken("x-api-key", headers.get("x-api-key"), known) : undefined;
  const other = flagged ? (bearer ?? apiKey) : undefined;

  const region = readRegion(headers);
  const dummy = isDummy(headers.get(accessKeyHeader)) || isDummy(headers.get(apiKeyHeader));
  const own = dummy ? undefined : readDirectHeaders(headers, region, known);
  if (own !== undefined) return { bedrock: own, other };
  const carried = bearer ?? apiKey;
  if (carried !== undefined) {
    const header = bearer === undefined ? "x-api-key" : "authorization";
    return { bedrock: { credential: { kind: "bearer", token: carried }, region, header }, other };
  }
  if (region !== undefined && !dummy) {
    throw refuseField(regionHeader, "belongs to credentials of the client's own, and the request brings none.");
  }
  if (flagged && !dummy && !isDummy(token) && !isDummy(accessKeyId)) {
    throw refuseField(flagHeader, "the request brings no key: send one as a bearer token or as x-api-key.");
  }
  return undefined;
}

/** The credentials in `x-bf-bedrock-*` headers. They come before what `authorization` holds. */
function readDirectHeaders(
  headers: RequestHeaders,
  region: string | undefined,
  known: KnownCredentials,
): DirectBedrock | undefined {
  const accessKey = visible(accessKeyHeader, headers.get(accessKeyHeader));
  const secretKey = visible(secretKeyHeader, headers.get(secretKeyHeader));
  const sessionToken = visible(sessionTokenHeader, headers.get(sessionTokenHeader));
  const apiKey = visible(apiKeyHeader, headers.get(apiKeyHeader));
  if (accessKey === undefined && secretKey === undefined && sessionToken === undefined) {
    if (apiKey === undefined) return undefined;
    if (isVirtualKey(apiKey, known)) throw refuseField(apiKeyHeader, "is a virtual key: send it as x-bf-vk.");
    return { credential: { kind: "bearer", token: new Secret(apiKey) }, region, header: apiKeyHeader };
  }
  if (apiKey !== undefined) {
    throw refuseField(apiKeyHeader, `cannot stand beside AWS credentials in ${accessKeyHeader}: send one of the two.`);
  }
  if (accessKey === undefined) throw missing(accessKeyHeader);
  if (secretKey === undefined) throw missing(secretKeyHeader);
  if (region === undefined) throw missing(regionHeader);
  // It becomes part of the signature's scope.
  if (!/^[\w.+=@-]{1,128}$/.test(accessKey)) throw refuseField(accessKeyHeader, "is not an AWS access key id.");
  const credentials = awsCredentials(accessKey, secretKey, sessionToken);
  return { credential: { kind: "sigv4", credentials }, region, header: accessKeyHeader };
}

function missing(header: string): BedrockError {
  const all = [accessKeyHeader, secretKeyHeader, regionHeader].join(", ");
  return refuseField(header, `is missing: AWS credentials of the client's own need ${all}.`);
}

function readRegion(headers: RequestHeaders): string | undefined {
  const region = headers.get(regionHeader);
  if (!region) return undefined;
  try {
    endpointFor("runtime", region);
  } catch (error) {
    if (!(error instanceof EndpointError)) throw error;
    throw refuseField(regionHeader, "is not the name of an AWS region, such as us-east-1.");
  }
  return region;
}

function isFlagged(headers: RequestHeaders): boolean {
  const flag = headers.get(flagHeader)?.toLowerCase();
  if (flag === undefined || flag === "" || flag === "false") return false;
  if (flag === "true") return true;
  throw refuseField(flagHeader, "must be true or false.");
}

/** What stands behind `Bearer`; undefined for other schemes. */
function readBearer(authorization: string): string | undefined {
  return /^bearer +(.*)$/i.exec(authorization)?.[1];
}

/** A token that can be a provider's key: neither a virtual key nor a dummy. */
function readToken(header: string, value: string | undefined, known: KnownCredentials): Secret | undefined {
  const token = visible(header, value);
  if (token === undefined || isVirtualKey(token, known) || isDummy(token)) return undefined;
  return new Secret(token);
}

/** A value that can be written into another header; undefined when it is empty. */
function visible(header: string, value: string | undefined): string | undefined {
  if (!value) return undefined;
  if (/^[\x21-\x7e]+$/.test(value)) return value;
  throw refuseField(header, "must be one value of visible ASCII characters.");
}

function isVirtualKey(value: string, known: KnownCredentials): boolean {
  return value.toLowerCase().startsWith(virtualKeyPrefix) || known.isVirtualKey?.(value) === true;
}

function isDummy(value: string | undefined): boolean {
  return value?.startsWith(dummyPrefix) === true;
}

function unrecognized(): BedrockError {
  return new BedrockError(
    "UnrecognizedClientException",
    "The request is signed with an AWS access key that is not configured in this gateway. A signature does not carry " +
      `the secret key, so the gateway cannot sign for you. Send the credentials in the headers ${accessKeyHeader}, ` +
      `${secretKeyHeader}, ${regionHeader} (and ${sessionTokenHeader}), or use a Bedrock API key as ` +
      'AWS_BEARER_TOKEN_BEDROCK. To use the gateway\'s own keys, sign with the access key id "bifrost-dummy-key".',
  );
}
