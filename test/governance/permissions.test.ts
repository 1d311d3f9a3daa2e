import { describe, expect, it } from "vitest";
import { compilePattern, longestMatched, ModelList, problemOfEntry } from "../../src/governance/models.ts";
import { Permissions } from "../../src/governance/permissions.ts";
import { configured, type Written } from "./kit.ts";

type Config = NonNullable<NonNullable<Written["virtual_keys"]>[number]["provider_configs"]>[number];

function permissions(provider_configs: Config[], allow_all_providers = false): Permissions {
  const [key] = configured({
    virtual_keys: [{ id: "vk", name: "app", value: "v", provider_configs, allow_all_providers }],
  }).virtual_keys;
  if (key === undefined) throw new Error("there is a key");
  return new Permissions(key);
}

function verdict(config: Omit<Config, "provider">, model: string | undefined, resolved?: string[]): string {
  const found = permissions([{ provider: "openai", ...config }]).check("openai", model, resolved);
  return found.kind === "permitted" ? "permitted" : found.what;
}

describe("providers", () => {
  it("that are not named are forbidden, unless all are allowed", () => {
    expect(permissions([]).check("openai", "m")).toEqual({ kind: "forbidden", what: "provider" });
    expect(permissions([], true).check("openai", "m")).toEqual({ kind: "permitted", keyIds: undefined });
    expect(permissions([{ provider: "openai" }]).check("OpenAI", "m")).toMatchObject({ kind: "forbidden" });
  });

  it("that are named keep their own rules where all are allowed", () => {
    const both = permissions([{ provider: "openai", allowed_models: ["gpt-4o"] }], true);
    expect(both.check("openai", "gpt-4")).toEqual({ kind: "forbidden", what: "model" });
    expect(both.check("anthropic", "anything").kind).toBe("permitted");
  });
});

describe("models", () => {
  it.each<[string[], string, string]>([
    [["*"], "anything", "permitted"],
    [[], "gpt-4o", "model"],
    [["gpt-4o"], "gpt-4o", "permitted"],
    [["gpt-4o"], "GPT-4O", "permitted"],
    [["gpt-4o"], "gpt-4o-mini", "model"],
    [["openai/gpt-4o"], "gpt-4o", "permitted"],
    [["anthropic/gpt-4o"], "gpt-4o", "model"],
    [["meta/llama"], "meta/llama", "permitted"],
    [["regex:gpt-4o(-.+)?"], "gpt-4o-mini", "permitted"],
    [["regex:gpt-4o(-.+)?"], "GPT-4o", "permitted"],
    [["regex:gpt"], "gpt-4o", "model"],
    [["regex:a|gpt-4o"], "gpt-4o", "permitted"],
    [["gpt*"], "gpt-4o", "model"],
  ])("allowed %j: %s is %s", (allowed_models, model, expected) => {
    expect(verdict({ allowed_models }, model)).toBe(expected);
  });

  it("on the blacklist are forbidden whatever is allowed", () => {
    expect(verdict({ blacklisted_models: ["gpt-4o"] }, "gpt-4o")).toBe("model");
    expect(verdict({ allowed_models: ["gpt-4o"], blacklisted_models: ["regex:gpt-.*"] }, "gpt-4o")).toBe("model");
    expect(verdict({ blacklisted_models: ["*"] }, "gpt-4o")).toBe("model");
    expect(verdict({ blacklisted_models: ["gpt-4"] }, "gpt-4o")).toBe("permitted");
  });

  it("on the blacklist are forbidden by any name an alias may hide them behind", () => {
    expect(verdict({ blacklisted_models: ["gpt-4o"] }, "big", ["gpt-4o"])).toBe("model");
    expect(verdict({ allowed_models: ["big"], blacklisted_models: ["gpt-4o"] }, "big", ["gpt-4"])).toBe("permitted");
  });

  it("are not asked about where an operation names none", () => {
    expect(verdict({ allowed_models: [] }, undefined)).toBe("permitted");
  });

  it("with ids too long for a pattern are neither allowed by one nor missed by a blacklist", () => {
    const long = "a".repeat(longestMatched + 1);
    expect(verdict({ allowed_models: ["regex:a*"] }, long)).toBe("model");
    expect(verdict({ blacklisted_models: ["regex:b*"] }, long)).toBe("model");
    expect(verdict({ blacklisted_models: ["b"] }, long)).toBe("permitted");
  });
});

describe("keys", () => {
  it.each<[string[], readonly string[] | undefined]>([
    [["*"], undefined],
    [
      ["k1", "k2"],
      ["k1", "k2"],
    ],
    [[], []],
    [["k1", "*"], undefined],
  ])("key_ids %j", (key_ids, expected) => {
    const found = permissions([{ provider: "openai", key_ids }]).check("openai", "m");
    expect(found).toEqual({ kind: "permitted", keyIds: expected && new Set(expected) });
  });
});

describe("hostile patterns", () => {
  it.each([
    "regex:(",
    "regex:(?=a)",
    "regex:\\1(a)",
    "regex:a{1001}",
    `regex:${"(a{0,30}){0,30}".repeat(3)}`,
    "regex:[z-a]",
  ])("%j is refused", (entry) => {
    expect(problemOfEntry(entry)).toContain("not a valid regular expression");
    expect(() => new ModelList([entry], "openai")).toThrow();
  });

  it("that would take forever elsewhere end at once, since the steps grow with the text alone", () => {
    // JavaScript's own engine needs 2 to the power of the length.
    const list = new ModelList(["regex:(a+)+", "regex:(a|a)*b", "regex:(.*)(.*)(.*)(.*)(.*)(.*)x"], "openai");
    expect(list.has(`${"a".repeat(longestMatched - 1)}!`)).toBe(false);
    expect(list.has("a".repeat(longestMatched))).toBe(true);
  });

  it("entries that are no patterns are taken as they are", () => {
    expect(problemOfEntry("(")).toBeUndefined();
    expect(new ModelList(["("], "openai").has("(")).toBe(true);
    expect(compilePattern("a.c").test("xabcx")).toBe(true);
  });
});
