import {
  BedrockClient,
  GetFoundationModelCommand,
  GetInferenceProfileCommand,
  ListFoundationModelsCommand,
  ListInferenceProfilesCommand,
} from "@aws-sdk/client-bedrock";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { BedrockError } from "../../src/bedrock/errors.ts";
import { matchOperation } from "../../src/bedrock/operations.ts";
import { ActiveRequest } from "../../src/gateway/active-request.ts";
import type { Attempted, FrameSource } from "../../src/gateway/attempt.ts";
import { answerMock } from "../../src/gateway/mock.ts";
import type { Exchange, ReplyStream } from "../../src/http/exchange.ts";
import type { MockRule } from "../../src/providers/mock/rule.ts";
import { type DecodedFrame, decodeFrames, payloadOf } from "../support/frames.ts";
import { inlineOffThread } from "../support/off-thread.ts";

/** An exchange whose client can leave. */
class FakeExchange implements Exchange {
  readonly method = "POST";
  readonly path = "/";
  readonly query: string;
  readonly headers = new Map<string, string>();
  readonly protocol = "http/1.1";
  readonly malformed = undefined;
  aborted = false;
  #listener: (() => void) | undefined;

  constructor(query = "") {
    this.query = query;
  }

  remoteAddress(): string {
    return "127.0.0.1";
  }

  onAbort(listener: (() => void) | undefined): void {
    this.#listener = listener;
  }

  leave(): void {
    this.aborted = true;
    this.#listener?.();
  }

  release(): number {
    return 0;
  }

  body(): Promise<Buffer> {
    return Promise.resolve(Buffer.alloc(0));
  }

  reply(): void {
    throw new Error("the mock does not reply itself");
  }

  open(): ReplyStream {
    throw new Error("the mock does not reply itself");
  }
}

interface Asked {
  readonly rules?: readonly MockRule[];
  readonly body?: unknown;
  readonly method?: string;
  readonly exchange?: FakeExchange;
}

const userTurn = (text: string, more: object = {}) => ({ messages: [{ role: "user", content: [{ text }] }], ...more });

/** Sends a request below `/bedrock` to the mock. */
function ask(path: string, asked: Asked = {}): { request: ActiveRequest; attempted: Promise<Attempted> } {
  const route = matchOperation(asked.method ?? "POST", path);
  if (route === undefined) throw new Error(`no route for ${path}`);
  const request = new ActiveRequest(asked.exchange ?? new FakeExchange());
  const { body } = asked;
  const bytes = Buffer.from(body === undefined ? "" : typeof body === "string" ? body : JSON.stringify(body));
  const model = route.operation.model === "path" ? route.labels[0] : undefined;
  const provider = { kind: "mock", name: "mock", rules: asked.rules ?? [] } as const;
  return { request, attempted: answerMock(request, route, model, bytes, provider, inlineOffThread()) };
}

async function answerOf(path: string, asked: Asked = {}) {
  const attempted = await ask(path, asked).attempted;
  if (attempted.kind !== "answer") throw new Error(`not an answer: ${JSON.stringify(attempted)}`);
  const json: unknown = JSON.parse(String(attempted.body));
  return { ...attempted, json };
}

async function failureOf(path: string, asked: Asked = {}): Promise<BedrockError> {
  const attempted = await ask(path, asked).attempted;
  if (attempted.kind !== "failure" || !(attempted.reply instanceof BedrockError)) throw new Error("no failure");
  expect(attempted.retry).toBe("nobody");
  return attempted.reply;
}

async function sourceOf(path: string, asked: Asked): Promise<FrameSource> {
  const attempted = await ask(path, asked).attempted;
  if (attempted.kind !== "stream") throw new Error(`no stream: ${JSON.stringify(attempted)}`);
  return attempted.source;
}

interface Received {
  readonly pieces: Uint8Array[];
  readonly frames: () => DecodedFrame[];
  complete: boolean;
  ended: boolean;
  failure: BedrockError | undefined;
}

/** Reads a source; with `room` the reader falls behind after so many pieces, until it resumes. */
function receive(source: FrameSource, room = Number.POSITIVE_INFINITY): Received {
  const received: Received = {
    pieces: [],
    frames: () => decodeFrames(Buffer.concat(received.pieces)),
    complete: false,
    ended: false,
    failure: undefined,
  };
  source.start({
    frames: (bytes, complete) => {
      expect(received.ended || received.complete).toBe(false);
      received.pieces.push(bytes);
      received.complete = complete;
      return received.pieces.length < room;
    },
    end: (failure) => {
      expect(received.ended).toBe(false);
      received.ended = true;
      received.failure = failure;
    },
  });
  return received;
}

const typesOf = (received: Received) => received.frames().map((frame) => frame.type.replace("contentBlock", ""));

describe("a whole answer of the mock", () => {
  test("comes with its usage and without a timer", async () => {
    vi.useFakeTimers();
    try {
      const { request, attempted } = ask("/model/m/converse", { body: userTurn("Hello, mock!") });
      const answer = await attempted;
      expect(answer).toMatchObject({ kind: "answer", status: 200, usage: { inputTokens: 3, outputTokens: 2 } });
      expect(vi.getTimerCount()).toBe(0);
      expect(request.key).toBeUndefined();
    } finally {
      vi.useRealTimers();
    }
  });

  test("stands in the model's own family for InvokeModel", async () => {
    const claude = { anthropic_version: "x", max_tokens: 5, messages: [{ role: "user", content: "Say hi" }] };
    const answer = await answerOf("/model/anthropic.claude-3-haiku-20240307-v1%3A0/invoke", { body: claude });
    expect(answer.json).toMatchObject({ type: "message", content: [{ type: "text", text: "Say hi" }] });
    expect(new Map(answer.headers).get("x-amzn-bedrock-output-token-count")).toBe("2");
    const llama = await answerOf("/model/meta.llama3-8b-instruct-v1%3A0/invoke", { body: { prompt: "Say hi" } });
    expect(llama.json).toMatchObject({ generation: expect.stringContaining("Say hi"), stop_reason: "stop" });
  });

  test("is a vector for an embedding model", async () => {
    const body = { inputText: "hi", dimensions: 256, normalize: true };
    const answer = await answerOf("/model/amazon.titan-embed-text-v2%3A0/invoke", { body });
    expect(answer.json).toMatchObject({ embedding: expect.objectContaining({ length: 256 }) });
    expect(answer.usage).toEqual({ inputTokens: 1, outputTokens: 0 });
  });

  test("is a ranking for a model that ranks, and a refusal for one that makes images", async () => {
    const body = { query: "blue whale", documents: ["a red car", "the blue whale"], top_n: 1 };
    const answer = await answerOf("/model/cohere.rerank-v3-5%3A0/invoke", { body });
    expect(answer.json).toEqual({ results: [{ index: 1, relevance_score: 1 }] });
    const image = { taskType: "TEXT_IMAGE", textToImageParams: { text: "a whale" } };
    await expect(ask("/model/amazon.nova-canvas-v1%3A0/invoke", { body: image }).attempted).rejects.toMatchObject({
      type: "ValidationException",
      message: "The mock provider makes no images.",
    });
  });

  test("counts tokens", async () => {
    const answer = await answerOf("/model/m/count-tokens", { body: { input: { converse: userTurn("12345678") } } });
    expect(answer.json).toEqual({ inputTokens: 2 });
  });

  test.each(["", "{", "[]", '{"messages":"hi"}', '{"messages":[],"bogus":1}'])("refuses the body %j", async (body) => {
    for (const action of ["converse", "converse-stream", "invoke", "count-tokens"])
      await expect(ask(`/model/m/${action}`, { body }).attempted).rejects.toMatchObject({
        type: "ValidationException",
      });
  });

  test("is a rule's error where there is one, whenever that would come in a stream", async () => {
    const rules = [{ error: { type: "ThrottlingException", status: 429, message: "slow down", after_chunks: 3 } }];
    const error = await failureOf("/model/m/converse", { rules, body: userTurn("hi") });
    expect(error).toMatchObject({ type: "ThrottlingException", status: 429, message: "slow down" });
    const embedding = { rules, body: { inputText: "hi" } };
    expect((await failureOf("/model/amazon.titan-embed-text-v2%3A0/invoke", embedding)).type).toBe(
      "ThrottlingException",
    );
  });
});

describe("a stream of the mock", () => {
  const rules: MockRule[] = [{ answer: "one two three four five six" }];

  test("comes in one burst, without a timer", async () => {
    vi.useFakeTimers();
    try {
      const received = receive(await sourceOf("/model/m/converse-stream", { rules, body: userTurn("hi") }));
      expect(received.pieces).toHaveLength(1);
      expect(received).toMatchObject({ complete: true, ended: true, failure: undefined });
      expect(vi.getTimerCount()).toBe(0);
      const deltas = Array.from({ length: 6 }, () => "Delta");
      expect(typesOf(received)).toEqual(["messageStart", ...deltas, "Stop", "messageStop", "metadata"]);
    } finally {
      vi.useRealTimers();
    }
  });

  test("comes as chunks for InvokeModelWithResponseStream", async () => {
    const path = "/model/amazon.nova-lite-v1%3A0/invoke-with-response-stream";
    const body = { schemaVersion: "messages-v1", ...userTurn("hi") };
    const received = receive(await sourceOf(path, { rules, body }));
    expect(received).toMatchObject({ complete: true, ended: true, failure: undefined });
    const last = payloadOf(received.frames().at(-1));
    expect(Buffer.from(String(last.bytes), "base64").toString()).toContain("amazon-bedrock-invocationMetrics");
  });

  test("waits for its reader and loses nothing", async () => {
    const long = { rules: [{ answer: "word ".repeat(2000) }], body: userTurn("hi") };
    const source = await sourceOf("/model/m/converse-stream", long);
    const received = receive(source, 1);
    let pieces = 0;
    while (!received.ended) {
      expect(received.pieces.length).toBe(pieces + 1);
      pieces++;
      source.resume();
    }
    expect(pieces).toBeGreaterThan(5);
    expect(typesOf(received).filter((type) => type === "Delta")).toHaveLength(2000);
  });

  test("fails before its first byte when the rule's error has no chunks before it", async () => {
    const failing = { rules: [{ error: { type: "ThrottlingException" } }], body: userTurn("hi") };
    expect((await failureOf("/model/m/converse-stream", failing)).type).toBe("ThrottlingException");
  });

  test("fails after some chunks", async () => {
    const error = { type: "ModelStreamErrorException", message: "broke", after_chunks: 2 };
    const asked = { rules: [{ answer: "one two three", error }], body: userTurn("hi") };
    const source = await sourceOf("/model/m/converse-stream", asked);
    const received = receive(source);
    expect(typesOf(received)).toEqual(["messageStart", "Delta", "Delta"]);
    expect(received).toMatchObject({ complete: false, ended: true, failure: { message: "broke" } });
    expect(source.usage()).toEqual({ usage: { inputTokens: 0, outputTokens: 2 }, estimated: true });
  });

  test("that is cut ends with a failure, never silently", async () => {
    const asked = { rules: [{ answer: "one two three", truncate_after_chunks: 2 }], body: userTurn("hi") };
    const received = receive(await sourceOf("/model/m/converse-stream", asked));
    expect(typesOf(received)).toEqual(["messageStart", "Delta", "Delta"]);
    expect(received).toMatchObject({
      complete: false,
      ended: true,
      failure: { type: "ModelStreamErrorException" },
    });
  });
});

describe("the delays of a rule", () => {
  beforeEach(() => void vi.useFakeTimers());
  afterEach(() => void vi.useRealTimers());

  test("come before the answer, and count as the upstream's time", async () => {
    const { request, attempted } = ask("/model/m/converse", { rules: [{ latency_ms: 500 }], body: userTurn("hi") });
    let answer: Attempted | undefined;
    void attempted.then((one) => {
      answer = one;
    });
    await vi.advanceTimersByTimeAsync(499);
    expect(answer).toBeUndefined();
    await vi.advanceTimersByTimeAsync(1);
    expect(answer).toMatchObject({ kind: "answer" });
    expect(request.upstreamMs).toBeGreaterThan(0);
  });

  test("end early when the client leaves, with nothing left behind", async () => {
    const exchange = new FakeExchange();
    const { attempted } = ask("/model/m/converse", { rules: [{ latency_ms: 60_000 }], body: userTurn("hi"), exchange });
    exchange.leave();
    expect(await attempted).toMatchObject({ kind: "failure", retry: "nobody" });
    expect(vi.getTimerCount()).toBe(0);
  });

  test("end early with the reason for which the gateway ends the request", async () => {
    const asked = { rules: [{ latency_ms: 60_000 }], body: userTurn("hi") };
    const { request, attempted } = ask("/model/m/converse-stream", asked);
    const reason = new BedrockError("ModelTimeoutException", "too late");
    request.end(reason);
    expect(await attempted).toMatchObject({ kind: "failure", reply: reason });
    expect(vi.getTimerCount()).toBe(0);
  });

  test("come before each chunk of a stream", async () => {
    const asked = { rules: [{ answer: "one two", chunk_delay_ms: 100 }], body: userTurn("hi") };
    const received = receive(await sourceOf("/model/m/converse-stream", asked));
    expect(typesOf(received)).toEqual(["messageStart"]);
    vi.advanceTimersByTime(99);
    expect(typesOf(received)).toHaveLength(1);
    vi.advanceTimersByTime(1);
    expect(typesOf(received)).toEqual(["messageStart", "Delta"]);
    vi.advanceTimersByTime(100);
    expect(typesOf(received)).toEqual(["messageStart", "Delta", "Delta", "Stop", "messageStop", "metadata"]);
    expect(received).toMatchObject({ complete: true, ended: true, failure: undefined });
    expect(vi.getTimerCount()).toBe(0);
  });

  test("do not push a chunk on a reader that is behind", async () => {
    const asked = { rules: [{ answer: "one two", chunk_delay_ms: 100 }], body: userTurn("hi") };
    const source = await sourceOf("/model/m/converse-stream", asked);
    const received = receive(source, 1);
    vi.advanceTimersByTime(10_000);
    expect(received.pieces).toHaveLength(1);
    for (let step = 0; step < 4; step++) {
      source.resume();
      vi.advanceTimersByTime(100);
    }
    expect(received.ended).toBe(true);
    expect(typesOf(received).filter((type) => type === "Delta")).toHaveLength(2);
  });

  test("end with the stream when its reader leaves", async () => {
    const asked = { rules: [{ answer: "one two", chunk_delay_ms: 100 }], body: userTurn("hi") };
    const source = await sourceOf("/model/m/converse-stream", asked);
    const received = receive(source);
    vi.advanceTimersByTime(100);
    source.cancel();
    expect(vi.getTimerCount()).toBe(0);
    source.resume();
    expect(typesOf(received)).toEqual(["messageStart", "Delta"]);
    expect(source.usage()).toMatchObject({ estimated: true });
  });
});

describe("the other operations of the mock", () => {
  /** What the SDK makes of an answer. */
  const clientFor = (path: string, query = "") =>
    new BedrockClient({
      region: "us-east-1",
      credentials: { accessKeyId: "a", secretAccessKey: "b" },
      requestHandler: {
        handle: async () => {
          const { headers, body } = await answerOf(path, { method: "GET", exchange: new FakeExchange(query) });
          const bytes = Buffer.from(body);
          return { response: { statusCode: 200, headers: Object.fromEntries(headers), body: bytes } };
        },
      },
    });

  test("list one model, within the filters of the request", async () => {
    const list = async (query: string) =>
      (await clientFor("/foundation-models", query).send(new ListFoundationModelsCommand({}))).modelSummaries;
    expect(await list("")).toMatchObject([{ modelId: "mock", modelLifecycle: { status: "ACTIVE" } }]);
    expect(await list("byOutputModality=TEXT&byProvider=mock&byInferenceType=ON_DEMAND")).toHaveLength(1);
    for (const query of ["byProvider=Amazon", "byOutputModality=IMAGE", "byInferenceType=PROVISIONED"])
      expect(await list(query)).toEqual([]);
    expect(await list("byCustomizationType=FINE_TUNING")).toEqual([]);
  });

  test("describe any model and any profile", async () => {
    const model = await clientFor("/foundation-models/amazon.nova-lite-v1%3A0").send(
      new GetFoundationModelCommand({ modelIdentifier: "x" }),
    );
    expect(model.modelDetails).toMatchObject({
      modelId: "amazon.nova-lite-v1:0",
      modelArn: "arn:aws:bedrock:us-east-1::foundation-model/amazon.nova-lite-v1:0",
      responseStreamingSupported: true,
    });
    const profile = await clientFor("/inference-profiles/us.amazon.nova-lite-v1%3A0").send(
      new GetInferenceProfileCommand({ inferenceProfileIdentifier: "x" }),
    );
    expect(profile).toMatchObject({
      inferenceProfileId: "us.amazon.nova-lite-v1:0",
      createdAt: expect.any(Date),
      models: [{ modelArn: "arn:aws:bedrock:us-east-1::foundation-model/amazon.nova-lite-v1:0" }],
    });
    const list = await clientFor("/inference-profiles").send(new ListInferenceProfilesCommand({}));
    expect(list.inferenceProfileSummaries).toEqual([]);
  });

  test("apply a guardrail and rank documents", async () => {
    const content = [{ text: { text: "hi" } }];
    const applied = await answerOf("/guardrail/g/version/1/apply", { body: { source: "INPUT", content } });
    expect(applied.json).toMatchObject({ action: "NONE", outputs: [] });
    const document = (text: string) => ({ inlineDocumentSource: { textDocument: { text } } });
    const ranked = await answerOf("/rerank", {
      body: {
        queries: [{ textQuery: { text: "whale" } }],
        sources: [document("car"), document("whale")],
        rerankingConfiguration: { bedrockRerankingConfiguration: { numberOfResults: 1 } },
      },
    });
    expect(ranked.json).toEqual({ results: [{ index: 1, relevanceScore: 1 }] });
  });

  test.each([
    ["POST", "/guardrail-checks/invoke", "InvokeGuardrailChecks"],
    ["POST", "/async-invoke", "StartAsyncInvoke"],
    ["GET", "/async-invoke", "ListAsyncInvokes"],
    ["GET", "/async-invoke/arn", "GetAsyncInvoke"],
  ])("%s %s is refused by its name", async (method, path, name) => {
    await expect(ask(path, { method, body: {} }).attempted).rejects.toMatchObject({
      type: "ValidationException",
      message: expect.stringContaining(name),
    });
  });
});
