import { describe, expect, test } from "vitest";
import type { ConverseRequest, ConverseResponse, GuardrailConfig } from "../../src/bedrock/converse.ts";
import { askGuarded, guardedInput } from "../../src/gateway/guardrail.ts";
import { rejection } from "../support/wait.ts";

const config: GuardrailConfig = { guardrailIdentifier: "gr1", guardrailVersion: "2", trace: "enabled" };
const request: ConverseRequest = {
  messages: [{ role: "user", content: [{ text: "hello" }] }],
  guardrailConfig: config,
};
const answer: ConverseResponse = {
  output: { message: { role: "assistant", content: [{ text: "fine" }] } },
  stopReason: "end_turn",
  usage: { inputTokens: 3, outputTokens: 1, totalTokens: 4 },
  metrics: { latencyMs: 5 },
};
const passes = { action: "NONE", outputs: [], assessments: [{ seen: 1 }] };
const stops = { action: "GUARDRAIL_INTERVENED", outputs: [{ text: "No." }], assessments: [{ seen: 2 }] };

function guarded(verdicts: readonly (object | string)[], asked: ConverseRequest = request) {
  const calls: { readonly labels: readonly string[]; readonly body: unknown }[] = [];
  let asks = 0;
  const input = guardedInput(asked);
  const left = [...verdicts];
  const result = askGuarded(
    input === undefined ? undefined : Buffer.from(input),
    asked.guardrailConfig ?? {},
    async (route, body) => {
      calls.push({ labels: route.labels, body: JSON.parse(body.toString()) });
      const said = left.shift() ?? passes;
      const text = typeof said === "string" ? said : JSON.stringify(said);
      return { kind: "answer", status: 200, headers: [], body: text, usage: undefined };
    },
    async () => {
      asks++;
      return answer;
    },
  );
  return { result, calls, asks: () => asks };
}

describe("a guardrail that lets pass", () => {
  test("has seen what went in and what came out, and the model is asked without it", async () => {
    const { result, calls, asks } = guarded([passes, passes]);
    expect(await result).toMatchObject({ stopReason: "end_turn", output: answer.output, usage: answer.usage });
    expect(calls).toEqual([
      { labels: ["gr1", "2"], body: { source: "INPUT", content: [{ text: { text: "hello" } }] } },
      { labels: ["gr1", "2"], body: { source: "OUTPUT", content: [{ text: { text: "fine" } }] } },
    ]);
    expect(asks()).toBe(1);
  });

  test("is told of in the trace only when asked", async () => {
    expect(await guarded([passes, passes]).result).toMatchObject({
      trace: { guardrail: { inputAssessment: { gr1: { seen: 1 } }, outputAssessments: { gr1: [{ seen: 1 }] } } },
    });
    const quiet = { ...request, guardrailConfig: { guardrailIdentifier: "gr1" } };
    expect(await guarded([passes, passes], quiet).result).not.toHaveProperty("trace");
  });

  test("looks at what the client marked, and at nothing else then", async () => {
    const marked = { guardContent: { text: { text: "this", qualifiers: ["query" as const] } } };
    const messages = [{ role: "user" as const, content: [{ text: "not this" }, marked] }];
    const { result, calls } = guarded([passes, passes], { ...request, messages });
    await result;
    expect(calls[0]?.body).toEqual({ source: "INPUT", content: [marked.guardContent] });
  });
});

describe("a guardrail that intervenes", () => {
  test("before the model: it is not asked", async () => {
    const { result, asks } = guarded([stops]);
    expect(await result).toMatchObject({
      stopReason: "guardrail_intervened",
      output: { message: { content: [{ text: "No." }] } },
      usage: { totalTokens: 0 },
    });
    expect(asks()).toBe(0);
  });

  test("after the model: its words are replaced, its tokens are counted", async () => {
    const { result } = guarded([passes, stops]);
    expect(await result).toMatchObject({
      stopReason: "guardrail_intervened",
      output: { message: { content: [{ text: "No." }] } },
      usage: answer.usage,
    });
  });
});

describe("without a verdict nothing passes", () => {
  test.each([["<html>"], [{}], [{ action: "MAYBE" }], [[]]])("%j is a failure", async (said) => {
    const { result, asks } = guarded([said]);
    expect(await result).toMatchObject({ kind: "failure", reply: { type: "ModelErrorException" } });
    expect(asks()).toBe(0);
  });

  test("a guardrail that is not named is refused", async () => {
    const error = await rejection(guarded([], { ...request, guardrailConfig: {} }).result);
    expect(error).toMatchObject({
      type: "ValidationException",
      message: expect.stringContaining("guardrailIdentifier"),
    });
  });
});
