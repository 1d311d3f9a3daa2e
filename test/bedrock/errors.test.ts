import { describe, expect, test } from "vitest";
import { BedrockError, errorBody, isErrorType, refuseField, statusOf, xmlErrorBody } from "../../src/bedrock/errors.ts";

/** Statuses of the service models, and of AWS's common errors. */
const statuses = [
  ["AccessDeniedException", 403],
  ["ConflictException", 400],
  ["ExpiredTokenException", 403],
  ["IncompleteSignatureException", 400],
  ["InternalServerException", 500],
  ["InvalidSignatureException", 403],
  ["ModelErrorException", 424],
  ["ModelNotReadyException", 429],
  ["ModelStreamErrorException", 424],
  ["ModelTimeoutException", 408],
  ["ResourceNotFoundException", 404],
  ["ServiceQuotaExceededException", 400],
  ["ServiceUnavailableException", 503],
  ["ThrottlingException", 429],
  ["UnknownOperationException", 404],
  ["UnrecognizedClientException", 403],
  ["ValidationException", 400],
] as const;

describe("the catalogue", () => {
  test.each(statuses)("gives %s the status %i", (type, status) => {
    expect(statusOf(type)).toBe(status);
    expect(new BedrockError(type, "why").status).toBe(status);
    expect(isErrorType(type)).toBe(true);
  });

  test.each(["", "toString", "constructor", "__proto__", "validationException", "TeapotException"])(
    "does not know %j",
    (name) => {
      expect(isErrorType(name)).toBe(false);
      expect(statusOf(name)).toBeUndefined();
    },
  );

  test("says of errors that go away by themselves that they may be tried again, and of others that they may not", () => {
    const retryable = statuses.filter(([type]) => new BedrockError(type, "").retryable).map(([type]) => type);
    expect(retryable).toEqual([
      "InternalServerException",
      "ModelErrorException",
      "ModelNotReadyException",
      "ModelStreamErrorException",
      "ModelTimeoutException",
      "ServiceUnavailableException",
      "ThrottlingException",
    ]);
  });
});

describe("an error", () => {
  test("can have another status than its type's", () => {
    expect(new BedrockError("ValidationException", "too large", { status: 413 }).status).toBe(413);
  });

  test("keeps its cause to itself", () => {
    const error = new BedrockError("InternalServerException", "it failed", { cause: new Error("at line 7") });
    expect(error.cause).toBeInstanceOf(Error);
    expect(errorBody(error)).toBe('{"message":"it failed"}');
    expect(new BedrockError("InternalServerException", "it failed")).not.toHaveProperty("cause");
  });

  test("writes its modelled members beside the message", () => {
    const error = new BedrockError("ModelErrorException", "it failed", {
      members: { originalStatusCode: 529, resourceName: "m" },
    });
    expect(JSON.parse(errorBody(error))).toEqual({ message: "it failed", originalStatusCode: 529, resourceName: "m" });
  });

  test("of a field names the field's path first", () => {
    const error = refuseField("messages[2].content[0].image", "is too large.");
    expect(error).toMatchObject({ type: "ValidationException", status: 400 });
    expect(error.message).toBe("messages[2].content[0].image: is too large.");
  });
});

describe("an error of S3's shape", () => {
  test("has its code, its message and the request's id", () => {
    expect(xmlErrorBody(new BedrockError("ValidationException", "key: is wrong."), "id-1")).toBe(
      '<?xml version="1.0" encoding="UTF-8"?>\n' +
        "<Error><Code>ValidationException</Code><Message>key: is wrong.</Message><RequestId>id-1</RequestId></Error>",
    );
  });

  test("stays XML whatever stands in it", () => {
    const text = xmlErrorBody(new BedrockError("ValidationException", "</Message>&amp;\u0000\ud800 \u{1f422}é"), "<");
    expect(text).toContain("<Message>&lt;/Message&gt;&amp;amp;\ufffd\ufffd \u{1f422}é</Message>");
    expect(text).toContain("<RequestId>&lt;</RequestId>");
  });
});
