/** The section `observability` of the configuration file. */
import { z } from "zod";

const dimension = z
  .string()
  .regex(
    /^[a-z][a-z0-9_-]{0,63}$/,
    "must be a name in lower case, such as env or cost-center, of at most 64 characters",
  );
const headerName = z.string().regex(/^[A-Za-z0-9!#$%&'*+.^_`|~-]+$/, "must be the name of a header");
const headerValue = z.string().regex(/^[\t\x20-\x7e\x80-\xff]*$/, "must be a header value without line breaks");
const endpoint = z.string().refine(isHttpUrl, "must be an http or https URL without user, query or fragment");

const requestLogSchema = z.strictObject({
  enabled: z.boolean().default(true).describe("Each finished request becomes a row that /api/logs finds."),
  content: z.boolean().default(false).describe("Rows keep what was asked and answered, with secrets masked."),
  allow_per_request_content_storage_override: z
    .boolean()
    .default(false)
    .describe("x-bf-disable-content-logging: false may switch content on. Switching it off is always possible."),
  max_content_bytes: z
    .int()
    .min(256)
    .max(1024 * 1024)
    .default(65_536)
    .describe("Of the request and of the answer each; what is longer is cut."),
  retention_days: z.number().min(0.001).max(36_500).default(30),
  max_rows: z.int().min(1).max(1_000_000_000).default(10_000_000).describe("Beyond this, the oldest are deleted."),
});

const otelSchema = z.strictObject({
  endpoint: endpoint.nullable().default(null).describe("Where traces go over OTLP/HTTP. Null: nowhere."),
  headers: z.record(headerName, headerValue).default({}).describe("Sent with every export."),
  service_name: z.string().min(1).max(256).default("bifrost"),
  sample_ratio: z.number().min(0).max(1).default(1).describe("Of the traces that begin here."),
  content: z.boolean().default(false).describe("Spans carry what was asked and answered."),
});

/** The section as it is written. */
export const observabilitySchema = z.strictObject({
  dimensions: z
    .array(dimension)
    .max(16)
    .refine(areDistinct, "must differ in more than - and _, which are the same in a label")
    .default([])
    .describe("Of those that x-bf-env and x-bf-dim-<name> name, the ones that become metric labels."),
  slow_request_ms: z
    .number()
    .min(0)
    .max(86_400_000)
    .default(30_000)
    .describe("An answer, or a stream's first event, that takes longer is a line in the log."),
  request_log: requestLogSchema.prefault({}),
  otel: otelSchema.prefault({}),
});

export type ObservabilityConfig = z.output<typeof observabilitySchema>;

function areDistinct(dimensions: readonly string[]): boolean {
  return new Set(dimensions.map((name) => name.replaceAll("-", "_"))).size === dimensions.length;
}

function isHttpUrl(value: string): boolean {
  if (!URL.canParse(value) || /[?#]/.test(value)) return false;
  const url = new URL(value);
  return (url.protocol === "http:" || url.protocol === "https:") && url.username === "" && url.password === "";
}
