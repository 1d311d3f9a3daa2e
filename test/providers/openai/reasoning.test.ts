import { describe, expect, test } from "vitest";
import type { ContentBlock } from "../../../src/bedrock/converse.ts";
import { openai } from "../../../src/providers/openai/openai.ts";
import { wrapSignature } from "../../../src/providers/provenance.ts";
import { answerOf, bodyOf, drain, item } from "../both-ways.ts";
import { collect } from "../collect.ts";
import { assistant, call, memoOf, requestOf, result, targetOf, user } from "../fixtures.ts";
import { send } from "./encoding.ts";

function thought(text: string, signature?: string): ContentBlock {
  return { reasoningContent: { reasoningText: { text, ...(signature !== undefined && { signature }) } } };
}

const turns = [
  user({ text: "x" }),
  assistant(thought("Hmm."), { text: "I look." }, call("a")),
  user(result("a")),
  assistant(thought("So."), { text: "Done." }),
  user({ text: "y" }),
];
const paths = [1, 3].map((index) => `messages[${index}].content[0].reasoningContent`);

describe("earlier reasoning", () => {
  test("F32 is left out, and listed, where there is no field for it", () => {
    const { ignored, request } = send(requestOf(turns));
    expect(ignored).toEqual(paths);
    expect(request.body).not.toContain("Hmm.");
  });

  test("F36 DeepSeek wants it on each turn with calls, and only there", () => {
    const { messages, ignored } = send(requestOf(turns), { kind: "deepseek" });
    expect(messages[1]).toMatchObject({ reasoning_content: "Hmm." });
    expect(messages[3]).not.toHaveProperty("reasoning_content");
    expect(ignored).toEqual([paths[1]]);
    const bare = requestOf([user({ text: "x" }), assistant(call("a")), user(result("a"))]);
    expect(send(bare, { kind: "deepseek" }).messages[1]).toMatchObject({ reasoning_content: "" });
  });

  test.each([
    ["xai", "grok-4.3", "reasoning_content"],
    ["groq", "openai/gpt-oss-20b", "reasoning"],
    ["cerebras", "zai-glm-4.7", "reasoning"],
    ["openrouter", "deepseek/deepseek-r1", "reasoning"],
  ])("%s takes it as %s", (kind, model, name) => {
    const { messages, ignored } = send(requestOf(turns), { kind, model });
    expect(messages[1]).toMatchObject({ [name]: "Hmm." });
    expect(messages[3]).toMatchObject({ [name]: "So." });
    expect(ignored).toEqual([]);
  });

  test("Groq's other models refuse the field", () => {
    expect(send(requestOf(turns), { kind: "groq", model: "llama-3.3-70b" }).ignored).toEqual(paths);
  });

  test("alone it makes no message: a server wants content", () => {
    const request = requestOf([user({ text: "x" }), assistant(thought("Hmm.")), user({ text: "y" })]);
    const { messages, ignored } = send(request, { kind: "xai" });
    expect(messages.map(({ role }) => role)).toEqual(["user", "user"]);
    expect(ignored).toEqual(["messages[1].content[0].reasoningContent"]);
    expect(() => send(requestOf([assistant(thought("Hmm."))]), { kind: "xai" })).toThrow("messages: ");
  });
});

describe("OpenRouter's details", () => {
  const target = targetOf({ kind: "openrouter", model: "anthropic/claude-sonnet-4.5" });
  const memo = memoOf({ target });
  const details = [
    { type: "reasoning.text", text: "Hmm.", signature: "sig==", format: "anthropic-claude-v1", index: 0 },
    { type: "reasoning.encrypted", data: "opaque", id: "call_1", index: 1 },
    { type: "reasoning.summary", summary: "In short.", signature: "s2", index: 2 },
  ];
  const toolCall = { id: "a", type: "function", function: { name: "f", arguments: "{}" } };
  const message = { role: "assistant", reasoning: "Hmm.", reasoning_details: details, tool_calls: [toolCall] };

  test("F28 F33 go to the client as signatures and blobs, and come back as they were", () => {
    const body = { choices: [{ message, finish_reason: "tool_calls" }] };
    const { output } = answerOf(openai.decode(bodyOf(body), memo)).response;
    expect(output.message.content.map((block) => Object.keys(block)[0])).toEqual([
      "reasoningContent",
      "reasoningContent",
      "reasoningContent",
      "toolUse",
    ]);
    const { messages, ignored } = send(requestOf([user({ text: "x" }), output.message, user(result("a"))]), target);
    expect(messages[1]?.reasoning_details).toEqual(details);
    expect(ignored).toEqual([]);
  });

  test("are the same from a stream, where the signature comes alone", () => {
    const delta = (value: object) => item({ choices: [{ index: 0, delta: { ...value } }] });
    const { events } = drain(openai.stream(memo), [
      delta({ role: "assistant", content: "" }),
      delta({ reasoning: "Hm", reasoning_details: [{ type: "reasoning.text", text: "Hm", index: 0 }] }),
      delta({ reasoning: "m.", reasoning_details: [{ type: "reasoning.text", text: "m.", index: 0 }] }),
      delta({ reasoning: null, reasoning_details: [{ ...details[0], text: "" }] }),
      delta({ reasoning_details: [{ ...details[1] }] }),
      delta({ content: "Hi" }),
      item({ choices: [{ index: 0, delta: {}, finish_reason: "stop" }] }),
    ]);
    const { blocks } = collect(events);
    expect(blocks.map(({ reasoning, text }) => reasoning ?? text)).toEqual(["Hmm.", undefined, "Hi"]);
    const [first, second] = blocks;
    const history = assistant(
      thought(first?.reasoning ?? "", first?.signature),
      { reasoningContent: { redactedContent: second?.redacted ?? "" } },
      { text: "Hi" },
    );
    const { messages } = send(requestOf([user({ text: "x" }), history, user({ text: "y" })]), target);
    expect(messages[1]?.reasoning_details).toEqual(details.slice(0, 2));
  });

  test("F28 of another model are text; forged ones are not sent", () => {
    const blob = JSON.stringify({ type: "reasoning.text", signature: "s" });
    const foreign = wrapSignature("openrouter", { ...target, model: "other" }, blob);
    const forged = wrapSignature("openrouter", target, "not JSON");
    const request = requestOf([
      user({ text: "x" }),
      assistant(thought("A", foreign), thought("B", forged), { text: "t" }),
    ]);
    expect(send(request, target).messages[1]).toEqual({ role: "assistant", content: "t", reasoning: "AB" });
  });

  test("beside the model's own, foreign reasoning is listed", () => {
    const own = wrapSignature("openrouter", target, JSON.stringify({ type: "reasoning.text", signature: "s" }));
    const request = requestOf([user({ text: "x" }), assistant(thought("A", own), thought("B"), { text: "t" })]);
    const { messages, ignored } = send(request, target);
    expect(messages[1]?.reasoning_details).toEqual([{ type: "reasoning.text", signature: "s", text: "A" }]);
    expect(ignored).toEqual(["messages[1].content[1].reasoningContent"]);
  });
});
