import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { maxTokensOf, parsedMaxTokens } from "../../src/gateway/max-tokens.ts";

const bufferOf = (value: unknown, space?: number) => Buffer.from(JSON.stringify(value, null, space));

describe("the limit of tokens a request sets", () => {
  it.each([
    [{ inferenceConfig: { maxTokens: 512, temperature: 0.5 }, messages: [] }, 512],
    [{ messages: [{ role: "user", content: [{ text: 'a "max" of {' }] }], inferenceConfig: { maxTokens: 7 } }, 7],
    [{ inferenceConfig: { max_new_tokens: 8 } }, 8],
    [{ textGenerationConfig: { stopSequences: ["}", '"'], maxTokenCount: 9 } }, 9],
    [{ max_tokens: 10, messages: [] }, 10],
    [{ max_gen_len: 11 }, 11],
    [{ max_tokens_to_sample: 12 }, 12],
    [{ additionalModelRequestFields: { max_completion_tokens: 13 } }, 13],
    [{ inferenceConfig: { maxTokens: 1 }, additionalModelRequestFields: { max_tokens: 14 } }, 14],
    [{ max_tokens: 1e300 }, 1e300],
    [{ max_tokens: -3 }, -3],
  ])("is found wherever a family has it: %j", (body, limit) => {
    expect(maxTokensOf(bufferOf(body))).toBe(limit);
    expect(maxTokensOf(bufferOf(body, 2))).toBe(limit);
  });

  it.each([
    {},
    [{ max_tokens: 1 }],
    { maxTokens: 1 },
    { inferenceConfig: { max_tokens: 1 } },
    { inferenceConfig: { deeper: { maxTokens: 1 } } },
    { inferenceConfig: [{ maxTokens: 1 }] },
    { inferenceConfig: { maxTokens: "1" } },
    { messages: [{ content: [{ toolUse: { input: { inferenceConfig: { maxTokens: 1 } } } }] }] },
    { messages: [{ content: [{ text: '"inferenceConfig":{"maxTokens":1}' }] }] },
    { text: "max_tokens", number: 1 },
    { max_tokens_unknown: 1 },
    { "": { max_tokens: 1 } },
  ])("is none elsewhere: %j", (body) => {
    expect(maxTokensOf(bufferOf(body))).toBeUndefined();
  });

  it.each([
    ['{"inferenceConfig":{"maxTokens":1},"inferenceConfig":{"maxTokens":2}}', 2],
    ['{"inferenceConfig":{"maxTokens":2},"inferenceConfig":{}}', undefined],
    ['{"inferenceConfig":{"\\u006daxTokens":3}}', 3],
    ['{"\\u0069nferenceConfig":{"maxTokens":4}}', 4],
    ["not JSON", undefined],
    ["", undefined],
  ])("is what a parser finds in %s", (text, limit) => {
    expect(maxTokensOf(Buffer.from(text))).toBe(limit);
  });

  it("is not looked for in a body that is very long", () => {
    expect(maxTokensOf(bufferOf({ max_tokens: 1, text: "x".repeat(300_000) }))).toBeUndefined();
  });

  const name = fc.oneof(
    { weight: 3, arbitrary: fc.constantFrom("maxTokens", "max_tokens", "max_new_tokens", "maxTokenCount", "max") },
    {
      weight: 2,
      arbitrary: fc.constantFrom("inferenceConfig", "textGenerationConfig", "additionalModelRequestFields"),
    },
    fc.string({ unit: fc.constantFrom('"', "\\", "{", "}", "[", "]", ":", "m", "é", "\n", " ") }),
  );
  const { tree } = fc.letrec((tie) => ({
    tree: fc.oneof(
      { depthSize: "small" },
      fc.oneof(fc.nat(), fc.double({ noNaN: true, noDefaultInfinity: true })),
      name,
      fc.constantFrom(null, true),
      fc.array(tie("tree"), { maxLength: 3 }),
      fc.dictionary(name, tie("tree"), { maxKeys: 4 }),
    ),
  }));
  const body = fc.dictionary(name, fc.oneof(tree, fc.dictionary(name, tree, { maxKeys: 3 })), { maxKeys: 5 });

  it("is the same that a parser finds, for any JSON", () => {
    fc.assert(
      fc.property(fc.oneof(body, tree), fc.constantFrom(0, 1), (value, space) => {
        const bytes = bufferOf(value, space);
        expect(maxTokensOf(bytes)).toBe(parsedMaxTokens(bytes));
      }),
      { numRuns: 3000 },
    );
  });

  it("is the same for a body that has only one place for it", () => {
    const place = fc.tuple(
      fc.constantFrom("inferenceConfig", "textGenerationConfig", ""),
      fc.constantFrom("maxTokens", "max_tokens", "maxTokenCount"),
      fc.nat(),
    );
    const quiet = fc.dictionary(fc.stringMatching(/^[^m]*$/), fc.jsonValue(), { maxKeys: 4 });
    fc.assert(
      fc.property(quiet, place, quiet, (before, [holder, key, limit], after) => {
        const own = { [key]: limit };
        const bytes = bufferOf({
          ...before,
          ...(holder === "" ? own : { [holder]: { ...before, ...own, ...after } }),
          ...after,
        });
        expect(maxTokensOf(bytes)).toBe(parsedMaxTokens(bytes));
      }),
      { numRuns: 3000 },
    );
  });
});
