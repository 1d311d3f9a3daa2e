import { describe, expect, test } from "vitest";
import type { ConverseRequest } from "../../../src/bedrock/converse.ts";
import type { JsonObject } from "../../../src/bedrock/json.ts";
import { wrapSignature } from "../../../src/providers/provenance.ts";
import { assistant, call, requestOf, result, user } from "../fixtures.ts";
import { claude, haiku3, opus5, opus55, send, sonnet45, sonnet46 } from "./support.ts";

const effortPath = "outputConfig.effort";
const thinkingPath = "additionalModelRequestFields.thinking";

function ask(changes: Omit<Partial<ConverseRequest>, "messages">): ConverseRequest {
  return requestOf([user({ text: "hi" })], changes);
}

function thinking(value: JsonObject, effort?: string, maxTokens?: number): ConverseRequest {
  return ask({
    additionalModelRequestFields: { thinking: value },
    ...(effort !== undefined && { outputConfig: { effort } }),
    ...(maxTokens !== undefined && { inferenceConfig: { maxTokens } }),
  });
}

function shown(request: ConverseRequest, model: string) {
  const { body, ignored } = send(request, claude(model));
  return { thinking: body.thinking, effort: body.output_config?.effort, max: body.max_tokens, ignored };
}

const enabled = (budget_tokens: number) => ({ type: "enabled", budget_tokens });

describe("a budget", () => {
  test("is the client's own", () => {
    expect(shown(thinking(enabled(2000), undefined, 8000), sonnet45)).toEqual({
      thinking: { type: "enabled", budget_tokens: 2000 },
      effort: undefined,
      max: 8000,
      ignored: [],
    });
  });

  test("assumes a least of 1024 tokens and less than max_tokens, on top of which it comes where it does not fit (F38)", () => {
    expect(shown(thinking(enabled(10), undefined, 8000), sonnet45).thinking).toMatchObject({ budget_tokens: 1024 });
    expect(shown(thinking(enabled(4000), undefined, 500), sonnet45)).toMatchObject({
      thinking: { budget_tokens: 4000 },
      max: 4500,
    });
    expect(shown(thinking(enabled(500_000)), sonnet45)).toMatchObject({
      thinking: { budget_tokens: 63_999 },
      max: 64_000,
    });
  });

  test.each([
    ["low", 2000],
    ["medium", 5000],
    ["high", 8000],
    ["max", 8000],
  ])("of effort %s is a share of the answer", (effort, budget_tokens) => {
    const request = ask({ outputConfig: { effort }, inferenceConfig: { maxTokens: 10_000 } });
    expect(shown(request, sonnet45).thinking).toEqual({ type: "enabled", budget_tokens });
  });

  test("stands beside the effort on the one model that has both", () => {
    const request = ask({ outputConfig: { effort: "max" }, inferenceConfig: { maxTokens: 10_000 } });
    expect(shown(request, "claude-opus-4-5")).toMatchObject({ thinking: { budget_tokens: 8000 }, effort: "high" });
  });

  test("is half of the answer where the client leaves it open", () => {
    const request = ask({ additionalModelRequestFields: { reasoningConfig: { type: "enabled" } } });
    expect(shown(request, sonnet45).thinking).toMatchObject({ budget_tokens: 32_000 });
    expect(shown(thinking({ type: "adaptive" }), sonnet45).thinking).toMatchObject({ type: "enabled" });
  });
});

describe("F39 F40 adaptive thinking", () => {
  test("replaces a budget, and shows itself to who expects to see it", () => {
    expect(shown(thinking(enabled(8000), undefined, 10_000), opus5)).toEqual({
      thinking: { type: "adaptive", display: "summarized" },
      effort: "high",
      max: 10_000,
      ignored: [],
    });
    expect(shown(thinking(enabled(2000), undefined, 10_000), sonnet46)).toMatchObject({
      thinking: { type: "adaptive" },
      effort: "low",
    });
  });

  test("is passed as the client says it", () => {
    expect(shown(thinking({ type: "adaptive" }, "xhigh"), opus5)).toMatchObject({
      thinking: { type: "adaptive" },
      effort: "xhigh",
    });
    expect(shown(thinking({ type: "adaptive", display: "omitted" }), opus5).thinking).toEqual({
      type: "adaptive",
      display: "omitted",
    });
  });

  test("comes with an effort the model knows", () => {
    expect(shown(ask({ outputConfig: { effort: "xhigh" } }), sonnet46).effort).toBe("high");
    expect(shown(ask({ outputConfig: { effort: "minimal" } }), opus5).effort).toBe("low");
    expect(shown(ask({ additionalModelRequestFields: { output_config: { effort: "max" } } }), opus5).effort).toBe(
      "max",
    );
    expect(shown(ask({ additionalModelRequestFields: { reasoning_effort: "low" } }), opus5).effort).toBe("low");
  });

  test("is not asked for when the client does not", () => {
    expect(shown(ask({}), opus5)).toEqual({ thinking: undefined, effort: undefined, max: 128_000, ignored: [] });
  });
});

describe("no thinking", () => {
  test.each([
    ["claude-sonnet-5", { type: "disabled" }],
    [opus5, { type: "disabled" }],
    ["claude-haiku-5-5", { type: "disabled" }],
    ["claude-sonnet-5-5", { type: "between_tools" }],
    ["claude-opus-4-7", undefined],
    [sonnet46, undefined],
    [sonnet45, undefined],
    [haiku3, undefined],
  ])("on %s is %j", (model, said) => {
    expect(shown(thinking({ type: "disabled" }), model)).toMatchObject({
      thinking: said,
      effort: undefined,
      ignored: [],
    });
    expect(shown(thinking({ type: "between_tools" }), model).thinking).toEqual(said);
  });

  test("limits the effort to high", () => {
    expect(shown(thinking({ type: "disabled" }, "max"), opus5)).toMatchObject({
      thinking: { type: "disabled" },
      effort: "high",
    });
    expect(shown(thinking({ type: "disabled" }, "xhigh"), "claude-sonnet-5-5").effort).toBe("high");
  });

  test.each([opus55, "claude-fable-5", "unheard-of"])(
    "cannot be had from %s, which then thinks as little as it can",
    (model) => {
      expect(shown(thinking({ type: "disabled" }), model)).toMatchObject({
        thinking: undefined,
        effort: "low",
        ignored: [thinkingPath],
      });
    },
  );
});

describe("thinking that cannot be had is listed", () => {
  test("on a model without it", () => {
    expect(shown(thinking(enabled(2000), "high"), haiku3)).toMatchObject({
      thinking: undefined,
      effort: undefined,
      ignored: [effortPath, thinkingPath],
    });
  });

  const tools = { tools: [{ toolSpec: { name: "weather", inputSchema: { json: { type: "object" } } } }] };

  test("F37 beside a tool that has to be called, a budget gives way and adaptive thinking stays", () => {
    const request = (value: JsonObject) => ({
      ...thinking(value),
      toolConfig: { ...tools, toolChoice: { any: {} } },
    });
    const manual = send(request(enabled(2000)));
    expect(manual.body).not.toHaveProperty("thinking");
    expect(manual.body.tool_choice).toEqual({ type: "any" });
    expect(manual.ignored).toEqual([thinkingPath]);
    const adaptive = send(request({ type: "adaptive" }), claude(opus5));
    expect(adaptive.body).toMatchObject({ thinking: { type: "adaptive" }, tool_choice: { type: "any" } });
    expect(adaptive.ignored).toEqual([]);
  });

  test("F30 a budget gives way to calls that were made without thinking, adaptive thinking does not", () => {
    const history = (signature: string, model: string) =>
      send(
        requestOf(
          [
            user({ text: "hi" }),
            assistant({ reasoningContent: { reasoningText: { text: "t", signature } } }, call("a")),
            user(result("a")),
          ],
          { additionalModelRequestFields: { thinking: enabled(2000) } },
        ),
        claude(model),
      );
    const lost = history("foreign", sonnet45);
    expect(lost.body).not.toHaveProperty("thinking");
    expect(lost.ignored).toEqual(["messages[1].content[0].reasoningContent", thinkingPath]);
    expect(history(wrapSignature("anthropic", claude(), "x"), sonnet45).body.thinking?.type).toBe("enabled");
    expect(history("foreign", opus5).body.thinking?.type).toBe("adaptive");
  });

  test("F30 only the calls that are being answered count", () => {
    const { body } = send(
      requestOf(
        [user({ text: "hi" }), assistant(call("a")), user(result("a")), assistant({ text: "b" }), user({ text: "c" })],
        {
          additionalModelRequestFields: { thinking: enabled(2000) },
        },
      ),
    );
    expect(body.thinking?.type).toBe("enabled");
  });
});
