/** Who may use the management API. */
import { createHash, timingSafeEqual } from "node:crypto";
import { AdminFailure } from "./failure.ts";

/** Of a request, what tells who sends it. */
export interface Sender {
  /** Lower-case names. */
  readonly headers: ReadonlyMap<string, string>;
  /** The address of the connection's other end. */
  readonly remoteAddress: string;
}

/**
 * With a token: who knows it. Without one: programs on this machine, but neither what a proxy on it passes on nor the
 * pages a browser on it shows, which would otherwise speak for anybody.
 *
 * @throws AdminFailure
 */
export function checkAccess({ headers, remoteAddress }: Sender, token: string | undefined): void {
  if (token !== undefined) {
    const given = bearerOf(headers);
    if (given !== undefined && isSame(given, token)) return;
    const way = "The management API needs the bearer token of BIFROST_ADMIN_TOKEN.";
    throw new AdminFailure("unauthorized", way, null, [["www-authenticate", "Bearer"]]);
  }
  if (!isLoopback(remoteAddress)) throw forbidden("it answers only on loopback");
  const proxied = ["forwarded", "x-forwarded-for", "x-real-ip", "via"].find((name) => headers.has(name));
  if (proxied !== undefined) throw forbidden(`it answers nothing that a proxy passes on (${proxied})`);
  const origin = headers.get("origin");
  if (origin !== undefined && !isLoopbackHost(hostOf(origin))) throw forbidden("it answers no page of another host");
  // A name that leads here is no proof of being here: a page may have made its own host's name do so.
  const host = headers.get(":authority") ?? headers.get("host");
  if (host !== undefined && !isLoopbackHost(hostOf(`http://${host}`)))
    throw forbidden("it answers only to localhost and loopback addresses as a host");
}

function forbidden(why: string): AdminFailure {
  return new AdminFailure("forbidden", `Without BIFROST_ADMIN_TOKEN ${why.replace(/^it/, "the management API")}.`);
}

/** What stands behind `Bearer`. */
export function bearerOf(headers: ReadonlyMap<string, string>): string | undefined {
  return /^bearer +(\S+)$/i.exec(headers.get("authorization") ?? "")?.[1];
}

function isSame(given: string, wanted: string): boolean {
  const digest = (text: string): Buffer => createHash("sha256").update(text).digest();
  return timingSafeEqual(digest(given), digest(wanted));
}

function isLoopback(address: string): boolean {
  return (
    address.startsWith("127.") || address === "::1" || address.startsWith("::ffff:127.") || longLoopback.test(address)
  );
}

/** uWebSockets.js writes IPv6 addresses out. */
const longLoopback = /^(?:0000:){7}0001$|^(?:0000:){5}ffff:7f/;

function hostOf(url: string): string | undefined {
  return URL.canParse(url) ? new URL(url).hostname : undefined;
}

function isLoopbackHost(host: string | undefined): boolean {
  return host === "localhost" || host === "[::1]" || (host !== undefined && /^127(?:\.\d{1,3}){3}$/.test(host));
}
