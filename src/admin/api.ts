/** The management API: from a request to its answer, without a server around it. */
import { randomBytes } from "node:crypto";
import { parseDuration } from "../config/governance.ts";
import type { Config } from "../config/schema.ts";
import type { Limits } from "../governance/limits.ts";
import { type Document, type EntityKind, entityKinds } from "../store/store.ts";
import { checkAccess, type Sender } from "./access.ts";
import { type AdminAnswer, answer, json } from "./answer.ts";
import { type EntityBody, maskOf, readEntityBody, readObject } from "./body.ts";
import { type Changed, type EntityBook, notFound, type Shown } from "./book.ts";
import { type CacheControl, cacheRoutes } from "./cache.ts";
import { AdminFailure, failureBody, invalid, storeFailure } from "./failure.ts";
import { hasLimits, kinds, type LimitedKind } from "./kinds.ts";
import { type LogServices, logHandlers } from "./logs.ts";
import { openApi } from "./openapi.ts";
import { type OverrideBook, readOverride } from "./overrides.ts";
import { showConfig, showKeys, showProviders } from "./overview.ts";
import { readPage } from "./page.ts";
import { show } from "./show.ts";
import { limitsOf, ownQuota, usageOf } from "./usage.ts";

export interface AdminRequest extends Sender {
  /** Upper case. */
  readonly method: string;
  /** As it came, undecoded, without the query. */
  readonly path: string;
  /** What stood behind `?`, undecoded. */
  readonly query: string;
  readonly body: Uint8Array;
}

export interface AdminServices {
  readonly book: EntityBook;
  readonly overrides: OverrideBook;
  /** Saves what has been counted. */
  readonly saveCounters: () => Promise<void>;
  /** The state of each key of each provider, as JSON. */
  readonly keysHealth: () => Promise<unknown>;
  /** Told of what somebody has done to a limit, for the log. */
  readonly audit: (what: AuditLine) => void;
  /** `BIFROST_ADMIN_TOKEN`. */
  readonly adminToken: string | undefined;
  /** The configuration file as it is in force. */
  readonly config: () => Config;
  /** The limits in force with their counters. */
  readonly limits: () => Limits;
  readonly logs: LogServices;
  /** Undefined while the cache is off. */
  readonly cache: () => CacheControl | undefined;
  /** The gateway's version. */
  readonly version: string;
  /** Milliseconds since 1970. */
  readonly now: () => number;
  /** Told of a fault of the gateway. */
  readonly onFault: (error: unknown) => void;
}

/** What was done to limits beside their configuration. */
export interface AuditLine {
  readonly action: "override" | "override_removed" | "usage_reset";
  /** Ids of the limits. */
  readonly limits: readonly string[];
  readonly override?: Document;
  /** Whence it was asked for. */
  readonly remoteAddress: string;
}

/** True for paths that {@link handle} answers. */
export function isAdminPath(path: string): boolean {
  return path === "/api" || path.startsWith("/api/");
}

/** Answers a request. Never rejects. */
export async function handle(request: AdminRequest, services: AdminServices): Promise<AdminAnswer> {
  try {
    return await route(request, services);
  } catch (error) {
    const known = error instanceof AdminFailure ? error : storeFailure(error);
    if (known === undefined || known.type === "store_unavailable") services.onFault(error);
    const failure = known ?? new AdminFailure("internal_error", "The gateway failed; its log says why.");
    return answer(failure.status, failureBody(failure), failure.headers);
  }
}

interface Call {
  readonly request: AdminRequest;
  readonly services: AdminServices;
}

function route(request: AdminRequest, services: AdminServices): AdminAnswer | Promise<AdminAnswer> {
  const call: Call = { request, services };
  const segments = decode(request.path.slice("/api/".length));
  const [first, second, third, fourth, fifth, ...more] = segments;
  const hasNoMore = more.length === 0;
  if (first === "governance" && second === "virtual-keys" && third === "quota" && fourth === undefined)
    // The virtual key itself is the credential.
    return methods(call, {
      GET: () => json(200, ownQuota(services.book, request.headers, services.limits(), services.now())),
    });
  checkAccess(request, services.adminToken);
  if (first === "keys" && second === "health" && third === undefined)
    return methods(call, { GET: async () => json(200, { keys: await services.keysHealth() }) });
  if (first === "governance" && hasNoMore) {
    if (second === "budgets" && third !== undefined && fourth === "override") return overrideRoute(call, third);
    const kind = entityKinds.find((one) => kinds[one].segment === second);
    if (kind !== undefined && fifth === undefined) return entityRoute(call, kind, third, fourth);
    if (kind !== undefined && third !== undefined && hasLimits(kind) && fourth === "usage" && fifth === "reset")
      return methods(call, { POST: () => resetUsage(call, kind, third) });
  }
  if (first === "logs") {
    const path = [second, third, fourth, ...more].filter((segment) => segment !== undefined);
    const { query, body } = request;
    const handlers = logHandlers({ path, query, body }, services.logs, services.now());
    if (handlers !== undefined) return methods(call, handlers);
  }
  if (first === "cache") {
    const handlers = cacheRoutes(segments.slice(1), request.query, services.cache());
    if (handlers !== undefined) return methods(call, handlers);
  }
  const overview = first !== undefined && second === undefined ? overviews.get(first) : undefined;
  if (overview !== undefined) return methods(call, { GET: () => json(200, overview(services)) });
  throw new AdminFailure("not_found", `There is no ${request.path.slice(0, 256)} in the management API.`);
}

const overviews: ReadonlyMap<string, (services: AdminServices) => unknown> = new Map([
  ["providers", ({ config }: AdminServices) => showProviders(config())],
  ["keys", ({ config }) => showKeys(config())],
  ["config", ({ config }) => showConfig(config())],
  ["openapi.json", ({ version }) => openApi(version)],
]);

function entityRoute(
  call: Call,
  kind: EntityKind,
  id: string | undefined,
  action: string | undefined,
): AdminAnswer | Promise<AdminAnswer> {
  if (id === undefined) return methods(call, { GET: () => list(call, kind), POST: () => create(call, kind) });
  if (action === undefined) {
    return methods(call, {
      GET: () => one(call, kind, id),
      PUT: () => put(call, kind, id),
      PATCH: () => patch(call, kind, id),
      DELETE: () => remove(call, kind, id),
    });
  }
  if (action === "rotate" && kind === "virtual_keys") return methods(call, { POST: () => rotate(call, id) });
  if (action === "usage" && hasLimits(kind)) return methods(call, { GET: () => usage(call, kind, id) });
  throw new AdminFailure("not_found", `There is no ${call.request.path.slice(0, 256)} in the management API.`);
}

type Handler = (call: Call) => AdminAnswer | Promise<AdminAnswer>;

function methods(call: Call, handlers: Readonly<Record<string, Handler>>): AdminAnswer | Promise<AdminAnswer> {
  const { method } = call.request;
  const handler = Object.hasOwn(handlers, method) ? handlers[method] : undefined;
  if (handler !== undefined) return handler(call);
  const allowed = Object.keys(handlers).join(", ");
  throw new AdminFailure("method_not_allowed", `Only ${allowed} are possible here.`, null, [["allow", allowed]]);
}

function list({ request, services }: Call, kind: EntityKind): AdminAnswer {
  const { limit, offset } = readPage(new URLSearchParams(request.query));
  const all = services.book.list(kind);
  const now = services.now();
  const page = all.slice(offset, offset + limit).map((shown) => show(shown, now));
  return json(200, { [kind]: page, count: page.length, total_count: all.length, limit, offset });
}

function one({ services }: Call, kind: EntityKind, id: string): AdminAnswer {
  return json(200, show(find(services, kind, id), services.now()));
}

async function create({ request, services }: Call, kind: EntityKind): Promise<AdminAnswer> {
  const { id: given, document, version } = readEntityBody(readObject(request.body), undefined);
  if (version !== undefined) throw invalid([{ path: "version", message: "cannot be set" }]);
  // Its path is another page's.
  if (kind === "virtual_keys" && given === "quota") throw invalid([{ path: "id", message: "is reserved" }]);
  const id = given ?? `${kinds[kind].idPrefix}_${randomBytes(10).toString("hex")}`;
  const changed = await services.book.create(kind, id, document);
  return written(201, changed, services, [
    ["location", `/api/governance/${kinds[kind].segment}/${encodeURIComponent(id)}`],
  ]);
}

async function put({ request, services }: Call, kind: EntityKind, id: string): Promise<AdminAnswer> {
  const body = readObject(request.body);
  const { version, document } = readBodyOf(services, kind, id, body);
  return written(200, await services.book.replace(kind, id, version, () => document), services);
}

async function patch({ request, services }: Call, kind: EntityKind, id: string): Promise<AdminAnswer> {
  const body = readObject(request.body);
  const { version, document } = readBodyOf(services, kind, id, body);
  const changed = await services.book.replace(kind, id, version, (record) => ({ ...record.document, ...document }));
  return written(200, changed, services);
}

function readBodyOf(services: AdminServices, kind: EntityKind, id: string, body: Document): EntityBody {
  const shown = find(services, kind, id);
  // That it cannot be changed comes before what is wrong with the change.
  if (shown.source === "file") services.book.refuseFile(kind, id);
  const read = readEntityBody(body, shown.source === "api" ? maskOf(shown.record) : undefined);
  if (read.id !== undefined && read.id !== id) throw invalid([{ path: "id", message: `cannot be changed from ${id}` }]);
  return read;
}

async function remove({ services }: Call, kind: EntityKind, id: string): Promise<AdminAnswer> {
  await services.book.remove(kind, id);
  return answer(204, "");
}

async function rotate({ request, services }: Call, id: string): Promise<AdminAnswer> {
  const { grace_period: grace, ...others } = request.body.length === 0 ? {} : readObject(request.body);
  const unknown = Object.keys(others).map((path) => ({ path, message: "is not a known field" }));
  const graceMs = readGrace(grace);
  if (graceMs === undefined)
    unknown.push({ path: "grace_period", message: "must be 0s, or a duration such as 30s, 5m, 1h or 1d" });
  if (graceMs === undefined || unknown.length > 0) throw invalid(unknown);
  return written(200, await services.book.rotate(id, graceMs), services);
}

function overrideRoute(call: Call, id: string): AdminAnswer | Promise<AdminAnswer> {
  const { services, request } = call;
  const budget = services.limits().find(id);
  if (budget?.kind !== "budget") throw new AdminFailure("not_found", `There is no budget with the id ${id}.`);
  return methods(call, {
    GET: () => {
      const found = services.overrides.find(id);
      if (found === undefined) throw new AdminFailure("not_found", `The budget ${id} has no override.`);
      return json(200, { id, ...found });
    },
    PUT: async () => {
      const override = readOverride(readObject(request.body), services.now());
      await services.overrides.put(id, override);
      services.audit({ action: "override", limits: [id], override, remoteAddress: request.remoteAddress });
      return json(200, { id, ...override });
    },
    DELETE: async () => {
      await services.overrides.remove(id);
      services.audit({ action: "override_removed", limits: [id], remoteAddress: request.remoteAddress });
      return answer(204, "");
    },
  });
}

/** Forgets what an entity has used, of all its limits or of those that are named. */
async function resetUsage({ request, services }: Call, kind: LimitedKind, id: string): Promise<AdminAnswer> {
  find(services, kind, id);
  const named = readResetBody(request.body);
  const own = limitsOf(services.book, kind, id, services.limits()).filter((limit) => limit.kind !== "concurrency");
  const faults = named?.flatMap((name, index) =>
    own.some((limit) => limit.id === name) ? [] : [{ path: `limits[${index}]`, message: "is no limit of this one" }],
  );
  if (faults !== undefined && faults.length > 0) throw invalid(faults);
  const meant = own.filter((limit) => named?.includes(limit.id) ?? true);
  for (const { counter } of meant) counter.forget(services.now());
  await services.saveCounters();
  const limits = meant.map((limit) => limit.id);
  services.audit({ action: "usage_reset", limits, remoteAddress: request.remoteAddress });
  return json(200, usageOf(services.book, kind, id, services.limits(), services.now()));
}

/** Undefined: all limits. */
function readResetBody(body: Uint8Array): readonly string[] | undefined {
  if (body.length === 0) return undefined;
  const { limits, ...others } = readObject(body);
  const faults = Object.keys(others).map((path) => ({ path, message: "is not a known field" }));
  if (limits === undefined && faults.length === 0) return undefined;
  if (Array.isArray(limits) && limits.every((one) => typeof one === "string") && faults.length === 0) return limits;
  if (faults.length === 0) faults.push({ path: "limits", message: "must be a list of ids of limits" });
  throw invalid(faults);
}

function usage({ services }: Call, kind: LimitedKind, id: string): AdminAnswer {
  find(services, kind, id);
  return json(200, usageOf(services.book, kind, id, services.limits(), services.now()));
}

/** Milliseconds. */
function readGrace(grace: unknown): number | undefined {
  if (grace === undefined || grace === null || grace === "0s") return 0;
  return typeof grace === "string" ? parseDuration(grace)?.milliseconds : undefined;
}

/** The answer to a change; the only one that has a virtual key's value, and only when it was made by it. */
function written(
  status: number,
  { shown, value }: Changed,
  services: AdminServices,
  headers: AdminAnswer["headers"] = [],
): AdminAnswer {
  return json(status, show(shown, services.now(), value), headers);
}

function find({ book }: AdminServices, kind: EntityKind, id: string): Shown {
  const shown = book.find(kind, id);
  if (shown === undefined) throw notFound(kind, id);
  return shown;
}

/** The segments of a path, each decoded once. */
function decode(path: string): string[] {
  try {
    return path.replace(/\/+$/, "").split("/").map(decodeURIComponent);
  } catch {
    // Only a malformed escape makes it fail.
    throw invalid([{ path: "", message: "The path is not percent-encoded as it should be." }]);
  }
}
