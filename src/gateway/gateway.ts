/** The road: the one place that knows the order of the steps from a request to its answer. */
import { BedrockError } from "../bedrock/errors.ts";
import { matchOperation, type Route } from "../bedrock/operations.ts";
import type { Config } from "../config/schema.ts";
import { BodyError, type Exchange } from "../http/exchange.ts";
import type { Logger } from "../telemetry/log.ts";
import type { Metrics } from "../telemetry/metrics.ts";
import { ActiveRequest } from "./active-request.ts";
import type { Attempted } from "./attempt.ts";
import { attemptKeys } from "./attempts.ts";
import { type CompiledPolicy, checkRequiredHeaders, compilePolicy, corsHeaders, preflight } from "./client-policy.ts";
import { headersForUpstream } from "./headers.ts";
import { answerMock } from "./mock.ts";
import { buildProviders, type Provider } from "./providers.ts";
import { record } from "./record.ts";
import type { RelayServices } from "./relay.ts";
import { type Ending, replyError, replyReceived, replyStream, replyWhole } from "./reply.ts";
import { findTarget } from "./target.ts";

export interface GatewayServices extends RelayServices {
  readonly metrics: Metrics;
  readonly log: Logger;
  /** The metrics of all threads as a page for Prometheus. */
  readonly metricsPage: () => Promise<{ readonly type: string; readonly text: string }>;
}

/** What the configuration means to this thread; replaced as a whole by a reload. */
interface Snapshot {
  readonly providers: readonly Provider[];
  readonly policy: CompiledPolicy;
}

const prefix = "/bedrock";

export class Gateway {
  readonly #services: GatewayServices;
  readonly #active = new Set<ActiveRequest>();
  #snapshot: Snapshot;
  #ready = true;
  #whenIdle: (() => void) | undefined;
  /** Requests seen since the start, of any kind. */
  requests = 0;

  constructor(services: GatewayServices, config: Config) {
    this.#services = services;
    this.#snapshot = this.#compile(config);
  }

  /** Puts a new configuration in force. Requests that have begun go on with the one they began with. */
  configure(config: Config): void {
    this.#snapshot = this.#compile(config);
  }

  /** The largest request body in bytes. */
  get maxBodyBytes(): number {
    return this.#snapshot.policy.maxBodyBytes;
  }

  /** Says "not ready" from now on. */
  drain(): void {
    this.#ready = false;
  }

  /** Resolves once no request is being answered. */
  idle(): Promise<void> {
    if (this.#active.size === 0) return Promise.resolve();
    return new Promise((resolve) => {
      this.#whenIdle = resolve;
    });
  }

  /** Ends all requests: streams with an exception frame, others with an error. */
  cut(): void {
    const error = new BedrockError("ServiceUnavailableException", "The gateway is shutting down.");
    for (const request of this.#active) request.end(error);
  }

  /** Takes a request. Never throws, and never leaves one without an answer. */
  serve(exchange: Exchange): void {
    this.requests++;
    const request = new ActiveRequest(exchange);
    const snapshot = this.#snapshot;
    this.#active.add(request);
    this.#services.metrics.inFlight(this.#active.size);
    void this.#answer(request, snapshot)
      .catch((error: unknown) => this.#fail(request, snapshot, error))
      .then((ending) => {
        if (ending !== undefined) record(request, ending, this.#services);
      })
      .catch((error: unknown) =>
        this.#services.log.error({ err: error, requestId: request.id }, "a request could not be recorded"),
      )
      .finally(() => {
        request.close();
        this.#active.delete(request);
        this.#services.metrics.inFlight(this.#active.size);
        if (this.#active.size === 0) this.#whenIdle?.();
      });
  }

  /** @returns undefined for the pages about the gateway itself, which are not recorded */
  async #answer(request: ActiveRequest, snapshot: Snapshot): Promise<Ending | undefined> {
    const { exchange } = request;
    if (exchange.malformed !== undefined)
      throw new BedrockError("ValidationException", `Bad request: ${exchange.malformed}.`);
    if (await this.#answerPage(exchange)) return undefined;
    const cors = corsHeaders(exchange.headers.get("origin"), snapshot.policy);
    if (preflight(exchange, cors)) return undefined;
    const body = await exchange.body();
    const route = findRoute(exchange);
    request.operation = route.operation.name;
    checkRequiredHeaders(exchange.headers, snapshot.policy);
    request.startDeadline();
    const attempted = await this.#attempt(request, snapshot, route, body);
    switch (attempted.kind) {
      case "answer":
        request.usage = attempted.usage;
        this.#services.metrics.overhead((performance.now() - request.startedAt - request.upstreamMs) * 1000);
        return replyWhole(request, attempted, cors);
      case "stream":
        this.#services.metrics.firstByte((performance.now() - request.startedAt) / 1000);
        return replyStream(request, attempted, cors);
      case "failure":
        return attempted.reply instanceof BedrockError
          ? replyError(request, attempted.reply, cors)
          : replyReceived(request, attempted.reply, cors);
    }
  }

  #attempt(request: ActiveRequest, snapshot: Snapshot, route: Route, clientBody: Buffer): Promise<Attempted> {
    const { provider, model, region, body } = findTarget(snapshot.providers, route, clientBody);
    request.provider = provider.name;
    request.model = model;
    if (provider.kind === "mock") return answerMock(request, route, model, body, provider);
    const headers = headersForUpstream(request.exchange.headers, snapshot.policy.headerFilter);
    const call = { route, model, region, query: request.exchange.query, headers, body };
    const onAttempt = (status: string) => this.#services.metrics.attemptFinished(provider.name, status);
    return attemptKeys(request, call, provider, this.#services, onAttempt);
  }

  #fail(request: ActiveRequest, snapshot: Snapshot, error: unknown): Ending {
    const cors = corsHeaders(request.exchange.headers.get("origin"), snapshot.policy);
    if (error instanceof BodyError && error.reason === "aborted") return { status: 499, outcome: "cancelled" };
    if (error instanceof BedrockError) return replyError(request, error, cors);
    if (error instanceof BodyError) {
      const limit = "client.max_request_body_size_mb of the gateway's configuration sets the limit";
      const message = `${error.message.charAt(0).toUpperCase()}${error.message.slice(1)}; ${limit}.`;
      return replyError(request, new BedrockError("ValidationException", message, { status: 413 }), cors);
    }
    this.#services.log.error(
      { err: error, requestId: request.id, operation: request.operation },
      "a request met a fault of the gateway",
    );
    const message = `The gateway failed to serve this request. Its operator finds the reason in the log under ${request.id}.`;
    return replyError(request, new BedrockError("InternalServerException", message, { cause: error }), cors);
  }

  async #answerPage(exchange: Exchange): Promise<boolean> {
    if (exchange.path.startsWith(`${prefix}/`) || (exchange.method !== "GET" && exchange.method !== "HEAD"))
      return false;
    switch (exchange.path) {
      case "/health":
        exchange.reply(200, [["content-type", "application/json"]], '{"status":"ok"}');
        return true;
      case "/ready":
        exchange.reply(
          this.#ready ? 200 : 503,
          [["content-type", "application/json"]],
          `{"status":"${this.#ready ? "ready" : "draining"}"}`,
        );
        return true;
      case "/metrics": {
        const page = await this.#services.metricsPage();
        exchange.reply(200, [["content-type", page.type]], page.text);
        return true;
      }
      default:
        return false;
    }
  }

  #compile(config: Config): Snapshot {
    const onProblem = (message: string) => this.#services.log.warn(message);
    return { providers: buildProviders(config, process.env, onProblem), policy: compilePolicy(config.client) };
  }
}

/** @throws BedrockError UnknownOperationException */
function findRoute(exchange: Exchange): Route {
  const path = exchange.path.replace(/^\/{2,}/, "/");
  const route = path.startsWith(`${prefix}/`) ? matchOperation(exchange.method, path.slice(prefix.length)) : undefined;
  if (route !== undefined) return route;
  throw new BedrockError(
    "UnknownOperationException",
    `There is no operation ${exchange.method} ${exchange.path.slice(0, 256)}.`,
  );
}
