/** The OpenAPI description of the management API, made from the schemas it checks with. */
import { z } from "zod";
import { governanceEntities } from "../config/governance.ts";
import { type Document, type EntityKind, entityKinds } from "../store/store.ts";
import { hasLimits, kinds } from "./kinds.ts";
import { logPaths, logRowSchema } from "./logs-openapi.ts";
import { overrideSchema } from "./overrides.ts";

const parameters = {
  id: { name: "id", in: "path", required: true, schema: { type: "string" } },
  budget: {
    name: "id",
    in: "path",
    required: true,
    schema: { type: "string" },
    description: "As usage tells it, percent-encoded.",
  },
  limit: { name: "limit", in: "query", schema: { type: "integer", minimum: 1, maximum: 1000, default: 100 } },
  offset: { name: "offset", in: "query", schema: { type: "integer", minimum: 0, default: 0 } },
};

/** @param version the gateway's */
export function openApi(version: string): Document {
  const schemas = Object.fromEntries(entityKinds.map((kind) => [kinds[kind].schema, entitySchema(kind)]));
  return {
    openapi: "3.1.0",
    info: { title: "Bifrost management API", version },
    security: [{ adminToken: [] }],
    paths: {
      ...Object.fromEntries(entityKinds.flatMap(entityPaths)),
      "/api/governance/virtual-keys/{id}/rotate": {
        post: operation("Gives a virtual key another value, and shows it once.", ok(ref("VirtualKey")), {
          parameters: [parameters.id],
          requestBody: { content: content({ type: "object", properties: { grace_period: { type: "string" } } }) },
        }),
      },
      "/api/governance/virtual-keys/quota": {
        get: operation("What is left to the virtual key that asks.", ok(ref("Quota")), {
          security: [{ virtualKey: [] }, { virtualKeyBearer: [] }],
        }),
      },
      ...logPaths({ operation, ok, content, id: parameters.id }),
      "/api/governance/budgets/{id}/override": {
        get: operation("The override of a budget.", ok(ref("BudgetOverride")), { parameters: [parameters.budget] }),
        put: operation("Gives a budget another maximum for a time.", ok(ref("BudgetOverride")), {
          parameters: [parameters.budget],
          requestBody: { required: true, content: content(ref("BudgetOverride")) },
        }),
        delete: operation(
          "Takes a budget's override away.",
          { 204: { description: "Deleted." } },
          { parameters: [parameters.budget] },
        ),
      },
      "/api/keys/health": { get: operation("The state of every key.", ok({ type: "object" })) },
      ...cachePaths(),
      "/api/providers": { get: operation("The configured providers, without secrets.", ok({ type: "object" })) },
      "/api/keys": { get: operation("Their keys, without secrets.", ok({ type: "object" })) },
      "/api/config": { get: operation("The configuration file in force, without secrets.", ok({ type: "object" })) },
      "/api/openapi.json": { get: operation("This description.", ok({ type: "object" })) },
    },
    components: {
      securitySchemes: {
        adminToken: { type: "http", scheme: "bearer", description: "BIFROST_ADMIN_TOKEN." },
        virtualKey: { type: "apiKey", in: "header", name: "x-bf-vk" },
        virtualKeyBearer: { type: "http", scheme: "bearer", description: "A virtual key's value." },
      },
      schemas: {
        ...schemas,
        BudgetOverride: overrideBody(),
        Quota: quotaSchema,
        LogRow: logRowSchema,
        Error: errorSchema,
      },
    },
  };
}

const one = (name: string, description: string) => ({ name, in: "query", description, schema: { type: "string" } });
const cacheFilters = [
  one("cache_key", "Entries of this cache key."),
  one("virtual_key", "Entries of this virtual key's id; empty: of clients without one."),
  one("provider", "Entries of this provider."),
  one("model", "Entries of this model."),
];
const deleted = { type: "object", properties: { deleted: { type: "integer" } } };
const cachePath = "/api/cache";
const entryId = {
  ...parameters.id,
  description: "An entry's id, or 16 or more of its first characters.",
};

function cachePaths(): Document {
  return {
    [cachePath]: {
      get: operation("What the semantic cache holds, its hit rates and savings.", ok({ type: "object" })),
    },
    [`${cachePath}/entries`]: {
      get: operation("Lists entries without their content.", ok({ type: "object" }), {
        parameters: [parameters.limit, parameters.offset, ...cacheFilters],
      }),
      delete: operation("Deletes the entries that match all parameters, at least one.", ok(deleted), {
        parameters: [...cacheFilters, { name: "all", in: "query", schema: { const: "true" } }],
      }),
    },
    [`${cachePath}/entries/{id}`]: {
      get: operation("Reads an entry, without its content unless that is allowed.", ok({ type: "object" }), {
        parameters: [entryId, { name: "content", in: "query", schema: { type: "boolean", default: false } }],
      }),
      delete: operation(
        "Deletes an entry.",
        { 204: { description: "Deleted." } },
        {
          parameters: [entryId],
        },
      ),
    },
    [`${cachePath}/clear/{id}`]: {
      delete: operation("Deletes an entry, if it is there.", ok(deleted), { parameters: [entryId] }),
    },
    [`${cachePath}/clear-by-key/{key}`]: {
      delete: operation("Deletes the entries of a cache key.", ok(deleted), {
        parameters: [{ ...parameters.id, name: "key" }],
      }),
    },
  };
}

function entityPaths(kind: EntityKind): [string, Document][] {
  const { segment, schema: name } = kinds[kind];
  const path = `/api/governance/${segment}`;
  const requestBody = { required: true, content: content(ref(name)) };
  const listed = {
    type: "object",
    properties: {
      [kind]: { type: "array", items: ref(name) },
      count: { type: "integer" },
      total_count: { type: "integer" },
      limit: { type: "integer" },
      offset: { type: "integer" },
    },
  };
  const whole = { required: true, content: content(ref(name)) };
  const part = { required: true, content: content({ type: "object", description: "Fields that change." }) };
  const at = { parameters: [parameters.id] };
  const paths: [string, Document][] = [
    [
      path,
      {
        get: operation(`Lists ${segment}.`, ok(listed), { parameters: [parameters.limit, parameters.offset] }),
        post: operation(
          `Creates one of ${segment}.`,
          { 201: { description: "Created.", content: content(ref(name)) } },
          { requestBody },
        ),
      },
    ],
    [
      `${path}/{id}`,
      {
        get: operation(`Reads one of ${segment}.`, ok(ref(name)), at),
        put: operation(`Replaces one of ${segment}.`, ok(ref(name)), { ...at, requestBody: whole }),
        patch: operation(`Changes fields of one of ${segment}.`, ok(ref(name)), { ...at, requestBody: part }),
        delete: operation(`Deletes one of ${segment}.`, { 204: { description: "Deleted." } }, at),
      },
    ],
  ];
  if (!hasLimits(kind)) return paths;
  const reset = { type: "object", properties: { limits: { type: "array", items: { type: "string" } } } };
  return [
    ...paths,
    [`${path}/{id}/usage`, { get: operation("What it has used of its limits.", ok(ref("Quota")), at) }],
    [
      `${path}/{id}/usage/reset`,
      {
        post: operation("Forgets what it has used, of all its limits or of those named.", ok(ref("Quota")), {
          ...at,
          requestBody: { content: content(reset) },
        }),
      },
    ],
  ];
}

function overrideBody(): Document {
  const { $schema: _dialect, properties = {}, ...schema } = z.toJSONSchema(overrideSchema, { io: "input" });
  return { ...schema, properties: { id: { type: "string", readOnly: true }, ...properties } };
}

function operation(summary: string, responses: Document, more: Document = {}): Document {
  const failure = { description: "Refused.", content: content(ref("Error")) };
  return { summary, ...more, responses: { ...responses, default: failure } };
}

function ok(schema: Document): Document {
  return { 200: { description: "OK.", content: content(schema) } };
}

function content(schema: Document): Document {
  return { "application/json": { schema } };
}

function ref(name: string): Document {
  return { $ref: `#/components/schemas/${name}` };
}

/** As it is written: an id may be left to the gateway, and a value cannot be given. */
function entitySchema(kind: EntityKind): Document {
  const {
    $schema: _dialect,
    properties = {},
    required = [],
    ...schema
  } = z.toJSONSchema(governanceEntities[kind], {
    io: "input",
    unrepresentable: "any",
  });
  const { value, previous_values: previous, ...own } = properties;
  const shown = { readOnly: true };
  return {
    ...schema,
    properties: {
      ...own,
      ...(value !== undefined && { value: { type: "string", ...shown, description: "Whole only when it is made." } }),
      ...(previous !== undefined && { previous_values: { type: "array", ...shown } }),
      version: { type: "integer", description: "In a change: the version that is meant." },
      source: { enum: ["file", "api"], ...shown },
      in_force: { type: "boolean", ...shown },
      problem: { type: "object", ...shown, description: "Why it is not in force." },
      created_at: { type: "string", format: "date-time", ...shown },
      updated_at: { type: "string", format: "date-time", ...shown },
    },
    required: required.filter((name) => name !== "id" && name !== "value"),
  };
}

const quotaSchema = {
  type: "object",
  properties: {
    limits: {
      type: "array",
      items: {
        type: "object",
        properties: {
          id: { type: "string" },
          holder: { type: "string" },
          holder_id: { type: "string" },
          kind: { enum: ["requests", "tokens", "budget", "concurrency"] },
          max_limit: { type: "number", description: "USD for budgets, else a count." },
          override: { type: ["object", "null"], description: "Of a budget that has another maximum for a time." },
          current_usage: { type: "number" },
          reserved: { type: "number" },
          remaining: { type: "number" },
          reset_duration: { type: ["string", "null"] },
          calendar_aligned: { type: "boolean" },
          resets_at: { type: ["string", "null"], format: "date-time" },
        },
      },
    },
  },
};

const errorSchema = {
  type: "object",
  properties: {
    error: {
      type: "object",
      required: ["type", "message", "path"],
      properties: {
        type: { type: "string" },
        message: { type: "string" },
        path: { type: ["string", "null"], description: "The field that is wrong." },
      },
    },
  },
};
