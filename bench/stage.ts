/** The processes of the gateway's scenarios: a fake upstream, a load generator, and gateways, all on loopback. */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { inherited, relayConfig } from "../test/support/gateway.ts";
import type { Job, JobResult } from "./load.ts";
import { Child, type ChildOptions } from "./process.ts";
import { converseRequest } from "./traffic.ts";

/** Where requests are sent. */
export interface Server {
  readonly pid: number;
  readonly port: number;
  /** Stands before the path of an operation. */
  readonly prefix: string;
  /** Sent with every request. */
  readonly headers: Readonly<Record<string, string>>;
}

/** A {@link Job} for one of the servers, which is watched. */
export type Load = Omit<Job, "port" | "path" | "headers" | "body" | "watch"> & {
  readonly server: Server;
  readonly path: string;
};

const startMs = 20_000;
const answerMs = 20_000;
const root = fileURLToPath(new URL("..", import.meta.url));

/** The compiled gateway. */
export const gatewayEntry = join(root, "dist", "server.js");

export class Stage implements AsyncDisposable {
  readonly #folder = mkdtempSync(join(tmpdir(), "bifrost-bench-"));
  readonly #removeFolder = () => rmSync(this.#folder, { recursive: true, force: true });
  readonly #children: Child[] = [];
  #load: Child | undefined;

  constructor() {
    process.once("exit", this.#removeFolder);
  }

  /** A fake Bedrock. */
  async startUpstream(): Promise<Server> {
    const child = this.#start("the fake Bedrock", script("./upstream.ts"), { cwd: root });
    return { pid: child.pid, port: await child.line(portOf, startMs), prefix: "", headers: {} };
  }

  /** A gateway in front of the fake as Bedrock, the same with and without limits, as OpenAI, or without any provider. One front end, no HTTP/2. */
  async startGateway(
    name: "relay" | "governed" | "ungoverned" | "translate" | "mock",
    upstream: Server,
  ): Promise<Server> {
    const config = join(this.#folder, `${name}.json`);
    if (name !== "mock") writeFileSync(config, JSON.stringify(configs[name](originOf(upstream))));
    const child = this.#start(`the gateway (${name})`, [gatewayEntry], {
      cwd: this.#folder,
      env: {
        ...inherited(),
        BIFROST_PORT: "0",
        BIFROST_H2_PORT: "0",
        BIFROST_FRONTENDS: "1",
        BIFROST_DATA_DIR: join(this.#folder, name),
        ...(name !== "mock" && { BIFROST_CONFIG: config }),
      },
    });
    const headers: Server["headers"] = name === "governed" ? { "x-bf-vk": virtualKey } : {};
    return { pid: child.pid, port: await child.line(readyPortOf, startMs), prefix: "/bedrock", headers };
  }

  /**
   * Sends requests and measures.
   *
   * @throws Error when one of them was not answered rightly: figures of a gateway that fails mean nothing
   */
  async load({ server, path, ...job }: Load): Promise<JobResult> {
    this.#load ??= this.#start("the load generator", script("./load.ts"), { cwd: root });
    const full: Job = {
      ...job,
      port: server.port,
      path: `${server.prefix}${path}`,
      headers: server.headers,
      body: converseRequest,
      watch: [server.pid],
    };
    this.#load.write(full);
    const result = await this.#load.line(resultOf, job.warmupMs + job.measureMs + answerMs);
    if (result.errors > 0) throw new Error(`${result.errors} requests failed: ${result.firstError}`);
    return result;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.#children.map((child) => child.stop()));
    process.off("exit", this.#removeFolder);
    this.#removeFolder();
  }

  #start(name: string, args: readonly string[], options: ChildOptions): Child {
    const child = new Child(name, args, options);
    this.#children.push(child);
    return child;
  }
}

const virtualKey = "sk-bf-bench";
const budgets = [{ max_limit: 1_000_000_000, reset_duration: "1d" }];

const configs = {
  governed: (origin: string) =>
    relayConfig(origin, {
      more: {
        governance: {
          teams: [{ id: "team", name: "team", budgets }],
          virtual_keys: [
            {
              id: "app",
              name: "app",
              value: virtualKey,
              team_id: "team",
              allow_all_providers: true,
              budgets,
              rate_limit: {
                request_max_limit: 1_000_000_000,
                request_reset_duration: "1d",
                token_max_limit: 1_000_000_000_000,
                token_reset_duration: "1d",
              },
            },
          ],
        },
      },
    }),
  ungoverned: (origin: string) => relayConfig(origin),
  relay: (origin: string) => relayConfig(origin),
  translate: (origin: string) => ({
    providers: { openai: { keys: [{ name: "main", value: "sk-bench" }], network_config: { base_url: origin } } },
  }),
};

/** One request, outside all measurements. */
export async function ask(server: Server, path: string): Promise<Buffer> {
  const answer = await fetch(`${originOf(server)}${server.prefix}${path}`, {
    method: "POST",
    headers: server.headers,
    body: converseRequest,
  });
  const body = Buffer.from(await answer.arrayBuffer());
  if (answer.status !== 200) throw new Error(`${path} was answered with ${answer.status}: ${body.toString()}`);
  return body;
}

function originOf(server: Server): string {
  return `http://127.0.0.1:${server.port}`;
}

function script(file: "./load.ts" | "./upstream.ts"): string[] {
  return ["--import", "tsx", fileURLToPath(new URL(file, import.meta.url))];
}

function portOf(line: unknown): number | undefined {
  return isObject(line) && typeof line.port === "number" ? line.port : undefined;
}

function readyPortOf(line: unknown): number | undefined {
  return isObject(line) && line.msg === "ready" ? Number(new URL(String(line.http)).port) : undefined;
}

function resultOf(line: unknown): JobResult | undefined {
  return isResult(line) ? line : undefined;
}

function isResult(line: unknown): line is JobResult {
  return isObject(line) && Array.isArray(line.cpu);
}

function isObject(line: unknown): line is Readonly<Record<string, unknown>> {
  return typeof line === "object" && line !== null;
}
