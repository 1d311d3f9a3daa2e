import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { placeOf, type RequestFacts } from "../../src/cache/partition.ts";
import { configOf, facts } from "./kit.ts";

const rules = configOf();
const image = (bytes: string) => ({ image: { format: "png", source: { bytes } } });
const tool = (name: string) => ({ toolSpec: { name, inputSchema: { json: { type: "object" } } } });

/** A request with everything that may change an answer. */
function full(change: object = {}): Readonly<Record<string, unknown>> {
  return {
    system: [{ text: "Be short." }],
    messages: [
      { role: "user", content: [{ text: "Hello" }] },
      { role: "assistant", content: [{ text: "Hi" }] },
      { role: "user", content: [image("AAAA"), { text: "What is this?" }] },
    ],
    inferenceConfig: { maxTokens: 10, temperature: 0.5, topP: 0.9, stopSequences: ["x"] },
    toolConfig: { tools: [tool("f")], toolChoice: { auto: {} } },
    guardrailConfig: { guardrailIdentifier: "g", guardrailVersion: "1", trace: "enabled" },
    additionalModelRequestFields: { top_k: 5 },
    additionalModelResponseFieldPaths: ["/stop"],
    promptVariables: { name: { text: "Tom" } },
    performanceConfig: { latency: "standard" },
    serviceTier: { type: "default" },
    outputConfig: { effort: "low" },
    ...change,
  };
}

const base: RequestFacts = { ...facts(""), virtualKey: "vk_a", request: full() };
const place = (change: Partial<RequestFacts> = {}, key = "app") => placeOf({ ...base, ...change }, key, rules);
const turns = full().messages as readonly unknown[];

describe("a request belongs to another partition when it differs in (A62)", () => {
  const requests: Record<string, object> = {
    "the system prompt": { system: [{ text: "Be long." }] },
    "no system prompt": { system: undefined },
    tools: { toolConfig: { tools: [tool("g")], toolChoice: { auto: {} } } },
    "the order of tools": { toolConfig: { tools: [tool("g"), tool("f")], toolChoice: { auto: {} } } },
    "the tool choice": { toolConfig: { tools: [tool("f")], toolChoice: { any: {} } } },
    temperature: { inferenceConfig: { maxTokens: 10, temperature: 0.6, topP: 0.9, stopSequences: ["x"] } },
    maxTokens: { inferenceConfig: { maxTokens: 11, temperature: 0.5, topP: 0.9, stopSequences: ["x"] } },
    "the guardrail": { guardrailConfig: { guardrailIdentifier: "h", guardrailVersion: "1", trace: "enabled" } },
    "the guardrail's version": {
      guardrailConfig: { guardrailIdentifier: "g", guardrailVersion: "2", trace: "enabled" },
    },
    "fields of the model's own": { additionalModelRequestFields: { top_k: 6 } },
    "what it wants back": { additionalModelResponseFieldPaths: [] },
    "prompt variables": { promptVariables: { name: { text: "Ann" } } },
    "the service tier": { serviceTier: { type: "flex" } },
    effort: { outputConfig: { effort: "high" } },
    "a field that nobody knows": { somethingNew: true },
    "the conversation before": { messages: [{ role: "user", content: [{ text: "Hallo" }] }, ...turns.slice(1)] },
    "a turn less": { messages: turns.slice(2) },
    "a media byte": {
      messages: [...turns.slice(0, 2), { role: "user", content: [image("AAAB"), { text: "What is this?" }] }],
    },
    "the place of the media": {
      messages: [...turns.slice(0, 2), { role: "user", content: [{ text: "What is this?" }, image("AAAA")] }],
    },
    "a block that is not text alone": {
      messages: [...turns.slice(0, 2), { role: "user", content: [image("AAAA"), { text: "What is this?", more: 1 }] }],
    },
  };
  test.each(Object.entries(requests))("%s", (_name, change) => {
    const other = place({ request: full(change) });
    expect(other.partition).not.toBe(place().partition);
    expect(other.exact).not.toBe(place().exact);
  });

  const callers: Record<string, Partial<RequestFacts>> = {
    "the virtual key": { virtualKey: "vk_b" },
    "no virtual key": { virtualKey: null },
    "credentials of its own": { credential: "secret" },
    "the model": { model: "other" },
    "the provider": { provider: "openai" },
    "the operation": { operation: "invoke/anthropic" },
  };
  test.each(Object.entries(callers))("%s", (_name, change) => {
    expect(place(change).partition).not.toBe(place().partition);
  });

  test("the cache key, whatever the names are made of", () => {
    expect(place({}, "b").partition).not.toBe(place().partition);
    fc.assert(
      fc.property(fc.tuple(fc.string(), fc.string()), fc.tuple(fc.string(), fc.string()), (a, b) => {
        fc.pre(a[0] !== b[0] || a[1] !== b[1]);
        expect(place({ virtualKey: a[0] }, a[1]).partition).not.toBe(place({ virtualKey: b[0] }, b[1]).partition);
      }),
    );
  });
});

describe("a request stays in its partition", () => {
  test("when only the text of its last turn differs, which then is another request", () => {
    const other = place({
      request: full({
        messages: [...turns.slice(0, 2), { role: "user", content: [image("AAAA"), { text: "What's that?" }] }],
      }),
    });
    expect(other.partition).toBe(place().partition);
    expect(other.exact).not.toBe(place().exact);
    expect(other.text).toBe("What's that?");
  });

  test("and is the same request, whether it streams and whatever it is tagged with", () => {
    const guardrailConfig = {
      guardrailIdentifier: "g",
      guardrailVersion: "1",
      trace: "enabled",
      streamProcessingMode: "sync",
    };
    const other = full({ requestMetadata: { trace: "1" }, guardrailConfig });
    expect(place({ request: other })).toEqual(place());
  });

  test("with another model, provider or system prompt where the configuration says so", () => {
    const loose = configOf({ cache_by_model: false, cache_by_provider: false, exclude_system_prompt: true });
    const one = placeOf(base, "app", loose);
    const other = { ...base, model: "m", provider: "p", request: full({ system: undefined }) };
    expect(placeOf(other, "app", loose)).toEqual(one);
    expect(placeOf({ ...other, virtualKey: "vk_b" }, "app", loose).partition).not.toBe(one.partition);
  });
});

describe("the text to compare", () => {
  const textOf = (messages: unknown) => place({ request: { messages } }).text;

  test("is that of all text blocks of the last user turn", () => {
    expect(textOf([{ role: "user", content: [{ text: "a" }, image("AAAA"), { text: "b" }] }])).toBe("a\nb");
  });

  test("is missing where the last turn is not the user's, has no text, or is no turn", () => {
    expect(textOf([{ role: "assistant", content: [{ text: "a" }] }])).toBeUndefined();
    expect(
      textOf([{ role: "user", content: [{ toolResult: { toolUseId: "t", content: [{ text: "a" }] } }] }]),
    ).toBeUndefined();
    expect(textOf([{ role: "user", content: [{ text: "  " }] }])).toBeUndefined();
    for (const hostile of [
      undefined,
      null,
      7,
      "x",
      [],
      [null],
      [7],
      [{ role: "user", content: null }],
      [{ role: "user" }],
    ]) {
      expect(textOf(hostile)).toBeUndefined();
    }
  });

  test("tells apart where one text ends and the next begins", () => {
    const exact = (...texts: string[]) =>
      place({ request: { messages: [{ role: "user", content: texts.map((text) => ({ text })) }] } }).exact;
    expect(new Set([exact("a", "b"), exact("a\nb"), exact("ab"), exact("ab", ""), exact("", "ab")]).size).toBe(5);
  });
});
