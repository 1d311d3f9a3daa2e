import { describe, expect, test } from "vitest";
import type { ErrorType } from "../../src/bedrock/errors.ts";
import type { JsonObject } from "../../src/bedrock/json.ts";
import type { ProviderFailure, ProviderHeaders, RetryScope } from "../../src/providers/dialect.ts";
import { failureFor, readFailure, readInnerFailure } from "../../src/providers/failures.ts";
import { targetOf } from "./fixtures.ts";

const now = Date.parse("2026-08-01T00:00:00Z");

function read(status: number, body: unknown, headers: ProviderHeaders = {}): ProviderFailure {
  const text = typeof body === "string" ? body : JSON.stringify(body);
  return readFailure({ status, headers, body: Buffer.from(text), now }, targetOf());
}

type Row = readonly [
  what: string,
  status: number,
  body: unknown,
  type: ErrorType,
  retry: RetryScope,
  elsewhere: boolean,
];

const rows: readonly Row[] = [
  [
    "OpenAI's bad request",
    400,
    { error: { message: "m", type: "invalid_request_error", code: null } },
    "ValidationException",
    "nobody",
    false,
  ],
  [
    "Mistral's unknown key",
    422,
    { object: "error", message: { detail: [{ loc: ["body", "x"], msg: "Extra" }] } },
    "ValidationException",
    "nobody",
    false,
  ],
  [
    "a prompt too long at OpenAI",
    400,
    { error: { message: "m", code: "context_length_exceeded" } },
    "ValidationException",
    "nobody",
    true,
  ],
  [
    "a prompt too long at Anthropic",
    400,
    { type: "error", error: { type: "invalid_request_error", message: "prompt is too long: 9 > 8" } },
    "ValidationException",
    "nobody",
    true,
  ],
  [
    "a body too large",
    413,
    { error: { type: "request_too_large", message: "m" } },
    "ValidationException",
    "nobody",
    true,
  ],
  [
    "F73 Azure's content filter",
    400,
    { error: { code: "content_filter", message: "m", innererror: { code: "ResponsibleAIPolicyViolation" } } },
    "ValidationException",
    "nobody",
    false,
  ],
  [
    "a refused key",
    401,
    {
      error: { message: "Incorrect API key provided: sk-abc", type: "invalid_request_error", code: "invalid_api_key" },
    },
    "ServiceUnavailableException",
    "other_credential",
    true,
  ],
  [
    "Gemini's refused key",
    400,
    {
      error: {
        code: 400,
        message: "API key not valid.",
        status: "INVALID_ARGUMENT",
        details: [{ reason: "API_KEY_INVALID" }],
      },
    },
    "ServiceUnavailableException",
    "other_credential",
    true,
  ],
  [
    "xAI's refused key",
    400,
    { code: "Client specified an invalid argument", error: "Incorrect API key provided: xai-abc" },
    "ServiceUnavailableException",
    "other_credential",
    true,
  ],
  ["no credit", 402, { error: { message: "Insufficient Balance" } }, "ThrottlingException", "other_key", true],
  [
    "Anthropic's credit",
    400,
    { error: { type: "invalid_request_error", message: "Your credit balance is too low" } },
    "ThrottlingException",
    "other_key",
    true,
  ],
  [
    "OpenAI's quota",
    429,
    { error: { message: "m", type: "insufficient_quota", code: "insufficient_quota" } },
    "ThrottlingException",
    "other_key",
    true,
  ],
  [
    "no permission",
    403,
    { error: { message: "m", type: "permission_error" } },
    "AccessDeniedException",
    "other_key",
    true,
  ],
  [
    "no such model",
    404,
    { error: { message: "m", code: "model_not_found" } },
    "ResourceNotFoundException",
    "other_key",
    true,
  ],
  ["a timeout", 408, "", "ModelTimeoutException", "same_key", true],
  [
    "Gemini's deadline",
    504,
    [{ error: { code: 504, message: "m", status: "DEADLINE_EXCEEDED" } }],
    "ModelTimeoutException",
    "same_key",
    true,
  ],
  ["a conflict", 409, {}, "ServiceUnavailableException", "same_key", true],
  [
    "Groq's bad call",
    400,
    { error: { message: "m", type: "invalid_request_error", code: "tool_use_failed" } },
    "ModelErrorException",
    "same_key",
    true,
  ],
  ["Groq's dependency", 424, {}, "ModelErrorException", "same_key", true],
  [
    "a rate limit",
    429,
    { error: { message: "m", code: "rate_limit_exceeded" } },
    "ThrottlingException",
    "other_key",
    true,
  ],
  ["Groq's flex capacity", 498, {}, "ThrottlingException", "same_key", true],
  [
    "a fault of the provider",
    500,
    { type: "error", error: { type: "api_error", message: "m" } },
    "ServiceUnavailableException",
    "same_key",
    true,
  ],
  ["HTML from a proxy", 502, "<html><body>Bad Gateway</body></html>", "ServiceUnavailableException", "same_key", true],
  [
    "overload",
    529,
    { type: "error", error: { type: "overloaded_error", message: "Overloaded" } },
    "ServiceUnavailableException",
    "same_key",
    true,
  ],
  ["a model still loading", 503, { error: "model is loading" }, "ModelNotReadyException", "same_key", true],
  ["an unknown 5xx", 599, "", "ServiceUnavailableException", "same_key", true],
  ["an unknown 4xx", 418, { message: "m" }, "ModelErrorException", "nobody", true],
  ["a redirect", 302, "", "ModelErrorException", "nobody", true],
];

describe("a failed answer", () => {
  test.each(rows)("%s (%d)", (_what, status, body, type, retry, elsewhere) => {
    const failure = read(status, body);
    expect(failure).toMatchObject({ kind: "failure", retry, elsewhere });
    expect(failure.error.type).toBe(type);
    expect(failure.error.message).not.toBe("");
  });

  test.each<[string, unknown, string]>([
    ["OpenAI", { error: { message: "why" } }, "why"],
    ["Cohere", { id: "x", message: "why" }, "why"],
    ["xAI, Ollama", { code: "c", error: "why" }, "why"],
    ["Mistral", { detail: [{ loc: ["body", "n"], msg: "why" }] }, "body.n: why"],
    ["Google's list", [{ error: { message: "why" } }], "why"],
    ["a bare string", '"why"', "why"],
    ["plain text", "why", "why"],
    ["HTML", "<p>why</p>", "The provider test answered with status 400."],
    ["nothing", "", "The provider test answered with status 400."],
    ["junk", "[null]", "The provider test answered with status 400."],
  ])("the message of %s", (_who, body, message) => {
    expect(read(400, body).error.message).toBe(message);
  });

  test("a refused key's message stays with the gateway", () => {
    expect(read(401, { error: { message: "Incorrect API key provided: sk-abc" } }).error.message).not.toContain(
      "sk-abc",
    );
  });

  test("an endless message is cut", () => {
    expect(read(400, "x".repeat(100_000)).error.message.length).toBeLessThan(2100);
  });

  test("ModelErrorException tells the original status", () => {
    expect(read(418, "").error.members).toEqual({ originalStatusCode: 418 });
  });

  test("filtered content is marked, so that an answer can say it", () => {
    expect(read(400, { error: { code: "content_filter", message: "m" } }).filtered).toBe(true);
    expect(read(400, {})).not.toHaveProperty("filtered");
  });

  test("a quota for the day and an empty account are not waited for", () => {
    const quota = {
      error: { status: "RESOURCE_EXHAUSTED", details: [{ violations: [{ quotaId: "RequestsPerDayPerProject" }] }] },
    };
    expect(read(429, quota).exhausted).toBe(true);
    expect(read(402, {}).exhausted).toBe(true);
    expect(read(429, {}).exhausted).toBe(false);
  });

  test("a dialect's own words come first", () => {
    const answer = { status: 400, headers: {}, body: Buffer.from('{"error":{"code":"odd","message":"m"}}'), now };
    const failure = readFailure(answer, targetOf(), { words: { odd: "throttled" } });
    expect(failure.error.type).toBe("ThrottlingException");
  });
});

describe("how long to wait", () => {
  test.each<[string, ProviderHeaders, number | undefined]>([
    ["seconds", { "retry-after": "12" }, 12],
    ["parts of seconds", { "retry-after": "1.2" }, 2],
    ["milliseconds", { "retry-after-ms": "1500" }, 2],
    ["a date", { "retry-after": "Sat, 01 Aug 2026 00:00:30 GMT" }, 30],
    ["a date that is past", { "retry-after": "Fri, 31 Jul 2026 00:00:00 GMT" }, 0],
    [
      "OpenAI's limits, the spent one",
      {
        "x-ratelimit-reset-requests": "6m0s",
        "x-ratelimit-remaining-requests": "5",
        "x-ratelimit-reset-tokens": "1.2s",
        "x-ratelimit-remaining-tokens": "0",
      },
      2,
    ],
    [
      "OpenAI's limits, none spent",
      { "x-ratelimit-reset-requests": "20ms", "x-ratelimit-reset-tokens": "1h6m0s" },
      3960,
    ],
    ["OpenRouter's time", { "x-ratelimit-reset": String(now + 5000) }, 5],
    ["a time in seconds", { "x-ratelimit-reset": String(now / 1000 + 7) }, 7],
    [
      "Anthropic's date",
      { "anthropic-ratelimit-tokens-reset": "2026-08-01T00:01:00Z", "anthropic-ratelimit-tokens-remaining": "0" },
      60,
    ],
    ["a list of headers", { "retry-after": ["3", "9"] }, 3],
    ["nonsense", { "retry-after": "soon", "retry-after-ms": "x" }, undefined],
    ["a century", { "retry-after": "999999999" }, undefined],
    ["nothing", {}, undefined],
  ])("%s", (_what, headers, seconds) => {
    expect(read(429, {}, headers).error.retryAfterSeconds).toBe(seconds);
  });

  test("Gemini says it in the body", () => {
    const body = { error: { code: 429, status: "RESOURCE_EXHAUSTED", details: [{ retryDelay: "34.4s" }] } };
    expect(read(429, body).error.retryAfterSeconds).toBe(35);
  });
});

describe("F69 a failure in a stream, or in an answer of status 200", () => {
  test.each<[JsonObject, ErrorType, RetryScope]>([
    [{ type: "error", error: { type: "overloaded_error", message: "m" } }, "ServiceUnavailableException", "same_key"],
    [{ type: "error", error: { type: "invalid_request_error", message: "m" } }, "ValidationException", "nobody"],
    [{ error: { message: "m", type: "server_error", code: null } }, "ServiceUnavailableException", "same_key"],
    [{ error: { message: "m", code: "insufficient_quota" } }, "ThrottlingException", "other_key"],
    [{ error: { code: 429, message: "m" } }, "ThrottlingException", "other_key"],
    [{ error: { code: 503, message: "m", status: "UNAVAILABLE" } }, "ServiceUnavailableException", "same_key"],
    [{ error: "text" }, "ServiceUnavailableException", "same_key"],
    [{ object: "error", message: "m", type: "BadRequestError", code: 400 }, "ValidationException", "nobody"],
  ])("%j", (body, type, retry) => {
    const failure = readInnerFailure(body, targetOf());
    expect(failure?.error.type).toBe(type);
    expect(failure?.retry).toBe(retry);
  });

  test.each<[JsonObject]>([[{}], [{ error: null }], [{ error: "" }], [{ choices: [] }], [{ type: "message" }]])(
    "%j is none",
    (body) => {
      expect(readInnerFailure(body, targetOf())).toBeUndefined();
    },
  );
});

test("a cause the dialect recognises itself", () => {
  expect(failureFor("unavailable", "The model stopped with an error.", targetOf()).error).toMatchObject({
    type: "ServiceUnavailableException",
    message: "The model stopped with an error.",
  });
});
