import { describe, expect, test } from "vitest";
import type { ConverseEvent } from "../../../src/bedrock/converse.ts";
import { nova } from "../../../src/bedrock/families/nova.ts";
import type { JsonObject } from "../../../src/bedrock/json.ts";
import { answer, context, metrics, refusal, run, textEvents } from "./support.ts";

const messages = [{ role: "user", content: [{ text: "hello" }] }];
const read = (members: JsonObject) => nova.read({ schemaVersion: "messages-v1", messages, ...members });

describe("a Nova body", () => {
  test("is Converse's, but for its inference parameters", () => {
    const toolConfig = {
      tools: [{ toolSpec: { name: "f", description: "does", inputSchema: { json: { type: "object" } } } }],
      toolChoice: { auto: {} },
    };
    expect(
      read({
        system: [{ text: "Be brief." }],
        toolConfig,
        inferenceConfig: { maxTokens: 100, temperature: 0.5, topP: 0.9, topK: 20, stopSequences: ["END"] },
      }),
    ).toStrictEqual({
      messages,
      system: [{ text: "Be brief." }],
      toolConfig,
      inferenceConfig: { maxTokens: 100, temperature: 0.5, topP: 0.9, stopSequences: ["END"] },
      additionalModelRequestFields: { inferenceConfig: { topK: 20 } },
    });
  });

  test("may have the names of the first schema", () => {
    const request = read({ inferenceConfig: { max_new_tokens: 100, top_p: 0.9, top_k: 20 } });
    expect(request.inferenceConfig).toStrictEqual({ maxTokens: 100, topP: 0.9 });
    expect(request.additionalModelRequestFields).toStrictEqual({ inferenceConfig: { topK: 20 } });
  });

  test("keeps what Converse has no member for at its place", () => {
    const request = read({
      reasoningConfig: { type: "enabled" },
      inferenceConfig: { mystery: [1], temperature: null },
    });
    expect(request).toStrictEqual({
      messages,
      additionalModelRequestFields: { reasoningConfig: { type: "enabled" }, inferenceConfig: { mystery: [1] } },
    });
  });

  test("needs no schema version, no system prompt and no parameters", () => {
    expect(nova.read({ messages, system: [], inferenceConfig: {} })).toStrictEqual({ messages });
  });

  test.each([
    [{ schemaVersion: "messages-v9" }, 'schemaVersion: must be messages-v1, not "messages-v9"'],
    [{ messages: null }, "messages: is required and must be a list"],
    [{ messages: [{ role: "user", content: "hello" }] }, "messages[0].content: must be a list, not a string"],
    [
      { messages: [{ role: "user", content: [{ type: "text", text: "a" }] }] },
      "messages[0].content[0]: must have exactly",
    ],
    [{ system: "Be brief." }, "system: must be a list, not a string"],
    [{ inferenceConfig: [] }, "inferenceConfig: must be an object, not a list"],
    [
      { inferenceConfig: { maxTokens: 1, max_new_tokens: 1 } },
      "inferenceConfig.max_new_tokens: says the same as maxTokens",
    ],
    [{ inferenceConfig: { max_new_tokens: 0 } }, "inferenceConfig.max_new_tokens: must be at least 1, not 0"],
    [{ inferenceConfig: { topK: "20" } }, "inferenceConfig.topK: must be an integer, not a string"],
    [{ toolConfig: { tools: [] } }, "toolConfig.tools: must have at least one item"],
  ])("that is wrong is refused by its path: %j", (members: JsonObject, said) => {
    expect(refusal(() => read(members))).toContain(said);
  });
});

describe("a Nova answer", () => {
  test("is Converse's, with Nova's names for the cache", () => {
    const usage = {
      inputTokens: 1,
      outputTokens: 2,
      totalTokens: 10,
      cacheReadInputTokens: 3,
      cacheWriteInputTokens: 4,
    };
    expect(nova.write(answer([{ text: "hello" }], "max_tokens", { usage }), context)).toStrictEqual({
      output: { message: { content: [{ text: "hello" }], role: "assistant" } },
      stopReason: "max_tokens",
      usage: {
        inputTokens: 1,
        outputTokens: 2,
        totalTokens: 10,
        cacheReadInputTokenCount: 3,
        cacheWriteInputTokenCount: 4,
      },
    });
  });

  test("streams Converse's events, each the only member of its chunk", () => {
    expect(run(nova.stream(context), textEvents(["Si", "lent"]))).toStrictEqual([
      { messageStart: { role: "assistant" } },
      { contentBlockDelta: { delta: { text: "Si" }, contentBlockIndex: 0 } },
      { contentBlockDelta: { delta: { text: "lent" }, contentBlockIndex: 0 } },
      { contentBlockStop: { contentBlockIndex: 0 } },
      { messageStop: { stopReason: "end_turn" } },
      {
        metadata: {
          usage: {
            inputTokens: 12,
            outputTokens: 7,
            totalTokens: 19,
            cacheReadInputTokenCount: 0,
            cacheWriteInputTokenCount: 0,
          },
          metrics: {},
          trace: {},
        },
        "amazon-bedrock-invocationMetrics": metrics,
      },
    ]);
  });

  test("streams tool calls and reasoning as they come", () => {
    const events: readonly ConverseEvent[] = [
      { contentBlockStart: { contentBlockIndex: 0, start: { toolUse: { toolUseId: "t", name: "f" } } } },
      { contentBlockDelta: { contentBlockIndex: 0, delta: { toolUse: { input: "{}" } } } },
      { contentBlockDelta: { contentBlockIndex: 1, delta: { reasoningContent: { signature: "S" } } } },
    ];
    const stream = nova.stream(context);
    expect(events.flatMap((event) => stream.push(event))).toEqual(events);
  });

  test("counts by the metrics when there was no metadata, and is an error when it did not stop", () => {
    const stream = nova.stream(context);
    expect(refusal(() => stream.end(metrics), "ModelStreamErrorException")).toContain("ended before");
    stream.push({ messageStop: { stopReason: "end_turn" } });
    const last = stream.end({ ...metrics, cacheReadInputTokenCount: 5 });
    expect(last).toMatchObject([
      { metadata: { usage: { inputTokens: 12, totalTokens: 24, cacheReadInputTokenCount: 5 } } },
    ]);
  });
});
