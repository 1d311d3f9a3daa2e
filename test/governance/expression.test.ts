import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { compileExpression, type ExpressionContext, ExpressionError } from "../../src/governance/expression.ts";

const context: ExpressionContext = {
  model: "gpt-4o",
  provider: "openai",
  request_type: "converse",
  request_size: 1000n,
  headers: new Map([
    ["x-tier", "premium"],
    ["user-agent", "boto3/1.43"],
  ]),
  params: new Map([["debug", "1"]]),
  dimensions: new Map([["env", "prod"]]),
  virtual_key_id: "vk",
  virtual_key_name: "app",
  team_id: "search",
  team_name: "Search",
  customer_id: "",
  customer_name: "",
  budget_used: 81.5,
  tokens_used: 12,
  request: 0,
};

function result(source: string, changes: Partial<ExpressionContext> = {}): boolean | "failed" {
  return compileExpression(source).matches({ ...context, ...changes });
}

describe("conditions", () => {
  it.each<[string, boolean]>([
    ["", true],
    ["  ", true],
    ["true", true],
    ["budget_used > 80.0", true],
    ["budget_used > 80", true],
    ["budget_used > 90.0 || tokens_used > 10.0", true],
    ["request > 0.0", false],
    ['model == "gpt-4o"', true],
    ['model.startsWith("gpt-") && provider != "azure"', true],
    ['model in ["gpt-4o", "gpt-4"]', true],
    ['headers["x-tier"] == "premium"', true],
    ['"x-tier" in headers', true],
    ['"x-other" in headers', false],
    ['headers["user-agent"].contains("boto3")', true],
    ['params["debug"] == "1"', true],
    ["params.debug == '1'", true],
    ["has(dimensions.env) && dimensions.env == 'prod'", true],
    ["has(dimensions.region)", false],
    ["team_name == 'Search' && virtual_key_name == 'app' && customer_id == ''", true],
    ["request_type.upperAscii() == 'CONVERSE'", true],
    ["headers.exists(name, name.startsWith('x-'))", true],
    ["size(headers) == 2", true],
    ["int(params.debug) + 1 == 2", true],
    ["reMatch(model, '^gpt-4')", true],
    ["reMatch(model, '^4')", false],
    ["reMatch(model, '4')", true],
    ["reMatch(model, '(?i)GPT')", true],
    ["model == 'a' ? true : budget_used > 1.0", true],
  ])("%s is %s", (source, expected) => {
    expect(result(source)).toBe(expected);
  });

  it("about a header that is missing are not met", () => {
    expect(result('headers["x-other"] == "a"')).toBe(false);
    expect(result('headers["x-other"] != "a"')).toBe(false);
    expect(result('!(headers["x-other"] == "a")')).toBe(false);
    expect(result('headers["x-other"] == "a" || true')).toBe(true);
  });

  it("that cannot be told have failed", () => {
    expect(result("int(params.debug) == 1", { params: new Map([["debug", "much"]]) })).toBe("failed");
    expect(result("1 / int(params.debug) == 1", { params: new Map([["debug", "0"]]) })).toBe("failed");
    expect(result("9223372036854775807 + int(params.debug) > 0")).toBe("failed");
  });

  it("tell whether they ask how much is used", () => {
    expect(compileExpression("budget_used > 1.0").asksUse).toBe(true);
    expect(compileExpression("headers.exists(h, request > 1.0)").asksUse).toBe(true);
    expect(compileExpression("request_type == 'request'").asksUse).toBe(false);
    expect(compileExpression("").asksUse).toBe(false);
  });

  it.each(["__proto__", "constructor", "valueof"])("find no %s in a map that has none", (name) => {
    expect(result(`headers["${name}"] == "a"`)).toBe(false);
    expect(result(`"${name}" in params`)).toBe(false);
  });
});

describe("a condition is refused", () => {
  it.each<[string, string]>([
    ["budget_used >", "nexpected"],
    ["budget_usd > 1.0", "budget_usd"],
    ["model", "of type string"],
    ["params.debug", "of type string"],
    ["model + 1 == 2", "no such overload"],
    ["model.matches('a')", "use reMatch(text, pattern)"],
    ["matches(model, 'a')", "use reMatch(text, pattern)"],
    ["headers.exists(h, h.matches('a'))", "use reMatch(text, pattern)"],
    ["model.split('').size() > 1", "split is not available"],
    ["cel.bind(a, model, a == 'x')", "bind is not available"],
    ["[1, 2].map(x, x * 2).size() == 2", "map is not available"],
    ["b'x'.json() == {}", "json is not available"],
    ["headers.exists(a, headers.exists(b, a == b))", "cannot stand within another loop"],
    ["[1].all(x, [1].all(y, x == y))", "cannot stand within another loop"],
    ["reMatch(model, model)", "must be written out"],
    ["reMatch(model)", "must be written out"],
    ["reMatch(model, '(')", "pattern of reMatch is not valid"],
    ["reMatch(model, '(?=a)')", "pattern of reMatch is not valid"],
    ["reMatch(model, 'a{1000}{1000}')", "pattern of reMatch is not valid"],
    [`reMatch(model, '${"a".repeat(513)}')`, "at most 512 characters"],
    ['headers["X-Tier"] == "premium"', '"x-tier"'],
    ['"X-Tier" in headers', '"x-tier"'],
    [`${"(".repeat(200)}true${")".repeat(200)}`, "maxDepth"],
    [Array.from({ length: 300 }, () => "model == 'a'").join(" || "), "maxAstNodes"],
    [`model in [${Array.from({ length: 200 }, (_, n) => `'${n}'`).join()}]`, "maxListElements"],
  ])("%s", (source, reason) => {
    expect(() => compileExpression(source)).toThrow(ExpressionError);
    expect(() => compileExpression(source)).toThrow(reason);
  });

  it("or can be asked, whatever is written, and never throws when it is", () => {
    const words = fc.constantFrom(
      ..."model headers params budget_used true false 'a' 1 1.5 == != > + - * && || ! in ( ) [ ] . , ? : has size reMatch exists x".split(
        " ",
      ),
    );
    const sources = fc.oneof(
      fc.string({ maxLength: 60 }),
      fc.array(words, { maxLength: 25 }).map((parts) => parts.join(" ")),
    );
    fc.assert(
      fc.property(sources, (source) => {
        try {
          expect([true, false, "failed"]).toContain(compileExpression(source).matches(context));
        } catch (error) {
          expect(error).toBeInstanceOf(ExpressionError);
        }
      }),
      { numRuns: 2000 },
    );
  });
});

describe("hostile requests", () => {
  const headers = new Map(Array.from({ length: 300 }, (_, n) => [`x-${n}`, "a".repeat(200)] as const));

  it("cannot make a pattern take long: it is refused or takes steps in proportion to a text of bounded length", () => {
    const text = "a".repeat(4096);
    expect(result("reMatch(model, '^(a+)+$')", { model: `${text.slice(1)}!` })).toBe(false);
    expect(result("reMatch(model, '^(a+)+$')", { model: text })).toBe(true);
    expect(result("reMatch(model, '^(a+)+$')", { model: `${text}a` })).toBe("failed");
  });

  it("with many headers cost a loop one turn each", () => {
    expect(result("headers.all(name, headers[name].endsWith('a'))", { headers })).toBe(true);
    expect(result("headers.exists(name, reMatch(headers[name], '(a|a)*b'))", { headers })).toBe(false);
  });
});
