/** The pages about the gateway itself. */
import type { Exchange, ReplyHeaders, RequestHeaders } from "../http/exchange.ts";
import type { LogFilter } from "../store/log-store.ts";
import type { ActiveRequest } from "./active-request.ts";
import type { Feed, LiveReaders } from "./live.ts";

export interface PageFacts {
  readonly ready: boolean;
  /** The metrics of all threads as a page for Prometheus. */
  readonly metricsPage: () => Promise<{ readonly type: string; readonly text: string }>;
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
