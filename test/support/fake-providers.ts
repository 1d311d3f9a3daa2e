/**
 * Fake providers on loopback ports. Each checks what it receives as strictly as the real one, refuses what the real one
 * refuses, and collects it in `violations`; it answers as scripted, in its own form, whole or streamed as it was asked.
 */
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import { buffer } from "node:stream/consumers";
import { isJsonObject, type JsonObject } from "../../src/bedrock/json.ts";
import { textOf } from "../../src/providers/answer.ts";
import type { Answer, StreamAnswer, StreamEnding, UnaryAnswer } from "./answers.ts";
import { writeParts } from "./fake-bedrock.ts";
import { anthropicWire } from "./providers/anthropic.ts";
import { cohereWire } from "./providers/cohere.ts";
import { geminiWire } from "./providers/gemini.ts";
import { mistralWire } from "./providers/mistral.ts";
import { openaiWire } from "./providers/openai.ts";
import type { Said } from "./providers/said.ts";
import type { Asked, Wire } from "./providers/wire.ts";
import { sleep, until } from "./wait.ts";

/** A request as it came. */
export interface ProviderRequest extends Asked {
  readonly model: string;
  /** Of the credential it came with. */
  readonly key: string;
  /** `Date.now()` when the whole request had arrived. */
  readonly receivedAt: number;
  /** The gateway left before the answer was complete. */
  readonly aborted: boolean;
  /** `Date.now()` when the answer was complete or its connection closed. */
  readonly closedAt: number | undefined;
  /** Bytes of the answer's body given to the socket. */
  readonly bytesSent: number;
}

/** What is said, in the form that was asked for; or bytes, as they are. */
export type Script = Said | Answer | ((request: ProviderRequest) => Said | Answer | Promise<Said | Answer>);

export interface FakeProvider extends AsyncDisposable {
  readonly wire: Wire;
  /** `http://127.0.0.1:<port>` */
  readonly url: string;
  readonly requests: readonly ProviderRequest[];
  /** What was wrong with requests. Tests expect it to be empty. */
  readonly violations: readonly string[];
  /** Answers every request for this model like this from now on. */
  when(model: string, script: Script): void;
  /** Answers the next requests that `when` does not know, one each. */
  queue(...scripts: Script[]): void;
  /** Waits for a request for this model. */
  seen(model: string): Promise<ProviderRequest>;
  /** The body of the last request. */
  lastBody(): JsonObject;
  /** A streamed answer with a say in how it comes. */
  stream(said: Said, how?: StreamOptions): StreamAnswer;
  /** An error in the provider's own form. */
  failure(status: number, message: string, how?: FailureOptions): UnaryAnswer;
  /** Forgets requests, violations and scripts. */
  reset(): void;
}

export interface StreamOptions {
  /** Milliseconds before each event. */
  readonly pauseMs?: number;
  /** How many of the events are sent; a negative number counts from the end. */
  readonly upTo?: number;
  readonly ending?: StreamEnding;
  /** Follows the events. */
  readonly tail?: string;
  /** Cuts the bytes into chunks of this size, wherever that is. */
  readonly cutEvery?: number;
}

export interface FailureOptions {
  /** The provider's word for it, where it has one. */
  readonly word?: string;
  readonly headers?: Readonly<Record<string, string>>;
}

export type ProviderName = "openai" | "anthropic" | "gemini" | "cohere" | "mistral";

export const providerNames: readonly ProviderName[] = ["openai", "anthropic", "gemini", "cohere", "mistral"];

const wires: Readonly<Record<ProviderName, Wire>> = {
  openai: openaiWire(),
  anthropic: anthropicWire,
  gemini: geminiWire(),
  cohere: cohereWire,
  mistral: mistralWire,
};

/** The key a fake takes. */
export function keyOf(name: string): string {
  return `canary-key-of-${name}-NeverInLogs0123456789`;
}

export type FakeProviders = AsyncDisposable & {
  readonly [name in ProviderName]: FakeProvider;
} & {
  readonly all: readonly FakeProvider[];
  /** Configuration's `providers`: each fake under its name with one key. */
  config(changes?: {
    readonly network?: object;
    readonly keys?: (name: ProviderName) => readonly object[];
  }): Record<string, object>;
  reset(): void;
  violations(): readonly string[];
};

/** All five, each with its own key and those of the options. */
export async function startFakeProviders(
  options: { readonly moreKeys?: readonly string[] } = {},
): Promise<FakeProviders> {
  const start = (name: ProviderName) =>
    startFakeProvider(wires[name], { keys: [keyOf(name), ...(options.moreKeys ?? [])] });
  const [openai, anthropic, gemini, cohere, mistral] = await Promise.all([
    start("openai"),
    start("anthropic"),
    start("gemini"),
    start("cohere"),
    start("mistral"),
  ]);
  const byName = { openai, anthropic, gemini, cohere, mistral };
  const all = Object.values(byName);
  return {
    ...byName,
    all,
    config: ({ network = {}, keys = (name: ProviderName) => [{ name: "main", value: keyOf(name) }] } = {}) =>
      Object.fromEntries(
        providerNames.map((name) => [
          name,
          { keys: keys(name), network_config: { base_url: byName[name].url, max_retries: 0, ...network } },
        ]),
      ),
    reset: () => {
      for (const fake of all) fake.reset();
    },
    violations: () => all.flatMap((fake) => fake.violations),
    [Symbol.asyncDispose]: async () => {
      await Promise.all(all.map((fake) => fake[Symbol.asyncDispose]()));
    },
  };
}

/** A gateway sends none of these to a provider: its own control, its client's credentials, AWS's headers. */
const forbidden =
  /^(?:x-bf-.*|x-bifrost-.*|x-amz.*|amz-sdk-.*|x-forwarded-.*|forwarded|keep-alive|proxy-.*|te|trailer|transfer-encoding|upgrade|expect|http2-settings|cookie|x-model-provider|x-request-id)$/;
const credentials = ["authorization", "x-api-key", "api-key", "x-goog-api-key"];

interface Live extends ProviderRequest {
  aborted: boolean;
  closedAt: number | undefined;
  bytesSent: number;
}

export async function startFakeProvider(
  wire: Wire,
  { keys }: { readonly keys: readonly string[] },
): Promise<FakeProvider> {
  const requests: Live[] = [];
  const violations: string[] = [];
  const scripts = new Map<string, Script>();
  const queued: Script[] = [];

  const serve = async (message: IncomingMessage, response: ServerResponse) => {
    const { live, wrong } = await receive(message, wire, keys);
    response.on("close", () => {
      live.closedAt = Date.now();
      live.aborted = !response.writableFinished;
    });
    requests.push(live);
    violations.push(...wrong.map((what) => `${message.method} ${message.url}: ${what}`));
    const [first] = wrong;
    if (first !== undefined) {
      await respond(response, live, failureOf(wire, 400, first));
      return;
    }
    const script = scripts.get(live.model) ?? queued.shift() ?? usual(wire, live);
    const answer = typeof script === "function" ? await script(live) : script;
    await respond(response, live, "kind" in answer ? answer : spoken(wire, live, answer));
  };

  const server = createServer({ keepAliveTimeout: 30_000, requestTimeout: 0 });
  server.on("request", (message, response) => {
    serve(message, response).catch((error: unknown) => {
      if (!message.complete || response.destroyed) return;
      violations.push(`the fake failed: ${String(error)}`);
      response.destroy();
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", 1024, resolve));
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("the fake has no port");

  return {
    wire,
    url: `http://127.0.0.1:${address.port}`,
    requests,
    violations,
    when: (model, script) => void scripts.set(model, script),
    queue: (...more) => void queued.push(...more),
    seen: (model) => until(`a request for ${model}`, () => requests.findLast((one) => one.model === model)),
    lastBody: () => requests.at(-1)?.body ?? {},
    stream: (said, how = {}) => streamOf(wire.events(said, "fake-model"), how),
    failure: (status, message, how = {}) => failureOf(wire, status, message, how),
    reset: () => {
      requests.length = 0;
      violations.length = 0;
      scripts.clear();
      queued.length = 0;
    },
    [Symbol.asyncDispose]: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

// What comes in

async function receive(
  message: IncomingMessage,
  wire: Wire,
  keys: readonly string[],
): Promise<{ readonly live: Live; readonly wrong: readonly string[] }> {
  const bytes = await buffer(message);
  const { method = "", url = "", headers, rawHeaders } = message;
  const [path = "", query = ""] = url.split("?");
  const [operation, pattern] = wire.operations.find(([, one]) => one.test(url)) ?? [];
  const wrong = inspect(method, rawHeaders, headers);
  if (operation === undefined) wrong.push("there is nothing at this path");
  const body = parse(bytes, wrong);
  const inPath = pattern?.exec(url)?.[1];
  const model = inPath === undefined ? textOf(body.model) : decodeURIComponent(inPath);
  const key = keys.find((candidate) => {
    const [name, value] = wire.auth(candidate);
    return headers[name] === value;
  });
  const given = credentials.filter((name) => headers[name] !== undefined);
  if (key === undefined && keys.length > 0) wrong.push(`no known key in ${given.join(", ") || "any header"}`);
  if (given.length > 1 || (keys.length === 0 && given.length > 0)) wrong.push(`credentials in ${given.join(", ")}`);
  const live: Live = {
    operation: operation ?? "chat",
    path,
    query,
    headers,
    body,
    model,
    key: key ?? "",
    receivedAt: Date.now(),
    aborted: false,
    closedAt: undefined,
    bytesSent: 0,
  };
  if (wrong.length > 0) return { live, wrong };
  try {
    wire.check(live, model);
  } catch (error) {
    wrong.push(`${error instanceof Error ? error.message : String(error)} in ${bytes.toString().slice(0, 2000)}`);
  }
  return { live, wrong };
}

function inspect(method: string, rawHeaders: readonly string[], headers: IncomingMessage["headers"]): string[] {
  const wrong: string[] = [];
  if (method !== "POST") wrong.push("the method is not POST");
  if (headers["content-type"] !== "application/json") wrong.push(`content-type: ${headers["content-type"]}`);
  if (headers["content-length"] === undefined) wrong.push("content-length is missing");
  if (headers["user-agent"] !== "bifrost-ts") wrong.push(`user-agent: ${headers["user-agent"]}`);
  const names = rawHeaders.filter((_, index) => index % 2 === 0).map((name) => name.toLowerCase());
  for (const name of names) if (forbidden.test(name)) wrong.push(`header ${name} went to the provider`);
  if (new Set(names).size !== names.length) wrong.push(`a header came twice: ${names.join(" ")}`);
  return wrong;
}

function parse(bytes: Buffer, wrong: string[]): JsonObject {
  try {
    const parsed: unknown = JSON.parse(bytes.toString("utf8"));
    if (isJsonObject(parsed)) return parsed;
    wrong.push("the body is no object");
  } catch (error) {
    wrong.push(`the body is not JSON: ${String(error)}`);
  }
  return {};
}

// What goes out

const hello: Said = { text: "Hello from the fake." };

/** What is answered when nothing is scripted. */
function usual(wire: Wire, asked: Asked): Said | Answer {
  switch (asked.operation) {
    case "chat":
      return hello;
    case "count":
      return json(200, wire.count(42));
    case "embed":
      return json(200, wire.embeddings(asked, vectorOf));
  }
}

/** Not of length one, so that it shows who makes it so. */
function vectorOf(text: string): readonly number[] {
  return [3, text.length, 0.5];
}

function spoken(wire: Wire, asked: ProviderRequest, said: Said): Answer {
  return wire.streams(asked) ? streamOf(wire.events(said, asked.model), {}) : json(200, wire.whole(said, asked.model));
}

function streamOf(events: readonly string[], how: StreamOptions): StreamAnswer {
  const { pauseMs, upTo = events.length, ending = "end", tail = "", cutEvery } = how;
  const sent = [...events.slice(0, upTo), ...(tail === "" ? [] : [tail])];
  const bytes = sent.map((event) => Buffer.from(event));
  const chunks = cutEvery === undefined ? bytes : cut(Buffer.concat(bytes), cutEvery);
  return {
    kind: "stream",
    headers: { "content-type": "text/event-stream; charset=utf-8", "cache-control": "no-cache" },
    parts: pauseMs === undefined ? chunks : chunks.flatMap((chunk) => [pauseMs, chunk]),
    ending,
  };
}

function cut(bytes: Buffer, size: number): Buffer[] {
  return Array.from({ length: Math.ceil(bytes.length / size) }, (_, index) =>
    bytes.subarray(index * size, (index + 1) * size),
  );
}

function failureOf(wire: Wire, status: number, message: string, how: FailureOptions = {}): UnaryAnswer {
  return json(status, wire.refusal(status, message, how.word), how.headers);
}

function json(status: number, body: JsonObject, headers: Readonly<Record<string, string>> = {}): UnaryAnswer {
  return {
    kind: "unary",
    status,
    headers: { "content-type": "application/json", ...headers },
    body: Buffer.from(JSON.stringify(body)),
  };
}

async function respond(response: ServerResponse, live: Live, answer: Answer): Promise<void> {
  if (answer.delayMs !== undefined) await sleep(answer.delayMs);
  if (response.destroyed) return;
  if (answer.kind === "unary") {
    response.writeHead(answer.status, { ...answer.headers, "content-length": String(answer.body.length) });
    response.end(answer.body);
    live.bytesSent = answer.body.length;
    return;
  }
  response.writeHead(200, answer.headers);
  response.flushHeaders();
  response.socket?.setNoDelay(true);
  await writeParts(response, live, answer);
}
