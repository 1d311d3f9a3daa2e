import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { BedrockError } from "../../../src/bedrock/errors.ts";
import type { JsonValue } from "../../../src/bedrock/json.ts";
import { cohere } from "../../../src/providers/cohere/cohere.ts";
import { isFailure } from "../../../src/providers/nonsense.ts";
import { bodyOf, drain, failureOf, item } from "../both-ways.ts";
import { memoOf, targetOf } from "../fixtures.ts";

function fail(status: number, body: JsonValue | string) {
  return cohere.failure({ status, headers: {}, now: 0, body: bodyOf(body).body }, targetOf({ kind: "cohere" }));
}

describe("E.2 what Cohere answers", () => {
  test.each([
    [
      400,
      { id: "r", message: "invalid request: last message must be from a user" },
      "ValidationException",
      "nobody",
      false,
    ],
    [
      400,
      { message: "too many tokens: total number of tokens in the prompt cannot exceed 4081" },
      "ValidationException",
      "nobody",
      true,
    ],
    [401, { message: "invalid api token" }, "ServiceUnavailableException", "other_credential", true],
    [402, { message: "Please add or update your payment method" }, "ThrottlingException", "other_key", true],
    [403, { message: "forbidden" }, "AccessDeniedException", "other_key", true],
    [
      404,
      { message: "model 'x' not found, make sure the correct model ID was used" },
      "ResourceNotFoundException",
      "other_key",
      true,
    ],
    [408, "", "ModelTimeoutException", "same_key", true],
    [409, "", "ServiceUnavailableException", "same_key", true],
    [413, { message: "entity too large" }, "ValidationException", "nobody", true],
    [422, { message: "unprocessable" }, "ValidationException", "nobody", false],
    [429, { message: "Please wait and try again later" }, "ThrottlingException", "other_key", true],
    [500, { message: "internal server error" }, "ServiceUnavailableException", "same_key", true],
    [501, { message: "not implemented" }, "ServiceUnavailableException", "same_key", true],
    [502, "<html></html>", "ServiceUnavailableException", "same_key", true],
    [503, { message: "unavailable" }, "ServiceUnavailableException", "same_key", true],
    [504, { message: "timed out" }, "ModelTimeoutException", "same_key", true],
    [499, { message: "request cancelled" }, "ModelErrorException", "nobody", true],
  ])("%i %j is %s, to be sent again by %s", (status, body, type, retry, elsewhere) => {
    expect(fail(status, body)).toMatchObject({ error: { type }, retry, elsewhere, exhausted: status === 402 });
  });

  test("a trial key's calls of a month are used up", () => {
    const message = "You are using a Trial key, which is limited to 1000 API calls / month.";
    expect(fail(429, { message })).toMatchObject({ error: { type: "ThrottlingException" }, exhausted: true });
  });

  test("498 is a forbidden token, not a lack of capacity", () => {
    expect(fail(498, { message: "invalid token" })).toMatchObject({
      error: { type: "ValidationException" },
      filtered: true,
    });
  });

  test("an error within an answer of status 200", () => {
    const failure = failureOf(cohere.decode(bodyOf({ id: "r", message: "internal server error" }), memoOf()));
    expect(failure.error).toMatchObject({ type: "ServiceUnavailableException", message: "internal server error" });
  });
});

describe("hostile answers", () => {
  const deep = `${'{"a":'.repeat(50_000)}1${"}".repeat(50_000)}`;

  test.each([
    "",
    "null",
    "[]",
    "{",
    "{}",
    deep,
    '{"message":[],"finish_reason":"COMPLETE"}',
    '{"message":{"content":"x"}}',
    '{"message":{"content":"x"},"finish_reason":7}',
    '{"message":{"content":7},"finish_reason":"COMPLETE"}',
    '{"message":{"content":{}},"finish_reason":"COMPLETE"}',
    '{"message":{"content":[7]},"finish_reason":"COMPLETE"}',
    '{"message":{"content":[{"type":"text"}]},"finish_reason":"COMPLETE"}',
    '{"message":{"content":[{"type":"thinking","thinking":{}}]},"finish_reason":"COMPLETE"}',
    '{"message":{"tool_calls":{}},"finish_reason":"COMPLETE"}',
    '{"message":{"tool_calls":[{"function":{}}]},"finish_reason":"COMPLETE"}',
  ])("%s is no answer", (body) => {
    expect(failureOf(cohere.decode(bodyOf(body), memoOf())).error.type).toBe("ModelErrorException");
  });

  test.each([
    "{",
    "7",
    deep,
    '{"type":"content-delta","delta":{"message":{"content":{"text":7}}}}',
    '{"type":"content-delta","delta":{"message":{"content":{"thinking":{}}}}}',
    '{"type":"tool-plan-delta","delta":{"message":{"tool_plan":7}}}',
    '{"type":"tool-call-start","delta":{"message":{"tool_calls":{"id":"a"}}}}',
    '{"type":"message-end"}',
  ])("%s is no event", (data) => {
    expect(drain(cohere.stream(memoOf()), [item(data)]).failure?.error.type).toBe("ModelStreamErrorException");
  });

  test("a body of a failure may be anything", () => {
    expect(fail(500, deep).error.type).toBe("ServiceUnavailableException");
  });

  const types = [
    "content-start",
    "content-delta",
    "tool-plan-delta",
    "citation-start",
    "tool-call-start",
    "tool-call-delta",
    "tool-call-end",
    "message-end",
  ];
  const names = [
    "message",
    "delta",
    "content",
    "type",
    "text",
    "thinking",
    "tool_plan",
    "tool_calls",
    "function",
    "name",
    "arguments",
    "citations",
    "sources",
    "start",
    "end",
    "document",
    "finish_reason",
    "usage",
    "tokens",
    "input_tokens",
    "error",
    "index",
    "id",
  ];
  const junk = fc.letrec<{ value: JsonValue }>((tie) => ({
    value: fc.oneof(
      { depthSize: "small" },
      fc.constantFrom<JsonValue>(null, true, -1, 3, 1e300, "", "x", "COMPLETE", "ERROR", "text", "thinking", ...types),
      fc.array(tie("value"), { maxLength: 2 }),
      fc.dictionary(fc.constantFrom(...names), tie("value"), { noNullPrototype: true }),
    ),
  })).value;

  test("whatever comes, it is an answer with true numbers or a failure of ours", () => {
    fc.assert(
      fc.property(fc.array(fc.tuple(fc.constantFrom(...types), junk), { maxLength: 4 }), (pairs) => {
        for (const [, value] of pairs) {
          for (const body of [value, { message: value, finish_reason: "COMPLETE", usage: value }]) {
            const read = cohere.decode(bodyOf(body), memoOf());
            if (isFailure(read)) expect(read.error).toBeInstanceOf(BedrockError);
            else for (const number of Object.values(read.response.usage)) expect(number).toBeGreaterThanOrEqual(0);
          }
        }
        const reader = cohere.stream(memoOf());
        drain(
          reader,
          pairs.flatMap(([type, value]) => [
            item({ type, delta: { message: value } }),
            item({ type, delta: value }),
            item(value),
          ]),
        );
        expect(reader.usage().usage.totalTokens).toBeGreaterThanOrEqual(0);
      }),
      { numRuns: 500 },
    );
  });
});
