import { describe, expect, test } from "vitest";
import { ai21Jamba } from "../../../src/bedrock/families/ai21.ts";
import { metricsKey } from "../../../src/bedrock/families/family.ts";
import type { JsonObject } from "../../../src/bedrock/json.ts";
import {
  answerOf,
  call,
  callBlock,
  chunksOf,
  context,
  eventsOf,
  failure,
  metrics,
  refusal,
  textBlock,
} from "./exchanges.ts";

const id = `chatcmpl-${context.requestId}`;
const usage = {
  prompt_tokens: 12,
  completion_tokens: 5,
  total_tokens: 17,
  prompt_tokens_details: { cached_tokens: 4 },
};

describe("reading Jamba's body", () => {
  test("takes messages and parameters, and keeps the penalties", () => {
    const request = ai21Jamba.read({
      messages: [
        { role: "system", content: "Be brief." },
        { role: "user", content: "Hi" },
      ],
      n: 1,
      temperature: 1.2,
      top_p: 0.9,
      max_tokens: 4096,
      stop: ["END"],
      frequency_penalty: 0.1,
      presence_penalty: 0.2,
    });
    expect(request).toEqual({
      system: [{ text: "Be brief." }],
      messages: [{ role: "user", content: [{ text: "Hi" }] }],
      inferenceConfig: { maxTokens: 4096, temperature: 1.2, topP: 0.9, stopSequences: ["END"] },
      additionalModelRequestFields: { frequency_penalty: 0.1, presence_penalty: 0.2 },
    });
  });

  test.each<[JsonObject, string]>([
    [
      { messages: [{ role: "user", content: [{ type: "text", text: "Hi" }] }] },
      "messages[0].content: must be a string",
    ],
    [{ messages: [{ role: "developer", content: "x" }] }, "messages[0].role: must be system, user, assistant, tool"],
    [{ n: 2 }, "n: must be 1"],
    [{ temperature: 3 }, "temperature: must be from 0 to 2"],
  ])("refuses %j by path", (members, message) => {
    expect(refusal(ai21Jamba, { messages: [{ role: "user", content: "Hi" }], ...members })).toContain(message);
  });
});

describe("writing Jamba's answer", () => {
  test("has AI21's shape", () => {
    expect(ai21Jamba.write(answerOf([{ text: "Hello" }], "max_tokens"), context)).toEqual({
      id,
      choices: [{ index: 0, message: { role: "assistant", content: "Hello" }, finish_reason: "length" }],
      usage,
    });
  });

  test("tells of tool calls", () => {
    expect(ai21Jamba.write(answerOf([call], "tool_use"), context)).toMatchObject({
      choices: [{ message: { tool_calls: [{ id: "call_1" }] }, finish_reason: "tool_calls" }],
    });
  });

  test("fails on a block it has no form for", () => {
    const image = { image: { format: "png" as const, source: { bytes: "AAAA" } } };
    expect(failure(() => ai21Jamba.write(answerOf([image]), context)).message).toContain("AI21 Jamba");
  });
});

describe("streaming Jamba's answer", () => {
  const chunk = (delta: JsonObject, finish: string | null = null) => ({
    id,
    choices: [{ index: 0, delta, finish_reason: finish }],
  });

  test("is deltas, and the usage with the finish", () => {
    expect(chunksOf(ai21Jamba, eventsOf([textBlock(["Hel", "lo"])]))).toEqual([
      chunk({ role: "assistant" }),
      chunk({ content: "Hel" }),
      chunk({ content: "lo" }),
      { ...chunk({}, "stop"), usage, [metricsKey]: metrics },
    ]);
  });

  test("has calls as they are made", () => {
    const chunks = chunksOf(ai21Jamba, eventsOf([callBlock("a", "f", ["{", "}"])], "tool_use"));
    expect(chunks.map((one) => one.choices)).toEqual([
      chunk({ role: "assistant" }).choices,
      chunk({ tool_calls: [{ index: 0, id: "a", type: "function", function: { name: "f", arguments: "" } }] }).choices,
      chunk({ tool_calls: [{ index: 0, function: { arguments: "{" } }] }).choices,
      chunk({ tool_calls: [{ index: 0, function: { arguments: "}" } }] }).choices,
      chunk({}, "tool_calls").choices,
    ]);
  });
});
