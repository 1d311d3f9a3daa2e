import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { BedrockError } from "../../../src/bedrock/errors.ts";
import type { JsonValue } from "../../../src/bedrock/json.ts";
import { mistral } from "../../../src/providers/mistral/mistral.ts";
import { isFailure } from "../../../src/providers/nonsense.ts";
import { bodyOf, drain, failureOf, item } from "../both-ways.ts";
import { memoOf, targetOf } from "../fixtures.ts";

function fail(status: number, body: JsonValue | string, headers: Record<string, string> = {}) {
  return mistral.failure({ status, headers, now: 0, body: bodyOf(body).body }, targetOf({ kind: "mistral" }));
}

/** `{object: error, message, type, param, code}`. */
function error(message: JsonValue, type: string, code: string): JsonValue {
  return { object: "error", message, type, param: null, code };
}

describe("E.2 what Mistral answers", () => {
  test.each([
    [400, error("Expected last role", "invalid_request_error", "3230"), "ValidationException", "nobody", false],
    [400, error("Invalid model: x", "invalid_model", "1500"), "ResourceNotFoundException", "other_key", true],
    [
      400,
      error(
        "Prompt contains 40000 tokens, too large for model with 32768 maximum context length",
        "invalid_request_prompt",
        "3051",
      ),
      "ValidationException",
      "nobody",
      true,
    ],
    [401, { message: "Unauthorized", request_id: "r" }, "ServiceUnavailableException", "other_credential", true],
    [401, { detail: "Unauthorized" }, "ServiceUnavailableException", "other_credential", true],
    [402, { message: "Payment required" }, "ThrottlingException", "other_key", true],
    [403, { message: "Forbidden" }, "AccessDeniedException", "other_key", true],
    [404, { message: "no Route matched" }, "ResourceNotFoundException", "other_key", true],
    [408, "", "ModelTimeoutException", "same_key", true],
    [409, "", "ServiceUnavailableException", "same_key", true],
    [413, { message: "too large" }, "ValidationException", "nobody", true],
    [429, { message: "Requests rate limit exceeded" }, "ThrottlingException", "other_key", true],
    [429, error("Capacity", "service_tier_capacity_exceeded", "3505"), "ThrottlingException", "same_key", true],
    [500, error("Internal", "internal_server_error", "1000"), "ServiceUnavailableException", "same_key", true],
    [502, "<html><h1>Bad gateway</h1></html>", "ServiceUnavailableException", "same_key", true],
    [503, error("Unreachable backend", "unreachable_backend", "1100"), "ServiceUnavailableException", "same_key", true],
    [504, "", "ModelTimeoutException", "same_key", true],
    [418, { message: "tea" }, "ModelErrorException", "nobody", true],
  ])("%i %j is %s, to be sent again by %s", (status, body, type, retry, elsewhere) => {
    expect(fail(status, body)).toMatchObject({ error: { type }, retry, elsewhere });
  });

  test("F50 the field Mistral does not know is named, in each shape of the body", () => {
    const detail = [
      { type: "extra_forbidden", loc: ["body", "stream_options"], msg: "Extra inputs are not permitted" },
    ];
    for (const body of [{ detail }, error({ detail }, "invalid_request_error", "0")]) {
      expect(fail(422, body).error.message).toBe("body.stream_options: Extra inputs are not permitted");
      expect(fail(422, body).error.type).toBe("ValidationException");
    }
  });

  test("how long to wait", () => {
    expect(fail(429, "", { "retry-after": "7" }).error.retryAfterSeconds).toBe(7);
  });

  test("an error within an answer of status 200", () => {
    const failure = failureOf(mistral.decode(bodyOf(error("Internal", "internal_server_error", "1000")), memoOf()));
    expect(failure).toMatchObject({ error: { type: "ServiceUnavailableException", message: "Internal" } });
  });
});

describe("hostile answers", () => {
  const deep = `${'{"a":'.repeat(50_000)}1${"}".repeat(50_000)}`;

  test.each([
    "",
    "null",
    "[]",
    '"text"',
    "{",
    "{}",
    deep,
    '{"choices":{}}',
    '{"choices":[]}',
    '{"choices":[null]}',
    '{"choices":[{"message":[]}]}',
    '{"choices":[{"message":{"content":"x"}}]}',
    '{"choices":[{"message":{"content":"x"},"finish_reason":null}]}',
    '{"choices":[{"message":{"content":"x"},"finish_reason":7}]}',
    '{"choices":[{"message":{"content":7},"finish_reason":"stop"}]}',
    '{"choices":[{"message":{"content":[7]},"finish_reason":"stop"}]}',
    '{"choices":[{"message":{"content":[{"type":"text","text":{}}]},"finish_reason":"stop"}]}',
    '{"choices":[{"message":{"content":[{"type":"thinking","thinking":{}}]},"finish_reason":"stop"}]}',
    '{"choices":[{"message":{"content":"","tool_calls":{}},"finish_reason":"stop"}]}',
    '{"choices":[{"message":{"content":"","tool_calls":[7]},"finish_reason":"stop"}]}',
    '{"choices":[{"message":{"content":"","tool_calls":[{"function":{"arguments":"{}"}}]},"finish_reason":"stop"}]}',
  ])("%s is no answer", (body) => {
    expect(failureOf(mistral.decode(bodyOf(body), memoOf())).error.type).toBe("ModelErrorException");
  });

  test.each([
    "{",
    "[]",
    deep,
    '{"choices":[{"delta":{"content":7}}]}',
    '{"choices":[{"delta":{"tool_calls":{}}}]}',
    '{"choices":[{"delta":{"tool_calls":[7]}}]}',
    '{"choices":[{"delta":{"tool_calls":[{"id":"a","function":{"arguments":"{}"}}]},"finish_reason":"stop"}]}',
  ])("%s is no event", (data) => {
    expect(drain(mistral.stream(memoOf()), [item(data)]).failure?.error.type).toBe("ModelStreamErrorException");
  });

  test("arguments nested too deep are text, not a call", () => {
    const message = { content: "", tool_calls: [{ id: "a", function: { name: "f", arguments: deep } }] };
    const answer = mistral.decode(bodyOf({ choices: [{ message, finish_reason: "tool_calls" }] }), memoOf());
    expect(answer).toMatchObject({ response: { stopReason: "malformed_tool_use" } });
    expect(() => JSON.stringify(answer)).not.toThrow();
  });

  test("a body of a failure may be anything", () => {
    expect(fail(500, deep).error.type).toBe("ServiceUnavailableException");
  });

  const junk = fc.letrec<{ value: JsonValue }>((tie) => ({
    value: fc.oneof(
      { depthSize: "small" },
      fc.constantFrom<JsonValue>(null, true, -1, 1e300, "", "x", "stop", "error", "text", "thinking", "[DONE]"),
      fc.array(tie("value"), { maxLength: 2 }),
      fc.dictionary(
        fc.constantFrom(
          "choices",
          "message",
          "delta",
          "content",
          "type",
          "text",
          "thinking",
          "tool_calls",
          "function",
          "name",
          "arguments",
          "finish_reason",
          "usage",
          "prompt_tokens",
          "completion_tokens",
          "error",
          "index",
          "id",
        ),
        tie("value"),
        { noNullPrototype: true },
      ),
    ),
  })).value;

  test("whatever comes, it is an answer with true numbers or a failure of ours", () => {
    fc.assert(
      fc.property(fc.array(junk, { maxLength: 4 }), (values) => {
        const choices = values.map((value) => ({ message: value, delta: value, finish_reason: "stop" }));
        for (const body of [...values, { choices, usage: values[1] ?? null }]) {
          const read = mistral.decode(bodyOf(body), memoOf());
          if (isFailure(read)) expect(read.error).toBeInstanceOf(BedrockError);
          else for (const number of Object.values(read.response.usage)) expect(number).toBeGreaterThanOrEqual(0);
        }
        const reader = mistral.stream(memoOf());
        drain(
          reader,
          [...values, ...choices.map((choice) => ({ choices: [choice] }))].map((value) => item(value)),
        );
        expect(reader.usage().usage.totalTokens).toBeGreaterThanOrEqual(0);
      }),
      { numRuns: 500 },
    );
  });
});
