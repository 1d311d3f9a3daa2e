/**
 * A collector of traces on a loopback port: takes OTLP/HTTP in JSON, checks it against the shape the protocol has, and
 * keeps the spans.
 */
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import { buffer } from "node:stream/consumers";
import { gunzipSync } from "node:zlib";
import { until } from "./wait.ts";

type Value = string | number | boolean | readonly Value[];

export interface Span {
  readonly traceId: string;
  readonly spanId: string;
  readonly parentSpanId: string | undefined;
  readonly traceState: string | undefined;
  readonly name: string;
  readonly kind: "internal" | "server" | "client";
  /** Milliseconds since 1970. */
  readonly start: number;
  readonly end: number;
  readonly attributes: Readonly<Record<string, Value>>;
  /** The message of a span that failed; undefined for one that did not. */
  readonly failed: string | undefined;
  readonly resource: Readonly<Record<string, Value>>;
}

export interface FakeCollector extends AsyncDisposable {
  readonly url: string;
  readonly spans: readonly Span[];
  /** One an export, as they came. */
  readonly exports: readonly {
    readonly path: string;
    readonly headers: IncomingMessage["headers"];
    readonly text: string;
  }[];
  /** What was wrong with exports. Tests expect it to be empty. */
  readonly violations: readonly string[];
  /** How the next exports are answered: with a status, or never. After them 200. */
  answers: (Answer | "never")[];
  /** Waits for the spans of a trace, its request's included. */
  trace(find: (span: Span) => boolean): Promise<Trace>;
}

export interface Answer {
  readonly status: number;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string;
}

/** A request's span and those below it. */
export interface Trace {
  readonly request: Span;
  readonly admission: Span | undefined;
  readonly attempts: readonly Span[];
}

export async function startFakeCollector(): Promise<FakeCollector> {
  const spans: Span[] = [];
  const exports: FakeCollector["exports"][number][] = [];
  const violations: string[] = [];
  const server = createServer((message, response) => {
    void take(message, response).catch((error: unknown) => {
      violations.push(String(error));
      response.writeHead(400).end();
    });
  });
  const take = async (message: IncomingMessage, response: ServerResponse) => {
    const raw = await buffer(message);
    const text = (message.headers["content-encoding"] === "gzip" ? gunzipSync(raw) : raw).toString();
    exports.push({ path: message.url ?? "", headers: message.headers, text });
    if (message.method !== "POST") violations.push(`the method is ${message.method}`);
    if (message.headers["content-type"] !== "application/json") violations.push("the content type is not JSON");
    const answer = collector.answers.shift() ?? { status: 200, body: '{"partialSuccess":{}}' };
    if (answer === "never") return;
    const { status, headers = {}, body = "{}" } = answer;
    if (status < 300) spans.push(...readExport(text));
    response.writeHead(status, { "content-type": "application/json", ...headers }).end(body);
  };
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("the collector has no port");
  const collector: FakeCollector = {
    url: `http://127.0.0.1:${address.port}`,
    spans,
    exports,
    violations,
    answers: [],
    trace: async (find) => {
      const request = await until("a request's span", () => spans.find((span) => span.kind === "server" && find(span)));
      const below = spans.filter(({ parentSpanId }) => parentSpanId === request.spanId);
      return {
        request,
        admission: below.find(({ name }) => name === "admission"),
        attempts: below.filter(({ kind }) => kind === "client").sort((a, b) => a.start - b.start),
      };
    },
    [Symbol.asyncDispose]: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
  return collector;
}

/** @throws Error naming what is not as OTLP's JSON has it */
function readExport(text: string): Span[] {
  const body = object(JSON.parse(text), "the export");
  only(body, ["resourceSpans"]);
  return list(body.resourceSpans).flatMap((one) => {
    const { resource, scopeSpans } = only(object(one, "resourceSpans"), ["resource", "scopeSpans"]);
    const about = attributesOf(object(resource, "resource").attributes);
    if (typeof about["service.name"] !== "string") throw new Error("the resource has no service.name");
    return list(scopeSpans).flatMap((scoped) => {
      const { scope, spans } = only(object(scoped, "scopeSpans"), ["scope", "spans"]);
      if (typeof object(scope, "scope").name !== "string") throw new Error("the scope has no name");
      return list(spans).map((span) => readSpan(object(span, "span"), about));
    });
  });
}

const kinds = new Map<unknown, Span["kind"]>([
  [1, "internal"],
  [2, "server"],
  [3, "client"],
]);
const members = [
  "traceId",
  "spanId",
  "parentSpanId",
  "traceState",
  "flags",
  "name",
  "kind",
  "startTimeUnixNano",
  "endTimeUnixNano",
  "attributes",
  "status",
];

function readSpan(span: Readonly<Record<string, unknown>>, resource: Span["resource"]): Span {
  only(span, members);
  const kind = kinds.get(span.kind);
  if (kind === undefined) throw new Error(`there is no kind ${String(span.kind)}`);
  if (span.flags !== 1) throw new Error("the flags do not say sampled");
  const start = milliseconds(span.startTimeUnixNano);
  const end = milliseconds(span.endTimeUnixNano);
  if (end < start) throw new Error("a span ends before it begins");
  const status = span.status === undefined ? undefined : only(object(span.status, "status"), ["code", "message"]);
  if (status !== undefined && status.code !== 2) throw new Error("the status is not an error's");
  return {
    traceId: hex(span.traceId, 32),
    spanId: hex(span.spanId, 16),
    parentSpanId: span.parentSpanId === undefined ? undefined : hex(span.parentSpanId, 16),
    traceState: span.traceState === undefined ? undefined : String(span.traceState),
    name: string(span.name),
    kind,
    start,
    end,
    attributes: attributesOf(span.attributes),
    failed: status === undefined ? undefined : string(status.message),
    resource,
  };
}

function attributesOf(value: unknown): Record<string, Value> {
  const found: Record<string, Value> = {};
  for (const one of list(value)) {
    const { key, value: said } = only(object(one, "attribute"), ["key", "value"]);
    const name = string(key);
    if (name in found) throw new Error(`the attribute ${name} is there twice`);
    found[name] = readValue(object(said, name));
  }
  return found;
}

function readValue(value: Readonly<Record<string, unknown>>): Value {
  const [first, more] = Object.entries(value);
  if (first === undefined || more !== undefined) throw new Error("a value is of one type");
  const [kind, said] = first;
  switch (kind) {
    case "stringValue":
      return string(said);
    case "intValue":
      if (typeof said !== "string" || !/^-?\d+$/.test(said)) throw new Error("an intValue is no decimal string");
      return Number(said);
    case "doubleValue":
      if (typeof said !== "number") throw new Error("a doubleValue is no number");
      return said;
    case "boolValue":
      if (typeof said !== "boolean") throw new Error("a boolValue is none");
      return said;
    case "arrayValue":
      return list(object(said, "arrayValue").values).map((one) => readValue(object(one, "arrayValue")));
    default:
      throw new Error(`there is no value of the type ${kind}`);
  }
}

function object(value: unknown, what: string): Readonly<Record<string, unknown>> {
  if (typeof value !== "object" || value === null || Array.isArray(value)) throw new Error(`${what} is no object`);
  return { ...value };
}

function only(value: Readonly<Record<string, unknown>>, names: readonly string[]): Readonly<Record<string, unknown>> {
  for (const name in value) if (!names.includes(name)) throw new Error(`there is no member ${name}`);
  return value;
}

function list(value: unknown): readonly unknown[] {
  if (!Array.isArray(value)) throw new Error("a list is none");
  return value;
}

function string(value: unknown): string {
  if (typeof value !== "string") throw new Error(`${String(value)} is no text`);
  return value;
}

function hex(value: unknown, digits: number): string {
  const text = string(value);
  if (!new RegExp(`^[0-9a-f]{${digits}}$`).test(text) || /^0+$/.test(text)) throw new Error(`${text} is no id`);
  return text;
}

function milliseconds(value: unknown): number {
  if (typeof value !== "string" || !/^\d{19}$/.test(value)) throw new Error(`${String(value)} is no time`);
  return Number(value) / 1e6;
}
