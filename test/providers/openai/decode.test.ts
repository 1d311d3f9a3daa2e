import { describe, expect, test } from "vitest";
import type { JsonObject } from "../../../src/bedrock/json.ts";
import { openai } from "../../../src/providers/openai/openai.ts";
import { answerOf, bodyOf, failureOf } from "../both-ways.ts";
import { completion, memoFor, whole } from "./chunks.ts";

function call(name: string, args: string | undefined, id: string | null = "a"): JsonObject {
  return { id, type: "function", function: { name, arguments: args ?? null } };
}

describe("content", () => {
  test("is reasoning, text, calls, in this order", () => {
    const message = {
      role: "assistant",
      tool_calls: [call("f", '{"b":1,"a":2}')],
      content: "Hi",
      reasoning_content: "Hm",
    };
    expect(whole(completion(message, "tool_calls"), memoFor("deepseek"))).toMatchObject({
      content: [{ reasoning: "Hm" }, { text: "Hi" }, { id: "a", name: "f", input: { b: 1, a: 2 } }],
      stopReason: "tool_use",
    });
  });

  test("may be missing altogether", () => {
    expect(whole(completion({ role: "assistant", content: "" }, "stop"))).toMatchObject({
      content: [],
      stopReason: "end_turn",
    });
    expect(whole(completion({ role: "assistant", content: null }, "length")).stopReason).toBe("max_tokens");
  });

  test("may be parts", () => {
    const content = [
      { type: "text", text: "a" },
      { type: "text", text: "b" },
      { type: "refusal", refusal: "c" },
    ];
    expect(whole(completion({ content }))).toMatchObject({
      content: [{ text: "abc" }],
      stopReason: "content_filtered",
    });
  });

  test("a refusal is text, and the content was filtered", () => {
    expect(whole(completion({ content: null, refusal: "No." }))).toMatchObject({
      content: [{ text: "No." }],
      stopReason: "content_filtered",
    });
  });

  test("citations stand with their text", () => {
    const annotations = [{ type: "url_citation", url_citation: { url: "https://e.org", title: "E", content: "c" } }];
    const { response } = answerOf(openai.decode(bodyOf(completion({ content: "Hi", annotations })), memoFor("openai")));
    expect(response.output.message.content).toEqual([
      {
        citationsContent: {
          content: [{ text: "Hi" }],
          citations: [
            {
              title: "E",
              source: "https://e.org",
              sourceContent: [{ text: "c" }],
              location: { web: { url: "https://e.org" } },
            },
          ],
        },
      },
    ]);
  });

  test("Perplexity's older list of addresses is cited too", () => {
    const body = completion({ content: "Hi [1]" }, "stop", { citations: ["https://e.org"] });
    expect(whole(body, memoFor("perplexity")).content).toEqual([{ text: "Hi [1]", citations: 1 }]);
  });

  test("F80 Cerebras's repeated calls beside the answer are left out", () => {
    const body = completion({ content: '{"a":1}', tool_calls: [call("f", "{}")] }, "tool_calls");
    expect(whole(body, memoFor("cerebras", { schema: true }))).toMatchObject({
      content: [{ text: '{"a":1}' }],
      stopReason: "end_turn",
    });
    expect(whole(body, memoFor("cerebras")).content).toHaveLength(2);
  });

  test("F43 Azure's answer in the place of the reasoning is the answer", () => {
    const body = completion({ content: "", reasoning_content: '{"a":1}' });
    expect(whole(body, memoFor("azure", { schema: true })).content).toEqual([{ text: '{"a":1}' }]);
    expect(whole(body, memoFor("azure")).content).toEqual([{ reasoning: '{"a":1}' }]);
  });

  test("what the client asked for of the answer itself", () => {
    const memo = memoFor("openai", { responsePaths: ["/system_fingerprint", "/stop_sequence", "/choices/0/logprobs"] });
    const { response } = answerOf(
      openai.decode(bodyOf(completion({ content: "Hi" }, "stop", { system_fingerprint: "fp" })), memo),
    );
    expect(response.additionalModelResponseFields).toEqual({ system_fingerprint: "fp", stop_sequence: null });
  });

  test("the tier that served it", () => {
    const { response } = answerOf(
      openai.decode(bodyOf(completion({ content: "Hi" }, "stop", { service_tier: "flex" })), memoFor("openai")),
    );
    expect(response.serviceTier).toEqual({ type: "flex" });
  });
});

describe("stop reasons", () => {
  test.each([
    ["stop", "end_turn"],
    ["eos", "end_turn"],
    ["length", "max_tokens"],
    ["content_filter", "content_filtered"],
    ["STOP", "end_turn"],
    ["something new", "end_turn"],
    [null, "end_turn"],
  ])("%s is %s", (reason, expected) => {
    expect(whole(completion({ content: "Hi" }, reason)).stopReason).toBe(expected);
  });

  test("vLLM and SGLang tell which stop sequence it was; a token's number is none", () => {
    const stopped = (choice: JsonObject) => ({
      choices: [{ message: { content: "Hi" }, finish_reason: "stop", ...choice }],
    });
    expect(whole(stopped({ stop_reason: "###" })).stopReason).toBe("stop_sequence");
    expect(whole(stopped({ matched_stop: "###" })).stopReason).toBe("stop_sequence");
    expect(whole(stopped({ matched_stop: 128009, stop_reason: null })).stopReason).toBe("end_turn");
  });

  test.each([
    ["insufficient_system_resource", "ServiceUnavailableException"],
    ["error", "ServiceUnavailableException"],
    ["abort", "ServiceUnavailableException"],
  ])("%s is a failure", (reason, type) => {
    const failure = failureOf(openai.decode(bodyOf(completion({ content: "Hi" }, reason)), memoFor("deepseek")));
    expect(failure.error.type).toBe(type);
    expect(failure.elsewhere).toBe(true);
  });

  test("F81 cut off within a call, the call is left out", () => {
    const message = { content: "Hi", tool_calls: [call("f", '{"a'), { id: "b", function: { name: "" } }] };
    expect(whole(completion(message, "length"))).toMatchObject({ content: [{ text: "Hi" }], stopReason: "max_tokens" });
  });

  test("a stop sequence of ours cuts the text and what follows", () => {
    const memo = memoFor("xai", { stops: ["END"] });
    expect(whole(completion({ content: "Hello END more" }), memo)).toMatchObject({
      content: [{ text: "Hello " }],
      stopReason: "stop_sequence",
    });
  });
});

describe("usage", () => {
  const usages: readonly (readonly [string, string, JsonObject, JsonObject])[] = [
    [
      "OpenAI, cached inside",
      "openai",
      { prompt_tokens: 100, completion_tokens: 20, prompt_tokens_details: { cached_tokens: 60 } },
      { inputTokens: 40, outputTokens: 20, totalTokens: 120, cacheReadInputTokens: 60 },
    ],
    [
      "OpenAI, written inside",
      "openai",
      {
        prompt_tokens: 100,
        completion_tokens: 20,
        prompt_tokens_details: { cached_tokens: 60, cache_write_tokens: 30 },
      },
      { inputTokens: 10, outputTokens: 20, totalTokens: 120, cacheReadInputTokens: 60, cacheWriteInputTokens: 30 },
    ],
    [
      "OpenAI, reasoning inside",
      "openai",
      { prompt_tokens: 1, completion_tokens: 20, completion_tokens_details: { reasoning_tokens: 15 } },
      { inputTokens: 1, outputTokens: 20, totalTokens: 21 },
    ],
    [
      "DeepSeek",
      "deepseek",
      {
        prompt_tokens: 100,
        completion_tokens: 20,
        prompt_cache_hit_tokens: 64,
        prompt_cache_miss_tokens: 36,
        prompt_tokens_details: { cached_tokens: 64 },
      },
      { inputTokens: 36, outputTokens: 20, totalTokens: 120, cacheReadInputTokens: 64 },
    ],
    [
      "F68 xAI, reasoning apart",
      "xai",
      {
        prompt_tokens: 10,
        completion_tokens: 20,
        total_tokens: 330,
        completion_tokens_details: { reasoning_tokens: 300 },
      },
      { inputTokens: 10, outputTokens: 320, totalTokens: 330 },
    ],
    [
      "F68 xAI, more cached than there was",
      "xai",
      { prompt_tokens: 10, completion_tokens: 20, prompt_tokens_details: { cached_tokens: 50 } },
      { inputTokens: 10, outputTokens: 20, totalTokens: 80, cacheReadInputTokens: 50 },
    ],
    [
      "a server with its own name for cached",
      "custom",
      { prompt_tokens: 10, completion_tokens: 2, cached_tokens: 4 },
      { inputTokens: 6, outputTokens: 2, totalTokens: 12, cacheReadInputTokens: 4 },
    ],
    [
      "a wrong total",
      "openai",
      { prompt_tokens: 10, completion_tokens: 2, total_tokens: 900 },
      { inputTokens: 10, outputTokens: 2, totalTokens: 12 },
    ],
    [
      "numbers below zero",
      "openai",
      { prompt_tokens: -5, completion_tokens: -2 },
      { inputTokens: 0, outputTokens: 0, totalTokens: 0 },
    ],
    [
      "F68 more reasoning than output",
      "openai",
      { prompt_tokens: 5, completion_tokens: 2, completion_tokens_details: { reasoning_tokens: 9 } },
      { inputTokens: 5, outputTokens: 2, totalTokens: 7 },
    ],
  ];

  test.each(usages)("%s", (_, kind, usage, expected) => {
    expect(whole(completion({ content: "Hi" }, "stop", { usage }), memoFor(kind)).usage).toEqual(expected);
  });

  test("Groq's own member counts where there is no other", () => {
    const x_groq = { usage: { prompt_tokens: 3, completion_tokens: 4 } };
    expect(whole(completion({ content: "Hi" }, "stop", { x_groq })).usage).toMatchObject({
      inputTokens: 3,
      outputTokens: 4,
    });
  });

  test("is estimated when nobody tells, and said to be", () => {
    const answer = answerOf(
      openai.decode(bodyOf(completion({ content: "12345678" })), memoFor("openai", { inputTokens: 9 })),
    );
    expect(answer).toMatchObject({ estimated: true, response: { usage: { inputTokens: 9, outputTokens: 2 } } });
  });
});

describe("calls", () => {
  test.each([[""], ["null"], ['"null"'], ["{}"], [undefined]])("F66 no input, said as %j", (args) => {
    expect(whole(completion({ content: null, tool_calls: [call("f", args)] }, "tool_calls")).content).toMatchObject([
      { input: {} },
    ]);
  });

  test("F23 without an id get one", () => {
    const { content } = whole(completion({ tool_calls: [call("f", "{}", null), call("f", "{}", "")] }, "tool_calls"));
    expect(new Set(content.map((shown) => ("id" in shown ? shown.id : ""))).size).toBe(2);
  });

  test("with an input that is not JSON are text, and the reason says so", () => {
    expect(whole(completion({ tool_calls: [call("f", "{oops")] }, "tool_calls"))).toMatchObject({
      content: [{ text: "f {oops" }],
      stopReason: "malformed_tool_use",
    });
  });

  test("F7 F8 the stop reason follows them", () => {
    expect(whole(completion({ tool_calls: [call("f", "{}")] }, "stop")).stopReason).toBe("tool_use");
    expect(whole(completion({ content: "x", tool_calls: [] }, "tool_calls")).stopReason).toBe("end_turn");
  });
});
