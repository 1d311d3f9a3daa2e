/** The processes of a measurement: a fake upstream, load generators, and gateways, all on loopback. */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { inherited } from "../../test/support/gateway.ts";
import type { Job, JobResult } from "../load/load.ts";
import type { StreamsJob, StreamsResult } from "../load/streams.ts";
import { type BodyName, bodyOf } from "../load/traffic.ts";
import { configFor, type GatewayName, gatewayEntry, headersFor, root } from "./configs.ts";
import { Child, type ChildOptions } from "./process.ts";

/** Where requests are sent. */
export interface Server {
  /** Undefined where its process is not known: then it has no figures of CPU and memory. */
  readonly pid: number | undefined;
  readonly port: number;
  /** Stands before the path of an operation. */
  readonly prefix: string;
  /** Sent with every request. */
  readonly headers: Readonly<Record<string, string>>;
}

/** Threads of a gateway; its own defaults where nothing is said. */
export interface Threads {
  readonly frontends?: number;
  readonly workers?: number;
}

type ForServer<Kind> = Omit<Kind, "kind" | "port" | "headers" | "watch"> & { readonly server: Server };

/** A {@link Job} for one of the servers, which is watched. */
export type Load = ForServer<Job>;
/** A {@link StreamsJob} for one of the servers, which is watched. */
export type Streams = ForServer<StreamsJob>;

const startMs = 20_000;
/** Beyond a job's own time. */
const answerMs = 30_000;
const upstreamFile = new URL("../load/upstream.ts", import.meta.url);
const loadFile = new URL("../load/load.ts", import.meta.url);

export class Stage implements AsyncDisposable {
  readonly folder = mkdtempSync(join(tmpdir(), "bifrost-bench-"));
  readonly #removeFolder = () => rmSync(this.folder, { recursive: true, force: true });
  readonly #children = new Set<Child>();
  readonly #gateways = new Map<GatewayName, Promise<Server>>();
  readonly #upstreamPort: number;
  readonly #free: Child[] = [];
  #upstream: Promise<Server> | undefined;
  #started = 0;

  /** @param upstreamPort where the fake listens; 0: any free port */
  constructor(upstreamPort = 0) {
    this.#upstreamPort = upstreamPort;
    process.once("exit", this.#removeFolder);
  }

  /** The fake Bedrock and OpenAI. */
  upstream(): Promise<Server> {
    this.#upstream ??= (async () => {
      const child = this.start("the fake upstream", script(upstreamFile, String(this.#upstreamPort)), { cwd: root });
      return { pid: child.pid, port: await child.line(portOf, startMs), prefix: "", headers: {} };
    })();
    return this.#upstream;
  }

  /** The gateway of that name, started when it is first asked for. */
  gateway(name: GatewayName): Promise<Server> {
    const known = this.#gateways.get(name) ?? this.startGateway(name).then(({ server }) => server);
    this.#gateways.set(name, known);
    return known;
  }

  /**
   * A new gateway, with one front end unless told otherwise, and without HTTP/2.
   *
   * @returns `readyMs` from the start of the process to its `ready` line
   */
  async startGateway(name: GatewayName, { frontends = 1, workers }: Threads = {}) {
    const upstream = await this.upstream();
    const folder = join(this.folder, `${name}-${this.#started++}`);
    const config = `${folder}.json`;
    writeFileSync(config, JSON.stringify(configFor(name, originOf(upstream))));
    const started = performance.now();
    const child = this.start(`the gateway (${name})`, [gatewayEntry], {
      cwd: this.folder,
      env: {
        ...inherited(),
        BIFROST_PORT: "0",
        BIFROST_H2_PORT: "0",
        BIFROST_FRONTENDS: String(frontends),
        // What is measured is the process that is started.
        BIFROST_SUPERVISE: "0",
        ...(workers !== undefined && { BIFROST_WORKERS: String(workers) }),
        BIFROST_DATA_DIR: folder,
        BIFROST_CONFIG: config,
      },
    });
    const port = await child.line(readyPortOf, startMs);
    const readyMs = performance.now() - started;
    const server = { pid: child.pid, port, prefix: "/bedrock", headers: headersFor(name) };
    const stop = () => this.stop(child);
    return { server, readyMs, stop };
  }

  /** Starts a process that ends with the stage at the latest. */
  start(name: string, args: readonly string[], options: ChildOptions): Child {
    const child = new Child(name, args, options);
    this.#children.add(child);
    return child;
  }

  async stop(child: Child): Promise<void> {
    this.#children.delete(child);
    await child.stop();
  }

  /**
   * Sends requests and measures. Several loads at a time have a generator each.
   *
   * @throws Error when one of them was not answered rightly: figures of a gateway that fails mean nothing
   */
  async load(load: Load): Promise<JobResult> {
    const result = await this.tryLoad(load);
    if (result.errors > 0) throw new Error(`${result.errors} requests failed: ${result.firstError}`);
    if (result.requests === 0 && load.rate === undefined)
      throw new Error(`no request was answered within ${load.measureMs} ms`);
    return result;
  }

  /** The same, errors being part of the result. */
  tryLoad({ server, path, ...job }: Load): Promise<JobResult> {
    const full: Job = { ...job, kind: "requests", ...addressed(server, path) };
    return this.#generate(full, job.warmupMs + job.measureMs, isJobResult);
  }

  /** Opens streams, waits for their end, and measures. @throws Error when one of them is not right */
  async streams({ server, path, ...job }: Streams): Promise<StreamsResult> {
    const full: StreamsJob = { ...job, kind: "streams", ...addressed(server, path) };
    const result = await this.#generate(full, 2 * job.rampMs + job.holdMs, isStreamsResult);
    if (result.wrong > 0) throw new Error(`${result.wrong} of ${job.streams} streams were wrong: ${result.firstError}`);
    return result;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all([...this.#children].map((child) => child.stop()));
    process.off("exit", this.#removeFolder);
    this.#removeFolder();
  }

  async #generate<Result>(job: Job | StreamsJob, ms: number, is: (line: unknown) => line is Result): Promise<Result> {
    const generator = this.#free.pop() ?? this.start("the load generator", script(loadFile), { cwd: root });
    generator.write(job);
    const result = await generator.line((line) => (is(line) ? line : undefined), ms + answerMs);
    this.#free.push(generator);
    return result;
  }
}

/** One request, outside all measurements. */
export async function ask(server: Server, path: string, body: BodyName): Promise<Buffer> {
  const { prefix, headers } = server;
  const init = { method: "POST", headers: { "content-type": "application/json", ...headers }, body: bodyOf(body) };
  const answer = await fetch(`${originOf(server)}${prefix}${path}`, init);
  const bytes = Buffer.from(await answer.arrayBuffer());
  if (answer.status !== 200) throw new Error(`${path} was answered with ${answer.status}: ${bytes.toString()}`);
  return bytes;
}

export function originOf(server: Server): string {
  return `http://127.0.0.1:${server.port}`;
}

function addressed(server: Server, path: string) {
  const { port, prefix, headers, pid } = server;
  return { port, path: `${prefix}${path}`, headers, watch: pid === undefined ? [] : [pid] };
}

function script(file: URL, ...args: readonly string[]): string[] {
  return ["--import", "tsx", fileURLToPath(file), ...args];
}

function portOf(line: unknown): number | undefined {
  return isObject(line) && typeof line.port === "number" ? line.port : undefined;
}

function readyPortOf(line: unknown): number | undefined {
  return isObject(line) && line.msg === "ready" ? Number(new URL(String(line.http)).port) : undefined;
}

function isJobResult(line: unknown): line is JobResult {
  return isObject(line) && typeof line.requests === "number" && Array.isArray(line.cpu);
}

function isStreamsResult(line: unknown): line is StreamsResult {
  return isObject(line) && typeof line.right === "number" && Array.isArray(line.cpu);
}

function isObject(line: unknown): line is Readonly<Record<string, unknown>> {
  return typeof line === "object" && line !== null;
}
