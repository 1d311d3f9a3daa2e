import { describe, expect, test } from "vitest";
import { stopReasonIn } from "../../src/bedrock/stop-reason.ts";

describe("the stop reason", () => {
  test.each<[string, unknown, string | undefined]>([
    ["a Converse answer", { stopReason: "tool_use" }, "tool_use"],
    ["Converse's messageStop", { stopReason: "max_tokens" }, "max_tokens"],
    ["Anthropic's answer", { stop_reason: "end_turn", content: [] }, "end_turn"],
    ["Anthropic's message_delta", { type: "message_delta", delta: { stop_reason: "refusal" } }, "refusal"],
    ["Anthropic's message_start", { type: "message_start", message: { stop_reason: null } }, undefined],
    ["Nova's stream", { messageStop: { stopReason: "end_turn" } }, "end_turn"],
    ["Llama", { generation: "x", stop_reason: "length" }, "length"],
    ["Titan's answer", { results: [{ outputText: "x", completionReason: "FINISH" }] }, "FINISH"],
    ["Titan's stream", { outputText: "x", completionReason: "LENGTH" }, "LENGTH"],
    ["Mistral", { outputs: [{ text: "x", stop_reason: "stop" }] }, "stop"],
    ["Cohere Command R", { finish_reason: "COMPLETE", text: "x" }, "COMPLETE"],
    ["Cohere Command", { generations: [{ finish_reason: "MAX_TOKENS" }] }, "MAX_TOKENS"],
    ["chat shapes", { choices: [{ finish_reason: null }, { finish_reason: "tool_calls" }] }, "tool_calls"],
    ["AI21 Jurassic", { completions: [{ finishReason: { reason: "endoftext" } }] }, "endoftext"],
    ["an answer that says nothing", { embedding: [1] }, undefined],
    ["what is no object", [{ stop_reason: "x" }], undefined],
  ])("of %s", (_what, object, reason) => {
    expect(stopReasonIn(object)).toBe(reason);
  });
});
