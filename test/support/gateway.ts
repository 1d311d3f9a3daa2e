/** The gateway as a process of its own, started from `dist/` the way an operator starts it. */
import { type ChildProcess, spawn } from "node:child_process";
import { existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { fakeIdentity } from "./fake-bedrock.ts";
import { until } from "./wait.ts";

/** One line of the log. */
export type LogLine = Readonly<Record<string, unknown>>;

export interface RunningGateway extends AsyncDisposable {
  /** HTTP/1.1, without the `/bedrock` prefix. */
  readonly url: string;
  /** HTTP/2, without the `/bedrock` prefix. */
  readonly h2url: string;
  readonly pid: number;
  readonly configPath: string | undefined;
  /** Everything on stdout so far, parsed. */
  readonly logs: readonly LogLine[];
  /** Everything on stdout and stderr so far, as it came. */
  output(): string;
  /** The value of a metric, summed over the series that carry the labels; 0 when there is none. */
  metric(name: string, labels?: Readonly<Record<string, string>>): Promise<number>;
  signal(name: "SIGTERM" | "SIGINT" | "SIGHUP" | "SIGKILL"): void;
  /** Resolves with the exit code (null after a deadly signal). */
  readonly exited: Promise<number | null>;
  /** SIGTERM, then SIGKILL when it does not end in time. */
  stop(): Promise<number | null>;
}

export interface GatewayOptions {
  /** Written to a file that BIFROST_CONFIG names; without it the gateway starts with none. */
  readonly config?: object;
  readonly env?: Readonly<Record<string, string>>;
  /** Turns HTTP/2 off. */
  readonly withoutH2?: boolean;
}

const entry = fileURLToPath(new URL("../../dist/server.js", import.meta.url));
const startMs = 20_000;
const stopMs = 15_000;

/** @throws Error with what the process said when it does not become ready */
export async function startGateway(options: GatewayOptions = {}): Promise<RunningGateway> {
  if (!existsSync(entry)) throw new Error(`${entry} is missing: run \`npm run build\` first`);
  const folder = mkdtempSync(join(tmpdir(), "bifrost-e2e-"));
  const configPath = options.config === undefined ? undefined : join(folder, "config.json");
  if (configPath !== undefined) writeFileSync(configPath, JSON.stringify(options.config, undefined, 2));
  const child = spawn(process.execPath, [entry], {
    cwd: folder,
    env: {
      ...inherited(),
      BIFROST_PORT: "0",
      BIFROST_H2_PORT: options.withoutH2 === true ? "0" : String(await freePort()),
      BIFROST_DATA_DIR: join(folder, "data"),
      ...(configPath !== undefined && { BIFROST_CONFIG: configPath }),
      ...options.env,
    },
    stdio: ["ignore", "pipe", "pipe"],
  });
  const running = new Child(child, folder, configPath);
  try {
    const ready = await until("the gateway's ready line", () => running.ready(), startMs);
    running.address(ready);
    return running;
  } catch (error) {
    await running.stop();
    throw new Error(`${String(error)}; it said:\n${running.output()}`);
  }
}

/** The configuration for a gateway in front of the fake. */
export function relayConfig(
  fakeUrl: string,
  changes: {
    readonly client?: object;
    readonly key?: object;
    readonly network?: object;
    readonly more?: object;
  } = {},
): object {
  return {
    ...(changes.client !== undefined && { client: changes.client }),
    providers: {
      bedrock: {
        keys: [
          {
            name: "main",
            models: ["*"],
            weight: 1,
            bedrock_key_config: {
              access_key: fakeIdentity.accessKeyId,
              secret_key: fakeIdentity.secretAccessKey,
              region: "us-east-1",
              endpoints: { runtime: fakeUrl, control: fakeUrl, agent_runtime: fakeUrl },
            },
            ...changes.key,
          },
        ],
        network_config: { max_retries: 0, ...changes.network },
      },
    },
    ...changes.more,
  };
}

/** This process's environment without anything that configures a gateway or an AWS client. */
export function inherited(): Record<string, string> {
  const clean: Record<string, string> = {};
  for (const [name, value] of Object.entries(process.env)) {
    if (value !== undefined && !/^(AWS_|BIFROST_|VITEST|NODE_OPTIONS$)|_API_KEY$/.test(name)) clean[name] = value;
  }
  return clean;
}

/** A port that was free a moment ago. */
export async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  await new Promise((resolve) => server.close(resolve));
  if (address === null || typeof address === "string") throw new Error("no port is free");
  return address.port;
}

class Child implements RunningGateway {
  url = "";
  h2url = "";
  readonly configPath: string | undefined;
  readonly logs: LogLine[] = [];
  readonly exited: Promise<number | null>;
  readonly #child: ChildProcess;
  readonly #text: string[] = [];
  #ended = false;

  constructor(child: ChildProcess, folder: string, configPath: string | undefined) {
    this.#child = child;
    this.configPath = configPath;
    // A test run that ends without its hooks must not leave the process behind.
    const kill = () => child.kill("SIGKILL");
    process.once("exit", kill);
    this.exited = new Promise((resolve) => {
      // Not "exit": the gateway itself is a child of this process and holds its output, and with it ports and files.
      child.once("close", (code) => {
        this.#ended = true;
        process.off("exit", kill);
        rmSync(folder, { recursive: true, force: true });
        resolve(code);
      });
    });
    if (child.stdout === null || child.stderr === null) throw new Error("the gateway's output is not piped");
    createInterface(child.stdout).on("line", (line) => this.#read(line));
    createInterface(child.stderr).on("line", (line) => this.#text.push(line));
  }

  get pid(): number {
    return this.#child.pid ?? 0;
  }

  /** The ready line, or false while it has not come. */
  ready(): LogLine | false {
    if (this.#ended) throw new Error("the gateway ended as it started");
    return this.logs.find((line) => line.msg === "ready") ?? false;
  }

  address(ready: LogLine): void {
    this.url = String(ready.http);
    this.h2url = String(ready.h2);
  }

  output(): string {
    return this.#text.join("\n");
  }

  async metric(name: string, labels: Readonly<Record<string, string>> = {}): Promise<number> {
    const page = await (await fetch(`${this.url}/metrics`)).text();
    let sum = 0;
    for (const line of page.split("\n")) {
      if (!line.startsWith(`${name} `) && !line.startsWith(`${name}{`)) continue;
      if (!Object.entries(labels).every(([label, value]) => line.includes(`${label}="${value}"`))) continue;
      sum += Number(line.slice(line.lastIndexOf(" ") + 1));
    }
    return sum;
  }

  signal(name: "SIGTERM" | "SIGINT" | "SIGHUP" | "SIGKILL"): void {
    if (!this.#ended) this.#child.kill(name);
  }

  async stop(): Promise<number | null> {
    this.signal("SIGTERM");
    const timer = setTimeout(() => this.signal("SIGKILL"), stopMs);
    const code = await this.exited;
    clearTimeout(timer);
    return code;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
  }

  #read(line: string): void {
    this.#text.push(line);
    try {
      const parsed: unknown = JSON.parse(line);
      if (typeof parsed === "object" && parsed !== null) this.logs.push({ ...parsed });
    } catch {
      // A line that is not JSON stands in output(); tests of the log look at it there.
    }
  }
}
