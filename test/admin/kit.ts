/** A management API without a server: a store, a configuration file, and requests to it. */

import { type AdminRequest, type AdminServices, type AuditLine, handle } from "../../src/admin/api.ts";
import { EntityBook } from "../../src/admin/book.ts";
import type { CacheControl } from "../../src/admin/cache.ts";
import { OverrideBook } from "../../src/admin/overrides.ts";
import type { GovernanceInForce } from "../../src/admin/stored.ts";
import { type GovernanceConfig, governanceSchema } from "../../src/config/governance.ts";
import { readConfig } from "../../src/config/load.ts";
import type { Config } from "../../src/config/schema.ts";
import { openGovernanceMemory } from "../../src/governance/layout.ts";
import { Limits } from "../../src/governance/limits.ts";
import { Prices } from "../../src/governance/prices.ts";
import { GovernanceRegistry } from "../../src/governance/registry.ts";
import { MemoryLog } from "../../src/store/log-memory.ts";
import type { LogStore } from "../../src/store/log-store.ts";
import { MemoryStore } from "../../src/store/memory.ts";
import type { Sealer } from "../../src/store/secrets.ts";
import type { Store } from "../../src/store/store.ts";
import type { LogState } from "../../src/telemetry/request-log.ts";

export interface KitOptions {
  readonly store?: Store;
  readonly log?: LogStore;
  readonly logStates?: readonly LogState[];
  readonly file?: object;
  readonly config?: Config;
  readonly sealer?: Sealer;
  readonly adminToken?: string;
  readonly saved?: () => void;
  readonly cache?: CacheControl;
  readonly applied?: (inForce: GovernanceInForce) => void | Promise<void>;
}

/** An answer, its body read. */
export interface Answered {
  readonly status: number;
  readonly headers: ReadonlyMap<string, string>;
  /** As it came. */
  readonly text: string;
  // biome-ignore lint/suspicious/noExplicitAny: tests look into answers of every shape.
  readonly body: any;
}

export type Kit = Awaited<ReturnType<typeof kit>>;

export async function kit(options: KitOptions = {}) {
  const store = options.store ?? new MemoryStore();
  const log = options.log ?? new MemoryLog();
  const clock = { now: Date.parse("2027-01-01T00:00:00Z") };
  const applied: GovernanceInForce[] = [];
  const faults: unknown[] = [];
  const registry = new GovernanceRegistry(512);
  const file = section(options.file);
  let limits: Limits | undefined;
  const assign = (inForce: GovernanceConfig): void => {
    const { slots, gone } = registry.assign(inForce);
    void overrides.forget(gone);
    limits = new Limits(inForce, openGovernanceMemory(registry.memory), slots, overrides.inForce);
  };
  const overrides = await OverrideBook.open({
    store,
    now: () => clock.now,
    applied: async () => {
      assign(book.inForce);
      await options.applied?.(book.inForce);
    },
  });
  const audited: AuditLine[] = [];
  const book = await EntityBook.open(
    {
      store,
      sealer: options.sealer,
      applied: async (inForce) => {
        assign(inForce);
        applied.push(inForce);
        await options.applied?.(inForce);
      },
      now: () => clock.now,
      onFault: (error) => faults.push(error),
    },
    file,
  );
  assign(book.inForce);
  const config = options.config ?? readConfig({}, {}, {});
  const services: AdminServices = {
    book,
    overrides,
    saveCounters: async () => options.saved?.(),
    keysHealth: async () => [{ name: "main" }],
    audit: (what) => audited.push(what),
    adminToken: options.adminToken,
    config: () => config,
    limits: () => {
      if (limits === undefined) throw new Error("no limits");
      return limits;
    },
    logs: {
      reader: log,
      sealed: options.sealer !== undefined,
      prices: () => new Prices(book.inForce.pricing_overrides, new Map([["bedrock", "bedrock"]])),
      states: async () => options.logStates ?? [],
    },
    cache: () => options.cache,
    version: "1.2.3",
    now: () => clock.now,
    onFault: (error) => faults.push(error),
  };
  const send = async (
    method: string,
    target: string,
    body?: unknown,
    more: Partial<AdminRequest> = {},
  ): Promise<Answered> => {
    const [path = "", query = ""] = target.split("?");
    const bytes =
      body === undefined ? new Uint8Array() : Buffer.from(typeof body === "string" ? body : JSON.stringify(body));
    const request = { method, path, query, headers: new Map(), remoteAddress: "127.0.0.1", body: bytes, ...more };
    const { status, headers, body: text } = await handle(request, services);
    return { status, headers: new Map(headers), text, body: text === "" ? undefined : JSON.parse(text) };
  };
  return {
    store,
    log,
    clock,
    applied,
    faults,
    audited,
    overrides,
    registry,
    book,
    send,
    limits: () => services.limits(),
  };
}

/** A section of the file, with its defaults. */
export function section(file: object = {}): GovernanceConfig {
  return governanceSchema.parse(file);
}

/** Paths of the collections. */
export const at = {
  customers: "/api/governance/customers",
  teams: "/api/governance/teams",
  keys: "/api/governance/virtual-keys",
  limits: "/api/governance/model-limits",
  rules: "/api/governance/routing-rules",
  prices: "/api/governance/pricing-overrides",
} as const;
