/**
 * Access tokens for Vertex AI: made from a service account, or from the login of a user, kept, and renewed before they
 * expire. Google's own libraries would bring a client of their own, which dials what it likes.
 *
 * Source: RFC 7523 as Google runs it (developers.google.com/identity/protocols/oauth2/service-account), and the order of
 * the application default credentials. The metadata server, the last in that order, is never asked: its address is one
 * of those that are not dialled.
 */
import { createHash, createPrivateKey, type KeyObject, sign } from "node:crypto";
import { readFile } from "node:fs/promises";
import { homedir } from "node:os";
import { join } from "node:path";
import { Agent, request } from "undici";
import { guardedLookup } from "./address.ts";
import { CredentialsError, Identities, type Loaded, LoadFailure, type RenewOptions, type Source } from "./renewed.ts";
import { Secret } from "./secret.ts";

type Text = string | null | undefined;

/** The members of a configured Vertex key that say who it is. */
export interface GoogleIdentity {
  /** The key's name, for messages. */
  readonly name: string;
  /** The JSON of a service account or of a user's login, or the path of its file; without it the default credentials. */
  readonly auth_credentials?: Text;
}

/** Renewal begins this long before a token expires; tokens live an hour. */
const aheadMs = 10 * 60_000;
const tokenUrl = "https://oauth2.googleapis.com/token";
const scope = "https://www.googleapis.com/auth/cloud-platform";
const assertionSeconds = 3600;
const timeoutMs = 10_000;
const maxAnswerBytes = 65_536;

const identities = new Identities<Secret>(aheadMs);

/**
 * Where a key's access tokens come from. Keys of the same identity share them, across reloads too.
 *
 * @throws CredentialsError when `auth_credentials` is JSON of no use; a file is read when a token is first needed
 */
export function googleTokenSource(key: GoogleIdentity, options: RenewOptions = {}): Source<Secret> {
  const name = `key ${JSON.stringify(key.name)}`;
  const { now = Date.now } = options;
  const given = key.auth_credentials?.trim();
  if (given === undefined || given === "") {
    const load = async () => fetchToken(await defaultAccount(), now);
    return identities.source("default", `${name}: Google's default credentials gave no token`, load, options);
  }
  if (given.startsWith("{")) {
    const account = readInline(given, name);
    // The text holds a secret, which no cache needs to keep.
    const id = `json ${createHash("sha256").update(given).digest("hex")}`;
    return identities.source(id, `${name}: its Google account gave no token`, () => fetchToken(account, now), options);
  }
  const load = async () => fetchToken(await readAccount(given), now);
  return identities.source(`file ${given}`, `${name}: the file ${JSON.stringify(given)} gave no token`, load, options);
}

// Accounts

type Account = ServiceAccount | UserAccount;

interface ServiceAccount {
  readonly kind: "service";
  readonly email: string;
  readonly key: KeyObject;
  readonly keyId: string | undefined;
  readonly tokenUrl: string;
}

interface UserAccount {
  readonly kind: "user";
  readonly clientId: string;
  readonly clientSecret: Secret;
  readonly refreshToken: Secret;
  readonly tokenUrl: string;
}

function readInline(text: string, name: string): Account {
  try {
    return parseAccount(text);
  } catch (cause) {
    if (cause instanceof LoadFailure) throw new CredentialsError(`${name}: auth_credentials: ${cause.message}`);
    throw cause;
  }
}

/** The file that the environment names, else the one `gcloud auth application-default login` writes. */
async function defaultAccount(): Promise<Account> {
  const named = process.env.GOOGLE_APPLICATION_CREDENTIALS;
  if (named) return readAccount(named);
  try {
    return await readAccount(gcloudFile());
  } catch (cause) {
    if (!isMissing(cause)) throw cause;
    throw new LoadFailure(
      "neither GOOGLE_APPLICATION_CREDENTIALS nor gcloud's login is there, and the metadata server is not asked: " +
        "set vertex_key_config.auth_credentials",
    );
  }
}

function gcloudFile(): string {
  const { CLOUDSDK_CONFIG: folder, APPDATA: appData } = process.env;
  const config =
    folder ||
    (process.platform === "win32" && appData ? join(appData, "gcloud") : join(homedir(), ".config", "gcloud"));
  return join(config, "application_default_credentials.json");
}

async function readAccount(path: string): Promise<Account> {
  return parseAccount(await readFile(path, "utf8"));
}

function isMissing(cause: unknown): boolean {
  return cause instanceof Error && "code" in cause && cause.code === "ENOENT";
}

/** @throws LoadFailure that says what is missing, and shows nothing of what is there */
function parseAccount(text: string): Account {
  const fields = parseObject(text);
  if (fields === undefined) throw new LoadFailure("it is not a JSON object");
  const member = (name: string): string => {
    const value = fields[name];
    if (typeof value === "string" && value !== "") return value;
    throw new LoadFailure(`it has no ${name}`);
  };
  switch (fields.type) {
    case "service_account":
      return {
        kind: "service",
        email: member("client_email"),
        key: readKey(member("private_key")),
        keyId: typeof fields.private_key_id === "string" ? fields.private_key_id : undefined,
        tokenUrl: checkTokenUrl(fields.token_uri ?? tokenUrl),
      };
    case "authorized_user":
      return {
        kind: "user",
        clientId: member("client_id"),
        clientSecret: new Secret(member("client_secret")),
        refreshToken: new Secret(member("refresh_token")),
        tokenUrl: checkTokenUrl(fields.token_uri ?? tokenUrl),
      };
    default:
      throw new LoadFailure("its type is neither service_account nor authorized_user, and others are not supported");
  }
}

function readKey(pem: string): KeyObject {
  let key: KeyObject;
  try {
    key = createPrivateKey(pem);
  } catch {
    // What OpenSSL says of it may repeat parts of it.
    throw new LoadFailure("its private_key is not a private key in PEM");
  }
  if (key.asymmetricKeyType !== "rsa") throw new LoadFailure("its private_key is not an RSA key");
  return key;
}

/** Whoever writes the file does not get to choose where its secret is sent: to Google, or to a test on this machine. */
function checkTokenUrl(value: unknown): string {
  const url = typeof value === "string" && URL.canParse(value) ? new URL(value) : undefined;
  const isGoogle =
    url?.protocol === "https:" &&
    url.port === "" &&
    (url.hostname === "googleapis.com" || url.hostname.endsWith(".googleapis.com"));
  const isLoopback =
    (url?.protocol === "http:" || url?.protocol === "https:") &&
    (url.hostname === "127.0.0.1" || url.hostname === "[::1]" || url.hostname === "localhost");
  if (url === undefined || url.username !== "" || url.password !== "" || !(isGoogle || isLoopback)) {
    throw new LoadFailure("its token_uri is not a https URL of googleapis.com");
  }
  return url.href;
}

// Tokens

async function fetchToken(account: Account, now: () => number): Promise<Loaded<Secret>> {
  const asked = now();
  const { status, body } = await post(account.tokenUrl, grantOf(account, asked));
  const answer = parseObject(body);
  if (status !== 200) throw new LoadFailure(refusal(status, answer?.error));
  const { access_token: token, expires_in: seconds } = answer ?? {};
  if (typeof token !== "string" || token === "" || typeof seconds !== "number" || !(seconds > 0)) {
    throw new LoadFailure("the answer has no token");
  }
  return { value: new Secret(token), expiresAt: asked + seconds * 1000 };
}

function grantOf(account: Account, now: number): URLSearchParams {
  if (account.kind === "service") {
    return new URLSearchParams({
      grant_type: "urn:ietf:params:oauth:grant-type:jwt-bearer",
      assertion: assertionOf(account, now),
    });
  }
  return new URLSearchParams({
    grant_type: "refresh_token",
    client_id: account.clientId,
    client_secret: account.clientSecret.reveal(),
    refresh_token: account.refreshToken.reveal(),
  });
}

/** The JWT with which a service account asks for a token. */
function assertionOf({ email, key, keyId, tokenUrl: audience }: ServiceAccount, now: number): string {
  const issued = Math.floor(now / 1000);
  const header = { alg: "RS256", typ: "JWT", ...(keyId !== undefined && { kid: keyId }) };
  const claims = { iss: email, scope, aud: audience, iat: issued, exp: issued + assertionSeconds };
  const signed = `${base64url(header)}.${base64url(claims)}`;
  return `${signed}.${sign("RSA-SHA256", Buffer.from(signed), key).toString("base64url")}`;
}

function base64url(value: object): string {
  return Buffer.from(JSON.stringify(value)).toString("base64url");
}

/** Google's word for it, such as `invalid_grant`; its description repeats what it was sent. */
function refusal(status: number, error: unknown): string {
  return typeof error === "string" && /^[\w.-]{1,64}$/.test(error) ? `status ${status}, ${error}` : `status ${status}`;
}

async function post(url: string, form: URLSearchParams): Promise<{ readonly status: number; readonly body: string }> {
  const agent = new Agent({
    connect: { lookup: guardedLookup({ allowPrivate: false }), timeout: timeoutMs },
    headersTimeout: timeoutMs,
    bodyTimeout: timeoutMs,
  });
  try {
    const answer = await request(url, {
      method: "POST",
      headers: { "content-type": "application/x-www-form-urlencoded", accept: "application/json" },
      body: form.toString(),
      dispatcher: agent,
    });
    const chunks: Buffer[] = [];
    let length = 0;
    for await (const chunk of answer.body) {
      const bytes = Buffer.from(chunk);
      length += bytes.length;
      if (length > maxAnswerBytes) throw new LoadFailure("the answer is too large");
      chunks.push(bytes);
    }
    return { status: answer.statusCode, body: Buffer.concat(chunks).toString("utf8") };
  } finally {
    await agent.destroy();
  }
}

function parseObject(text: string): Readonly<Record<string, unknown>> | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === "object" && value !== null && !Array.isArray(value) ? { ...value } : undefined;
  } catch {
    // The parser's message would repeat a piece of the text.
    return undefined;
  }
}
