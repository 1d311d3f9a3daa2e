import { describe, expect, test } from "vitest";
import type { ClientConfig } from "../../src/config/schema.ts";
import { checkRequiredHeaders, compilePolicy, corsHeaders, preflight } from "../../src/gateway/client-policy.ts";
import { FakeExchange } from "../support/fake-exchange.ts";

function policy(changes: Partial<ClientConfig> = {}) {
  return compilePolicy({
    allow_direct_keys: false,
    enforce_auth_on_inference: false,
    required_headers: [],
    max_request_body_size_mb: 100,
    allowed_origins: [],
    header_filter: { allow: [], deny: [] },
    ...changes,
  });
}

function check(required: ClientConfig["required_headers"], headers: Readonly<Record<string, string>>): () => void {
  return () => checkRequiredHeaders(new Map(Object.entries(headers)), policy({ required_headers: required }));
}

describe("required headers", () => {
  test("by name must be there, whatever they say", () => {
    expect(check(["X-Team"], { "x-team": "" })).not.toThrow();
    expect(check(["X-Team"], {})).toThrow("x-team");
  });

  test("by value must say exactly that", () => {
    expect(check({ "x-env": "prod" }, { "x-env": "prod" })).not.toThrow();
    expect(check({ "x-env": "prod" }, { "x-env": "Prod" })).toThrow("x-env");
    expect(check({ "x-env": "*" }, { "x-env": "any" })).not.toThrow();
  });

  test("by pattern must match it as a whole", () => {
    const rule = { "x-env": "regex:prod|test-\\d+" };
    expect(check(rule, { "x-env": "test-12" })).not.toThrow();
    expect(check(rule, { "x-env": "production" })).toThrow("x-env");
    expect(check(rule, { "x-env": "my-prod" })).toThrow("x-env");
    expect(check(rule, {})).toThrow("x-env");
  });

  test("that are missing or unfit are all named in one ValidationException, and fit ones are not", () => {
    const attempt = check({ "x-a": "*", "x-b": "1", "x-c": "*" }, { "x-b": "2", "x-c": "" });
    expect(attempt).toThrow(expect.objectContaining({ type: "ValidationException", status: 400 }));
    expect(attempt).toThrow(/x-a, x-b\./);
  });
});

describe("the body limit", () => {
  test("is in bytes", () => {
    expect(policy({ max_request_body_size_mb: 2 }).maxBodyBytes).toBe(2_097_152);
  });
});

describe("origins", () => {
  const origins = policy({ allowed_origins: ["http://a.test"] });

  test("that are allowed may read the answer, others and none may not", () => {
    expect(corsHeaders("http://a.test", origins)).toContainEqual(["access-control-allow-origin", "http://a.test"]);
    for (const origin of ["http://b.test", "http://a.test.evil", "null", "", undefined])
      expect(corsHeaders(origin, origins)).toEqual([]);
  });

  test("are all allowed by *", () => {
    expect(corsHeaders("http://b.test", policy({ allowed_origins: ["*"] }))).toContainEqual([
      "access-control-allow-origin",
      "http://b.test",
    ]);
  });
});

describe("a browser's question before a request", () => {
  const cors = [["access-control-allow-origin", "http://a.test"]] as const;
  const asking = { "access-control-request-method": "POST", "access-control-request-headers": "x-bf-vk" };

  test("is answered for an allowed origin, with the headers it asked for", () => {
    const exchange = new FakeExchange({ method: "OPTIONS", headers: asking });
    expect(preflight(exchange, cors)).toBe(true);
    expect(exchange.answer).toMatchObject({ status: 204 });
    expect(exchange.answer?.headers).toContainEqual(["access-control-allow-headers", "x-bf-vk"]);
    expect(exchange.answer?.headers).toContainEqual(cors[0]);
  });

  test("is left alone for other origins, methods and plain OPTIONS requests", () => {
    for (const [exchange, allowed] of [
      [new FakeExchange({ method: "OPTIONS", headers: asking }), []],
      [new FakeExchange({ method: "POST", headers: asking }), cors],
      [new FakeExchange({ method: "OPTIONS" }), cors],
    ] as const) {
      expect(preflight(exchange, allowed)).toBe(false);
      expect(exchange.answer).toBeUndefined();
    }
  });
});
