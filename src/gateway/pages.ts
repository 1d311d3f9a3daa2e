/** The pages about the gateway itself. */
import { timingSafeEqual } from "node:crypto";
import { BedrockError } from "../bedrock/errors.ts";
import type { Governance } from "../governance/governance.ts";
import type { Exchange, ReplyHeaders } from "../http/exchange.ts";
import { virtualKeyOf } from "./governed.ts";
import type { Provider } from "./providers.ts";

export interface PageFacts {
  readonly ready: boolean;
  /** Of the management API; without one it answers only on loopback. */
  readonly adminToken: string | undefined;
  /** The metrics of all threads as a page for Prometheus. */
  readonly metricsPage: () => Promise<{ readonly type: string; readonly text: string }>;
  readonly providers: readonly Provider[];
  readonly governance: Governance;
}

const json: ReplyHeaders = [["content-type", "application/json"]];

/**
 * Answers if the request is for a page.
 *
 * @returns undefined when it is not
 * @throws BedrockError AccessDeniedException (as a rejection) for the management API without its token, and for a
 *   quota without a virtual key
 */
export function answerPage(exchange: Exchange, facts: PageFacts): Promise<void> | undefined {
  if (exchange.method !== "GET" && exchange.method !== "HEAD") return undefined;
  switch (exchange.path) {
    case "/health":
      exchange.reply(200, json, '{"status":"ok"}');
      return done;
    case "/ready":
      exchange.reply(facts.ready ? 200 : 503, json, `{"status":"${facts.ready ? "ready" : "draining"}"}`);
      return done;
    case "/metrics":
      return answerMetrics(exchange, facts);
    case "/api/keys/health":
      return answerKeysHealth(exchange, facts);
    case "/api/governance/virtual-keys/quota":
      return answerQuota(exchange, facts);
    default:
      return undefined;
  }
}

const done = Promise.resolve();

async function answerMetrics(exchange: Exchange, { metricsPage }: PageFacts): Promise<void> {
  const page = await metricsPage();
  exchange.reply(200, [["content-type", page.type]], page.text);
}

async function answerKeysHealth(exchange: Exchange, { adminToken, providers }: PageFacts): Promise<void> {
  checkAdmin(exchange, adminToken);
  const now = Date.now();
  const keys = providers.flatMap((provider) =>
    provider.kind === "mock" ? [] : provider.pool.ring.health(now).map((key) => ({ provider: provider.name, ...key })),
  );
  exchange.reply(200, json, JSON.stringify({ keys }));
}

/** What is left of a virtual key's limits, for its holder. */
async function answerQuota(exchange: Exchange, { governance }: PageFacts): Promise<void> {
  const now = Date.now();
  const value = virtualKeyOf(exchange.headers, governance);
  const known = value === undefined ? undefined : governance.identify(value, now);
  if (known?.kind !== "identity") {
    const message =
      known?.refusal.message ?? "Send a virtual key, as x-bf-vk or as a bearer token, to see what is left of it.";
    throw new BedrockError("AccessDeniedException", message);
  }
  const { id, name } = known.identity;
  exchange.reply(200, json, JSON.stringify({ id, name, limits: governance.quota(known.identity, now) }));
}

function checkAdmin(exchange: Exchange, token: string | undefined): void {
  const given = exchange.headers.get("authorization") ?? "";
  const allowed = token === undefined ? isLoopback(exchange.remoteAddress()) : sameText(given, `Bearer ${token}`);
  if (allowed) return;
  const way =
    token === undefined
      ? "Without BIFROST_ADMIN_TOKEN the management API answers only on loopback."
      : "The management API needs the bearer token of BIFROST_ADMIN_TOKEN.";
  throw new BedrockError("AccessDeniedException", way);
}

function isLoopback(address: string): boolean {
  return (
    address.startsWith("127.") || address === "::1" || address.startsWith("::ffff:127.") || longLoopback.test(address)
  );
}

/** uWebSockets.js writes IPv6 addresses out. */
const longLoopback = /^(?:0000:){7}0001$|^(?:0000:){5}ffff:7f/;

function sameText(given: string, wanted: string): boolean {
  const a = Buffer.from(given);
  const b = Buffer.from(wanted);
  return a.length === b.length && timingSafeEqual(a, b);
}
