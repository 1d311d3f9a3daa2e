import { describe, expect, test } from "vitest";
import { type ClaudeModel, claudeModel } from "../../../src/providers/anthropic/models.ts";

describe("the longest answer", () => {
  test.each([
    ["claude-opus-5-5", 128_000],
    ["claude-opus-4-8", 128_000],
    ["claude-opus-4-6", 128_000],
    ["claude-sonnet-5", 128_000],
    ["claude-sonnet-4-6", 128_000],
    ["claude-haiku-5-5", 128_000],
    ["claude-fable-5-1", 128_000],
    ["claude-mythos-preview", 128_000],
    ["claude-sonnet-4-5-20250929", 64_000],
    ["claude-opus-4-5@20251101", 64_000],
    ["claude-haiku-4-5", 64_000],
    ["claude-sonnet-4-20250514", 64_000],
    ["claude-sonnet-4@20250514", 64_000],
    ["claude-opus-4-1-20250805", 32_000],
    ["claude-opus-4-20250514", 32_000],
    ["claude-3-7-sonnet-latest", 64_000],
    ["claude-3-5-haiku-20241022", 8192],
    ["claude-3-haiku-20240307", 4096],
    ["claude-2.1", 4096],
    ["claude-instant-1.2", 4096],
  ])("F49 of %s is %d", (model, maxTokens) => {
    expect(claudeModel(model).maxTokens).toBe(maxTokens);
  });
});

describe("abilities", () => {
  const rows: readonly (readonly [string, Partial<ClaudeModel>])[] = [
    ["claude-3-5-sonnet-20241022", { thinking: "none", prefill: true, structured: false, oneSampler: false }],
    ["claude-3-7-sonnet-20250219", { thinking: "budget", prefill: true, structured: false, efforts: [] }],
    ["claude-sonnet-4-20250514", { thinking: "budget", oneSampler: false }],
    ["claude-opus-4-1-20250805", { thinking: "budget", oneSampler: true, structured: false }],
    ["claude-haiku-4-5", { thinking: "budget", prefill: true, structured: true, efforts: [] }],
    ["claude-opus-4-5", { thinking: "budget", efforts: ["low", "medium", "high"], refusesSampling: false }],
    [
      "claude-sonnet-4-6",
      {
        thinking: "adaptive",
        off: "omit",
        prefill: false,
        efforts: ["low", "medium", "high", "max"],
        refusesSampling: false,
      },
    ],
    ["claude-opus-4-7", { thinking: "adaptive", off: "omit", refusesSampling: true, hidesThinking: true }],
    ["claude-sonnet-5", { off: "disabled", refusesSampling: true, refusesForcedTools: false }],
    [
      "claude-opus-5",
      { off: "disabled", refusesForcedTools: false, efforts: expect.arrayContaining(["xhigh", "max"]) },
    ],
    ["claude-opus-5-5", { off: "never", refusesForcedTools: true }],
    ["claude-sonnet-5-5", { off: "between_tools", refusesForcedTools: true }],
    ["claude-haiku-5-5", { thinking: "adaptive", off: "disabled", refusesForcedTools: false, refusesSampling: true }],
    ["claude-fable-5", { off: "never", refusesForcedTools: false }],
    ["claude-fable-5-1", { off: "never", refusesForcedTools: true }],
    ["claude-mythos-5-2", { off: "never", refusesForcedTools: true }],
  ];

  test.each(rows)("F39 of %s", (model, abilities) => {
    expect(claudeModel(model)).toMatchObject(abilities);
  });

  test.each(["my-deployment", "claude-next", ""])(
    "F39 an id without a version, %j, is taken for the newest",
    (model) => {
      expect(claudeModel(model)).toEqual(claudeModel("claude-fable-99"));
      expect(claudeModel(model)).toMatchObject({
        thinking: "adaptive",
        refusesSampling: true,
        prefill: false,
        structured: true,
        refusesForcedTools: true,
      });
    },
  );

  test.each([
    ["us.anthropic.claude-opus-4-6-v1", "claude-opus-4-6"],
    ["anthropic.claude-sonnet-4-5-20250929-v1:0", "claude-sonnet-4-5"],
    ["publishers/anthropic/models/claude-haiku-4-5@20251001", "claude-haiku-4-5"],
    ["anthropic/Claude-Opus-4.5", "claude-opus-4-5"],
    ["claude-opus-5-20260724", "claude-opus-5"],
    ["claude-3.5-sonnet", "claude-3-5-sonnet"],
  ])("%s is %s", (model, same) => {
    expect(claudeModel(model)).toEqual(claudeModel(same));
  });
});
