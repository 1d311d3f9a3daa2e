/** The request log's part of the OpenAPI description. */
import type { Document } from "../store/store.ts";
import { filterParameters, sorts } from "./logs-filter.ts";

interface Kit {
  readonly operation: (summary: string, responses: Document, more?: Document) => Document;
  readonly ok: (schema: Document) => Document;
  readonly content: (schema: Document) => Document;
  readonly id: Document;
}

export function logPaths({ operation, ok, content, id }: Kit): Document {
  const query = (name: string, description: string, schema: Document = { type: "string" }): Document => ({
    name,
    in: "query",
    description,
    schema,
  });
  const filters = Object.entries(filterParameters).map(([name, text]) => query(name, text));
  const paging = [
    query("limit", "Rows of a page.", { type: "integer", minimum: 1, maximum: 1000, default: 50 }),
    query("offset", "Rows before it.", { type: "integer", minimum: 0, default: 0 }),
    query("sort_by", "", { enum: Object.keys(sorts), default: "timestamp" }),
    query("order", "", { enum: ["desc", "asc"], default: "desc" }),
  ];
  const row = { $ref: "#/components/schemas/LogRow" };
  const list = { type: "object", properties: { logs: { type: "array", items: row }, pagination: { type: "object" } } };
  const object = { type: "object" };
  const sum = (summary: string, more: readonly Document[] = []): Document => ({
    get: operation(summary, ok(object), { parameters: [...filters, ...more] }),
  });
  const bucket = query("bucket_size", "Such as 1m; about sixty buckets where it is left out.");
  const byDimension = [bucket, query("dimension", "Its name.")];
  const measures = ["", "/tokens", "/cost", "/latency", "/throughput"];
  const histograms = measures.flatMap((measure): [string, Document][] => [
    [`/api/logs/histogram${measure}`, sum("What happened when.", [bucket])],
    [`/api/logs/histogram${measure}/by-provider`, sum("The same for each provider.", [bucket])],
    [`/api/logs/histogram${measure}/by-dimension`, sum("The same for each value of a dimension.", byDimension)],
  ]);
  const ids = { type: "object", required: ["ids"], properties: { ids: { type: "array", items: { type: "string" } } } };
  return {
    "/api/logs": {
      get: operation("Requests, by filters; also metadata_<name>=value.", ok(list), {
        parameters: [...filters, ...paging],
      }),
      delete: operation("Deletes rows by their ids.", ok(object), { requestBody: { content: content(ids) } }),
    },
    "/api/logs/{id}": {
      get: operation("All about a request, by its id or its row's.", ok(row), { parameters: [id] }),
    },
    "/api/logs/live": {
      get: operation(
        "Requests as they end, as server-sent events.",
        {
          200: {
            description: "Events log and lost.",
            content: { "text/event-stream": { schema: { type: "string" } } },
          },
        },
        { parameters: filters.filter(({ name }) => !notLive.has(String(name))) },
      ),
    },
    "/api/logs/stats": sum("Sums.", [query("compare_to_previous", "true: also of the time before.")]),
    ...Object.fromEntries(histograms),
    "/api/logs/histogram/models": sum("What happened when, for each model.", [bucket]),
    "/api/logs/rankings": sum("Who or what there was most of.", [
      query("by", "models, providers, virtual_keys, …, metadata_<name>."),
      query("sort_by", "", { enum: ["requests", "tokens", "cost", "errors", "latency"] }),
      query("limit", "", { type: "integer" }),
    ]),
    "/api/logs/filterdata": sum("What there is to filter by."),
    "/api/logs/dropped": { get: operation("Rows that were lost, and that wait.", ok(object)) },
    "/api/logs/sessions/{id}": {
      get: operation("A session's requests and sums.", ok(list), { parameters: [id, ...paging] }),
    },
    "/api/logs/recalculate-cost": {
      post: operation("Works costs out again with the prices in force.", ok(object), { parameters: filters }),
    },
  };
}

const notLive = new Set(["start_time", "end_time", "period", "content_search"]);

const named = { type: ["object", "null"], properties: { id: { type: "string" }, name: { type: "string" } } };
const text = { type: ["string", "null"] };
const count = { type: ["integer", "null"] };
const milliseconds = { type: ["number", "null"], description: "Milliseconds." };

export const logRowSchema: Document = {
  type: "object",
  properties: {
    id: { type: "string" },
    request_id: { type: "string" },
    timestamp: { type: "string", format: "date-time" },
    operation: { type: "string" },
    stream: { type: "boolean" },
    outcome: { enum: ["success", "error", "cancelled"] },
    status: { type: "integer" },
    asked_model: text,
    provider: text,
    model: text,
    key: named,
    virtual_key: named,
    team: named,
    customer: named,
    input_tokens: count,
    output_tokens: count,
    cache_read_tokens: count,
    cache_write_tokens: count,
    total_tokens: count,
    usage_estimated: { type: "boolean" },
    cost: { type: ["number", "null"], description: "USD; null: not known." },
    stop_reason: text,
    latency: milliseconds,
    upstream_latency: milliseconds,
    first_event_latency: milliseconds,
    error_type: text,
    error_class: text,
    message: text,
    limit: text,
    attempt_count: { type: "integer" },
    fallback_index: { type: "integer" },
    routing_rules: { type: "array", items: { type: "string" } },
    cache: { type: ["object", "null"] },
    metadata: { type: "object", description: "Dimensions." },
    session_id: text,
    trace_id: text,
    span_id: text,
    attempts: { type: "array", items: { type: "object" }, description: "Of one request alone." },
    trail: { type: "array", items: { type: "string" }, description: "Of one request alone: what was decided." },
    content: { type: ["object", "null"], description: "Of one request alone, where it is kept." },
    same_request_id: { type: "array", items: { type: "string" }, description: "Other rows of the request's id." },
  },
};
