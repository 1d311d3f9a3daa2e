import { describe, expect, test } from "vitest";
import type { JsonValue } from "../../../src/bedrock/json.ts";
import { anthropic } from "../../../src/providers/anthropic/anthropic.ts";
import type { ProviderHeaders } from "../../../src/providers/dialect.ts";
import { bytesOf, claude, onVertex } from "./support.ts";

const now = Date.parse("2026-08-01T12:00:00Z");

function failure(status: number, body: JsonValue | string, headers: ProviderHeaders = {}, target = claude()) {
  const { error, ...rest } = anthropic.failure({ status, headers, body: bytesOf(body), now }, target);
  return {
    type: error.type,
    status: error.status,
    message: error.message,
    after: error.retryAfterSeconds,
    error,
    ...rest,
  };
}

function errorBody(type: string, message: string): JsonValue {
  return { type: "error", error: { type, message }, request_id: "req_011CSHoEeqs5C35K2UUqR7Fy" };
}

describe("each of Anthropic's errors", () => {
  test.each([
    [400, "invalid_request_error", "messages: roles must alternate", "ValidationException", "nobody", false],
    [
      400,
      "invalid_request_error",
      "prompt is too long: 210000 tokens > 200000 maximum",
      "ValidationException",
      "nobody",
      true,
    ],
    [
      400,
      "invalid_request_error",
      "input length and `max_tokens` exceed context limit: 190000 + 20000 > 200000",
      "ValidationException",
      "nobody",
      true,
    ],
    [401, "authentication_error", "invalid x-api-key", "ServiceUnavailableException", "other_credential", true],
    [402, "billing_error", "Payment required", "ThrottlingException", "other_key", true],
    [403, "permission_error", "not allowed", "AccessDeniedException", "other_key", true],
    [404, "not_found_error", "model: claude-0", "ResourceNotFoundException", "other_key", true],
    [408, "timeout_error", "took too long", "ModelTimeoutException", "same_key", true],
    [409, "conflict_error", "conflict", "ServiceUnavailableException", "same_key", true],
    [413, "request_too_large", "Request exceeds the maximum size", "ValidationException", "nobody", true],
    [422, "invalid_request_error", "cannot", "ValidationException", "nobody", false],
    [429, "rate_limit_error", "This request would exceed your rate limit", "ThrottlingException", "other_key", true],
    [500, "api_error", "Internal server error", "ServiceUnavailableException", "same_key", true],
    [502, "api_error", "Bad gateway", "ServiceUnavailableException", "same_key", true],
    [503, "api_error", "Unavailable", "ServiceUnavailableException", "same_key", true],
    [504, "timeout_error", "Gateway timeout", "ModelTimeoutException", "same_key", true],
    [529, "overloaded_error", "Overloaded", "ServiceUnavailableException", "same_key", true],
    [418, "teapot_error", "short and stout", "ModelErrorException", "nobody", true],
  ])("%d %s (%s) is %s", (status, type, message, exception, retry, elsewhere) => {
    expect(failure(status, errorBody(type, message))).toMatchObject({ type: exception, retry, elsewhere });
  });

  test.each([
    [400, "Your credit balance is too low to access the Anthropic API."],
    [400, "You have reached your specified API usage limits. You will regain access on 2026-09-01 at 00:00 UTC."],
    [429, "You have reached your specified workspace API usage limits."],
  ])("%d %s: the key's credit is used up", (status, message) => {
    const type = status === 429 ? "billing_error" : "invalid_request_error";
    expect(failure(status, errorBody(type, message))).toMatchObject({
      type: "ThrottlingException",
      retry: "other_key",
      exhausted: true,
    });
  });

  test("what the provider's policy forbids is told apart", () => {
    const body = errorBody("invalid_request_error", "Output blocked by content filtering policy");
    expect(failure(400, body)).toMatchObject({ type: "ValidationException", filtered: true, retry: "nobody" });
  });

  test("what the client can act upon is said, of the gateway's key nothing", () => {
    expect(failure(400, errorBody("invalid_request_error", "tools.0: no")).message).toBe("tools.0: no");
    expect(failure(401, errorBody("authentication_error", "invalid x-api-key sk-ant-1")).message).not.toContain(
      "sk-ant",
    );
  });
});

describe("when to come back", () => {
  test("stands in retry-after", () => {
    expect(failure(429, errorBody("rate_limit_error", "x"), { "retry-after": "17" }).after).toBe(17);
  });

  test("else in the limits that are used up", () => {
    const headers = {
      "anthropic-ratelimit-requests-remaining": "10",
      "anthropic-ratelimit-requests-reset": "2026-08-01T12:00:01Z",
      "anthropic-ratelimit-input-tokens-remaining": "0",
      "anthropic-ratelimit-input-tokens-reset": "2026-08-01T12:00:30Z",
    };
    expect(failure(429, errorBody("rate_limit_error", "x"), headers).after).toBe(30);
  });
});

describe("bodies of other shapes", () => {
  test("Google's on Vertex, also in a list", () => {
    const google = { error: { code: 429, message: "Quota exceeded", status: "RESOURCE_EXHAUSTED" } };
    for (const body of [google, [google]]) {
      expect(failure(429, body, {}, onVertex())).toMatchObject({
        type: "ThrottlingException",
        message: "Quota exceeded",
      });
    }
    const denied = { error: { code: 403, message: "denied", status: "PERMISSION_DENIED" } };
    expect(failure(403, denied, {}, onVertex()).type).toBe("AccessDeniedException");
  });

  test.each(["<html>502</html>", "", "null", "[]", '{"error":null}', "\u0000"])("%j by its status", (body) => {
    expect(failure(502, body)).toMatchObject({ type: "ServiceUnavailableException", retry: "same_key" });
  });

  test("a status of its own is kept", () => {
    expect(failure(418, "x").error.members).toEqual({ originalStatusCode: 418 });
  });
});
