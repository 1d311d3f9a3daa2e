import { describe, expect, test } from "vitest";
import type { JsonObject } from "../../src/bedrock/json.ts";
import { budgetFor, effortFor, readReasoning } from "../../src/providers/reasoning.ts";

describe("what the client says", () => {
  test.each([
    [{ thinking: { type: "enabled", budget_tokens: 2048 } }, { mode: "on", budget: 2048 }],
    [{ thinking: { type: "adaptive", display: "summarized" } }, { mode: "adaptive", display: "summarized" }],
    [{ thinking: { type: "disabled" } }, { mode: "off" }],
    [{ reasoning_config: { type: "enabled", budget_tokens: 1024 } }, { mode: "on", budget: 1024 }],
    [{ reasoningConfig: { type: "enabled", maxReasoningEffort: "high" } }, { mode: "on", effort: "high" }],
    [{ reasoningConfig: { type: "disabled" } }, { mode: "off" }],
    [{ reasoning_effort: "low" }, { mode: "on", effort: "low" }],
    [{ reasoning_effort: "none" }, { mode: "off" }],
    [{ reasoning: { effort: "medium" } }, { mode: "on", effort: "medium" }],
    [{ reasoning: { max_tokens: 100, exclude: true } }, { mode: "on", budget: 100, display: "omitted" }],
    [{ output_config: { effort: "max" } }, { mode: "on", effort: "max" }],
    [
      { thinking: { type: "adaptive" }, output_config: { effort: "max" } },
      { mode: "adaptive", effort: "max" },
    ],
    [{ top_k: 3 }, { mode: "unset" }],
  ])("%j", (fields: JsonObject, intent) => {
    expect(readReasoning(undefined, fields)).toEqual(intent);
  });

  test("outputConfig.effort wins over the model's own fields", () => {
    expect(readReasoning({ effort: "low" }, { reasoning_effort: "high" })).toEqual({ mode: "on", effort: "low" });
    expect(readReasoning({ effort: "low" }, { thinking: { type: "disabled" } })).toEqual({
      mode: "off",
      effort: "low",
    });
    expect(readReasoning(undefined, undefined)).toEqual({ mode: "unset" });
  });

  test.each([
    [{ thinking: true }, "additionalModelRequestFields.thinking"],
    [{ thinking: { type: "maybe" } }, "additionalModelRequestFields.thinking.type"],
    [{ thinking: { type: "enabled", budget_tokens: "1" } }, "additionalModelRequestFields.thinking.budget_tokens"],
    [{ reasoning: { summary: "auto" } }, "additionalModelRequestFields.reasoning.summary"],
    [{ reasoning_effort: 3 }, "additionalModelRequestFields.reasoning_effort"],
  ])("%j is refused by its path", (fields: JsonObject, path) => {
    expect(() => readReasoning(undefined, fields)).toThrow(`${path}: `);
  });
});

describe("effort and budget", () => {
  const words = ["low", "medium", "high"];

  test("an effort the target does not know becomes the next lower one, or the lowest", () => {
    expect(effortFor({ mode: "on", effort: "max" }, words, 1000)).toBe("high");
    expect(effortFor({ mode: "on", effort: "minimal" }, words, 1000)).toBe("low");
    expect(effortFor({ mode: "on", effort: "medium" }, words, 1000)).toBe("medium");
    expect(effortFor({ mode: "on", effort: "own-word" }, words, 1000)).toBe("own-word");
    expect(effortFor({ mode: "on", effort: "max" }, [], 1000)).toBe("max");
    expect(effortFor({ mode: "on" }, words, 1000)).toBeUndefined();
  });

  test.each([
    [200, "low"],
    [201, "medium"],
    [500, "medium"],
    [501, "high"],
  ])("a budget of %d of 1000 tokens is %s", (budget, effort) => {
    expect(effortFor({ mode: "on", budget }, words, 1000)).toBe(effort);
  });

  test("an effort is a share of the longest answer; the client's own budget stays", () => {
    expect(budgetFor({ mode: "on", effort: "low" }, 10_000)).toBe(2000);
    expect(budgetFor({ mode: "on", effort: "high" }, 10_000)).toBe(8000);
    expect(budgetFor({ mode: "on", budget: 5, effort: "high" }, 10_000)).toBe(5);
    expect(budgetFor({ mode: "on" }, 10_000)).toBeUndefined();
  });
});
