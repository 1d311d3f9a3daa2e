/** The road: the one place that knows the order of the steps from a request to its answer. */
import { BedrockError, refuseField } from "../bedrock/errors.ts";
import { matchOperation, type Route } from "../bedrock/operations.ts";
import { SemanticCache } from "../cache/cache.ts";
import type { Ask, Filter } from "../cache/messages.ts";
import type { Config } from "../config/schema.ts";
import { Governance } from "../governance/governance.ts";
import type { GovernanceMemory } from "../governance/layout.ts";
import type { BudgetOverrides } from "../governance/overrides.ts";
import { providerTypesOf } from "../governance/prices.ts";
import type { CounterSlots } from "../governance/registry.ts";
import { BodyError, type Exchange } from "../http/exchange.ts";
import type { KeySlots } from "../keys/registry.ts";
import type { KeyState } from "../keys/state.ts";
import type { Logger } from "../telemetry/log.ts";
import type { Metrics, Reading } from "../telemetry/metrics.ts";
import { otelSettings } from "../telemetry/otel-settings.ts";
import type { RequestRecord } from "../telemetry/request-record.ts";
import { beginTrace } from "../telemetry/trace-context.ts";
import type { Traces } from "../telemetry/traces.ts";
import type { Outcome } from "../telemetry/usage.ts";
import { Secret } from "../upstream/secret.ts";
import { ActiveRequest } from "./active-request.ts";
import { ActiveRequests } from "./active-requests.ts";
import { configuredCredentials, type KnownCredentials } from "./client-auth.ts";
import { checkRequiredHeaders, compilePolicy, corsHeaders, preflight } from "./client-policy.ts";
import { settle } from "./governed.ts";
import { keyReadings } from "./key-readings.ts";
import { LiveReaders } from "./live.ts";
import type { Overload } from "./overload.ts";
import { answerManagement, answerPage, type ManagementApi } from "./pages.ts";
import { providerEmbedder } from "./provider-embedder.ts";
import { buildProviders, type Provider } from "./providers.ts";
import { notAsked, type Recall } from "./recall.ts";
import { record } from "./record.ts";
import { type Ending, replyError, replyReceived, replyStream, replyWhole } from "./reply.ts";
import { attemptTargets, type Snapshot, type TargetServices } from "./targets.ts";

export interface GatewayServices extends TargetServices {
  /** Asks the owner of the cache. */
  readonly askCache: Ask;
  /** Told when the cache has failed; requests go on without it. */
  readonly onCacheProblem: (message: string) => void;
  /** The state of keys that all threads share. */
  readonly keys: KeyState;
  /** What all threads have counted against the limits of virtual keys, teams, customers and models. */
  readonly counters: GovernanceMemory;
  readonly metrics: Metrics;
  readonly traces: Traces;
  readonly log: Logger;
  /** Told of every request that is over. */
  readonly onRecord: (record: RequestRecord) => void;
  readonly overload: Overload;
  /** Who answers for what can be asked of it at other paths than `/bedrock`. */
  readonly admin: ManagementApi;
  /** The metrics of all threads as a page for Prometheus. */
  readonly metricsPage: () => Promise<{ readonly type: string; readonly text: string }>;
}

/** A configuration, and where the state of its keys and the counts of its limits are. */
export interface InForce {
  readonly config: Config;
  /** Another one for another file: what is left as it was by a change of entities is not built again. */
  readonly file: number;
  readonly keySlots: KeySlots;
  readonly counterSlots: CounterSlots;
  readonly overrides: BudgetOverrides;
}

const prefix = "/bedrock";

export class Gateway {
  readonly #services: GatewayServices;
  readonly #active = new ActiveRequests();
  readonly #readers = new LiveReaders();
  #snapshot: Snapshot;
  #file: number;
  /** Made when the configuration first wants it. */
  #cache: SemanticCache | undefined;
  #ready = true;
  #refusing = false;
  readonly #whenIdle: (() => void)[] = [];
  /** Requests seen since the start, of any kind. */
  requests = 0;

  constructor(services: GatewayServices, inForce: InForce) {
    this.#services = services;
    this.#snapshot = this.#compile(inForce, undefined);
    this.#file = inForce.file;
    this.#observe(inForce.config);
  }

  /** Puts a new configuration in force. Requests that have begun go on with the one they began with. */
  configure(inForce: InForce): void {
    this.#snapshot = this.#compile(inForce, inForce.file === this.#file ? this.#snapshot : undefined);
    if (inForce.file !== this.#file) this.#observe(inForce.config);
    this.#file = inForce.file;
  }

  /** The state of each key of each provider, as JSON. */
  keysHealth(now: number): unknown {
    return this.#snapshot.providers.flatMap((provider) =>
      provider.kind === "mock"
        ? []
        : provider.pool.ring.health(now).map((key) => ({ provider: provider.name, ...key })),
    );
  }

  /** The largest request body in bytes. */
  get maxBodyBytes(): number {
    return this.#snapshot.policy.maxBodyBytes;
  }

  /** Which keys are in service, for the metrics. */
  keyReadings(): readonly Reading[] {
    return keyReadings(this.#snapshot.providers, Date.now());
  }

  /** Says "not ready" from now on, and ends answers that would never end. */
  drain(): void {
    this.#ready = false;
    this.#readers.drain();
  }

  /** Refuses everything that limits may hold for, from now on or no longer. */
  refuseGoverned(refuse: boolean): void {
    this.#refusing = refuse;
  }

  /** Forgets answers of this thread's own; the owner of the cache has forgotten them before. */
  forgetCached(filter: Filter): void {
    this.#cache?.forget(filter);
  }

  /** Resolves when the owner of the cache has what was kept here, or after `ms` milliseconds. */
  async saveCached(ms: number): Promise<void> {
    const late = new Promise<void>((resolve) => setTimeout(resolve, ms).unref());
    await Promise.race([this.#cache?.idle(), late]);
  }

  /** Resolves once no request is being answered. */
  idle(): Promise<void> {
    if (this.#active.size === 0) return Promise.resolve();
    return new Promise((resolve) => {
      this.#whenIdle.push(resolve);
    });
  }

  /** Ends all requests: streams with an exception frame, others with an error. */
  cut(): void {
    const error = new BedrockError("ServiceUnavailableException", "The gateway is shutting down.");
    for (const request of this.#active) request.end(error);
  }

  /** Gives back and counts what runs: the thread ends at once, and its clients have lost their connections. */
  abandon(): void {
    const ending = { status: 500, outcome: "error", errorType: "InternalServerException" } as const;
    const { observability } = this.#snapshot;
    for (const request of this.#active) {
      request.turn?.failure("client", Date.now());
      this.#charge(request, ending.outcome, this.#snapshot);
      record(request, ending, observability.slow_request_ms, this.#services);
    }
  }

  /** Takes a request. Never throws, and never leaves one without an answer. */
  serve(exchange: Exchange): void {
    this.requests++;
    const request = new ActiveRequest(exchange);
    const snapshot = this.#snapshot;
    this.#active.add(request);
    this.#services.metrics.active(this.#active.size);
    void this.#answer(request, snapshot)
      .catch((error: unknown) => this.#fail(request, snapshot, error))
      .then((ending) => {
        if (ending === undefined) return;
        this.#charge(request, ending.outcome, snapshot);
        record(request, ending, snapshot.observability.slow_request_ms, this.#services);
      })
      .catch((error: unknown) => {
        this.#services.log.error({ err: error, requestId: request.id }, "a request could not be answered or recorded");
        // Does nothing to one that has its answer.
        exchange.open(500, []).destroy();
      })
      .finally(() => {
        request.close();
        this.#services.overload.give(exchange.release());
        this.#active.delete(request);
        this.#services.metrics.active(this.#active.size);
        if (this.#active.size === 0) for (const resolve of this.#whenIdle.splice(0)) resolve();
      });
  }

  /** @returns undefined for the pages about the gateway itself, which are not recorded */
  async #answer(request: ActiveRequest, snapshot: Snapshot): Promise<Ending | undefined> {
    const { exchange } = request;
    if (exchange.malformed !== undefined)
      throw new BedrockError("ValidationException", `Bad request: ${exchange.malformed}.`);
    const page = answerPage(exchange, {
      ready: this.#ready && !this.#refusing,
      metricsPage: this.#services.metricsPage,
    });
    if (page !== undefined) {
      await page;
      return undefined;
    }
    if (this.#services.admin.isPath(exchange.path)) {
      await answerManagement(request, this.#services.admin, this.#readers);
      return undefined;
    }
    const cors = corsHeaders(exchange.headers.get("origin"), snapshot.policy);
    if (preflight(exchange, cors)) return undefined;
    const { traces } = this.#services;
    const { headers } = exchange;
    request.trace = beginTrace(headers.get("traceparent"), headers.get("tracestate"), traces.sampleRatio);
    request.traced = traces.enabled && request.trace.sampled;
    if (snapshot.recall !== undefined) request.cache = notAsked;
    request.startDeadline();
    const { overload } = this.#services;
    const body = await request.whileAlive(exchange.body(overload));
    if (body === undefined) throw request.ended ?? new BodyError("aborted", "the client left during its upload");
    if (overload.reason !== undefined) throw overload.refuse();
    const route = findRoute(exchange);
    request.operation = route.operation.name;
    request.streams = route.operation.streams;
    if (route.operation.model === "path") [request.askedModel] = route.labels;
    checkRequiredHeaders(exchange.headers, snapshot.policy);
    if (this.#refusing) {
      const reason = "The store of what has been counted does not answer, and without it nothing is served.";
      throw new BedrockError("ServiceUnavailableException", reason);
    }
    const attempted = await attemptTargets({ request, snapshot, route, body, services: this.#services });
    switch (attempted.kind) {
      case "answer":
        request.usage = attempted.usage;
        request.stopReason = attempted.stopReason;
        // Before the answer, so that whoever has it sees it counted.
        if (!exchange.aborted) this.#charge(request, "success", snapshot);
        return replyWhole(request, attempted, cors);
      case "bytes": {
        const begun = performance.now();
        const ending = await replyStream(request, attempted, cors, (outcome) =>
          this.#charge(request, outcome, snapshot),
        );
        // Passing an object on is waiting, for the upstream or for the reader: no work of the gateway's.
        request.upstreamMs += performance.now() - begun;
        return ending;
      }
      case "stream":
        request.firstEventMs = performance.now() - request.startedAt;
        return replyStream(request, attempted, cors, (outcome) => this.#charge(request, outcome, snapshot));
      case "failure":
        return attempted.reply instanceof BedrockError
          ? replyError(request, attempted.reply, cors)
          : replyReceived(request, attempted.reply, cors);
    }
  }

  #charge(request: ActiveRequest, outcome: Outcome, { governance }: Snapshot): void {
    settle(request, outcome, governance, this.#services.onProblem);
  }

  #fail(request: ActiveRequest, snapshot: Snapshot, error: unknown): Ending {
    const cors = corsHeaders(request.exchange.headers.get("origin"), snapshot.policy);
    if (error instanceof BodyError && error.reason === "aborted") return { status: 499, outcome: "cancelled" };
    if (error instanceof BedrockError) return replyError(request, error, cors);
    if (error instanceof BodyError && error.reason === "no_room") {
      return replyError(request, this.#services.overload.refuse(), cors);
    }
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

  #observe({ observability, providers }: Config): void {
    const { metrics, traces, log } = this.#services;
    metrics.configure(observability.dimensions);
    const settings = otelSettings(observability, process.env, (message) => log.warn(message));
    traces.configure(settings, providerTypesOf(providers));
  }

  /** @param former of the same file: its providers go on, with the credentials and connections they have */
  #compile({ config, keySlots, counterSlots, overrides }: InForce, former: Snapshot | undefined): Snapshot {
    const onProblem = (message: string) => this.#services.log.warn(message);
    const governance = new Governance({
      config: config.governance,
      memory: this.#services.counters,
      slots: counterSlots,
      overrides,
      providerTypes: providerTypesOf(config.providers),
    });
    const keys = { state: this.#services.keys, slots: keySlots };
    const providers = former?.providers ?? buildProviders(config, keys, process.env, onProblem);
    return {
      providers,
      recall: former === undefined ? this.#recallOf(config, providers) : former.recall,
      policy: former?.policy ?? compilePolicy(config.client),
      allowDirectKeys: config.client.allow_direct_keys,
      known: withVirtualKeys(configuredCredentials(config.providers), governance),
      governance,
      enforceAuth: config.client.enforce_auth_on_inference,
      observability: config.observability,
    };
  }

  #recallOf({ semantic_cache: config }: Config, providers: readonly Provider[]): Recall | undefined {
    const { askCache: ask, onCacheProblem: onProblem } = this.#services;
    const embedder = providerEmbedder(config.embedding, providers, this.#services);
    this.#cache?.configure(config, embedder);
    if (!config.enabled) return undefined;
    this.#cache ??= new SemanticCache({ config, ask, embedder, onProblem });
    return { cache: this.#cache, config, onProblem };
  }
}

/** A virtual key signs with its id as the access key id and its value as the secret. */
function withVirtualKeys(configured: KnownCredentials, governance: Governance): KnownCredentials {
  return {
    secretOf: (accessKeyId) => {
      const [secret] = governance.secretsOf(accessKeyId, Date.now());
      if (secret === undefined) return configured.secretOf(accessKeyId);
      return { kind: "virtual_key", id: accessKeyId, secret: new Secret(secret) };
    },
    isVirtualKey: (value) => governance.isVirtualKey(value),
  };
}

/** @throws BedrockError UnknownOperationException, ValidationException for a query that no URL can have */
function findRoute(exchange: Exchange): Route {
  if (!/^[\x21-\x7e]*$/.test(exchange.query)) throw refuseField("query", "must be percent-encoded.");
  const path = exchange.path.replace(/^\/{2,}/, "/");
  const route = path.startsWith(`${prefix}/`) ? matchOperation(exchange.method, path.slice(prefix.length)) : undefined;
  if (route !== undefined) return route;
  throw new BedrockError(
    "UnknownOperationException",
    `There is no operation ${exchange.method} ${exchange.path.slice(0, 256)}.`,
  );
}
