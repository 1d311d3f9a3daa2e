import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { ConverseEvent, ConverseResponse } from "../../src/bedrock/converse.ts";
import { BedrockError } from "../../src/bedrock/errors.ts";
import { matchOperation, type Route } from "../../src/bedrock/operations.ts";
import {
  type ClientFormat,
  type EmbeddingFormat,
  parseBody,
  readClientRequest,
  readCountTokens,
  type TextFormat,
  usageOf,
  writeCountTokens,
} from "../../src/gateway/client-format.ts";
import { decodeFrames, payloadOf } from "../support/frames.ts";

const claude = "anthropic.claude-3-haiku-20240307-v1:0";
const claudeBody = {
  anthropic_version: "bedrock-2023-05-31",
  max_tokens: 10,
  messages: [{ role: "user", content: "Say hi" }],
};
const converseBody = { messages: [{ role: "user", content: [{ text: "Say hi" }] }] };

const routeOf = (action: string): Route => {
  const route = matchOperation("POST", `/model/m/${action}`);
  if (route === undefined) throw new Error(`no route for ${action}`);
  return route;
};
const read = (action: string, body: unknown, model = claude, headers: Record<string, string> = {}): ClientFormat =>
  readClientRequest(routeOf(action), model, Buffer.from(typeof body === "string" ? body : JSON.stringify(body)), {
    headers: new Map(Object.entries(headers)),
    foreign: false,
    requestId: "request-1",
  });
const readText = (...args: Parameters<typeof read>): TextFormat => {
  const format = read(...args);
  if (format.kind !== "text") throw new Error("an embedding format");
  return format;
};
const readEmbedding = (...args: Parameters<typeof read>): EmbeddingFormat => {
  const format = read(...args);
  if (format.kind !== "embedding") throw new Error("a text format");
  return format;
};
const refusal = (run: () => unknown): BedrockError => {
  try {
    run();
  } catch (error) {
    if (error instanceof BedrockError) return error;
    throw error;
  }
  throw new Error("nothing was refused");
};

const usage = { inputTokens: 3, outputTokens: 2, totalTokens: 9, cacheReadInputTokens: 4, cacheWriteInputTokens: 0 };
const response: ConverseResponse = {
  output: { message: { role: "assistant", content: [{ text: "hi" }] } },
  stopReason: "end_turn",
  usage,
  metrics: { latencyMs: 12.4 },
};
const events: readonly ConverseEvent[] = [
  { messageStart: { role: "assistant" } },
  { contentBlockDelta: { contentBlockIndex: 0, delta: { text: "h" } } },
  { contentBlockDelta: { contentBlockIndex: 0, delta: { text: "i" } } },
  { contentBlockStop: { contentBlockIndex: 0 } },
  { messageStop: { stopReason: "end_turn" } },
  { metadata: { usage, metrics: { latencyMs: 12.4 } } },
];

describe("a request body", () => {
  test.each([
    ["", "is empty"],
    ["{", "is not valid JSON"],
    ["not json", "is not valid JSON"],
    ["[]", "must be a JSON object, not a list"],
    ["null", "must be a JSON object"],
    ['"x"', "must be a JSON object, not string"],
    ["5", "must be a JSON object, not number"],
  ])("%j is refused", (body, reason) => {
    for (const action of ["converse", "converse-stream", "invoke", "invoke-with-response-stream"]) {
      const error = refusal(() => read(action, body));
      expect(error.type).toBe("ValidationException");
      expect(error.message).toContain(reason);
    }
  });

  test("nested without end is refused, not overflowed", () => {
    const nested = `${'{"a":'.repeat(200_000)}1${"}".repeat(200_000)}`;
    const schema = `{"messages":[{"role":"user","content":[{"text":"x"}]}],"additionalModelRequestFields":${nested}}`;
    expect(refusal(() => read("converse", schema)).message).toContain("additionalModelRequestFields");
  });

  test("property: any bytes are read as an object or refused", () => {
    fc.assert(
      fc.property(
        fc.oneof(
          fc.uint8Array(),
          fc.json().map((json) => Buffer.from(json)),
        ),
        (bytes) => {
          try {
            expect(parseBody(Buffer.from(bytes))).toBeTypeOf("object");
          } catch (error) {
            expect(error).toMatchObject({ type: "ValidationException" });
          }
        },
      ),
    );
  });
});

describe("Converse", () => {
  test("is read and answered as it stands", () => {
    const format = readText("converse", converseBody);
    expect(format.request).toEqual(converseBody);
    const { headers, body } = format.answer(response);
    expect(headers).toEqual([["content-type", "application/json"]]);
    expect(JSON.parse(body)).toEqual(response);
  });

  test("refuses what it does not know by its path", () => {
    expect(refusal(() => read("converse", { ...converseBody, bogus: 1 })).message).toContain("bogus");
  });

  test("takes streamProcessingMode on a stream only", () => {
    const body = { ...converseBody, guardrailConfig: { streamProcessingMode: "sync" } };
    expect(readText("converse-stream", body).request.guardrailConfig).toEqual({ streamProcessingMode: "sync" });
    expect(refusal(() => read("converse", body)).message).toContain("guardrailConfig.streamProcessingMode");
  });

  test("streams each event as a frame of its name", () => {
    const stream = readText("converse-stream", converseBody).stream(0);
    expect(stream.headers).toEqual([["content-type", "application/vnd.amazon.eventstream"]]);
    const frames = decodeFrames(Buffer.concat(events.flatMap((event) => stream.encode(event))));
    expect(frames.map((frame) => ({ [frame.type]: payloadOf(frame) }))).toEqual(events);
    for (const frame of frames) expect(frame).toMatchObject({ kind: "event", contentType: "application/json" });
  });
});

describe("InvokeModel", () => {
  test("is read by its family and answered in it, with the counts in headers", () => {
    const format = readText("invoke", claudeBody);
    expect(format.request).toMatchObject({ ...converseBody, inferenceConfig: { maxTokens: 10 } });
    const { headers, body } = format.answer(response);
    expect(headers).toEqual([
      ["content-type", "application/json"],
      ["x-amzn-bedrock-input-token-count", "3"],
      ["x-amzn-bedrock-output-token-count", "2"],
      ["x-amzn-bedrock-cache-read-input-token-count", "4"],
      ["x-amzn-bedrock-invocation-latency", "12"],
    ]);
    expect(JSON.parse(body)).toMatchObject({ type: "message", content: [{ type: "text", text: "hi" }] });
  });

  test("tells the tier and the latency that the answer names", () => {
    const answered = {
      ...response,
      serviceTier: { type: "flex" },
      performanceConfig: { latency: "standard" },
    } as const;
    const headers = new Map(readText("invoke", claudeBody).answer(answered).headers);
    expect(headers.get("x-amzn-bedrock-service-tier")).toBe("flex");
    expect(headers.get("x-amzn-bedrock-performanceconfig-latency")).toBe("standard");
  });

  test("streams its family's objects as chunks, the last with the metrics", () => {
    const stream = readText("invoke-with-response-stream", claudeBody).stream(performance.now());
    expect(stream.headers).toEqual([
      ["content-type", "application/vnd.amazon.eventstream"],
      ["x-amzn-bedrock-content-type", "application/json"],
    ]);
    const frames = decodeFrames(Buffer.concat(events.flatMap((event) => stream.encode(event))));
    expect(new Set(frames.map((frame) => frame.type))).toEqual(new Set(["chunk"]));
    const chunks = frames.map((frame) => {
      const parsed: unknown = JSON.parse(Buffer.from(String(payloadOf(frame).bytes), "base64").toString());
      return parsed;
    });
    expect(JSON.stringify(chunks)).toContain('"text":"h"');
    expect(chunks.at(-1)).toMatchObject({
      type: "message_stop",
      "amazon-bedrock-invocationMetrics": {
        inputTokenCount: 3,
        outputTokenCount: 2,
        invocationLatency: 12,
        firstByteLatency: expect.any(Number),
        cacheReadInputTokenCount: 4,
      },
    });
    for (const chunk of chunks.slice(0, -1)) expect(chunk).not.toHaveProperty("amazon-bedrock-invocationMetrics");
  });

  test("says in headers what Converse says in its body", () => {
    const { request } = readText("invoke", claudeBody, claude, {
      "x-amzn-bedrock-trace": "ENABLED_FULL",
      "x-amzn-bedrock-guardrailidentifier": "g",
      "x-amzn-bedrock-guardrailversion": "1",
      "x-amzn-bedrock-performanceconfig-latency": "optimized",
      "x-amzn-bedrock-service-tier": "priority",
      "x-amzn-bedrock-request-metadata": '{"team":"a"}',
    });
    expect(request).toMatchObject({
      guardrailConfig: { guardrailIdentifier: "g", guardrailVersion: "1", trace: "enabled_full" },
      performanceConfig: { latency: "optimized" },
      serviceTier: { type: "priority" },
      requestMetadata: { team: "a" },
    });
    expect(readText("invoke", claudeBody, claude, { "x-amzn-bedrock-trace": "ENABLED" }).request).not.toHaveProperty(
      "guardrailConfig",
    );
  });

  test.each([
    ["x-amzn-bedrock-trace", "maybe"],
    ["x-amzn-bedrock-performanceconfig-latency", "fast"],
    ["x-amzn-bedrock-service-tier", "gold"],
    ["x-amzn-bedrock-request-metadata", "{"],
    ["x-amzn-bedrock-request-metadata", "[]"],
    ["x-amzn-bedrock-request-metadata", '{"a":1}'],
  ])("refuses %s: %s by its name", (name, value) => {
    const error = refusal(() => read("invoke", claudeBody, claude, { [name]: value }));
    expect(error.type).toBe("ValidationException");
    expect(error.message).toContain(name);
  });

  test("of an embedding model answers with vectors, and does not stream", () => {
    const model = "amazon.titan-embed-text-v2:0";
    const body = { inputText: "hi", dimensions: 256 };
    const format = readEmbedding("invoke", body, model);
    expect(format.request).toMatchObject({ texts: ["hi"], dimensions: 256 });
    const answer = format.answer([[0.6, 0.8]], 7, 3.6);
    expect(answer.headers).toEqual([
      ["content-type", "application/json"],
      ["x-amzn-bedrock-input-token-count", "7"],
      ["x-amzn-bedrock-invocation-latency", "4"],
    ]);
    expect(JSON.parse(answer.body)).toMatchObject({ embedding: [0.6, 0.8], inputTextTokenCount: 7 });
    expect(refusal(() => read("invoke-with-response-stream", body, model)).message).toContain("does not stream");
  });
});

describe("CountTokens", () => {
  const count = (input: unknown) => readCountTokens(claude, Buffer.from(JSON.stringify({ input })), false);
  const base64 = (body: unknown) =>
    Buffer.from(typeof body === "string" ? body : JSON.stringify(body)).toString("base64");

  test("reads both kinds of input", () => {
    expect(count({ converse: converseBody })).toEqual(converseBody);
    expect(count({ invokeModel: { body: base64(claudeBody) } })).toMatchObject(converseBody);
    expect(writeCountTokens(7).body).toBe('{"inputTokens":7}');
  });

  test.each([
    [{}, "input"],
    [{ converse: converseBody, invokeModel: { body: "" } }, "input"],
    [{ bogus: {} }, "input.bogus"],
    [{ converse: { ...converseBody, inferenceConfig: {} } }, "input.converse.inferenceConfig"],
    [
      { converse: { messages: [{ role: "user", content: [{ bogus: 1 }] }] } },
      "input.converse.messages[0].content[0].bogus",
    ],
    [{ invokeModel: {} }, "input.invokeModel.body"],
    [{ invokeModel: { body: base64("{") } }, "input.invokeModel.body"],
    [{ invokeModel: { body: base64({ ...claudeBody, messages: "x" }) } }, "input.invokeModel.body.messages"],
  ])("refuses %j by its path", (input, path) => {
    const error = refusal(() => count(input));
    expect(error.type).toBe("ValidationException");
    expect(error.message).toContain(path);
  });

  test("is not for models that make embeddings", () => {
    const body = Buffer.from(JSON.stringify({ input: { invokeModel: { body: base64({ inputText: "hi" }) } } }));
    expect(refusal(() => readCountTokens("amazon.titan-embed-text-v2:0", body, false)).message).toContain(
      "counting tokens",
    );
  });
});

test("the usage of an answer keeps the cached tokens where they were told", () => {
  expect(usageOf(usage)).toEqual({
    inputTokens: 3,
    outputTokens: 2,
    cacheReadInputTokens: 4,
    cacheWriteInputTokens: 0,
  });
  expect(usageOf({ inputTokens: 1, outputTokens: 2, totalTokens: 3 })).toEqual({ inputTokens: 1, outputTokens: 2 });
});
