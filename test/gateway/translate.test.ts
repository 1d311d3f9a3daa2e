import { describe, expect, test } from "vitest";
import { isJsonObject } from "../../src/bedrock/json.ts";
import { matchOperation } from "../../src/bedrock/operations.ts";
import { ActiveRequest } from "../../src/gateway/active-request.ts";
import type { TranslatedKey, TranslatedProvider } from "../../src/gateway/providers.ts";
import { readTranslateCall, translate } from "../../src/gateway/translate.ts";
import { CredentialsError } from "../../src/upstream/credentials.ts";
import {
  type BodyReader,
  type Sent,
  Upstream,
  UpstreamError,
  type UpstreamRequest,
} from "../../src/upstream/dispatch.ts";
import { Secret } from "../../src/upstream/secret.ts";
import { FakeExchange } from "../support/fake-exchange.ts";
import { keyPool } from "../support/key-pool.ts";

interface Answered {
  readonly status?: number;
  readonly type?: string;
  readonly body: string;
  /** The body does not end. */
  readonly hangs?: boolean;
}

/** What the upstream does with the call. */
type Deed = Answered | UpstreamError | "hang";

class FakeUpstream extends Upstream {
  readonly sent: UpstreamRequest[] = [];
  cancelled = 0;
  readonly #deed: Deed;

  constructor(deed: Deed) {
    super();
    this.#deed = deed;
  }

  override send(request: UpstreamRequest): Sent {
    this.sent.push(request);
    const deed = this.#deed;
    let reader: BodyReader | undefined;
    let reject: (error: UpstreamError) => void = () => undefined;
    const answer = new Promise<Awaited<Sent["answer"]>>((resolve, refuse) => {
      reject = refuse;
      if (deed instanceof UpstreamError) refuse(deed);
      else if (deed !== "hang") {
        const { status = 200, type = "application/json", body, hangs = false } = deed;
        resolve({
          status,
          headers: { "content-type": type },
          collect: () => Promise.resolve(Buffer.from(body)),
          read: (to) => {
            reader = to;
            queueMicrotask(() => {
              to.data([Buffer.from(body)]);
              if (!hangs) to.end();
            });
          },
          pause: () => undefined,
          resume: () => undefined,
        });
      }
    });
    const cancel = () => {
      this.cancelled++;
      const error = new UpstreamError("cancelled", "the upstream call was cancelled");
      reject(error);
      reader?.error(error);
    };
    return { answer, cancel };
  }
}

const secret = "canary-key";
const key: TranslatedKey = {
  id: "a",
  name: "a",
  enabled: true,
  weight: 1,
  models: ["*"],
  blacklisted_models: [],
  aliases: {},
  origin: "http://127.0.0.1:1",
  pathPrefix: "/behind",
  credential: { scheme: "bearer", current: () => new Secret(secret) },
  azure: undefined,
  vertex: undefined,
};

interface Setup {
  readonly deed?: Deed;
  readonly action?: string;
  readonly body?: object;
  readonly type?: string;
  readonly key?: Partial<TranslatedKey>;
  readonly patienceMs?: number;
  readonly headers?: readonly (readonly [string, string])[];
}

const hello = {
  choices: [{ message: { content: "Hello." }, finish_reason: "stop" }],
  usage: { prompt_tokens: 3, completion_tokens: 2 },
};
const ok: Answered = { body: JSON.stringify(hello) };
const turn = { messages: [{ role: "user", content: [{ text: "hi" }] }] };

async function run({ deed = ok, action = "converse", body = turn, type = "openai", ...setup }: Setup = {}) {
  const route = matchOperation("POST", `/model/m/${action}`);
  if (route === undefined) throw new Error(`no operation ${action}`);
  const exchange = new FakeExchange();
  const request = new ActiveRequest(exchange);
  const provider: TranslatedProvider = {
    kind: "translated",
    type,
    name: "ours",
    network: {
      max_conns_per_host: 1,
      default_request_timeout_in_seconds: 1,
      stream_idle_timeout_in_seconds: 1,
      allow_private_network: false,
      ca_cert_pem: null,
      insecure_skip_verify: false,
      proxy_url: null,
    },
    extraHeaders: [
      ["x-extra", "operator's"],
      ["user-agent", "somebody"],
    ],
    retries: { max: 0, initialBackoffMs: 0, maxBackoffMs: 0 },
    streamStartMs: 0,
    keys: [],
    pool: keyPool<TranslatedKey>([]),
    secrets: [secret],
  };
  const upstream = new FakeUpstream(deed);
  const buffer = Buffer.from(JSON.stringify(body));
  const headers = setup.headers ?? [["x-client", "client's"] as const, ["x-extra", "client's"] as const];
  const call = readTranslateCall(request, route, "m", buffer, headers, provider.name);
  const patient = { ...call, patienceMs: setup.patienceMs };
  const attempted = translate(request, patient, provider, { ...key, ...setup.key }, "model-1", upstream);
  return { attempted, upstream, exchange, request };
}

async function failureOf(setup: Setup) {
  const { attempted, upstream } = await run(setup);
  const result = await attempted;
  if (result.kind !== "failure") throw new Error(`it is no failure but ${result.kind}`);
  return { ...result, upstream };
}

describe("the request to a provider", () => {
  test("goes to the key's place, with the key and the gateway's own headers, which win over the operator's and the client's", async () => {
    const { attempted, upstream } = await run();
    await attempted;
    const [sent] = upstream.sent;
    expect(sent).toMatchObject({ method: "POST", origin: "http://127.0.0.1:1", path: "/behind/v1/chat/completions" });
    expect(new Map(sent?.headers)).toEqual(
      new Map([
        ["x-client", "client's"],
        ["x-extra", "operator's"],
        ["user-agent", "bifrost-ts"],
        ["content-type", "application/json"],
        ["accept", "application/json"],
        ["authorization", `Bearer ${secret}`],
        ["accept-encoding", "identity"],
      ]),
    );
    expect(JSON.parse(Buffer.from(sent?.body ?? []).toString())).toMatchObject({ model: "model-1" });
  });

  test("has no credential where the server wants none", async () => {
    const { attempted, upstream } = await run({ key: { credential: undefined } });
    await attempted;
    expect(upstream.sent[0]?.headers.some(([name]) => name === "authorization")).toBe(false);
  });

  test("is not sent for what the provider cannot carry: another target may, another key cannot", async () => {
    const body = { ...turn, promptVariables: { a: { text: "b" } } };
    const { retry, elsewhere, reply, upstream } = await failureOf({ body });
    expect({ retry, elsewhere, type: reply.type }).toEqual({
      retry: "nobody",
      elsewhere: true,
      type: "ValidationException",
    });
    expect(upstream.sent).toEqual([]);
  });

  test("is not sent when there is no credential to be had, and another key may have one", async () => {
    const credential = { scheme: "google-oauth" as const, current: () => Promise.reject(new CredentialsError("none")) };
    const { retry, reply, upstream } = await failureOf({ key: { credential } });
    expect([retry, reply.type]).toEqual(["other_credential", "ServiceUnavailableException"]);
    expect(upstream.sent).toEqual([]);
  });

  test("is not read at all for an operation the lane does not know", async () => {
    const request = new ActiveRequest(new FakeExchange());
    const route = matchOperation("POST", "/guardrail/g/version/1/apply");
    if (route === undefined) throw new Error("no such operation");
    expect(() => readTranslateCall(request, route, undefined, Buffer.from("{}"), [], "ours")).toThrow(
      /The provider ours does not serve ApplyGuardrail/,
    );
  });
});

describe("a whole answer", () => {
  test("is written in the client's form, with usage and latency", async () => {
    const { attempted } = await run();
    const answer = await attempted;
    if (answer.kind !== "answer") throw new Error(answer.kind);
    const body: unknown = JSON.parse(String(answer.body));
    expect(body).toMatchObject({
      output: { message: { role: "assistant", content: [{ text: "Hello." }] } },
      stopReason: "end_turn",
      usage: { inputTokens: 3, outputTokens: 2, totalTokens: 5 },
      metrics: { latencyMs: expect.any(Number) },
    });
    expect(answer.usage).toEqual({ inputTokens: 3, outputTokens: 2 });
    expect(answer.headers).toEqual([["content-type", "application/json"]]);
  });

  test("says what was left out, in printable characters and not without end", async () => {
    const fields = Object.fromEntries(Array.from({ length: 200 }, (_, index) => [`żółw${index}`, 1]));
    const body = { ...turn, additionalModelRequestFields: fields };
    const { attempted } = await run({
      body,
      type: "gemini",
      deed: { body: '{"candidates":[{"finishReason":"STOP"}]}' },
    });
    const answer = await attempted;
    if (answer.kind !== "answer") throw new Error(answer.kind);
    const [, ignored = ""] = answer.headers.find(([name]) => name === "x-bifrost-ignored") ?? [];
    expect(ignored).toMatch(/^[\x20-\x7e]{100,1024}$/);
  });

  test("that an unexpected status brings is the dialect's to explain, without our key", async () => {
    const body = JSON.stringify({ error: { message: `The key ${secret} is tired.` } });
    const { reply, retry } = await failureOf({ deed: { status: 429, body } });
    expect(retry).toBe("other_key");
    expect(reply).toMatchObject({ type: "ThrottlingException", status: 429 });
    expect(JSON.stringify(reply)).not.toContain(secret);
    expect("message" in reply && reply.message).toMatch(/^The key .* is tired\.$/);
  });

  test("tells how long to wait where the provider does", async () => {
    const body = JSON.stringify([{ error: { code: 429, details: [{ retryDelay: "31s" }] } }]);
    const { retryAfterMs } = await failureOf({ deed: { status: 429, body }, type: "gemini" });
    expect(retryAfterMs).toBe(31_000);
  });

  test("says of a used-up quota that the key will not recover soon", async () => {
    const body = JSON.stringify({ error: { message: "m", code: "insufficient_quota" } });
    expect(await failureOf({ deed: { status: 429, body } })).toMatchObject({ cause: "payment", retry: "other_key" });
  });
});

describe("counting", () => {
  const body = { input: { converse: turn } };

  test("is an estimate without a call where the provider does not count", async () => {
    const { attempted, upstream } = await run({ action: "count-tokens", body });
    const answer = await attempted;
    if (answer.kind !== "answer") throw new Error(answer.kind);
    const counted: unknown = JSON.parse(String(answer.body));
    expect(isJsonObject(counted) && counted.inputTokens).toBeGreaterThan(0);
    expect(answer.headers).toContainEqual(["x-bifrost-usage", "estimated"]);
    expect(upstream.sent).toEqual([]);
  });

  test("is the provider's where it does", async () => {
    const deed = { body: '{"input_tokens":12}' };
    const { attempted, upstream } = await run({ action: "count-tokens", body, type: "anthropic", deed });
    expect(await attempted).toMatchObject({ kind: "answer", body: '{"inputTokens":12}', usage: undefined });
    expect(upstream.sent[0]?.path).toBe("/behind/v1/messages/count_tokens");
  });
});

describe("a stream", () => {
  const streamed = (...chunks: object[]) => chunks.map((chunk) => `data: ${JSON.stringify(chunk)}\n\n`).join("");
  const opening = { choices: [{ delta: { role: "assistant" } }] };
  const text = { choices: [{ delta: { content: "Hi" } }] };
  const type = "text/event-stream";

  test("is open with its first event", async () => {
    const { attempted } = await run({
      action: "converse-stream",
      deed: { type, body: streamed(opening), hangs: true },
    });
    const open = await attempted;
    expect(open).toMatchObject({ kind: "stream", headers: [["content-type", "application/vnd.amazon.eventstream"]] });
  });

  test("that only says hello is given up where somebody else could be asked", async () => {
    const deed = { type, body: streamed(opening), hangs: true };
    const failed = await failureOf({ action: "converse-stream", deed, patienceMs: 20 });
    expect(failed).toMatchObject({ retry: "other_key", elsewhere: true, reply: { type: "ModelTimeoutException" } });
    expect(failed.upstream.cancelled).toBe(1);
  });

  test("that says something in time is not", async () => {
    const deed = { type, body: streamed(opening, text), hangs: true };
    const { attempted } = await run({ action: "converse-stream", deed, patienceMs: 1000 });
    expect(await attempted).toMatchObject({ kind: "stream" });
  });

  test("that begins with an error is a failure others may mend", async () => {
    const body = streamed({ error: { message: "Slow down.", type: "rate_limit_error" } });
    const failed = await failureOf({ action: "converse-stream", deed: { type, body } });
    expect(failed).toMatchObject({ retry: "other_key", reply: { type: "ThrottlingException", message: "Slow down." } });
  });

  test("of JSON lines is read as well", async () => {
    const body = `${JSON.stringify(opening)}\n${JSON.stringify(text)}\n`;
    const deed = { type: "application/x-ndjson", body, hangs: true };
    const { attempted } = await run({ action: "converse-stream", deed });
    expect(await attempted).toMatchObject({ kind: "stream" });
  });

  test("is made of a whole answer", async () => {
    const { attempted } = await run({ action: "converse-stream" });
    const open = await attempted;
    if (open.kind !== "stream") throw new Error(open.kind);
    const frames: Buffer[] = [];
    let ended: unknown = "not yet";
    open.source.start({
      frames: (bytes) => {
        frames.push(Buffer.from(bytes));
        return true;
      },
      end: (error) => {
        ended = error;
      },
    });
    expect(ended).toBeUndefined();
    expect(Buffer.concat(frames).toString("latin1")).toMatch(/messageStart.*Hello\..*end_turn.*metadata/s);
  });
});

describe("a call that gets no answer", () => {
  test.each([
    ["timeout", "nobody", "ModelTimeoutException"],
    ["connect", "same_key", "ServiceUnavailableException"],
    ["broken", "same_key", "ServiceUnavailableException"],
    ["too_large", "nobody", "ServiceUnavailableException"],
    ["refused_address", "nobody", "ServiceUnavailableException"],
    ["unsendable", "nobody", "ValidationException"],
  ] as const)("(%s) may be repeated by: %s, and is a %s", async (fault, retry, type) => {
    const failed = await failureOf({ deed: new UpstreamError(fault, "it did not work") });
    expect([failed.retry, failed.reply.type]).toEqual([retry, type]);
  });

  test("ends with its client", async () => {
    const { attempted, upstream, exchange } = await run({ deed: "hang" });
    await Promise.resolve();
    exchange.leave();
    expect(await attempted).toMatchObject({ kind: "failure", retry: "nobody", elsewhere: false, cause: "cancelled" });
    expect(upstream.cancelled).toBe(1);
  });
});
