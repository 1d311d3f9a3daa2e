/** A front-end thread: its own uWebSockets.js app, upstream connections and gateway. */
import { parentPort, workerData } from "node:worker_threads";
import { isAdminPath } from "../admin/api.ts";
import { packageVersion } from "../config/version.ts";
import { Gateway } from "../gateway/gateway.ts";
import { httpRoutes } from "../gateway/http-routes.ts";
import { openGovernanceMemory } from "../governance/layout.ts";
import { serveHttp2 } from "../http/h2.ts";
import type { HttpServer, ServeOptions } from "../http/server.ts";
import { serveHttp1 } from "../http/uws.ts";
import { openKeyState } from "../keys/state.ts";
import { createLogger } from "../telemetry/log.ts";
import { Metrics } from "../telemetry/metrics.ts";
import { RequestLog } from "../telemetry/request-log.ts";
import { seldom } from "../telemetry/seldom.ts";
import { ThreadHealth } from "../telemetry/thread-health.ts";
import { Traces } from "../telemetry/traces.ts";
import { Upstream } from "../upstream/dispatch.ts";
import { hashedAtOnceBytes, sha256Hex, sha256InSlices } from "../upstream/sigv4.ts";
import type { FrontEndOffers, FrontEndStart, SupervisorOffers } from "./messages.ts";
import { Workers } from "./off-thread.ts";
import { Peer } from "./peer.ts";
import { watchLoad } from "./watch-load.ts";

/** How long a stop waits for the collector of traces. Milliseconds. */
const flushMs = 3000;

/** The longest that the last rows of the request log are waited for as the thread ends. Milliseconds. */
const lastRowsMs = 2000;

/** The longest that giving answers to the cache may hold up the end. Milliseconds. */
const saveMs = 500;

/** A hint about HTTP/2 clients is written at most this often. Milliseconds. */
const hintEveryMs = 60_000;

if (parentPort === null) throw new Error("a front end runs in a thread of its own");
const start = workerData as FrontEndStart;
const log = createLogger(start.logLevel, `front-end-${start.index}`);
const routes = httpRoutes();
const metrics = new Metrics(routes);
const traces = new Traces({
  version: packageVersion(),
  routes,
  onCount: (result, spans) => metrics.spans(result, spans),
  onHealth: (problem) => {
    if (problem === undefined) log.info("traces reach their collector again");
    else log.warn({ problem }, "traces do not reach their collector; spans that find no room are dropped");
  },
});
const health = new ThreadHealth(`front-end-${start.index}`);
const servers: HttpServer[] = [];

// What escapes every catch must not end the process with all its streams; the request it belongs to is lost.
process.on("uncaughtException", (error) => log.fatal({ err: error }, "an exception escaped"));
process.on("unhandledRejection", (error) => log.fatal({ err: error }, "a rejection escaped"));
// A thread that ends while its app listens would end the process. What is posted now still arrives, and nothing is awaited.
process.on("exit", () => {
  const listening = servers.splice(0);
  if (listening.length === 0) return;
  for (const server of listening) void server.close();
  gateway.abandon();
  void requestLog.stop(1);
  const { tables } = metrics.snapshot();
  const counters = overload.readings().filter(({ type }) => type === "counter");
  void supervisor.call("farewell", { tables, readings: counters });
});

const offers: FrontEndOffers = {
  listen: async () => {
    const http = await serveHttp1({ ...serveOptions, port: start.port, onUnreadable });
    servers.push(http);
    if (start.h2Port === undefined) return { port: http.port, h2Port: undefined };
    const h2 = await serveHttp2({ ...serveOptions, port: start.h2Port });
    servers.push(h2);
    return { port: http.port, h2Port: h2.port };
  },
  configure: (settings) => {
    gateway.configure(settings);
    requestLog.enable(settings.config.observability.request_log.enabled);
  },
  refuseGoverned: (refuse) => gateway.refuseGoverned(refuse),
  keysHealth: () => gateway.keysHealth(Date.now()),
  cacheForget: (filter) => gateway.forgetCached(filter),
  // What all threads know alike is told by the first.
  metrics: () =>
    metrics.snapshot([...health.read(), ...overload.readings(), ...(start.index === 1 ? gateway.keyReadings() : [])]),
  logState: () => requestLog.state,
  drain: async () => {
    gateway.drain();
    for (const server of servers) server.drain();
    await gateway.idle();
    await traces.flush(flushMs);
  },
  cut: async () => {
    gateway.cut();
    await gateway.idle();
    // The last bytes are with the sockets; one turn of the loop lets them leave.
    await Promise.all([new Promise((resolve) => setTimeout(resolve, 50)), traces.flush(flushMs)]);
  },
  close: async () => {
    await gateway.saveCached(saveMs);
    await Promise.all(servers.splice(0).map((server) => server.close()));
    await requestLog.stop(lastRowsMs);
  },
};

const supervisor = new Peer<FrontEndOffers, SupervisorOffers>(parentPort, offers);
const requestLog = new RequestLog({
  send: (batch) => supervisor.call("appendLog", batch),
  onDropped: (rows) => metrics.logRowsDropped(rows),
  enabled: start.settings.config.observability.request_log.enabled,
});
// Seen on the page before there are any.
metrics.logRowsDropped(0);
const workers = new Workers((job, transfer) => supervisor.call("work", job, transfer));
const overload = watchLoad(start.limits, log);
const gateway = new Gateway(
  {
    upstream: new Upstream(),
    keys: openKeyState(start.keyMemory),
    counters: openGovernanceMemory(start.counterMemory),
    hash: (body) => (body.length < hashedAtOnceBytes ? sha256Hex(body) : sha256InSlices(body)),
    offThread: workers,
    overload,
    metrics,
    log,
    traces,
    onRecord: (record) => {
      traces.finished(record);
      requestLog.add(record);
    },
    onProblem: (message) => log.warn(message),
    askCache: (message) => supervisor.call("cacheAsk", message),
    onCacheProblem: seldom((problem, others) => log.warn({ problem, others }, "the cache")),
    admin: {
      isPath: isAdminPath,
      answer: (request) => supervisor.call("admin", request),
      follow: (query) => supervisor.call("followLog", query),
    },
    metricsPage: () => supervisor.call("metricsPage", undefined),
  },
  start.settings,
);

const serveOptions: Omit<ServeOptions, "port"> = {
  host: start.host,
  maxBodyBytes: () => gateway.maxBodyBytes,
  onExchange: (exchange) => gateway.serve(exchange),
  onFault: (error) => log.error({ err: error }, "a callback of the server failed"),
  requests: () => gateway.requests,
};

let lastHint = Number.NEGATIVE_INFINITY;

function onUnreadable(): void {
  if (performance.now() - lastHint < hintEveryMs) return;
  lastHint = performance.now();
  log.warn(
    "A connection to the HTTP/1.1 port ended without a request that HTTP/1.1 could read. If it was the AWS SDK for " +
      "JavaScript, which speaks HTTP/2: use the port of BIFROST_H2_PORT as its endpoint, or give the client " +
      "requestHandler: new NodeHttpHandler().",
  );
}
