import { describe, expect, test } from "vitest";
import type { StopReason } from "../../../src/bedrock/converse.ts";
import { anthropicText } from "../../../src/bedrock/families/anthropic-text.ts";
import type { JsonObject } from "../../../src/bedrock/json.ts";
import { answer, context, metrics, refusal, run, textEvents, wrapEvents } from "./support.ts";

const read = (prompt: string, members: JsonObject = {}) =>
  anthropicText.read({ prompt, max_tokens_to_sample: 100, ...members });
const user = (text: string) => ({ role: "user", content: [{ text }] });
const assistant = (text: string) => ({ role: "assistant", content: [{ text }] });

describe("a text completion's prompt", () => {
  test.each([
    ["\n\nHuman: hello\n\nAssistant:", [user("hello")]],
    ["Human: hello\n\nAssistant:", [user("hello")]],
    ["\n\nHuman: hello", [user("hello")]],
    ["\n\nHuman: a\n\nAssistant: b\n\nHuman: c\n\nAssistant:", [user("a"), assistant("b"), user("c")]],
    ["\n\nHuman: a\n\nAssistant: {", [user("a"), assistant("{")]],
    ["\n\nHuman: two\n\nparagraphs\n\nAssistant:", [user("two\n\nparagraphs")]],
    ["\n\nHuman: who said Human: and Assistant: here?\n\nAssistant:", [user("who said Human: and Assistant: here?")]],
  ])("%j becomes its turns", (prompt, messages) => {
    expect(read(prompt).messages).toStrictEqual(messages);
    expect(read(prompt).system).toBeUndefined();
  });

  test("has its system prompt before the first turn", () => {
    const request = read("Be brief.\n\nHuman: hello\n\nAssistant:");
    expect(request.system).toStrictEqual([{ text: "Be brief." }]);
    expect(request.messages).toStrictEqual([user("hello")]);
  });

  test.each([
    "just text",
    "\n\nAssistant: I begin\n\nHuman: no",
    "\n\nHuman:\n\nAssistant:",
    "\n\nHuman: a\n\nAssistant:\n\nHuman: b\n\nAssistant:",
  ])("that does not keep to the format is one user's text: %j", (prompt) => {
    expect(read(prompt)).toStrictEqual({ messages: [user(prompt)], inferenceConfig: { maxTokens: 100 } });
  });
});

describe("a text completion's parameters", () => {
  test("are carried, without the stop sequence that ends the format's own turns", () => {
    const request = read("\n\nHuman: a\n\nAssistant:", {
      anthropic_version: "bedrock-2023-05-31",
      temperature: 0.5,
      top_p: 0.9,
      top_k: 250,
      stop_sequences: ["\n\nHuman:", "END"],
    });
    expect(request.inferenceConfig).toStrictEqual({
      maxTokens: 100,
      temperature: 0.5,
      topP: 0.9,
      stopSequences: ["END"],
    });
    expect(request.additionalModelRequestFields).toStrictEqual({ top_k: 250 });
    expect(read("x", { stop_sequences: ["\n\nHuman:"] }).inferenceConfig).toStrictEqual({ maxTokens: 100 });
  });

  test.each([
    [{ prompt: null }, "prompt: is required and must be a string"],
    [{ prompt: "" }, "prompt: must not be empty"],
    [{ max_tokens_to_sample: null }, "max_tokens_to_sample: is required and must be an integer"],
    [{ top_p: 2 }, "top_p: must be from 0 to 1, not 2"],
    [{ stop_sequences: [""] }, "stop_sequences[0]: must not be empty"],
    [{ stream: true }, "stream: is not a field here; call InvokeModelWithResponseStream"],
  ])("that are wrong are refused by their path: %j", (members: JsonObject, said) => {
    expect(refusal(() => read("a", members))).toBe(said);
  });
});

describe("a completion", () => {
  test("is the answer's text, without reasoning and citations", () => {
    const content = [
      { reasoningContent: { reasoningText: { text: "hm" } } },
      { text: "one " },
      { citationsContent: { content: [{ text: "two" }], citations: [{ title: "T" }] } },
    ];
    expect(anthropicText.write(answer(content), context)).toStrictEqual({
      completion: "one two",
      stop_reason: "stop_sequence",
      stop: "\n\nHuman:",
    });
  });

  test("cannot hold a tool's call", () => {
    const call = { toolUse: { toolUseId: "a", name: "f", input: {} } };
    expect(refusal(() => anthropicText.write(answer([call]), context), "ModelErrorException")).toContain("toolUse");
    const start = { contentBlockStart: { contentBlockIndex: 0, start: call } };
    expect(refusal(() => anthropicText.stream(context).push(start), "ModelErrorException")).toContain("toolUse");
  });

  test.each([
    ["end_turn", "stop_sequence", "\n\nHuman:"],
    ["stop_sequence", "stop_sequence", "END"],
    ["max_tokens", "max_tokens", null],
    ["model_context_window_exceeded", "max_tokens", null],
    ["content_filtered", "refusal", null],
  ] as const)("that ends with %s says %s", (reason: StopReason, stop_reason, stop) => {
    const body = { stop_sequences: ["\n\nHuman:", "END"] };
    const written = anthropicText.write(answer([], reason), { ...context, body });
    expect([written.stop_reason, written.stop]).toEqual([stop_reason, stop]);
    const last = run(anthropicText.stream({ ...context, body }), textEvents([], reason)).at(-1);
    expect([last?.stop_reason, last?.stop]).toEqual([stop_reason, stop]);
  });

  test("streams in pieces, with nulls until the end", () => {
    expect(run(anthropicText.stream(context), textEvents(["Si", "", "lent"]))).toStrictEqual([
      { completion: "Si", stop_reason: null, stop: null },
      { completion: "lent", stop_reason: null, stop: null },
      {
        completion: "",
        stop_reason: "stop_sequence",
        stop: "\n\nHuman:",
        "amazon-bedrock-invocationMetrics": metrics,
      },
    ]);
  });

  test("streams without the reasoning", () => {
    const events = wrapEvents([
      { contentBlockDelta: { contentBlockIndex: 0, delta: { reasoningContent: { text: "hm" } } } },
      { contentBlockDelta: { contentBlockIndex: 1, delta: { text: "So." } } },
    ]);
    expect(run(anthropicText.stream(context), events).map((chunk) => chunk.completion)).toEqual(["So.", ""]);
  });
});
