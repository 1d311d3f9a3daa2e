import { describe, expect, test } from "vitest";
import type { ConverseRequest } from "../../../src/bedrock/converse.ts";
import type { JsonObject, JsonValue } from "../../../src/bedrock/json.ts";
import { traitsOf } from "../../../src/providers/gemini/models.ts";
import { requestOf, user } from "../fixtures.ts";
import { encoded, geminiTarget } from "./support.ts";

const models = {
  pro3: "gemini-3-pro-preview",
  pro31: "gemini-3.1-pro-preview",
  flash3: "gemini-3-flash-preview",
  flash37: "gemini-3.7-flash",
  lite31: "gemini-3.1-flash-lite",
  latest: "gemini-flash-latest",
  pro25: "gemini-2.5-pro",
  flash25: "gemini-2.5-flash",
  lite25: "gemini-2.5-flash-lite",
  flash20: "gemini-2.0-flash",
} as const;

function thinking(
  model: string,
  changes: Partial<ConverseRequest>,
): { config: JsonValue | undefined; ignored: readonly string[] } {
  const { json, ignored } = encoded(requestOf([user({ text: "hi" })], changes), geminiTarget(model));
  const config: JsonObject = JSON.parse(JSON.stringify(json.generationConfig ?? {}));
  return { config: config.thinkingConfig, ignored };
}

const effort = (word: string) => ({ outputConfig: { effort: word } });
const claude = (value: JsonObject) => ({ additionalModelRequestFields: { thinking: value } });

test("unasked, nothing is said", () => {
  for (const model of Object.values(models)) expect(thinking(model, {})).toEqual({ config: undefined, ignored: [] });
});

describe("F41 by words, from Gemini 3 on", () => {
  test.each([
    [models.pro3, "medium", "low"],
    [models.pro3, "max", "high"],
    [models.pro31, "medium", "medium"],
    [models.pro31, "minimal", "low"],
    [models.flash3, "minimal", "minimal"],
    [models.flash37, "minimal", "low"],
    [models.flash37, "xhigh", "high"],
    [models.lite31, "minimal", "minimal"],
    [models.latest, "minimal", "low"],
  ])("%s takes effort %s as %s", (model, asked, thinkingLevel) => {
    expect(thinking(model, effort(asked)).config).toEqual({ thinkingLevel, includeThoughts: true });
  });

  test("a budget is measured against the longest answer", () => {
    const ask = (budget: number, maxTokens?: number) =>
      thinking(models.pro31, {
        ...claude({ type: "enabled", budget_tokens: budget }),
        ...(maxTokens !== undefined && { inferenceConfig: { maxTokens } }),
      }).config;
    expect(ask(2000, 10_000)).toEqual({ thinkingLevel: "low", includeThoughts: true });
    expect(ask(4000, 10_000)).toEqual({ thinkingLevel: "medium", includeThoughts: true });
    expect(ask(9000, 10_000)).toEqual({ thinkingLevel: "high", includeThoughts: true });
    expect(ask(9000)).toEqual({ thinkingLevel: "low", includeThoughts: true });
  });

  test("adaptive leaves the level to the model", () => {
    expect(thinking(models.flash3, claude({ type: "adaptive" })).config).toEqual({ includeThoughts: true });
  });

  test("cannot be switched off: the lowest is asked for, and that is said", () => {
    expect(thinking(models.flash3, claude({ type: "disabled" }))).toEqual({
      config: { thinkingLevel: "minimal" },
      ignored: ["additionalModelRequestFields.thinking"],
    });
    expect(thinking(models.flash37, effort("none"))).toEqual({
      config: { thinkingLevel: "low" },
      ignored: ["outputConfig.effort"],
    });
  });
});

describe("by tokens, on Gemini 2.5", () => {
  test.each([
    [models.flash25, 1000, 1000],
    [models.flash25, 30_000, 24_576],
    [models.pro25, 30_000, 30_000],
    [models.pro25, 40_000, 32_768],
    [models.pro25, 1, 128],
    [models.lite25, 100, 512],
  ])("%s takes a budget of %i as %i", (model, budget, thinkingBudget) => {
    expect(thinking(model, claude({ type: "enabled", budget_tokens: budget })).config).toEqual({
      thinkingBudget,
      includeThoughts: true,
    });
  });

  test("an effort is a share of the longest answer", () => {
    expect(thinking(models.flash25, { ...effort("low"), inferenceConfig: { maxTokens: 10_000 } }).config).toEqual({
      thinkingBudget: 2000,
      includeThoughts: true,
    });
  });

  test("adaptive is the model's own budget", () => {
    expect(thinking(models.pro25, claude({ type: "adaptive" })).config).toEqual({
      thinkingBudget: -1,
      includeThoughts: true,
    });
  });

  test("is switched off with zero, but not for Pro", () => {
    expect(thinking(models.flash25, claude({ type: "disabled" }))).toEqual({
      config: { thinkingBudget: 0 },
      ignored: [],
    });
    expect(thinking(models.pro25, claude({ type: "disabled" }))).toEqual({
      config: { thinkingBudget: 128 },
      ignored: ["additionalModelRequestFields.thinking"],
    });
  });
});

test("models that do not think are asked for nothing, and that is said", () => {
  for (const model of [models.flash20, "gemma-3-27b-it"]) {
    expect(thinking(model, effort("high"))).toEqual({ config: undefined, ignored: ["outputConfig.effort"] });
    expect(thinking(model, claude({ type: "disabled" }))).toEqual({ config: undefined, ignored: [] });
  }
});

test("F40 thoughts are shown unless the client wants them omitted", () => {
  const hidden = claude({ type: "adaptive", display: "omitted" });
  expect(thinking(models.flash3, hidden).config).toEqual({ includeThoughts: false });
  expect(thinking(models.flash25, hidden).config).toEqual({ thinkingBudget: -1, includeThoughts: false });
});

describe("models", () => {
  test("F39 unknown and newer ones are taken for the newest", () => {
    for (const model of ["gemini-4-flash", "gemini-ultra-next", "gemini-pro-latest", "models/gemini-5"]) {
      expect(traitsOf({ model })).toMatchObject({
        signsCalls: true,
        mediaInResults: true,
        thinking: { kind: "level" },
      });
    }
  });

  test("older ones are known by their names", () => {
    for (const model of ["gemini-1.5-pro", "gemini-pro", "gemini-2.0-flash-001", "gemini-exp-1206", "gemma-3-4b-it"]) {
      expect(traitsOf({ model })).toMatchObject({ signsCalls: false, thinking: { kind: "none" } });
    }
    expect(traitsOf({ model: "gemini-robotics-er-1.5-preview" })).toMatchObject({ thinking: { kind: "budget" } });
  });

  test("the base model counts where the id tells nothing", () => {
    expect(traitsOf({ model: "1234567890", baseModel: "gemini-2.5-pro" }).thinking).toMatchObject({ most: 32_768 });
    expect(traitsOf({ model: "1234567890" })).toMatchObject({ signsCalls: false, thinking: { kind: "none" } });
  });

  test("assumes those that draw think in their own ways", () => {
    expect(traitsOf({ model: "gemini-2.5-flash-image" }).thinking).toEqual({ kind: "none" });
    expect(traitsOf({ model: "gemini-3-pro-image-preview" }).thinking).toMatchObject({ kind: "budget" });
    expect(traitsOf({ model: "gemini-3.1-flash-image" }).thinking).toEqual({
      kind: "level",
      words: ["minimal", "high"],
    });
  });
});
