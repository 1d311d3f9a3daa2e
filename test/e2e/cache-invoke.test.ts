/** InvokeModel and InvokeModelWithResponseStream from the cache, in the families' own forms. */
import { describe, expect, test } from "vitest";
import { anthropicAnswer, chunkStream, invokeCountHeaders, json } from "../support/answers.ts";
import { cachedConfig, inFrontOfFakes, member, outcome, post, teach } from "../support/cached.ts";
import { anthropicFrames, chunkFrame, decodeFrames, payloadOf } from "../support/frames.ts";
import { startGateway } from "../support/gateway.ts";
import type { RawAnswer } from "../support/raw-http.ts";

const claude = "anthropic.claude-3-haiku-20240307-v1:0";

const anthropicBody = (text: string) => ({
  anthropic_version: "bedrock-2023-05-31",
  max_tokens: 100,
  messages: [{ role: "user", content: text }],
});

/** The text of an answer of any family here, whole or streamed. */
function said({ headers, body }: RawAnswer): string {
  if (headers["content-type"] === "application/json") return textOf(JSON.parse(body.toString()));
  return chunksOf(body).map(textOf).join("");
}

function chunksOf(body: Buffer): unknown[] {
  return decodeFrames(body).map((frame) => {
    const { bytes } = payloadOf(frame);
    return JSON.parse(Buffer.from(String(bytes), "base64").toString());
  });
}

function textOf(value: unknown): string {
  const one = (list: unknown, name: string) =>
    Array.isArray(list) ? list.map((item) => member(item, name)).join("") : "";
  const texts = [
    one(member(value, "content"), "text"),
    member(member(value, "delta"), "text"),
    one(member(member(member(value, "output"), "message"), "content"), "text"),
    member(member(member(value, "contentBlockDelta"), "delta"), "text"),
    one(member(value, "results"), "outputText"),
    member(value, "outputText"),
    member(value, "generation"),
    one(member(value, "outputs"), "text"),
    one(member(value, "choices"), "text"),
    member(value, "text"),
    ...["message", "delta"].map((name) => member(member(first(member(value, "choices")), name), "content")),
  ];
  return texts.map((text) => text ?? "").join("");
}

/** What is made anew for each answer, and what is null. */
function withoutIds(answer: object): object {
  const text = JSON.stringify(answer, (name, value: unknown) =>
    value === null || ["id", "created", "response_id", "generation_id"].includes(name) ? undefined : value,
  );
  return Object(JSON.parse(text));
}

const first = (list: unknown): unknown => (Array.isArray(list) ? list[0] : undefined);

const hello = "Hello from the fake.";

/** Relayed families: model, body, whole answer, and the chunks of a stream that says the same. */
const families: readonly (readonly [
  name: string,
  model: string,
  body: (text: string) => object,
  whole: object,
  chunks: readonly object[],
])[] = [
  [
    "Nova",
    "amazon.nova-lite-v1:0",
    (text) => ({ schemaVersion: "messages-v1", messages: [{ role: "user", content: [{ text }] }] }),
    {
      output: { message: { content: [{ text: hello }], role: "assistant" } },
      stopReason: "end_turn",
      usage: { inputTokens: 5, outputTokens: 6, totalTokens: 11, cacheReadInputTokenCount: 0 },
    },
    [
      { messageStart: { role: "assistant" } },
      { contentBlockDelta: { delta: { text: "Hello " }, contentBlockIndex: 0 } },
      { contentBlockStop: { contentBlockIndex: 0 } },
      { contentBlockDelta: { delta: { text: "from the fake." }, contentBlockIndex: 1 } },
      { contentBlockStop: { contentBlockIndex: 1 } },
      { messageStop: { stopReason: "end_turn" } },
      { metadata: { usage: { inputTokens: 5, outputTokens: 6 }, metrics: {}, trace: {} } },
    ],
  ],
  [
    "Llama",
    "meta.llama3-8b-instruct-v1:0",
    (prompt) => ({ prompt, max_gen_len: 50 }),
    { generation: hello, prompt_token_count: 5, generation_token_count: 6, stop_reason: "stop" },
    [
      { generation: "Hello ", prompt_token_count: 5, generation_token_count: 1, stop_reason: null },
      { generation: "from the fake.", prompt_token_count: null, generation_token_count: 6, stop_reason: "stop" },
    ],
  ],
  [
    "Titan",
    "amazon.titan-text-express-v1",
    (inputText) => ({ inputText }),
    { inputTextTokenCount: 5, results: [{ tokenCount: 6, outputText: hello, completionReason: "FINISH" }] },
    [
      {
        outputText: hello,
        index: 0,
        totalOutputTextTokenCount: 6,
        completionReason: "FINISH",
        inputTextTokenCount: 5,
      },
    ],
  ],
  [
    "Mistral",
    "mistral.mistral-7b-instruct-v0:2",
    (text) => ({ prompt: `<s>[INST] ${text} [/INST]`, max_tokens: 50 }),
    { outputs: [{ text: hello, stop_reason: "stop" }] },
    [
      { outputs: [{ text: "Hello ", stop_reason: null }] },
      { outputs: [{ text: "from the fake.", stop_reason: "stop" }] },
    ],
  ],
  [
    "DeepSeek",
    "us.deepseek.r1-v1:0",
    (prompt) => ({ prompt, max_tokens: 50 }),
    { choices: [{ text: hello, stop_reason: "stop" }] },
    [
      { choices: [{ text: "Hello ", stop_reason: null }] },
      { choices: [{ text: "from the fake.", stop_reason: "stop" }] },
    ],
  ],
  [
    "Cohere Command R",
    "cohere.command-r-v1:0",
    (message) => ({ message }),
    { response_id: "a", generation_id: "b", text: hello, finish_reason: "COMPLETE" },
    [
      { is_finished: false, event_type: "stream-start", generation_id: "b" },
      { is_finished: false, event_type: "text-generation", text: "Hello " },
      { is_finished: false, event_type: "text-generation", text: "from the fake." },
      {
        is_finished: true,
        event_type: "stream-end",
        finish_reason: "COMPLETE",
        response: { response_id: "a", generation_id: "b", text: hello, finish_reason: "COMPLETE" },
      },
    ],
  ],
  [
    "chat completions",
    "openai.gpt-oss-120b-1:0",
    (content) => ({ messages: [{ role: "user", content }] }),
    {
      id: "chatcmpl-1",
      object: "chat.completion",
      created: 1_769_900_000,
      model: "openai.gpt-oss-120b-1:0",
      choices: [{ index: 0, message: { role: "assistant", content: hello, refusal: null }, finish_reason: "stop" }],
      usage: { prompt_tokens: 5, completion_tokens: 6, total_tokens: 11 },
    },
    ["Hello ", "from the fake.", ""].map((content, index) => ({
      id: "chatcmpl-1",
      object: "chat.completion.chunk",
      created: 1_769_900_000,
      model: "openai.gpt-oss-120b-1:0",
      choices: [{ index: 0, delta: { content }, finish_reason: index === 2 ? "stop" : null }],
    })),
  ],
];

const metrics = {
  "amazon-bedrock-invocationMetrics": {
    inputTokenCount: 5,
    outputTokenCount: 6,
    invocationLatency: 640,
    firstByteLatency: 212,
  },
};

describe("InvokeModel with a cache key", { timeout: 60_000 }, () => {
  let count = 0;
  const fresh = () => `Tell me about thing ${process.pid}-${count++}.`;
  const on = inFrontOfFakes((fakes) =>
    startGateway({ config: cachedConfig(fakes), env: { BIFROST_FRONTENDS: "1" }, withoutH2: true }),
  );

  /** Asks the model once, and both operations get that answer from then on. */
  async function bothFrom(model: string, body: object, first: "invoke" | "invoke-with-response-stream") {
    const original = await teach(on.gateway, model, body, { action: first });
    const text = said(original);
    expect(text).not.toBe("");
    const whole = await post(on.gateway, model, body, { action: "invoke" });
    const streamed = await post(on.gateway, model, body, { action: "invoke-with-response-stream" });
    for (const answer of [whole, streamed]) {
      expect(answer.status).toBe(200);
      expect(outcome(answer)).toBe("direct");
      expect(answer.headers["x-bifrost-usage"]).toBe("cached");
      expect(said(answer)).toBe(text);
    }
    expect(streamed.headers["content-type"]).toBe("application/vnd.amazon.eventstream");
    expect(member(chunksOf(streamed.body).at(-1), "amazon-bedrock-invocationMetrics")).toBeDefined();
    return { original, whole, streamed };
  }

  test.each(["invoke", "invoke-with-response-stream"] as const)(
    "A64 relayed messages of Anthropic are found by both operations after %s",
    async (first) => {
      const { whole } = await bothFrom(claude, anthropicBody(fresh()), first);
      expect(on.fake.requests).toHaveLength(1);
      const body: unknown = JSON.parse(whole.body.toString());
      expect(body).toMatchObject({ type: "message", role: "assistant", stop_reason: "end_turn" });
      expect(member(body, "usage")).toMatchObject({ input_tokens: 14, output_tokens: 9 });
      expect(whole.headers["x-amzn-bedrock-input-token-count"]).toBe("14");
    },
  );

  test.each(families)(
    "A64 relayed answers of %s are found by both operations",
    async (_name, model, body, whole, chunks) => {
      const frames = chunks.map((chunk, at) => chunkFrame(at === chunks.length - 1 ? { ...chunk, ...metrics } : chunk));
      on.fake.queue(json(whole, invokeCountHeaders), chunkStream(frames));
      const unary = await bothFrom(model, body(fresh()), "invoke");
      expect(JSON.parse(unary.whole.body.toString())).toMatchObject(withoutIds(whole));
      const streamed = await bothFrom(model, body(fresh()), "invoke-with-response-stream");
      expect(said(streamed.whole)).toBe(hello);
      expect(on.fake.requests).toHaveLength(2);
    },
  );

  test.each(["openai/gpt-4o", "anthropic/claude-sonnet-4-5", "gemini/gemini-2.5-pro"])(
    "A64 translated answers of %s are found by both operations",
    async (model) => {
      for (const first of ["invoke", "invoke-with-response-stream"] as const)
        await bothFrom(model, anthropicBody(fresh()), first);
      expect(on.fakes.all.reduce((sum, one) => sum + one.requests.length, 0)).toBe(2);
    },
  );

  test("a body is not its neighbour's: another family, a member that Converse has not, a space in a prompt", async () => {
    const text = fresh();
    await teach(on.gateway, claude, anthropicBody(text), { action: "invoke" });
    for (const change of [{ top_k: 3 }, { metadata: { user_id: "u2" } }, { max_tokens: 101 }]) {
      const body = { ...anthropicBody(text), ...change };
      expect(outcome(await post(on.gateway, claude, body, { action: "invoke" }))).toBe("miss");
    }
    on.fake.reset();
    on.fake.when(
      "meta.llama3-8b-instruct-v1:0",
      json({ generation: "a", prompt_token_count: 1, generation_token_count: 1, stop_reason: "stop" }),
    );
    const direct = { action: "invoke", headers: { "x-bf-cache-type": "direct" } } as const;
    await teach(on.gateway, "meta.llama3-8b-instruct-v1:0", { prompt: text }, direct);
    expect(outcome(await post(on.gateway, "meta.llama3-8b-instruct-v1:0", { prompt: `${text} ` }, direct))).toBe(
      "miss",
    );
    const converse = { messages: [{ role: "user", content: [{ text }] }], inferenceConfig: { maxTokens: 100 } };
    expect(outcome(await post(on.gateway, claude, converse))).toBe("miss");
  });

  test("what would not come back as it was is not kept: a word of Anthropic's that Converse has not", async () => {
    for (const more of [{ container: { id: "c1" } }, { content: [{ type: "text", text: "a", citations: [] }] }]) {
      const body = anthropicBody(fresh());
      on.fake.queue(json({ ...anthropicAnswer, ...more }));
      const answer = await teach(on.gateway, claude, body, { action: "invoke" });
      expect(JSON.parse(answer.body.toString())).toEqual({ ...anthropicAnswer, ...more });
      expect(outcome(await post(on.gateway, claude, body, { action: "invoke" }))).toBe("miss");
    }
    const body = anthropicBody(fresh());
    const frames = anthropicFrames();
    on.fake.queue(chunkStream([...frames.slice(0, 3), chunkFrame({ type: "of_tomorrow" }), ...frames.slice(3)]));
    await teach(on.gateway, claude, body, { action: "invoke-with-response-stream" });
    expect(outcome(await post(on.gateway, claude, body, { action: "invoke" }))).toBe("miss");
  });

  test("what no family reads passes as ever", async () => {
    for (const [model, body] of [
      ["amazon.titan-embed-text-v2:0", { inputText: fresh() }],
      ["unheard.of-model", { some: "thing" }],
    ] as const) {
      for (let time = 0; time < 2; time++) {
        const answer = await post(on.gateway, model, body, { action: "invoke" });
        expect([answer.status, outcome(answer)]).toEqual([200, "bypass"]);
        expect(JSON.parse(answer.body.toString())).toEqual(anthropicAnswer);
      }
    }
    expect(on.fake.requests).toHaveLength(4);
  });
});
