import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { deepseek } from "../../../src/bedrock/families/deepseek.ts";
import { metricsKey } from "../../../src/bedrock/families/family.ts";
import type { JsonObject } from "../../../src/bedrock/json.ts";
import {
  answerOf,
  call,
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

function whole(text: string, stop: string): JsonObject {
  return { choices: [{ text, stop_reason: stop }] };
}

describe("reading DeepSeek's body", () => {
  test("takes the template apart, and the parameters by their names", () => {
    const request = deepseek.read({
      prompt: "<｜begin▁of▁sentence｜>Be brief.<｜User｜>Hi<｜Assistant｜><think>\n",
      max_tokens: 4096,
      temperature: 0.6,
      top_p: 0.95,
      stop: ["END"],
      seed: 1,
    });
    expect(request).toEqual({
      system: [{ text: "Be brief." }],
      messages: [{ role: "user", content: [{ text: "Hi" }] }],
      inferenceConfig: { maxTokens: 4096, temperature: 0.6, topP: 0.95, stopSequences: ["END"] },
      additionalModelRequestFields: { seed: 1 },
    });
  });

  test.each([
    ["{}", "prompt: is required"],
    ['{"prompt":"<｜begin▁of▁sentence｜>"}', "prompt: must not be empty"],
    ['{"prompt":"Hi","max_tokens":1.5}', "max_tokens: must be an integer"],
    ['{"prompt":"Hi","stop":[1]}', "stop[0]: must be a string"],
    ['{"prompt":"Hi","stop":""}', "stop: must not be empty"],
  ])("refuses %s by path", (body, message) => {
    expect(refusal(deepseek, parse(body))).toContain(message);
  });
});

describe("writing DeepSeek's answer", () => {
  test("has the reasoning in the text, before what it led to", () => {
    expect(deepseek.write(answerOf([reasoning, { text: "Yes." }]), context)).toEqual(
      whole("<think>Hm.</think>Yes.", "stop"),
    );
  });

  test("closes reasoning that led nowhere", () => {
    expect(deepseek.write(answerOf([reasoning], "max_tokens"), context)).toEqual(whole("<think>Hm.</think>", "length"));
  });

  test("has no tags where there is no reasoning, or only redacted reasoning", () => {
    const redacted = { reasoningContent: { redactedContent: "AAAA" } };
    expect(deepseek.write(answerOf([redacted, { text: "Yes." }]), context)).toEqual(whole("Yes.", "stop"));
  });

  test("fails on a tool call", () => {
    expect(failure(() => deepseek.write(answerOf([call]), context)).type).toBe("ModelErrorException");
  });
});

describe("streaming DeepSeek's answer", () => {
  test("opens and closes the tags once", () => {
    expect(chunksOf(deepseek, eventsOf([reasoningBlock(["H", "m"]), textBlock(["Yes", "."], 1)]))).toEqual([
      { choices: [{ text: "<think>H", stop_reason: null }] },
      { choices: [{ text: "m", stop_reason: null }] },
      { choices: [{ text: "</think>Yes", stop_reason: null }] },
      { choices: [{ text: ".", stop_reason: null }] },
      { choices: [{ text: "", stop_reason: "stop" }], [metricsKey]: metrics },
    ]);
  });

  test("closes the tag when nothing follows the reasoning", () => {
    const chunks = chunksOf(deepseek, eventsOf([reasoningBlock(["Hm"])], "max_tokens"));
    expect(chunks.slice(1)).toEqual([
      { choices: [{ text: "</think>", stop_reason: null }] },
      { choices: [{ text: "", stop_reason: "length" }], [metricsKey]: metrics },
    ]);
  });

  test("says the same as the whole answer, however reasoning and text are cut", () => {
    const pieces = fc.array(fc.string());
    fc.assert(
      fc.property(pieces, pieces, (thought, said) => {
        const chunks = chunksOf(deepseek, eventsOf([reasoningBlock(thought), textBlock(said, 1)]));
        const streamed = JSON.stringify(chunks.flatMap((chunk) => chunk.choices));
        const texts: readonly { readonly text: string }[] = JSON.parse(streamed);
        const content = [{ reasoningContent: { reasoningText: { text: thought.join("") } } }, { text: said.join("") }];
        expect(deepseek.write(answerOf(content), context)).toEqual(
          whole(texts.map((piece) => piece.text).join(""), "stop"),
        );
      }),
    );
  });
});
