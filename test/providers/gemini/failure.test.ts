/** Each way Google fails, in AWS's terms, and who may try again. */
import { describe, expect, test } from "vitest";
import type { JsonValue } from "../../../src/bedrock/json.ts";
import { gemini } from "../../../src/providers/gemini/gemini.ts";
import { geminiTarget } from "./support.ts";

const fail = (status: number, body: JsonValue | string, headers = {}) =>
  gemini.failure(
    { status, headers, body: Buffer.from(typeof body === "string" ? body : JSON.stringify(body)), now: 0 },
    geminiTarget(),
  );

const error = (code: number, message: string, status: string, details: JsonValue[] = []) => ({
  error: { code, message, status, ...(details.length > 0 && { details }) },
});

describe("E.2", () => {
  test.each([
    [
      400,
      "Thinking level MINIMAL is not supported for this model.",
      "INVALID_ARGUMENT",
      "ValidationException",
      "nobody",
    ],
    [
      401,
      "Request had invalid authentication credentials.",
      "UNAUTHENTICATED",
      "ServiceUnavailableException",
      "other_credential",
    ],
    [403, "Permission denied.", "PERMISSION_DENIED", "AccessDeniedException", "other_key"],
    [404, "models/x is not found", "NOT_FOUND", "ResourceNotFoundException", "other_key"],
    [409, "Conflict.", "ABORTED", "ServiceUnavailableException", "same_key"],
    [429, "Resource exhausted.", "RESOURCE_EXHAUSTED", "ThrottlingException", "other_key"],
    [500, "An internal error has occurred.", "INTERNAL", "ServiceUnavailableException", "same_key"],
    [503, "The model is overloaded.", "UNAVAILABLE", "ServiceUnavailableException", "same_key"],
    [504, "Deadline expired.", "DEADLINE_EXCEEDED", "ModelTimeoutException", "same_key"],
    [418, "I am a teapot.", "NEW", "ModelErrorException", "nobody"],
  ])("%i %s", (status, message, word, type, retry) => {
    expect(fail(status, error(status, message, word))).toMatchObject({ error: { type }, retry, exhausted: false });
  });

  test("a prompt that is too long may fit elsewhere", () => {
    const body = error(
      400,
      "The input token count (1048577) exceeds the maximum number of tokens allowed (1048576).",
      "INVALID_ARGUMENT",
    );
    expect(fail(400, body)).toMatchObject({ error: { type: "ValidationException" }, retry: "nobody", elsewhere: true });
    expect(fail(400, body).error.message).toMatch(/^Input is too long for requested model\./);
  });

  test("a key that is not valid is a 400 of Google's, and the gateway's fault", () => {
    const details = [{ "@type": "type.googleapis.com/google.rpc.ErrorInfo", reason: "API_KEY_INVALID" }];
    for (const body of [
      error(400, "API key not valid. Please pass a valid API key.", "INVALID_ARGUMENT", details),
      error(400, "API key expired. Please renew the API key.", "INVALID_ARGUMENT"),
      error(401, "stale", "UNAUTHENTICATED", [{ reason: "ACCESS_TOKEN_EXPIRED" }]),
    ]) {
      const failure = fail(body.error.code, body);
      expect(failure).toMatchObject({ error: { type: "ServiceUnavailableException" }, retry: "other_credential" });
      expect(failure.error.message).not.toContain("key not valid");
    }
  });

  test("a place where Google serves nobody is not the request's fault", () => {
    const body = error(400, "User location is not supported for the API use.", "FAILED_PRECONDITION");
    expect(fail(400, body)).toMatchObject({ error: { type: "AccessDeniedException" }, elsewhere: true });
  });

  test("billing that is switched off is for long", () => {
    expect(fail(403, error(403, "Billing", "PERMISSION_DENIED", [{ reason: "BILLING_DISABLED" }]))).toMatchObject({
      error: { type: "ThrottlingException" },
      exhausted: true,
    });
  });
});

describe("quota", () => {
  const quota = (quotaId: string) =>
    error(429, "You exceeded your current quota.", "RESOURCE_EXHAUSTED", [
      { "@type": "type.googleapis.com/google.rpc.QuotaFailure", violations: [{ quotaId }] },
      { "@type": "type.googleapis.com/google.rpc.RetryInfo", retryDelay: "34.4s" },
    ]);

  test("of a minute: RetryInfo says when", () => {
    const failure = fail(429, quota("GenerateRequestsPerMinutePerProjectPerModel-FreeTier"));
    expect(failure).toMatchObject({ exhausted: false, error: { type: "ThrottlingException", retryAfterSeconds: 35 } });
  });

  test("of a day: the key is used up", () => {
    expect(fail(429, quota("GenerateRequestsPerDayPerProjectPerModel-FreeTier"))).toMatchObject({
      exhausted: true,
      retry: "other_key",
    });
  });

  test("a header says it first", () => {
    expect(fail(429, quota("PerMinute"), { "retry-after": "7" }).error.retryAfterSeconds).toBe(7);
  });
});

test("F74 the error of a streaming request is a list of one", () => {
  expect(fail(429, [error(429, "slow down", "RESOURCE_EXHAUSTED", [{ retryDelay: "2s" }])]).error).toMatchObject({
    type: "ThrottlingException",
    message: "slow down",
    retryAfterSeconds: 2,
  });
});

test("a page of HTML is judged by its status, and not shown", () => {
  const failure = fail(502, "<html><title>502</title>secret</html>");
  expect(failure).toMatchObject({ error: { type: "ServiceUnavailableException" }, retry: "same_key" });
  expect(failure.error.message).not.toContain("secret");
});
