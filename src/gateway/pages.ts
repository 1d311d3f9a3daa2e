/** The pages about the gateway itself. */
import { timingSafeEqual } from "node:crypto";
import { BedrockError } from "../bedrock/errors.ts";
import type { Exchange, ReplyHeaders, RequestHeaders } from "../http/exchange.ts";
import type { LogFilter } from "../store/log-store.ts";
import type { ActiveRequest } from "./active-request.ts";
import type { Feed, LiveReaders } from "./live.ts";
import type { Provider } from "./providers.ts";

export interface PageFacts {
  readonly ready: boolean;
  /** Of the management API; without one it answers only on loopback. */
  readonly adminToken: string | undefined;
  /** The metrics of all threads as a page for Prometheus. */
  readonly metricsPage: () => Promise<{ readonly type: string; readonly text: string }>;
  readonly providers: readonly Provider[];
}

/** The management API, which lives in another thread. */
export interface ManagementApi extends Feed<LogFilter> {
  readonly isPath: (path: string) => boolean;
  readonly answer: (request: ManagementRequest) => Promise<ManagementAnswer>;
}

interface ManagementRequest {
  readonly method: string;
  readonly path: string;
  readonly query: string;
  readonly headers: RequestHeaders;
  readonly body: Uint8Array;
  readonly remoteAddress: string;
}

interface ManagementAnswer {
  readonly status: number;
  readonly headers: ReplyHeaders;
  readonly body: string;
  /** The answer goes on with what the feed has of this. */
  readonly live?: LogFilter;
}

const json: ReplyHeaders = [["content-type", "application/json"]];

/**
 * Answers if the request is for a page.
 *
 * @returns undefined when it is not
 * @throws BedrockError AccessDeniedException (as a rejection) for the management API without its token
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
    default:
      return undefined;
  }
}

/** Passes a request to the management API on. Resolves when its answer has ended. */
export async function answerManagement(
  request: ActiveRequest,
  api: ManagementApi,
  readers: LiveReaders,
): Promise<void> {
  const { exchange } = request;
  const { method, path, query, headers } = exchange;
  const remoteAddress = exchange.remoteAddress();
  // A body in a pool of Buffers would take the whole pool to the other thread.
  const body = Uint8Array.from(await exchange.body());
  const answer = await api.answer({ method, path, query, headers, body, remoteAddress });
  if (answer.live === undefined) {
    exchange.reply(answer.status, answer.headers, answer.body);
    return;
  }
  if (readers.isFull) {
    const error = { type: "too_many_requests", message: "Too many clients read the feed.", path: null };
    exchange.reply(429, json, JSON.stringify({ error }));
    return;
  }
  await readers.serve(request, answer.headers, answer.live, api);
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
