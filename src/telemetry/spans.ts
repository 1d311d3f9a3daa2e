/**
 * A finished request as spans, in OTLP's JSON: one for the request, below it one for its admission, one for each look
 * into the cache and one for each attempt. Written as text at once: these are the objects that a traced request would
 * otherwise leave behind by dozens.
 * https://opentelemetry.io/docs/specs/otlp/#json-protobuf-encoding
 */
import type { HttpRoute } from "./metrics.ts";
import type { AttemptRecord, CacheRecord, LookupRecord, RequestRecord, TraceContext } from "./request-record.ts";
import { attribute as name, operationNames } from "./semconv.ts";
import type { ExportFrame } from "./span-batch.ts";
import { newSpanId } from "./trace-context.ts";

/** What a thread knows that a record does not say. */
export interface SpanContext {
  /** `gen_ai.provider.name` of each configured provider. */
  readonly providers: ReadonlyMap<string, string>;
  /** Where each operation is served. */
  readonly routes: ReadonlyMap<string, HttpRoute>;
  /** Spans may say what was asked and answered. */
  readonly content: boolean;
}

const kinds = { internal: 1, server: 2, client: 3 } as const;
const maxDimensions = 32;
const maxText = 256;

/** @returns each span as JSON, the request's own first; at least one */
export function spansOf(record: RequestRecord, trace: TraceContext, context: SpanContext): readonly string[] {
  const { arrivedAt, durationMs, attempts, admissionAfterMs, lookups } = record;
  const spans = [requestSpan(record, trace, context)];
  if (admissionAfterMs !== undefined) {
    const end = Math.min(lookups[0]?.startedAfterMs ?? durationMs, attempts[0]?.startedAfterMs ?? durationMs);
    spans.push(
      span({
        trace,
        spanId: newSpanId(),
        parent: trace.spanId,
        kind: "internal",
        title: "admission",
        start: arrivedAt + admissionAfterMs,
        end: arrivedAt + Math.max(end, admissionAfterMs),
        attributes: record.limit === undefined ? "" : text(name.limit, record.limit),
        failed: undefined,
      }),
    );
  }
  for (const lookup of lookups) spans.push(lookupSpan(record, lookup, trace));
  for (const attempt of attempts) spans.push(attemptSpan(record, attempt, trace, context));
  return spans;
}

function requestSpan(record: RequestRecord, trace: TraceContext, context: SpanContext): string {
  const { operation, outcome, status, arrivedAt, durationMs } = record;
  const route = context.routes.get(operation);
  let attributes = route === undefined ? "" : text(name.httpMethod, route.method) + text(name.httpRoute, route.path);
  attributes +=
    int(name.httpStatus, status) +
    text(name.requestId, record.id) +
    text(name.outcome, outcome) +
    genAi(record, context) +
    usageOf(record) +
    whose(record) +
    errorOf(record) +
    (record.cache === undefined ? "" : cacheOf(record.cache));
  let dimensions = 0;
  for (const [dimension, value] of record.dimensions) {
    if (++dimensions > maxDimensions) break;
    attributes += text(name.dimension + dimension.slice(0, maxText), value.slice(0, maxText));
  }
  if (context.content && record.content?.traced === true) {
    attributes += optional(name.requestContent, record.content.request);
    attributes += optional(name.answerContent, record.content.answer);
  }
  // A client's mistakes are no failure of the server; one that comes in a stream that began with 200 is.
  const isFailure = outcome === "error" && (status >= 500 || status < 400);
  return span({
    trace,
    spanId: trace.spanId,
    parent: trace.parentSpanId,
    kind: "server",
    title: route === undefined ? "request" : `${route.method} ${route.path}`,
    start: arrivedAt,
    end: arrivedAt + durationMs,
    attributes,
    failed: isFailure ? (record.message ?? "") : undefined,
  });
}

function lookupSpan({ arrivedAt }: RequestRecord, lookup: LookupRecord, trace: TraceContext): string {
  const start = arrivedAt + lookup.startedAfterMs;
  return span({
    trace,
    spanId: newSpanId(),
    parent: trace.spanId,
    kind: "internal",
    title: "cache lookup",
    start,
    end: start + lookup.durationMs,
    attributes: cacheOf(lookup) + int(name.fallbackIndex, lookup.fallbackIndex),
    failed: undefined,
  });
}

function attemptSpan(
  record: RequestRecord,
  attempt: AttemptRecord,
  trace: TraceContext,
  { providers }: SpanContext,
): string {
  const { provider, model, key, outcome, status, origin } = attempt;
  const operation = operationNames.get(record.operation);
  let attributes =
    optional(name.operation, operation) +
    text(name.provider, providers.get(provider) ?? provider) +
    optional(name.requestModel, model) +
    bool(name.requestStream, record.streams) +
    int(name.httpStatus, status) +
    text(name.outcome, outcome) +
    text(name.configuredProvider, provider) +
    text(name.keyId, key.id) +
    text(name.keyName, key.name) +
    int(name.fallbackIndex, attempt.fallbackIndex);
  if (outcome !== "success")
    attributes +=
      text(name.errorType, attempt.errorType ?? String(status)) + optional(name.errorClass, attempt.errorClass);
  if (origin !== undefined) attributes += addressOf(origin);
  const start = record.arrivedAt + attempt.startedAfterMs;
  return span({
    trace,
    spanId: attempt.spanId ?? newSpanId(),
    parent: trace.spanId,
    kind: "client",
    title: model === undefined ? (operation ?? record.operation) : `${operation ?? record.operation} ${model}`,
    start,
    end: start + attempt.durationMs,
    attributes,
    failed: outcome === "error" ? "" : undefined,
  });
}

function genAi(record: RequestRecord, { providers }: SpanContext): string {
  const { operation, provider, askedModel, model, stopReason, firstEventMs, session } = record;
  return (
    optional(name.operation, operationNames.get(operation)) +
    optional(name.provider, provider === undefined ? undefined : (providers.get(provider) ?? provider)) +
    optional(name.configuredProvider, provider) +
    optional(name.requestModel, askedModel ?? model) +
    optional(name.responseModel, record.outcome === "success" ? model : undefined) +
    bool(name.requestStream, record.streams) +
    (stopReason === undefined ? "" : texts(name.finishReasons, [stopReason])) +
    (firstEventMs === undefined ? "" : double(name.timeToFirstChunk, firstEventMs / 1000)) +
    optional(name.conversation, session)
  );
}

/** Only of the request, not of its attempts: who sums over spans counts each token once. */
function usageOf({ usage, usageEstimated, costMicroUsd }: RequestRecord): string {
  let said = costMicroUsd === undefined ? "" : double(name.cost, costMicroUsd / 1e6);
  if (usage === undefined) return said;
  const { inputTokens, outputTokens, cacheReadInputTokens: read = 0, cacheWriteInputTokens: write = 0 } = usage;
  said += int(name.inputTokens, inputTokens + read + write) + int(name.outputTokens, outputTokens);
  if (read > 0) said += int(name.cacheReadTokens, read);
  if (write > 0) said += int(name.cacheWriteTokens, write);
  return usageEstimated ? said + bool(name.usageEstimated, true) : said;
}

function whose({ identity, key, fallbackIndex, attempts, rules }: RequestRecord): string {
  let said = int(name.fallbackIndex, fallbackIndex) + int(name.attempts, attempts.length);
  if (key !== undefined) said += text(name.keyId, key.id) + text(name.keyName, key.name);
  if (identity !== undefined) {
    said += text(name.virtualKeyId, identity.virtualKey.id) + text(name.virtualKeyName, identity.virtualKey.name);
    said += optional(name.teamName, identity.team?.name) + optional(name.customerName, identity.customer?.name);
  }
  return rules.length === 0 ? said : said + texts(name.rules, rules);
}

function errorOf({ outcome, errorType, errorClass, status, limit }: RequestRecord): string {
  if (outcome === "success") return "";
  const type = errorType === undefined || errorType === "" ? (errorClass ?? String(status)) : errorType;
  return text(name.errorType, type) + optional(name.errorClass, errorClass) + optional(name.limit, limit);
}

function cacheOf({ kind, reason, similarity }: Omit<CacheRecord, "entryId">): string {
  const how = similarity === undefined ? "" : double(name.cacheSimilarity, similarity);
  return text(name.cacheKind, kind) + optional(name.cacheReason, reason) + how;
}

/** @param origin scheme, host and, where it is not the scheme's own, port */
function addressOf(origin: string): string {
  const match = /^(https?):\/\/(.+?)(?::(\d+))?$/.exec(origin);
  if (match === null) return "";
  const [, scheme, host = "", port] = match;
  return text(name.serverAddress, host) + int(name.serverPort, port === undefined ? defaultPort(scheme) : Number(port));
}

function defaultPort(scheme: string | undefined): number {
  return scheme === "http" ? 80 : 443;
}

interface SpanFields {
  readonly trace: TraceContext;
  readonly spanId: string;
  readonly parent: string | undefined;
  readonly kind: keyof typeof kinds;
  readonly title: string;
  /** Milliseconds since 1970. */
  readonly start: number;
  readonly end: number;
  /** Each with a comma behind it. */
  readonly attributes: string;
  /** In words, if there are any; undefined when all went well. */
  readonly failed: string | undefined;
}

const sampledFlag = 1;

function span({ trace, spanId, parent, kind, title, start, end, attributes, failed }: SpanFields): string {
  const { traceId, state } = trace;
  return (
    `{"traceId":"${traceId}","spanId":"${spanId}"` +
    `${parent === undefined ? "" : `,"parentSpanId":"${parent}"`}` +
    `${state === undefined ? "" : `,"traceState":${JSON.stringify(state)}`}` +
    `,"flags":${sampledFlag},"name":${JSON.stringify(title)},"kind":${kinds[kind]}` +
    `,"startTimeUnixNano":"${nanoseconds(start)}","endTimeUnixNano":"${nanoseconds(end)}"` +
    `,"attributes":[${attributes.slice(0, -1)}]` +
    `${failed === undefined ? "" : `,"status":{"code":2,"message":${JSON.stringify(failed)}}`}}`
  );
}

/** Whole microseconds are as exact as a number can be today. */
function nanoseconds(ms: number): string {
  return `${Math.round(ms * 1000)}000`;
}

function text(key: string, value: string): string {
  return `{"key":${JSON.stringify(key)},"value":{"stringValue":${JSON.stringify(value)}}},`;
}

function optional(key: string, value: string | undefined): string {
  return value === undefined ? "" : text(key, value);
}

function texts(key: string, values: readonly string[]): string {
  const list = values.map((value) => `{"stringValue":${JSON.stringify(value)}}`).join();
  return `{"key":"${key}","value":{"arrayValue":{"values":[${list}]}}},`;
}

function int(key: string, value: number): string {
  return `{"key":"${key}","value":{"intValue":"${Math.round(value)}"}},`;
}

function double(key: string, value: number): string {
  return `{"key":"${key}","value":{"doubleValue":${value}}},`;
}

function bool(key: string, value: boolean): string {
  return `{"key":"${key}","value":{"boolValue":${value}}},`;
}

/** What stands around the spans of an export. @param resource attributes of who sends them */
export function exportFrame(
  resource: ReadonlyMap<string, string>,
  scope: { readonly name: string; readonly version: string },
): ExportFrame {
  let attributes = "";
  for (const [key, value] of resource) attributes += text(key, value);
  const open =
    `{"resourceSpans":[{"resource":{"attributes":[${attributes.slice(0, -1)}]},` +
    `"scopeSpans":[{"scope":{"name":${JSON.stringify(scope.name)},"version":${JSON.stringify(scope.version)}},` +
    `"spans":[`;
  return { open, close: "]}]}]}" };
}
