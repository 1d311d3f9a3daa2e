import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { metricsKey } from "../../../src/bedrock/families/family.ts";
import { mistralChat, mistralPrompt } from "../../../src/bedrock/families/mistral.ts";
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
  parse,
  reasoning,
  reasoningBlock,
  refusal,
  textBlock,
} from "./exchanges.ts";

describe("Mistral's prompt form", () => {
  const output = (text: string, stop: string | null) => ({ outputs: [{ text, stop_reason: stop }] });

  test("takes the template apart, and the parameters by their names", () => {
    const request = mistralPrompt.read({
      prompt: "<s>[INST] Hi [/INST] Hello</s>[INST] And you? [/INST]",
      max_tokens: 400,
      temperature: 0.7,
      top_p: 0.7,
      top_k: 50,
      stop: ["END"],
    });
    expect(request).toEqual({
      messages: [
        { role: "user", content: [{ text: "Hi" }] },
        { role: "assistant", content: [{ text: "Hello" }] },
        { role: "user", content: [{ text: "And you?" }] },
      ],
      inferenceConfig: { maxTokens: 400, temperature: 0.7, topP: 0.7, stopSequences: ["END"] },
      additionalModelRequestFields: { top_k: 50 },
    });
  });

  test.each([
    ["{}", "prompt: is required"],
    ['{"prompt":""}', "prompt: must not be empty"],
    ['{"prompt":["Hi"]}', "prompt: must be a string"],
    ['{"prompt":"Hi","max_tokens":"5"}', "max_tokens: must be an integer"],
    ['{"prompt":"Hi","temperature":1.5}', "temperature: must be from 0 to 1"],
    ['{"prompt":"Hi","stop":{}}', "stop: must be a list"],
  ])("refuses %s by path", (body, message) => {
    expect(refusal(mistralPrompt, parse(body))).toContain(message);
  });

  test("has Mistral's shape", () => {
    expect(mistralPrompt.write(answerOf([reasoning, { text: "Hello" }]), context)).toEqual(output("Hello", "stop"));
    expect(mistralPrompt.write(answerOf([{ text: "Hel" }], "max_tokens"), context)).toEqual(output("Hel", "length"));
  });

  test("fails on a tool call", () => {
    expect(failure(() => mistralPrompt.write(answerOf([call]), context)).type).toBe("ModelErrorException");
  });

  test("streams pieces, and the metrics beside the last one", () => {
    expect(chunksOf(mistralPrompt, eventsOf([textBlock(["Hel", "lo"])]))).toEqual([
      output("Hel", null),
      output("lo", null),
      { ...output("", "stop"), [metricsKey]: metrics },
    ]);
  });

  test("says the same in a stream, however the text is cut", () => {
    fc.assert(
      fc.property(fc.array(fc.string({ unit: "binary" })), (pieces) => {
        const chunks = chunksOf(mistralPrompt, eventsOf([textBlock(pieces)]));
        const kept = pieces.filter((piece) => piece !== "");
        expect(chunks.slice(0, -1)).toEqual(kept.map((piece) => output(piece, null)));
        expect(mistralPrompt.write(answerOf([{ text: pieces.join("") }]), context)).toEqual(
          output(kept.join(""), "stop"),
        );
      }),
    );
  });
});

describe("Mistral's chat form", () => {
  const choice = (message: JsonObject, stop: string | null) => ({
    choices: [{ index: 0, message, stop_reason: stop }],
  });
  const called = { id: "a1b2c3d4e", type: "function", function: { name: "weather", arguments: '{"city":"Ulm"}' } };
  const tool = { type: "function", function: { name: "weather", parameters: { type: "object" } } };

  test("takes messages, calls without a type, and results with their tool's name", () => {
    const { id, function: made } = called;
    const request = mistralChat.read({
      messages: [
        { role: "system", content: "Be brief." },
        { role: "user", content: "Weather?" },
        { role: "assistant", content: "", tool_calls: [{ id, function: made }] },
        { role: "tool", name: "weather", tool_call_id: id, content: "Blue" },
      ],
      tools: [tool],
      tool_choice: "any",
      max_tokens: 100,
      temperature: 1.5,
      top_p: 1,
      random_seed: 3,
    });
    expect(request).toEqual({
      system: [{ text: "Be brief." }],
      messages: [
        { role: "user", content: [{ text: "Weather?" }] },
        { role: "assistant", content: [{ toolUse: { toolUseId: id, name: "weather", input: { city: "Ulm" } } }] },
        { role: "user", content: [{ toolResult: { toolUseId: id, content: [{ text: "Blue" }] } }] },
      ],
      inferenceConfig: { maxTokens: 100, temperature: 1.5, topP: 1 },
      toolConfig: {
        tools: [{ toolSpec: { name: "weather", inputSchema: { json: { type: "object" } } } }],
        toolChoice: { any: {} },
      },
      additionalModelRequestFields: { random_seed: 3 },
    });
  });

  test.each<[JsonObject, string]>([
    [{ messages: [{ role: "developer", content: "x" }] }, "messages[0].role: must be system, user, assistant, tool"],
    [{ tools: [tool], tool_choice: "required" }, "tool_choice: must be auto, any, none"],
    [{ tools: [tool], tool_choice: { type: "function" } }, "tool_choice: must be a string, not an object"],
    [{ temperature: 1.6 }, "temperature: must be from 0 to 1.5"],
    [{ n: 3 }, "n: must be 1"],
  ])("refuses %j by path", (members, message) => {
    expect(refusal(mistralChat, { messages: [{ role: "user", content: "Hi" }], ...members })).toContain(message);
  });

  test("has Mistral's shape", () => {
    expect(mistralChat.write(answerOf([{ text: "Hello" }]), context)).toEqual(
      choice({ role: "assistant", content: "Hello" }, "stop"),
    );
    const toolUse = { toolUseId: called.id, name: "weather", input: { city: "Ulm" } };
    expect(mistralChat.write(answerOf([{ text: "I look." }, { toolUse }], "tool_use"), context)).toEqual(
      choice({ role: "assistant", content: "I look.", tool_calls: [called] }, "tool_calls"),
    );
  });

  test("streams messages in pieces, a call in one", () => {
    const events = eventsOf(
      [
        reasoningBlock(["Hm"]),
        textBlock(["I ", "look."], 1),
        callBlock(called.id, "weather", ['{"city"', ':"Ulm"}'], 2),
        callBlock("b", "now", [], 3),
      ],
      "tool_use",
    );
    const now = { id: "b", type: "function", function: { name: "now", arguments: "{}" } };
    expect(chunksOf(mistralChat, events)).toEqual([
      choice({ role: "assistant", content: "", reasoning_content: "Hm" }, null),
      choice({ role: "assistant", content: "I " }, null),
      choice({ role: "assistant", content: "look." }, null),
      choice({ role: "assistant", content: "", tool_calls: [called] }, null),
      choice({ role: "assistant", content: "", tool_calls: [now] }, null),
      { ...choice({ role: "assistant", content: "" }, "tool_calls"), [metricsKey]: metrics },
    ]);
  });
});
