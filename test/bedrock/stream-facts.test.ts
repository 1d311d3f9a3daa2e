import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { readInvokeChunk, readMetadataUsage, readUsage } from "../../src/bedrock/stream-facts.ts";
import { anthropicFrames, chunkFrame, decodeFrames } from "../support/frames.ts";

function payload(json: unknown): Buffer {
  return Buffer.from(JSON.stringify({ bytes: Buffer.from(JSON.stringify(json)).toString("base64"), p: "abcd" }));
}

const facts = (json: unknown) => readInvokeChunk(payload(json));

const metrics = {
  "amazon-bedrock-invocationMetrics": {
    inputTokenCount: 14,
    outputTokenCount: 9,
    invocationLatency: 640,
    firstByteLatency: 212,
  },
};

describe("the last chunk of a family's stream", () => {
  test.each<readonly [family: string, chunk: object]>([
    ["Anthropic Messages", { type: "message_stop" }],
    ["Anthropic's text completion", { completion: "", stop_reason: "stop_sequence", stop: "\n\nHuman:" }],
    ["Amazon Titan", { outputText: ".", index: 0, totalOutputTextTokenCount: 7, completionReason: "FINISH" }],
    ["Amazon Nova", { metadata: { usage: { inputTokens: 1, outputTokens: 2 }, metrics: {}, trace: {} } }],
    ["Meta Llama", { generation: "", prompt_token_count: null, generation_token_count: 7, stop_reason: "stop" }],
    ["Mistral's text completion", { outputs: [{ text: "", stop_reason: "length" }] }],
    ["Mistral's chat", { choices: [{ index: 0, message: { content: "." }, stop_reason: "stop" }] }],
    ["Cohere Command", { is_finished: true, finish_reason: "COMPLETE" }],
    ["Cohere Command as one chunk", { id: "x", generations: [{ text: "hi", finish_reason: "COMPLETE" }], prompt: "" }],
    ["Cohere Command R", { is_finished: true, event_type: "stream-end", finish_reason: "COMPLETE", response: {} }],
    ["AI21 Jamba", { id: "x", choices: [{ index: 0, delta: { content: "" }, finish_reason: "stop" }] }],
    ["DeepSeek R1", { choices: [{ text: "", stop_reason: "stop" }] }],
    ["OpenAI gpt-oss", { object: "chat.completion.chunk", choices: [{ delta: {}, finish_reason: "tool_calls" }] }],
    ["a family of tomorrow, by its metrics", { something: "else", ...metrics }],
  ])("%s", (_family, chunk) => {
    expect(facts(chunk).last).toBe(true);
    expect(facts({ ...chunk, ...metrics })).toMatchObject({ last: true, usage: { inputTokens: 14, outputTokens: 9 } });
  });
});

describe("a chunk before the last one", () => {
  test.each<readonly [family: string, chunk: object]>([
    ["Anthropic's start", { type: "message_start", message: { stop_reason: null, usage: { input_tokens: 14 } } }],
    ["Anthropic's reason", { type: "message_delta", delta: { stop_reason: "end_turn" }, usage: { output_tokens: 9 } }],
    ["Anthropic's text that names the end", { type: "content_block_delta", delta: { text: '"message_stop"' } }],
    ["Anthropic's ping", { type: "ping" }],
    ["Titan", { outputText: "a", index: 0, totalOutputTextTokenCount: null, completionReason: null }],
    ["Nova's reason", { messageStop: { stopReason: "end_turn" } }],
    ["Nova's text", { contentBlockDelta: { delta: { text: '"metadata"' }, contentBlockIndex: 0 } }],
    ["Llama", { generation: "a", generation_token_count: 1, stop_reason: null }],
    ["Mistral", { outputs: [{ text: "a", stop_reason: null }] }],
    ["Cohere", { is_finished: false, event_type: "text-generation", text: "finish_reason" }],
    ["a chat shape", { choices: [{ delta: { content: "a" }, finish_reason: null }] }],
    ["a chat shape with an empty reason", { choices: [{ delta: { content: "a" }, finish_reason: "" }] }],
  ])("is not taken for it: %s", (_family, chunk) => {
    expect(facts(chunk)).toMatchObject({ last: false, usage: undefined });
  });
});

describe("a whole stream", () => {
  test("has its last chunk at the end, with the usage", () => {
    const read = decodeFrames(Buffer.concat(anthropicFrames())).map(({ payload: bytes }) => readInvokeChunk(bytes));
    expect(read.map(({ last }) => last)).toEqual([...Array(read.length - 1).fill(false), true]);
    expect(read.at(-1)?.usage).toEqual({ inputTokens: 14, outputTokens: 9 });
  });

  test("is read in a frame's payload that is a view on a larger buffer", () => {
    const frame = decodeFrames(chunkFrame({ is_finished: true }))[0];
    const larger = Buffer.concat([Buffer.from('{"bytes":"'), frame?.payload ?? Buffer.alloc(0), Buffer.from('"}')]);
    expect(readInvokeChunk(larger.subarray(10, -2)).last).toBe(true);
  });
});

describe("the size of a chunk's text", () => {
  test("is that of the model's JSON", () => {
    const json = { generation: "é".repeat(10), stop_reason: null };
    expect(facts(json).textBytes).toBe(Buffer.byteLength(JSON.stringify(json)));
  });

  test("is nothing for payloads without bytes", () => {
    for (const text of ["", "{}", '{"bytes"', '{"bytes":', '{"bytes":"', '{"bytes":"abc', '{"bytes":7}', "null"])
      expect(readInvokeChunk(Buffer.from(text))).toMatchObject({ last: false, textBytes: 0, usage: undefined });
  });
});

describe("the usage in the metrics", () => {
  test("has cached tokens where they are told", () => {
    const told = {
      inputTokenCount: 1,
      outputTokenCount: 2,
      cacheReadInputTokenCount: 3,
      cacheWriteInputTokenCount: 4,
    };
    expect(facts({ "amazon-bedrock-invocationMetrics": told }).usage).toEqual({
      inputTokens: 1,
      outputTokens: 2,
      cacheReadInputTokens: 3,
      cacheWriteInputTokens: 4,
    });
  });

  test("has no output for embeddings, which do not tell it", () => {
    expect(facts({ "amazon-bedrock-invocationMetrics": { inputTokenCount: 5 } }).usage).toEqual({
      inputTokens: 5,
      outputTokens: 0,
    });
  });

  test.each([null, 7, "x", [], {}, { inputTokenCount: "5" }])("is unknown for %j", (told) => {
    expect(facts({ "amazon-bedrock-invocationMetrics": told })).toMatchObject({ last: true, usage: undefined });
  });
});

describe("Converse usage", () => {
  test("of a metadata event is read", () => {
    const event = { metrics: { latencyMs: 1 }, usage: { inputTokens: 3, outputTokens: 4, cacheReadInputTokens: 5 } };
    expect(readMetadataUsage(Buffer.from(JSON.stringify(event)))).toEqual({
      inputTokens: 3,
      outputTokens: 4,
      cacheReadInputTokens: 5,
    });
  });

  test.each(["", "{", "null", "[]", "7", "{}", '{"usage":null}', '{"usage":{"inputTokens":1}}', '{"usage":[1,2]}'])(
    "of %j is unknown",
    (text) => {
      expect(readMetadataUsage(Buffer.from(text))).toBeUndefined();
    },
  );

  test("leaves out what is no number", () => {
    expect(
      readUsage({ inputTokens: 1, outputTokens: 2, cacheReadInputTokens: "3", cacheWriteInputTokens: null }),
    ).toEqual({
      inputTokens: 1,
      outputTokens: 2,
    });
  });
});

describe("garbage", () => {
  test("never throws, and is never a stream's end, unless it says so", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
        expect(readInvokeChunk(bytes).last).toBe(false);
        expect(readMetadataUsage(bytes)).toBeUndefined();
      }),
    );
  });

  test("in the place of the model's JSON never throws", () => {
    const hint = fc.constantFrom(...Object.keys(metrics), "message_stop", "stop_reason", '"metadata"', "is_finished");
    fc.assert(
      fc.property(fc.string(), hint, fc.string(), (before, word, after) => {
        const bytes = Buffer.from(`${before}${word}${after}`).toString("base64");
        readInvokeChunk(Buffer.from(`{"bytes":"${bytes}"}`));
      }),
    );
  });

  test("of any JSON never throws", () => {
    const names = ["type", "metadata", "outputs", "choices", "generations", "stop_reason", "is_finished", "usage"];
    const tree = fc.object({ key: fc.constantFrom(...names, ...Object.keys(metrics)), maxDepth: 3 });
    fc.assert(
      fc.property(tree, (json) => {
        const { last, usage } = readInvokeChunk(payload(json));
        expect(typeof last).toBe("boolean");
        if (usage !== undefined) expect(typeof usage.inputTokens).toBe("number");
        readMetadataUsage(Buffer.from(JSON.stringify(json)));
      }),
    );
  });
});
