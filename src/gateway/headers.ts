/** Which headers cross the gateway, in either direction. Requests are rebuilt from these lists, never copied. */
import type { ReplyHeaders, RequestHeaders } from "../http/exchange.ts";

/** The configuration's `client.header_filter`. */
export interface HeaderFilter {
  readonly allow: readonly string[];
  readonly deny: readonly string[];
}

const extraPrefix = "x-bf-eh-";

/**
 * Never taken from a client, whatever the filter says: framing, credentials, what steers the gateway itself, and what
 * the gateway says for itself.
 */
const neverUp = new Set([
  "accept-encoding",
  "authorization",
  "api-key",
  "connection",
  "content-length",
  "cookie",
  "expect",
  "host",
  "keep-alive",
  "proxy-authorization",
  "proxy-connection",
  "te",
  "traceparent",
  "tracestate",
  "trailer",
  "transfer-encoding",
  "upgrade",
  "user-agent",
  "x-amz-content-sha256",
  "x-amz-date",
  "x-amz-security-token",
  "x-api-key",
  "x-goog-api-key",
  "x-model-provider",
]);

/** Belong to one connection or to the server that answered, not to the answer. */
const neverDown = new Set([
  "alt-svc",
  "connection",
  "content-length",
  "date",
  "http2-settings",
  "keep-alive",
  "proxy-authenticate",
  "proxy-connection",
  "server",
  "set-cookie",
  "strict-transport-security",
  "te",
  "trailer",
  "transfer-encoding",
  "upgrade",
  "via",
  "x-amzn-requestid",
]);

/** Say how an upload is framed on its way here, or how its client works. */
const ownOfUpload = new Set(["x-amz-decoded-content-length", "x-amz-te", "x-amz-trailer", "x-amz-user-agent"]);

/** What S3's operations have in headers besides `x-amz-…` (service model of s3). */
const objectHeaders = new Set([
  "cache-control",
  "content-disposition",
  "content-encoding",
  "content-language",
  "content-md5",
  "expires",
  "if-match",
  "if-modified-since",
  "if-none-match",
  "if-unmodified-since",
  "range",
]);

/**
 * The client's headers that go upstream: what the filter allows, by its own name or as `x-bf-eh-<name>`, which wins; to
 * Bedrock content type, accept, and everything `x-amzn-bedrock-`; and to S3 (`files`) the members of its operations.
 */
export function headersForUpstream(
  headers: RequestHeaders,
  filter: HeaderFilter,
  lane: "relay" | "translate" | "files",
): [string, string][] {
  const up = new Map<string, string>();
  const extra: [string, string][] = [];
  for (const [name, value] of headers) {
    if (name === "content-type" || name === "accept" || name.startsWith("x-amzn-bedrock-")) {
      if (lane !== "translate" && !matches(filter.deny, name)) up.set(name, value);
    } else if (lane === "files" && isOfObject(name)) {
      if (!matches(filter.deny, name)) up.set(name, value);
    } else if (name.startsWith(extraPrefix)) {
      const bare = name.slice(extraPrefix.length);
      const allowed = filter.allow.length === 0 || matches(filter.allow, bare);
      if (allowed && mayGoUp(bare) && !matches(filter.deny, bare)) extra.push([bare, value]);
    } else if (filter.allow.length > 0 && matches(filter.allow, name) && mayGoUp(name) && !matches(filter.deny, name)) {
      up.set(name, value);
    }
  }
  return [...new Map([...up, ...extra])];
}

/** The upstream's headers that go to the client. Its request id is left out: the road decides about that one. */
export function headersForClient(headers: Readonly<Record<string, string | string[] | undefined>>): ReplyHeaders {
  const down: [string, string][] = [];
  for (const name in headers) {
    if (neverDown.has(name) || name.startsWith("access-control-") || name.startsWith("x-bifrost-")) continue;
    const value = headers[name];
    if (typeof value === "string") down.push([name, value]);
    else if (value !== undefined) for (const one of value) down.push([name, one]);
  }
  return down;
}

function isOfObject(name: string): boolean {
  return objectHeaders.has(name) || (name.startsWith("x-amz-") && !ownOfUpload.has(name) && mayGoUp(name));
}

function mayGoUp(name: string): boolean {
  return (
    name !== "" &&
    !neverUp.has(name) &&
    !name.startsWith("x-bf-") &&
    !name.startsWith("amz-sdk-") &&
    /^[a-z0-9_-]+$/.test(name)
  );
}

/** Names compare without case; a trailing `*` stands for any ending. */
function matches(patterns: readonly string[], name: string): boolean {
  for (const pattern of patterns) {
    const lower = pattern.toLowerCase();
    if (lower === name || (lower.endsWith("*") && name.startsWith(lower.slice(0, -1)))) return true;
  }
  return false;
}
