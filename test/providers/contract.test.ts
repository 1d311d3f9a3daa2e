/** One contract over every dialect: the same conversations and the same misfortunes, checked for what they mean. */
import { describe, expect, test } from "vitest";
import type { ConverseRequest } from "../../src/bedrock/converse.ts";
import { BedrockError } from "../../src/bedrock/errors.ts";
import { dialects } from "../../src/providers/dialects.ts";
import { providerTable } from "../../src/providers/table.ts";
import { assistant, call, requestOf, result, targetOf, user } from "./fixtures.ts";

const models: Readonly<Record<string, string>> = {
  openai: "gpt-4o",
  anthropic: "claude-sonnet-4-20250514",
  gemini: "gemini-2.5-pro",
  mistral: "mistral-large-latest",
  cohere: "command-a-03-2025",
};

const weather = {
  toolSpec: {
    name: "weather",
    description: "The weather somewhere",
    inputSchema: { json: { type: "object", properties: { city: { type: "string" } }, required: ["city"] } },
  },
} as const;

/** Each with what the provider has to be told, in this order. */
const conversations: readonly (readonly [what: string, request: ConverseRequest, told: readonly string[]])[] = [
  ["a question", requestOf([user({ text: "Why is the sky blue?" })]), ["Why is the sky blue?"]],
  [
    "a system prompt and three turns",
    requestOf([user({ text: "first" }), assistant({ text: "second" }), user({ text: "third" })], {
      system: [{ text: "Be brief." }],
    }),
    ["first", "second", "third"],
  ],
  [
    "parallel calls and their results",
    requestOf(
      [
        user({ text: "Weather in Łódź and Kraków?" }),
        assistant(call("tooluse_one", "weather", { city: "Łódź" }), call("tooluse_two", "weather", { city: "Kraków" })),
        user(result("tooluse_one", "rain there"), result("tooluse_two", "sun there")),
      ],
      { toolConfig: { tools: [weather] } },
    ),
    ["Łódź and Kraków?", "rain there", "sun there"],
  ],
  [
    "a result that is an error",
    requestOf(
      [
        user({ text: "go" }),
        assistant(call("tooluse_one", "weather", { city: "x" })),
        user({ toolResult: { toolUseId: "tooluse_one", content: [{ text: "no such city" }], status: "error" } }),
      ],
      { toolConfig: { tools: [weather], toolChoice: { auto: {} } } },
    ),
    ["go", "no such city"],
  ],
];

/** Values of a JSON document that are text, in order, with JSON inside of texts read as well. */
function texts(value: unknown): string[] {
  if (typeof value === "string") return [value];
  if (typeof value !== "object" || value === null) return [];
  return Object.values(value).flatMap(texts);
}

describe.each(Object.entries(dialects))("the dialect %s", (name, dialect) => {
  const target = targetOf({ provider: name, kind: name, model: models[name] ?? "" });

  test.each(conversations)("carries %s whole and in order", (_what, request, told) => {
    const { request: sent, ignored } = dialect.encode(request, target);
    const body: unknown = JSON.parse(sent.body);
    const said = texts(body).join("\n");
    let at = 0;
    for (const text of told) {
      const found = said.indexOf(text, at);
      expect(found, `${JSON.stringify(text)} in ${said}`).toBeGreaterThanOrEqual(at);
      at = found;
    }
    for (const { text } of (request.system ?? []).flatMap((block) => ("text" in block ? [block] : [])))
      expect(said).toContain(text);
    if (request.toolConfig !== undefined) expect(said).toContain("The weather somewhere");
    expect(ignored).toEqual([]);
    expect(sent.path).toMatch(/^\/v\d/);
    expect(dialect.encode(request, target).request).toEqual(sent);
  });

  test.each<[string, ConverseRequest, string]>([
    [
      "an object in S3",
      requestOf([user({ text: "see" }, { image: { format: "png", source: { s3Location: { uri: "s3://b/k" } } } })]),
      "messages[0].content[1].image.source.s3Location",
    ],
    [
      "an office document",
      requestOf([user({ text: "see" }, { document: { format: "docx", name: "d", source: { bytes: "AAAA" } } })]),
      "messages[0].content[1].document",
    ],
    [
      "a guardrail",
      requestOf([user({ text: "x" })], { guardrailConfig: { guardrailIdentifier: "g" } }),
      "guardrailConfig",
    ],
    [
      "prompt variables",
      requestOf([user({ text: "x" })], { promptVariables: { a: { text: "b" } } }),
      "promptVariables",
    ],
  ])("refuses %s by its path", (_what, request, path) => {
    let refused: unknown;
    try {
      dialect.encode(request, target);
    } catch (error) {
      refused = error;
    }
    expect(refused).toBeInstanceOf(BedrockError);
    expect(refused).toMatchObject({ type: "ValidationException", message: expect.stringContaining(path) });
  });

  test.each([
    [401, "ServiceUnavailableException", "other_credential"],
    [404, "ResourceNotFoundException", undefined],
    [429, "ThrottlingException", "other_key"],
    [400, "ValidationException", "nobody"],
    [503, "ServiceUnavailableException", "same_key"],
  ])("tells a %i apart: %s", (status, type, retry) => {
    const body = Buffer.from(JSON.stringify({ error: { message: "said so" }, message: "said so" }));
    const failure = dialect.failure({ status, headers: {}, body, now: 0 }, target);
    expect(failure.error.type).toBe(type);
    if (retry !== undefined) expect(failure.retry).toBe(retry);
  });

  test("takes nonsense of status 200 for a failure", () => {
    const { memo } = dialect.encode(requestOf([user({ text: "x" })]), target);
    for (const body of [
      "",
      "<html>",
      "[]",
      "null",
      '{"unexpected":true}',
      '{"choices":"no","content":7,"candidates":{}}',
    ])
      expect(dialect.decode({ headers: {}, body: Buffer.from(body) }, memo)).toMatchObject({ kind: "failure" });
  });

  test("takes a stream that ends before its end for a failure, without a terminal event", () => {
    const { memo } = dialect.encode(requestOf([user({ text: "x" })]), { ...target, streaming: true });
    const { events, failure } = dialect.stream(memo).end();
    expect(failure).toBeDefined();
    expect(events.some((event) => "messageStop" in event || "metadata" in event)).toBe(false);
  });
});

test("every provider of the table speaks one of these dialects", () => {
  for (const { dialect } of Object.values(providerTable)) expect(dialects[dialect].name).toBe(dialect);
});
