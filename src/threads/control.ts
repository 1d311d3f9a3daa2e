/**
 * What one thread owns for all: the entities with their store, the memory of keys and limits, and the management API
 * over them.
 */
import { existsSync } from "node:fs";
import { join } from "node:path";
import type { AdminAnswer } from "../admin/answer.ts";
import { type AdminRequest, type AdminServices, handle } from "../admin/api.ts";
import { EntityBook } from "../admin/book.ts";
import type { CacheControl } from "../admin/cache.ts";
import { OverrideBook } from "../admin/overrides.ts";
import type { Filter } from "../cache/messages.ts";
import { ConfigError } from "../config/problems.ts";
import type { Config } from "../config/schema.ts";
import type { Settings } from "../config/settings.ts";
import { packageVersion } from "../config/version.ts";
import type { InForce } from "../gateway/gateway.ts";
import { openGovernanceMemory } from "../governance/layout.ts";
import { Limits } from "../governance/limits.ts";
import { Prices, providerTypesOf } from "../governance/prices.ts";
import { GovernanceRegistry } from "../governance/registry.ts";
import { KeyRegistry } from "../keys/registry.ts";
import { CounterFlusher } from "../store/flusher.ts";
import { deriveKey, Sealer } from "../store/secrets.ts";
import { openDatabase } from "../store/sqlite-driver.ts";
import { StoreError } from "../store/store.ts";
import type { Logger } from "../telemetry/log.ts";
import type { LogState } from "../telemetry/request-log.ts";
import { seldom } from "../telemetry/seldom.ts";
import { CacheThread } from "./cache.ts";
import { LogDesk } from "./log-desk.ts";
import { StoreClient, startStoreThread } from "./store.ts";

export interface ControlListeners {
  /** Puts a changed configuration in force on every front end. */
  readonly publish: (inForce: InForce) => Promise<void>;
  /** The state of each key, as JSON. */
  readonly keysHealth: () => Promise<unknown>;
  /** Has every front end forget answers that the owner of the cache has forgotten. */
  readonly forgetCached: (filter: Filter) => Promise<void>;
  /** Told when the store is away and what is governed is to be refused meanwhile, and when that is over. */
  readonly refuseGoverned: (refuse: boolean) => void;
  /** How the front ends' rows of the request log are doing. */
  readonly logStates: () => Promise<readonly LogState[]>;
}

export class Control {
  readonly #keys = new KeyRegistry();
  readonly #limits = new GovernanceRegistry();
  readonly #store: StoreClient;
  readonly cache: CacheThread;
  readonly #log: Logger;
  readonly #listeners: ControlListeners;
  readonly #flusher: CounterFlusher;
  /** The request log. */
  readonly logs: LogDesk;
  readonly #admin: Omit<AdminServices, "book" | "overrides">;
  #book: EntityBook | undefined;
  #overrides: OverrideBook | undefined;
  /** The file's; its entities are not all that are in force. */
  #config: Config;
  /** How many files were put in force. */
  #files = 1;
  #inForce: InForce | undefined;
  #limitsInForce: Limits | undefined;

  /**
   * Opens the store and takes up what it knows.
   *
   * @throws StoreError when it cannot be read: going on would forget limits; ConfigError for an encryption key that is
   *   too short
   */
  static async open(settings: Settings, config: Config, log: Logger, listeners: ControlListeners): Promise<Control> {
    const control = new Control(settings, config, log, listeners, await storeKind(settings, config, log));
    try {
      await control.#begin(sealerOf(settings));
    } catch (error) {
      await control.close();
      throw error;
    }
    return control;
  }

  private constructor(
    settings: Settings,
    config: Config,
    log: Logger,
    listeners: ControlListeners,
    kind: "sqlite" | "memory",
  ) {
    this.#config = config;
    this.#log = log;
    this.#listeners = listeners;
    const store = { kind, dataDir: settings.dataDir };
    this.#store = new StoreClient({
      start: () => startStoreThread(store),
      onHealth: (problem) => this.#onHealth(problem),
    });
    this.cache = new CacheThread({
      folder: config.storage.kind === "memory" ? null : settings.dataDir,
      key: withKey(settings, (passphrase) => deriveKey(passphrase, "bifrost cache")) ?? null,
      onProblem: seldom((problem, others) => log.warn({ problem, others }, "the cache")),
    });
    this.#flusher = new CounterFlusher({
      store: this.#store,
      collect: () => this.#limits.exportCounters(Date.now()),
      // Why is in the log already, once, by the store's health.
      onError: (error) => log.debug({ err: error }, "counters wait for the store"),
    });
    this.logs = new LogDesk(store, config, settings, log);
    this.#admin = {
      logs: {
        reader: this.logs.reader,
        sealed: settings.encryptionKey !== undefined,
        prices: () => pricesOf(this.inForce.config),
        states: listeners.logStates,
      },
      adminToken: settings.adminToken,
      config: () => this.#config,
      limits: () => this.#limitsNow(),
      cache: () => this.#cacheControl(),
      version: packageVersion(),
      now: Date.now,
      onFault: (error) => log.error({ err: error }, "the management API met a fault"),
      saveCounters: () => this.#flusher.flush(),
      keysHealth: listeners.keysHealth,
      audit: (what) => log.info({ audit: what }, "limits were changed through the management API"),
    };
  }

  async #begin(sealer: Sealer | undefined): Promise<void> {
    this.#book = await EntityBook.open(
      {
        store: this.#store,
        sealer,
        applied: () => this.#apply(),
        now: Date.now,
        onFault: (error) => this.#log.error({ err: error }, "a change of an entity is not in force everywhere"),
      },
      this.#config.governance,
    );
    this.#overrides = await OverrideBook.open({ store: this.#store, applied: () => this.#apply(), now: Date.now });
    const cache = this.#config.semantic_cache;
    await this.cache.check(cache);
    await this.cache.use(cache);
    for (const problem of this.#book.problems) this.#log.error({ problem }, "a stored entity is not in force");
    await this.#assign();
  }

  get keyMemory(): SharedArrayBuffer {
    return this.#keys.memory;
  }

  get counterMemory(): SharedArrayBuffer {
    return this.#limits.memory;
  }

  /** What the front ends are to have. */
  get inForce(): InForce {
    if (this.#inForce === undefined) throw new Error("nothing is in force yet");
    return this.#inForce;
  }

  /** Puts a changed configuration file in force. */
  async useFile(config: Config): Promise<void> {
    await this.cache.check(config.semantic_cache);
    await this.#bookNow().useFile(config.governance);
    const { semantic_cache: cache } = config;
    // Its owner is there before the front ends ask it, and until they have stopped.
    if (cache.enabled) await this.cache.use(cache);
    this.#config = config;
    this.#files++;
    await this.#apply();
    if (!cache.enabled) await this.cache.use(cache);
  }

  /** Answers a request to the management API. Never rejects. */
  admin(request: AdminRequest): Promise<AdminAnswer> {
    return handle(request, { ...this.#admin, book: this.#bookNow(), overrides: this.#overridesNow() });
  }

  /** Saves what has been counted, and closes the store. */
  async close(): Promise<void> {
    await Promise.all([this.cache.close(), this.#flusher.stop(), this.logs.close()]);
    try {
      await this.#store.close();
    } catch (error) {
      this.#log.warn({ err: error }, "the store did not close well; what it had not saved is lost");
    }
  }

  async #apply(): Promise<void> {
    await this.#assign();
    await this.#listeners.publish(this.inForce);
  }

  /** Gives keys and limits their places; those that stay keep what was counted, new ones what the store remembers. */
  async #assign(): Promise<void> {
    const config = { ...this.#config, governance: this.#bookNow().inForce };
    const { slots, fresh, gone } = this.#limits.assign(config.governance);
    // Whoever changes an override waits for this, so this waits for no override.
    if (gone.length > 0) void this.#forgetOverrides(gone);
    this.#inForce = {
      config,
      file: this.#files,
      keySlots: this.#keys.assign(config.providers),
      counterSlots: slots,
      overrides: this.#overridesNow().inForce,
    };
    this.#limitsInForce = undefined;
    this.logs.use(config);
    if (fresh.length === 0) return;
    const now = Date.now();
    this.#limits.importCounters(await this.#store.loadCounters(now), now, fresh);
  }

  async #forgetOverrides(gone: readonly string[]): Promise<void> {
    try {
      await this.#overridesNow().forget(gone);
    } catch (error) {
      this.#log.error({ err: error, limits: gone }, "the overrides of budgets that are gone could not be deleted");
    }
  }

  #limitsNow(): Limits {
    const { config, counterSlots, overrides } = this.inForce;
    const memory = openGovernanceMemory(this.counterMemory);
    this.#limitsInForce ??= new Limits(config.governance, memory, counterSlots, overrides);
    return this.#limitsInForce;
  }

  #overridesNow(): OverrideBook {
    if (this.#overrides === undefined) throw new Error("the overrides have not been read yet");
    return this.#overrides;
  }

  #cacheControl(): CacheControl | undefined {
    const { owner } = this.cache;
    if (owner === undefined) return undefined;
    return {
      stats: () => owner.stats(),
      list: (filter, page) => owner.list(filter, page),
      forget: async (filter) => {
        const count = await owner.forget(filter);
        await this.#listeners.forgetCached(filter);
        // What a front end had sent before it was told has arrived by now.
        return count + (await owner.forget(filter));
      },
      // Who may see it in the request log may see it here.
      mayShowContent: this.#config.observability.request_log.content,
      costOf: (provider, model, tokens) => {
        const microUsd = pricesOf(this.inForce.config).cost(provider, model, tokens, Date.now());
        return microUsd === undefined ? undefined : microUsd / 1e6;
      },
    };
  }

  #bookNow(): EntityBook {
    if (this.#book === undefined) throw new Error("the entities have not been read yet");
    return this.#book;
  }

  #onHealth(problem: StoreError | undefined): void {
    if (this.#config.storage.on_failure === "refuse") this.#listeners.refuseGoverned(problem !== undefined);
    if (problem !== undefined) {
      this.#log.error({ err: problem }, "the store is not to be relied on; counters are kept in memory meanwhile");
      return;
    }
    this.#log.info("the store answers");
    this.#book?.refresh().catch((error: unknown) => {
      this.#log.error({ err: error }, "the entities could not be read again");
    });
  }
}

function pricesOf({ governance, providers }: Config): Prices {
  return new Prices(governance.pricing_overrides, providerTypesOf(providers));
}

function sealerOf(settings: Settings): Sealer | undefined {
  return withKey(settings, (passphrase) => new Sealer(passphrase));
}

/** What is made of the encryption key; undefined without one. */
function withKey<T>({ encryptionKey }: Settings, make: (passphrase: string) => T): T | undefined {
  if (encryptionKey === undefined) return undefined;
  try {
    return make(encryptionKey);
  } catch (error) {
    if (error instanceof RangeError) throw new ConfigError([`BIFROST_ENCRYPTION_KEY: ${error.message}`]);
    throw error;
  }
}

/** Node.js 20 has SQLite only with an optional package. Without it nothing is kept, as long as nothing has been. */
async function storeKind({ dataDir }: Settings, { storage }: Config, log: Logger): Promise<Config["storage"]["kind"]> {
  if (storage.kind === "memory" || (await hasSqlite())) return storage.kind;
  if (storage.on_failure === "refuse" || existsSync(join(dataDir, "bifrost.db")))
    throw new StoreError("no_driver", noDriver);
  log.warn(`${noDriver} Until then entities and counters are kept in memory and end with the process.`);
  return "memory";
}

async function hasSqlite(): Promise<boolean> {
  try {
    (await openDatabase(":memory:")).close();
    return true;
  } catch (error) {
    if (error instanceof StoreError && error.fault === "no_driver") return false;
    throw error;
  }
}

const noDriver = "This Node.js has no SQLite: use Node.js 22.5 or later, or install the package better-sqlite3.";
