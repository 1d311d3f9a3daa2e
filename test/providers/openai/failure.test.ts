import { describe, expect, test } from "vitest";
import type { ErrorType } from "../../../src/bedrock/errors.ts";
import type { JsonValue } from "../../../src/bedrock/json.ts";
import type { ProviderFailure, RetryScope } from "../../../src/providers/dialect.ts";
import { openai } from "../../../src/providers/openai/openai.ts";
import { bodyOf, failureOf, item } from "../both-ways.ts";
import { targetOf } from "../fixtures.ts";
import { delta, finish, memoFor, run, start } from "./chunks.ts";

function fail(status: number, body: JsonValue, headers: Record<string, string> = {}): ProviderFailure {
  return openai.failure({ status, headers, body: bodyOf(body).body, now: 0 }, targetOf());
}

const invalid = (message: string, code: JsonValue = null) => ({
  error: { message, type: "invalid_request_error", param: null, code },
});

type Row = readonly [
  what: string,
  status: number,
  body: JsonValue,
  type: ErrorType,
  retry: RetryScope,
  elsewhere: boolean,
];

const rows: readonly Row[] = [
  ["a bad request", 400, invalid("m"), "ValidationException", "nobody", false],
  [
    "a parameter the model refuses",
    400,
    invalid("Unsupported parameter: 'stop'", "unsupported_parameter"),
    "ValidationException",
    "nobody",
    false,
  ],
  ["a prompt too long", 400, invalid("m", "context_length_exceeded"), "ValidationException", "nobody", true],
  [
    "vLLM's prompt too long",
    400,
    {
      object: "error",
      message: "This model's maximum context length is 8 tokens.",
      type: "BadRequestError",
      code: 400,
    },
    "ValidationException",
    "nobody",
    true,
  ],
  [
    "a key that is refused",
    401,
    invalid("Incorrect API key", "invalid_api_key"),
    "ServiceUnavailableException",
    "other_credential",
    true,
  ],
  [
    "DeepSeek without credit",
    402,
    { error: { message: "Insufficient Balance", type: "unknown_error" } },
    "ThrottlingException",
    "other_key",
    true,
  ],
  [
    "OpenRouter without credit",
    402,
    { error: { code: 402, message: "Insufficient credits" } },
    "ThrottlingException",
    "other_key",
    true,
  ],
  [
    "no access",
    403,
    { error: { message: "no", type: "permission_error" } },
    "AccessDeniedException",
    "other_key",
    true,
  ],
  [
    "Azure without the deployment",
    404,
    { error: { code: "DeploymentNotFound", message: "m" } },
    "ResourceNotFoundException",
    "other_key",
    true,
  ],
  ["Ollama without the model", 404, { error: "model 'x' not found" }, "ResourceNotFoundException", "other_key", true],
  ["a timeout", 408, {}, "ModelTimeoutException", "same_key", true],
  ["a conflict", 409, {}, "ServiceUnavailableException", "same_key", true],
  ["a body too large", 413, {}, "ValidationException", "nobody", true],
  [
    "Groq's call that is none",
    400,
    { error: { message: "m", type: "invalid_request_error", code: "tool_use_failed", failed_generation: "x" } },
    "ModelErrorException",
    "same_key",
    true,
  ],
  ["Groq's dependency", 424, { error: { message: "m" } }, "ModelErrorException", "same_key", true],
  [
    "too many requests",
    429,
    { error: { message: "m", type: "requests", code: "rate_limit_exceeded" } },
    "ThrottlingException",
    "other_key",
    true,
  ],
  [
    "the quota used up",
    429,
    { error: { message: "m", type: "insufficient_quota", code: "insufficient_quota" } },
    "ThrottlingException",
    "other_key",
    true,
  ],
  ["Groq's flex tier without room", 498, { error: { message: "m" } }, "ThrottlingException", "same_key", true],
  ["a fault", 500, { error: { message: "m", type: "server_error" } }, "ServiceUnavailableException", "same_key", true],
  ["too much to do", 503, { error: { message: "m" } }, "ServiceUnavailableException", "same_key", true],
  [
    "a model that is being loaded",
    503,
    { error: { message: "Loading model", type: "unavailable_error", code: 503 } },
    "ModelNotReadyException",
    "same_key",
    true,
  ],
  ["a gateway's page", 502, "<html>Bad gateway</html>", "ServiceUnavailableException", "same_key", true],
  ["Cloudflare's timeout", 524, "", "ModelTimeoutException", "same_key", true],
  ["another status", 418, {}, "ModelErrorException", "nobody", true],
];

describe("a status other than 200", () => {
  test.each(rows)("%s (%i)", (_, status, body, type, retry, elsewhere) => {
    expect(fail(status, body)).toMatchObject({ error: { type }, retry, elsewhere });
  });

  test("a quota is exhausted, a rate is not", () => {
    expect(fail(429, { error: { code: "insufficient_quota" } }).exhausted).toBe(true);
    expect(fail(429, { error: { code: "rate_limit_exceeded" } }).exhausted).toBe(false);
  });

  test("tells after how long to come back", () => {
    expect(
      fail(429, {}, { "x-ratelimit-reset-requests": "1m30s", "x-ratelimit-remaining-requests": "0" }).error
        .retryAfterSeconds,
    ).toBe(90);
  });

  test("the message of a refused key says nothing of it", () => {
    expect(fail(401, invalid("Incorrect API key provided: sk-abc")).error.message).not.toContain("sk-abc");
  });

  test.each<[string, number, JsonValue]>([
    [
      "F73 Azure",
      400,
      {
        error: {
          code: "content_filter",
          message: "m",
          status: 400,
          innererror: { code: "ResponsibleAIPolicyViolation" },
        },
      },
    ],
    [
      "OpenAI",
      400,
      invalid("Invalid prompt: your prompt was flagged as potentially violating our usage policy.", "invalid_prompt"),
    ],
    [
      "OpenRouter",
      403,
      {
        error: {
          code: 403,
          message: "Your chosen model requires moderation, and your input was flagged",
          metadata: { reasons: ["x"] },
        },
      },
    ],
    ["xAI", 403, { code: "permission-denied", error: "Content violates usage guidelines. Failed check: SAFETY_CHECK" }],
  ])("%s forbids the content: an answer of that kind, and nobody else is asked", (_, status, body) => {
    expect(fail(status, body)).toMatchObject({
      filtered: true,
      retry: "nobody",
      elsewhere: false,
      error: { type: "ValidationException" },
    });
  });
});

describe("F69 an error inside an answer of status 200", () => {
  test.each<[string, JsonValue, ErrorType]>([
    [
      "OpenRouter",
      { error: { code: 502, message: "Provider returned error", metadata: {} } },
      "ServiceUnavailableException",
    ],
    [
      "OpenRouter, in the choice",
      { choices: [{ error: { code: 429, message: "slow" }, finish_reason: "error", message: { content: "" } }] },
      "ThrottlingException",
    ],
    ["xAI", { code: "rate_limit_exceeded", error: "Too many requests" }, "ThrottlingException"],
    [
      "OpenAI's quota",
      { error: { message: "m", type: "insufficient_quota", code: "insufficient_quota" } },
      "ThrottlingException",
    ],
    ["vLLM", { object: "error", message: "bad", type: "BadRequestError", code: 400 }, "ValidationException"],
    ["Ollama", { error: "something broke" }, "ServiceUnavailableException"],
  ])("%s", (_, body, type) => {
    expect(failureOf(openai.decode(bodyOf(body), memoFor("openrouter"))).error.type).toBe(type);
    const first = run([item(body)]);
    expect(first.failure?.error.type).toBe(type);
    expect(first.events).toEqual([]);
    const later = run([start, delta({ content: "Hi" }), item(body), delta({ content: "more" })]);
    expect(later.failure?.error.type).toMatch(type === "ServiceUnavailableException" ? /Service|ModelStream/ : type);
    expect(JSON.stringify(later.events)).not.toMatch(/more|messageStop|metadata/);
  });

  test("F73 Azure's content filter as the only event is not to be tried again", () => {
    const body = {
      error: { code: "content_filter", message: "m", innererror: { code: "ResponsibleAIPolicyViolation" } },
    };
    expect(run([item(body)]).failure).toMatchObject({ filtered: true, retry: "nobody" });
  });

  test("an event named error is one, whatever is in it", () => {
    expect(run([start, item({ message: "broken", code: 500 }, "error")]).failure?.error.message).toBe("broken");
  });

  test("OpenRouter's broken off answer, with the reason beside it", () => {
    const broken = item({
      error: { code: 502, message: "cut" },
      choices: [{ delta: { content: "" }, finish_reason: "error" }],
    });
    expect(run([delta({ content: "Hi" }), broken]).failure?.error).toMatchObject({ message: "cut" });
  });

  test("DeepSeek out of resources: unavailable at first, a broken stream once the client has seen something", () => {
    const first = item({ choices: [{ finish_reason: "insufficient_system_resource" }] });
    expect(run([first]).failure).toMatchObject({ error: { type: "ServiceUnavailableException" }, elsewhere: true });
    const later = run([delta({ content: "Hi" }), finish("insufficient_system_resource")]);
    expect(later.failure?.error.type).toBe("ModelStreamErrorException");
  });
});
