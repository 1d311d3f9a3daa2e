import fc from "fast-check";
import { describe, expect, test, vi } from "vitest";
import { matchOperation, type Route } from "../../src/bedrock/operations.ts";
import { SemanticCache } from "../../src/cache/cache.ts";
import { semanticCacheSchema } from "../../src/config/cache.ts";
import { observabilitySchema } from "../../src/config/observability.ts";
import { ActiveRequest } from "../../src/gateway/active-request.ts";
import { compilePolicy } from "../../src/gateway/client-policy.ts";
import type { Provider } from "../../src/gateway/providers.ts";
import { type Recall, readRecallOptions } from "../../src/gateway/recall.ts";
import { attemptTargets } from "../../src/gateway/targets.ts";
import { Upstream } from "../../src/upstream/dispatch.ts";
import { kit } from "../governance/kit.ts";
import { FakeExchange } from "../support/fake-exchange.ts";
import { inlineOffThread } from "../support/off-thread.ts";

function recallWith(section: object = {}): Recall {
  const config = semanticCacheSchema.parse({ enabled: true, ...section });
  const ask = () => Promise.reject(new Error("nobody was to ask"));
  return { cache: new SemanticCache({ config, ask }), config, onProblem: () => undefined };
}

function routeOf(path: string, method = "POST"): Route {
  const route = matchOperation(method, path);
  if (route === undefined) throw new Error(`${path} is no operation's`);
  return route;
}

/** A body that may be measured and nothing else. */
function untouchable(length: number): Buffer {
  return new Proxy(Buffer.alloc(length), {
    get: (body, name) => {
      if (name === "length") return body.length;
      throw new Error(`${String(name)} of the body was looked at`);
    },
  });
}

const converse = routeOf("/model/m/converse");
const requestWith = (headers: Readonly<Record<string, string>>) => new ActiveRequest(new FakeExchange({ headers }));
const cacheHeaders = fc.dictionary(
  fc.constantFrom("x-bf-cache-ttl", "x-bf-cache-type", "x-bf-cache-threshold", "x-bf-cache-no-store"),
  fc.string(),
);

describe("a request that does not take part", () => {
  test("has not even its body read, whatever its other headers say", () => {
    const recall = recallWith();
    const lookup = vi.spyOn(recall.cache, "lookup");
    fc.assert(
      fc.property(cacheHeaders, fc.nat(100), (headers, length) => {
        const request = requestWith(headers);
        expect(readRecallOptions(request, converse, untouchable(length), recall)).toBeUndefined();
        expect(request.cache).toMatchObject({ kind: "bypass", reason: "no_cache_key" });
      }),
    );
    expect(lookup).not.toHaveBeenCalled();
  });

  test("is not looked at while the cache is off, and its answer says nothing of one", async () => {
    const provider: Provider = { kind: "mock", name: "mock", rules: [] };
    await fc.assert(
      fc.asyncProperty(cacheHeaders, async (headers) => {
        const exchange = new FakeExchange({ headers: { ...headers, "x-bf-cache-key": "app" } });
        const get = vi.spyOn(exchange.headers, "get");
        const request = new ActiveRequest(exchange);
        const body = Buffer.from('{"messages":[{"role":"user","content":[{"text":"hi"}]}]}');
        const attempted = await attemptTargets({
          request,
          route: converse,
          body,
          snapshot: {
            providers: [provider],
            policy: compilePolicy({
              allow_direct_keys: false,
              enforce_auth_on_inference: false,
              required_headers: [],
              max_request_body_size_mb: 1,
              allowed_origins: [],
              header_filter: { allow: [], deny: [] },
            }),
            allowDirectKeys: false,
            known: { secretOf: () => undefined },
            governance: kit({}).governance,
            recall: undefined,
            enforceAuth: false,
            observability: observabilitySchema.parse({}),
          },
          services: {
            upstream: new Upstream(),
            onProblem: () => undefined,
            hash: () => "",
            offThread: inlineOffThread(),
          },
        });
        expect(attempted.kind).toBe("answer");
        expect(get.mock.calls.filter(([name]) => name.startsWith("x-bf-cache"))).toEqual([]);
        expect(request.cache).toBeUndefined();
        expect(request.ownHeaders().map(([name]) => name)).not.toContain("x-bifrost-cache");
      }),
      { numRuns: 20 },
    );
  });

  test.each([
    ["another operation", "/model/m/count-tokens", 10, "operation"],
    ["a body that is too large", "/model/m/converse", 4 * 1024 * 1024 + 1, "too_large"],
  ])("is one with %s", (_what, path, length, reason) => {
    const request = requestWith({ "x-bf-cache-key": "app" });
    expect(readRecallOptions(request, routeOf(path), untouchable(length), recallWith())).toBeUndefined();
    expect(request.cache).toMatchObject({ kind: "bypass", reason });
  });
});

describe("a request that takes part", () => {
  test.each([
    ["by its header", {}, { "x-bf-cache-key": "app" }, "app"],
    ["by the default", { default_cache_key: "all" }, {}, "all"],
    ["by its header over the default", { default_cache_key: "all" }, { "x-bf-cache-key": "app" }, "app"],
  ])("does so %s", (_how, section, headers, cacheKey) => {
    const options = readRecallOptions(requestWith(headers), converse, untouchable(10), recallWith(section));
    expect(options).toMatchObject({ cacheKey, ttlMs: 300_000, threshold: 0.8, type: "both", noStore: false });
  });

  test.each([
    ["x-bf-cache-key", ""],
    ["x-bf-cache-key", "k".repeat(257)],
    ["x-bf-cache-ttl", "0"],
    ["x-bf-cache-threshold", "near"],
    ["x-bf-cache-type", "both of them"],
    ["x-bf-cache-no-store", "yes"],
  ])("is refused by the name of its header: %s: %s", (name, value) => {
    const headers = { "x-bf-cache-key": "app", [name]: value };
    const read = () => readRecallOptions(requestWith(headers), converse, untouchable(10), recallWith());
    expect(read).toThrow(
      expect.objectContaining({ type: "ValidationException", message: expect.stringContaining(name) }),
    );
  });
});
