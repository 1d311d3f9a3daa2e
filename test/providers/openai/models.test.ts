import { describe, expect, test } from "vitest";
import type { ConverseRequest } from "../../../src/bedrock/converse.ts";
import { hello, send, toolConfig } from "./encoding.ts";

const inferenceConfig = { maxTokens: 50, temperature: 0.5, topP: 0.9, stopSequences: ["END"] };
const dropped = ["inferenceConfig.temperature", "inferenceConfig.topP"];

function thinking(value: ConverseRequest["additionalModelRequestFields"]): ConverseRequest {
  return hello({ additionalModelRequestFields: value ?? {} });
}

describe("F46 F47 OpenAI's reasoning models", () => {
  test.each([
    ["o1"],
    ["o3-mini"],
    ["o4-mini-2025-04-16"],
    ["gpt-5"],
    ["gpt-5-mini"],
    ["gpt-5.6"],
    ["openai/gpt-5.4"],
    ["ft:o4-mini:acme"],
  ])("%s takes max_completion_tokens, instructions as developer, no sampling, and no stop sequences", (model) => {
    const request = hello({
      inferenceConfig: { ...inferenceConfig },
      system: [{ text: "s" }],
      outputConfig: { effort: "high" },
    });
    const { body, messages, ignored, memo } = send(request, { model });
    expect(body).toMatchObject({ max_completion_tokens: 50, reasoning_effort: "high" });
    for (const name of ["max_tokens", "temperature", "top_p", "stop"]) expect(body).not.toHaveProperty(name);
    expect(messages[0]?.role).toBe("developer");
    expect(ignored).toEqual(dropped);
    expect(memo.stops).toEqual(["END"]);
  });

  test.each([
    ["gpt-4o"],
    ["gpt-4.1-mini"],
    ["chatgpt-4o-latest"],
    ["gpt-5-chat-latest"],
    ["gpt-oss-120b"],
    ["my-finetune"],
    ["o-matic"],
  ])("%s is none of them", (model) => {
    const { body, messages } = send(hello({ inferenceConfig, system: [{ text: "s" }] }), { model });
    expect(body).toMatchObject({ max_tokens: 50, temperature: 0.5, top_p: 0.9, stop: ["END"] });
    expect(messages[0]?.role).toBe("system");
  });

  test("an Azure deployment has the abilities of its base model", () => {
    const target = { kind: "azure", model: "our-bot", baseModel: "gpt-5-mini" };
    expect(send(hello({ inferenceConfig }), target).body).toMatchObject({
      model: "our-bot",
      max_completion_tokens: 50,
    });
  });

  test("elsewhere the instructions are always the system's", () => {
    const request = hello({ system: [{ text: "s" }] });
    for (const kind of ["openrouter", "vllm", "groq"]) {
      expect(send(request, { kind, model: "openai/gpt-5" }).messages[0]?.role).toBe("system");
    }
  });
});

describe("sampling on models that can leave reasoning off", () => {
  test.each([["gpt-5.1"], ["gpt-5.2"], ["gpt-5.4-mini"]])("%s: is taken, and the effort said to be none", (model) => {
    const { body, ignored } = send(hello({ inferenceConfig: { temperature: 0.5 } }), { model });
    expect(body).toMatchObject({ temperature: 0.5, reasoning_effort: "none" });
    expect(ignored).toEqual([]);
  });

  test("gpt-5.5 reasons unless it is told not to", () => {
    expect(send(hello({ inferenceConfig: { topP: 0.5 } }), { model: "gpt-5.5" }).ignored).toEqual([dropped[1]]);
    const off = hello({
      inferenceConfig: { topP: 0.5 },
      additionalModelRequestFields: { thinking: { type: "disabled" } },
    });
    expect(send(off, { model: "gpt-5.5" }).body).toMatchObject({ top_p: 0.5, reasoning_effort: "none" });
  });

  test("assumes that the newest models take none even so", () => {
    const off = hello({
      inferenceConfig: { topP: 0.5 },
      additionalModelRequestFields: { thinking: { type: "disabled" } },
    });
    expect(send(off, { model: "gpt-5.6" })).toMatchObject({ ignored: [dropped[1]] });
  });

  test("search models take no temperature", () => {
    const { ignored } = send(hello({ inferenceConfig: { temperature: 0.5 } }), { model: "gpt-4o-search-preview" });
    expect(ignored).toEqual([dropped[0]]);
  });
});

describe("effort", () => {
  test.each([
    ["gpt-5", "max", "high"],
    ["gpt-5", "minimal", "minimal"],
    ["gpt-5.1", "minimal", "low"],
    ["gpt-5.2", "max", "xhigh"],
    ["o3", "xhigh", "high"],
    ["gpt-5.2-chat-latest", "high", "medium"],
    ["gpt-7", "max", "xhigh"],
  ])("%s: %s becomes %s, the nearest it knows", (model, effort, sent) => {
    expect(send(hello({ outputConfig: { effort } }), { model }).body.reasoning_effort).toBe(sent);
  });

  test.each([
    [2_000, "low"],
    [5_000, "medium"],
    [9_000, "high"],
  ])("a budget of %i out of 10,000 tokens is %s", (budget_tokens, sent) => {
    const request = hello({
      inferenceConfig: { maxTokens: 10_000 },
      additionalModelRequestFields: { thinking: { type: "enabled", budget_tokens } },
    });
    expect(send(request, { model: "o3" }).body.reasoning_effort).toBe(sent);
  });

  test("thinking without an amount switches on what is off by default, and else says nothing", () => {
    const on = thinking({ thinking: { type: "adaptive" } });
    expect(send(on, { model: "gpt-5.1" }).body.reasoning_effort).toBe("medium");
    expect(send(on, { model: "gpt-5" }).body).not.toHaveProperty("reasoning_effort");
  });

  test.each([
    ["gpt-5.1", "none", []],
    ["gpt-5", "minimal", []],
    ["o3", undefined, ["additionalModelRequestFields.thinking"]],
    ["gpt-4o", undefined, []],
  ])("%s: no thinking becomes %s", (model, sent, ignored) => {
    const { body, ignored: left } = send(thinking({ thinking: { type: "disabled" } }), { model });
    expect(body.reasoning_effort).toBe(sent);
    expect(left).toEqual(ignored);
  });

  test("a model that does not reason is not asked to", () => {
    const request = hello({ outputConfig: { effort: "high" } });
    expect(send(request, { model: "gpt-4o" })).toMatchObject({ ignored: ["outputConfig.effort"] });
    expect(send(request, { kind: "groq", model: "llama-3.3-70b-versatile" })).toMatchObject({
      ignored: ["outputConfig.effort"],
    });
    expect(send(request, { kind: "xai", model: "grok-4.20-0309-reasoning" })).toMatchObject({
      ignored: ["outputConfig.effort"],
    });
  });

  test("an unknown model behind a custom provider is asked in the client's own words", () => {
    expect(send(hello({ outputConfig: { effort: "high" } }), { model: "qwen3" }).body.reasoning_effort).toBe("high");
  });
});

describe("effort beside tools", () => {
  const request = hello({ toolConfig: toolConfig("f"), outputConfig: { effort: "high" } });

  test.each([
    ["gpt-5", "high", []],
    ["gpt-5.1", "high", []],
    ["gpt-5.4", undefined, ["outputConfig.effort"]],
    ["gpt-5.5", undefined, ["outputConfig.effort"]],
    ["gpt-5.6-luna", "none", ["outputConfig.effort"]],
  ])("%s is told %s", (model, sent, ignored) => {
    const { body, ignored: left } = send(request, { model });
    expect(body.reasoning_effort).toBe(sent);
    expect(left).toEqual(ignored);
  });

  test("the newest models refuse functions unless told none, whether or not the client asked", () => {
    expect(send(hello({ toolConfig: toolConfig("f") }), { model: "gpt-5.6" }).body.reasoning_effort).toBe("none");
    expect(send(hello(), { model: "gpt-5.6" }).body).not.toHaveProperty("reasoning_effort");
  });
});

describe("the ways of other servers", () => {
  const on = thinking({ thinking: { type: "enabled", budget_tokens: 4000 } });
  const off = thinking({ thinking: { type: "disabled" } });

  test("DeepSeek has a switch and an effort", () => {
    const kind = "deepseek";
    expect(send(on, { kind }).body).toMatchObject({ thinking: { type: "enabled" }, reasoning_effort: "low" });
    expect(send(off, { kind }).body).toMatchObject({ thinking: { type: "disabled" } });
    expect(send(off, { kind }).body).not.toHaveProperty("reasoning_effort");
    expect(send(hello(), { kind }).body).not.toHaveProperty("thinking");
    expect(send(hello({ outputConfig: { effort: "max" } }), { kind }).body.reasoning_effort).toBe("max");
  });

  test("OpenRouter has an object", () => {
    const kind = "openrouter";
    expect(send(on, { kind }).body.reasoning).toEqual({ max_tokens: 4000 });
    expect(send(off, { kind }).body.reasoning).toEqual({ effort: "none" });
    expect(send(hello({ outputConfig: { effort: "max" } }), { kind }).body.reasoning).toEqual({ effort: "xhigh" });
    const hidden = thinking({ thinking: { type: "adaptive", display: "omitted" } });
    expect(send(hidden, { kind }).body.reasoning).toEqual({ enabled: true, exclude: true });
  });

  test("Groq's words depend on the model, and Qwen's reasoning is kept out of the text", () => {
    const qwen = { kind: "groq", model: "qwen/qwen3-32b" };
    expect(send(on, qwen).body).toMatchObject({ reasoning_effort: "default", reasoning_format: "parsed" });
    expect(send(off, qwen).body).toMatchObject({ reasoning_effort: "none", reasoning_format: "parsed" });
    const oss = { kind: "groq", model: "openai/gpt-oss-120b" };
    expect(send(on, oss).body).toMatchObject({ reasoning_effort: "low" });
    expect(send(on, oss).body).not.toHaveProperty("reasoning_format");
    expect(send(off, oss).ignored).toEqual(["additionalModelRequestFields.thinking"]);
  });

  test("xAI's newest knows more words, and one model cannot be switched off", () => {
    const max = hello({ outputConfig: { effort: "max" } });
    expect(send(max, { kind: "xai", model: "grok-4.6" }).body.reasoning_effort).toBe("xhigh");
    expect(send(max, { kind: "xai", model: "grok-4.3" }).body.reasoning_effort).toBe("high");
    expect(send(off, { kind: "xai", model: "grok-4.3" }).body.reasoning_effort).toBe("none");
    expect(send(off, { kind: "xai", model: "grok-4.5" }).ignored).toHaveLength(1);
  });
});

describe("F37 DeepSeek refuses a forced choice while it thinks", () => {
  const forced = { ...toolConfig("f"), toolChoice: { any: {} } };

  test("thinking is switched off when nobody asked for it, since it is on by default", () => {
    const { body, ignored } = send(hello({ toolConfig: forced }), { kind: "deepseek" });
    expect(body).toMatchObject({ thinking: { type: "disabled" }, tool_choice: "required" });
    expect(ignored).toEqual([]);
  });

  test("the choice gives way when the client asked for thinking", () => {
    const { body, ignored } = send(hello({ toolConfig: forced, outputConfig: { effort: "high" } }), {
      kind: "deepseek",
    });
    expect(body).toMatchObject({ thinking: { type: "enabled" }, tool_choice: "auto" });
    expect(ignored).toEqual(["toolConfig.toolChoice"]);
  });
});
