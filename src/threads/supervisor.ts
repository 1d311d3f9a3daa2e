/** The main thread: starts front ends and workers, carries configuration to them, and ends them in good order. */
import { totalmem } from "node:os";
import type { Loaded } from "../config/load.ts";
import { ConfigError } from "../config/problems.ts";
import type { Settings } from "../config/settings.ts";
import type { OverloadLimits } from "../gateway/overload.ts";
import type { Logger } from "../telemetry/log.ts";
import { MetricPage } from "../telemetry/metric-page.ts";
import { processReadings, ThreadHealth } from "../telemetry/thread-health.ts";
import { loadConfiguration } from "./configuration.ts";
import { Control } from "./control.ts";
import { FrontEnds } from "./front-ends.ts";
import type { Listening } from "./messages.ts";
import { Moved } from "./peer.ts";
import { claimPort } from "./port.ts";
import { lookAt, watch } from "./watch.ts";
import { startWorkerPool, type WorkerPool } from "./worker-pool.ts";

/** How often the configuration file is looked at for changes. Milliseconds. */
const watchEveryMs = 1000;

/** What is running. */
export interface Running {
  readonly listening: Listening;
  /** Reads the configuration again. An invalid one leaves the running one in force and says why in the log. */
  reload(): Promise<void>;
  /**
   * Stops: not ready at once, then waits for running requests and streams, then lets go of the ports.
   *
   * @param seconds the longest wait; what is still running then is ended with an error
   * @returns true when everything ended by itself
   */
  stop(seconds: number): Promise<boolean>;
  /** Lets go of the ports now. */
  kill(): Promise<void>;
  /** Resolves when a thread that serves clients has died and cannot be replaced: the process had better be. */
  readonly broken: Promise<void>;
}

/**
 * Starts the gateway.
 *
 * @throws ConfigError when the configuration is invalid, Error when a port cannot be taken
 */
export async function startGateway(settings: Settings, loaded: Loaded, log: Logger): Promise<Running> {
  const { configPath } = settings;
  const read = configPath === undefined ? undefined : { path: configPath, look: lookAt(configPath) };
  const port = await claimPort(settings.host, settings.port);
  const pool = startWorkerPool(settings.workers, (error) => log.error({ err: error }, "a worker died"));
  const page = new MetricPage();
  const health = new ThreadHealth("supervisor");
  const frontEnds: FrontEnds = new FrontEnds({
    count: settings.frontends,
    begin: (index) => ({
      index,
      host: settings.host,
      port,
      h2Port: index === 1 && settings.h2Port !== 0 ? settings.h2Port : undefined,
      logLevel: settings.logLevel,
      settings: control.inForce,
      limits: limitsOf(settings),
      keyMemory: control.keyMemory,
      counterMemory: control.counterMemory,
    }),
    offers: {
      work: async (job) => moved(await pool.run(job)),
      admin: (request) => control.admin(request),
      appendLog: (batch) => control.logs.append(batch),
      followLog: (query) => control.logs.follow(query),
      cacheAsk: (message) => control.cache.ask(message),
      metricsPage: async () =>
        page.render([
          ...(await frontEnds.metrics()),
          {
            tables: [],
            readings: [...health.read(), ...processReadings({ frontEnds: settings.frontends, ...pool.load() })],
          },
        ]),
    },
    log,
  });
  const control = await Control.open(settings, loaded.config, log, {
    publish: async (inForce) => {
      await frontEnds.all("configure", inForce);
    },
    keysHealth: () => frontEnds.keysHealth(),
    forgetCached: async (filter) => {
      await frontEnds.all("cacheForget", filter);
    },
    refuseGoverned: (refuse) => frontEnds.refuseGoverned(refuse),
    logStates: () => frontEnds.all("logState", undefined),
  });
  try {
    const listening = await frontEnds.start();
    return new Supervisor(settings, read, control, frontEnds, pool, listening, log);
  } catch (error) {
    await frontEnds.end("close");
    await Promise.all([pool.close(), control.close()]);
    throw error;
  }
}

/** A quarter of the memory is for bodies, each front end having its part of it. */
function limitsOf({ overloadDelayMs, memoryLimitBytes, frontends }: Settings): OverloadLimits {
  const memoryBytes = memoryLimitBytes ?? Math.min(process.constrainedMemory() || Number.POSITIVE_INFINITY, totalmem());
  return { delayMs: overloadDelayMs, memoryBytes, bodyBytes: Math.floor(memoryBytes / 4 / frontends) };
}

/** A job's result; what it has in `bytes` moves on to the front end. */
function moved(result: unknown): Moved<unknown> {
  const bytes = typeof result === "object" && result !== null && "bytes" in result ? result.bytes : undefined;
  return new Moved(result, bytes instanceof Uint8Array && bytes.buffer instanceof ArrayBuffer ? [bytes.buffer] : []);
}

class Supervisor implements Running {
  readonly listening: Listening;
  readonly broken: Promise<void>;
  readonly #settings: Settings;
  readonly #control: Control;
  readonly #frontEnds: FrontEnds;
  readonly #pool: WorkerPool;
  readonly #log: Logger;
  readonly #endWatch: (() => void) | undefined;
  #reloading: Promise<void> = Promise.resolve();

  /** @param read the configuration file, and how it looked when it was read */
  constructor(
    settings: Settings,
    read: { readonly path: string; readonly look: string } | undefined,
    control: Control,
    frontEnds: FrontEnds,
    pool: WorkerPool,
    listening: Listening,
    log: Logger,
  ) {
    this.broken = frontEnds.broken;
    this.#settings = settings;
    this.#control = control;
    this.#frontEnds = frontEnds;
    this.#pool = pool;
    this.listening = listening;
    this.#log = log;
    this.#endWatch = read && watch(read.path, read.look, watchEveryMs, () => void this.reload());
  }

  /** One reload after the other: the last one to begin is the last one in force. */
  reload(): Promise<void> {
    this.#reloading = this.#reloading.then(() => this.#reload());
    return this.#reloading;
  }

  async #reload(): Promise<void> {
    try {
      const { config } = await loadConfiguration(this.#settings);
      await this.#control.useFile(config);
      this.#log.info("configuration reloaded");
    } catch (error) {
      const problems = error instanceof ConfigError ? error.problems : [String(error)];
      this.#log.error({ problems }, "the changed configuration is not valid; the running one stays in force");
    }
  }

  async stop(seconds: number): Promise<boolean> {
    const timeout = new Promise<false>((resolve) => setTimeout(resolve, seconds * 1000, false).unref());
    const drained = this.#frontEnds.end("drain").then(() => true as const);
    const byItself = await Promise.race([drained, timeout]);
    if (!byItself) {
      this.#log.warn(`requests were still running after ${seconds} seconds and are ended`);
      await this.#frontEnds.end("cut");
    }
    await this.kill();
    return byItself;
  }

  async kill(): Promise<void> {
    this.#endWatch?.();
    await this.#frontEnds.end("close");
    await Promise.all([this.#pool.close(), this.#control.close()]);
  }
}
