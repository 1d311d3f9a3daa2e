/** A token endpoint of Google's that gives tokens only for what is signed and filled in as it should be. */
import { type KeyObject, verify } from "node:crypto";
import { type Loopback, serve } from "./loopback.ts";

export interface FakeGoogle extends Loopback {
  readonly tokenUrl: string;
  /** The forms received. */
  readonly calls: URLSearchParams[];
}

export interface FakeGoogleOptions {
  readonly publicKey: KeyObject;
  readonly now?: () => number;
  /** Seconds; what else the answer says of itself. */
  readonly expiresIn?: () => unknown;
  /** Answers instead of a token. */
  readonly fails?: () => { readonly status: number; readonly body: string } | undefined;
  readonly waits?: () => Promise<void> | undefined;
}

/** The n-th token is `token-<n>`. */
export async function fakeGoogle({
  publicKey,
  now = Date.now,
  expiresIn = () => 3599,
  fails = () => undefined,
  waits = () => undefined,
}: FakeGoogleOptions): Promise<FakeGoogle> {
  const calls: URLSearchParams[] = [];
  const server = await serve(async (request, response) => {
    const form = new URLSearchParams(Buffer.from(request.body).toString());
    calls.push(form);
    const count = calls.length;
    await waits();
    const failure = fails() ?? judge(request, form, `http://${String(request.headers.host)}/token`, publicKey, now());
    response.setHeader("content-type", "application/json");
    if (failure === undefined) {
      response.end(JSON.stringify({ access_token: `token-${count}`, expires_in: expiresIn(), token_type: "Bearer" }));
    } else {
      response.writeHead(failure.status).end(failure.body);
    }
  });
  return {
    ...server,
    tokenUrl: `${server.origin}/token`,
    calls,
    [Symbol.asyncDispose]: () => server[Symbol.asyncDispose](),
  };
}

function judge(
  { method, url, headers }: { method: string; url: string; headers: Record<string, unknown> },
  form: URLSearchParams,
  audience: string,
  publicKey: KeyObject,
  now: number,
): { status: number; body: string } | undefined {
  if (method !== "POST" || url !== "/token") return refuse("invalid_request", `${method} ${url}`);
  if (headers["content-type"] !== "application/x-www-form-urlencoded") return refuse("invalid_request", "content type");
  if (form.get("grant_type") === "refresh_token") {
    const good =
      form.get("client_id") === "client" &&
      form.get("client_secret") === "client-secret" &&
      form.get("refresh_token") === "refresh-secret";
    return good ? undefined : refuse("invalid_grant", form.toString());
  }
  if (form.get("grant_type") !== "urn:ietf:params:oauth:grant-type:jwt-bearer")
    return refuse("unsupported_grant_type", "");
  const [header = "", claims = "", signature = ""] = (form.get("assertion") ?? "").split(".");
  const signed = Buffer.from(`${header}.${claims}`);
  if (!verify("RSA-SHA256", signed, publicKey, Buffer.from(signature, "base64url"))) {
    return refuse("invalid_grant", "Invalid JWT Signature.");
  }
  const { alg, typ, kid } = parse(header);
  const { iss, aud, iat, exp, scope } = parse(claims);
  const good =
    alg === "RS256" &&
    typ === "JWT" &&
    kid === "key-id" &&
    iss === "robot@project.iam.gserviceaccount.com" &&
    aud === audience &&
    scope === "https://www.googleapis.com/auth/cloud-platform" &&
    typeof iat === "number" &&
    typeof exp === "number" &&
    Math.abs(iat - now / 1000) < 10 &&
    exp > iat &&
    exp <= iat + 3600;
  return good ? undefined : refuse("invalid_grant", `Invalid JWT: ${JSON.stringify(parse(claims))}`);
}

function refuse(error: string, description: string) {
  return { status: 400, body: JSON.stringify({ error, error_description: description }) };
}

function parse(part: string): Record<string, unknown> {
  return JSON.parse(Buffer.from(part, "base64url").toString());
}
