import { describe, expect, test } from "vitest";
import { MemoryLog } from "../../src/store/log-memory.ts";
import type { LogRow } from "../../src/store/log-store.ts";
import { Sealer } from "../../src/store/secrets.ts";
import { StoreError } from "../../src/store/store.ts";
import { logAttempt, logEntry } from "../store/log-rows.ts";
import { at, type KitOptions, kit } from "./kit.ts";

const noon = Date.parse("2027-01-01T00:00:00Z");
const minute = 60_000;

/** Rows a minute apart, the last of them a minute ago. */
async function logged(rows: readonly Partial<LogRow>[], options: KitOptions = {}) {
  const made = await kit(options);
  const entries = rows.map((row, index) =>
    logEntry(`r${index}`, { arrivedAt: noon - (rows.length - index) * minute, ...row }),
  );
  await made.log.append(entries);
  const ids = async (query: string): Promise<string[]> => {
    const { status, body } = await made.send("GET", `/api/logs?${query}`);
    expect([status, body.error]).toEqual([200, undefined]);
    return body.logs.map(({ id }: { id: string }) => id);
  };
  return { ...made, ids };
}

describe("GET /api/logs", () => {
  test("lists rows, the newest first, in pages", async () => {
    const { send, ids } = await logged([{}, {}, {}]);
    const { body } = await send("GET", "/api/logs?limit=2");
    expect(body.logs.map(({ id }: { id: string }) => id)).toEqual(["r2", "r1"]);
    expect(body.pagination).toEqual({ limit: 2, offset: 0, sort_by: "timestamp", order: "desc", total_count: 3 });
    expect(await ids("limit=2&offset=2")).toEqual(["r0"]);
    expect(await ids("order=asc")).toEqual(["r0", "r1", "r2"]);
  });

  test("shows what is known of a request", async () => {
    const { send } = await logged([
      {
        virtualKeyId: "vk",
        virtualKeyName: "app",
        dimensions: [["env", "prod"]],
        cacheKind: "miss",
        cacheReason: "new",
      },
    ]);
    const { body } = await send("GET", "/api/logs");
    expect(body.logs[0]).toMatchObject({
      id: "r0",
      request_id: "request-r0",
      timestamp: "2026-12-31T23:59:00.000Z",
      outcome: "success",
      provider: "bedrock",
      model: "m",
      key: { id: "k1", name: "main" },
      virtual_key: { id: "vk", name: "app" },
      team: null,
      input_tokens: 12,
      output_tokens: 6,
      total_tokens: 18,
      cost: 0.018,
      stop_reason: "end_turn",
      latency: 12.5,
      metadata: { env: "prod" },
      cache: { kind: "miss", reason: "new", similarity: null, entry_id: null },
    });
  });

  test.each<[query: string, rows: readonly Partial<LogRow>[], found: readonly number[]]>([
    ["providers=openai,bedrock", [{ provider: "openai" }, { provider: "x" }, {}], [2, 0]],
    ["providers=openai&providers=x", [{ provider: "openai" }, { provider: "x" }, {}], [1, 0]],
    ["provider=openai", [{ provider: "openai" }, {}], [0]],
    ["models=a", [{ model: "a" }, {}], [0]],
    ["aliases=a", [{ askedModel: "a" }, {}], [0]],
    ["status=error,cancelled", [{ outcome: "error" }, { outcome: "cancelled" }, {}], [1, 0]],
    ["outcome=cancelled", [{ outcome: "error" }, { outcome: "cancelled" }], [1]],
    ["objects=InvokeModel", [{ operation: "InvokeModel" }, {}], [0]],
    ["selected_key_ids=k2", [{ keyId: "k2" }, {}, { keyId: null }], [0]],
    ["virtual_key_ids=vk", [{ virtualKeyId: "vk" }, {}], [0]],
    ["virtual_key=vk", [{ virtualKeyId: "vk" }, {}], [0]],
    ["team_ids=t", [{ teamId: "t" }, {}], [0]],
    ["customer_ids=c", [{ customerId: "c" }, {}], [0]],
    ["routing_rule_ids=r2,r9", [{ rules: ["r1", "r2"] }, { rules: ["r1"] }], [0]],
    ["stop_reasons=max_tokens", [{ stopReason: "max_tokens" }, {}], [0]],
    ["cache_hit_types=direct,semantic", [{ cacheKind: "direct" }, { cacheKind: "miss" }, {}], [0]],
    ["error_types=ThrottlingException", [{ errorType: "ThrottlingException" }, {}], [0]],
    ["error_classes=provider_timeout", [{ errorClass: "provider_timeout" }, {}], [0]],
    ["request_id=request-r1", [{}, {}], [1]],
    ["session_id=s", [{ session: "s" }, {}], [0]],
    [
      "min_latency=5&max_latency=10",
      [{ durationMs: 4 }, { durationMs: 5 }, { durationMs: 10 }, { durationMs: 11 }],
      [2, 1],
    ],
    ["min_tokens=5&max_tokens=10", [{ totalTokens: 4 }, { totalTokens: 10 }, { totalTokens: null }], [1]],
    ["min_cost=0.5", [{ costMicroUsd: 500_000 }, { costMicroUsd: 499_999 }, { costMicroUsd: null }], [0]],
    ["missing_cost_only=true", [{ costMicroUsd: null }, {}, { costMicroUsd: null, outcome: "error" }], [0]],
    ["metadata_env=prod", [{ dimensions: [["env", "prod"]] }, { dimensions: [["env", "test"]] }, {}], [0]],
    ["period=2m", [{}, {}, {}], [2, 1]],
    ["start_time=2026-12-31T23:58:00Z&end_time=2026-12-31T23:59:00Z", [{}, {}, {}], [1]],
    [`start_time=${noon - 2 * minute}`, [{}, {}, {}], [2, 1]],
    ["sort_by=latency", [{ durationMs: 1 }, { durationMs: 3 }, { durationMs: 2 }], [1, 2, 0]],
    ["sort_by=cost&order=asc", [{ costMicroUsd: 2 }, { costMicroUsd: 1 }], [1, 0]],
    ["sort_by=tokens", [{ totalTokens: 1 }, { totalTokens: 2 }], [1, 0]],
  ])("finds by %s", async (query, rows, found) => {
    const { ids } = await logged(rows);
    expect(await ids(query)).toEqual(found.map((index) => `r${index}`));
  });

  test.each([
    ["limit=0", "limit"],
    ["limit=1001", "limit"],
    ["offset=-1", "offset"],
    ["sort_by=name", "sort_by"],
    ["order=up", "order"],
    ["status=fine", "status"],
    ["cache_hit_types=warm", "cache_hit_types"],
    ["min_latency=fast", "min_latency"],
    ["max_cost=-1", "max_cost"],
    ["start_time=yesterday", "start_time"],
    ["period=5", "period"],
    ["period=1h&end_time=2027-01-01", "period"],
    ["missing_cost_only=1", "missing_cost_only"],
    ["user_ids=a", "user_ids"],
    ["limit=1&limit=2", "limit"],
  ])("refuses %s by the name of the parameter", async (query, path) => {
    const { send } = await kit();
    const { status, body } = await send("GET", `/api/logs?${query}`);
    expect([status, body.error.path]).toEqual([400, path]);
  });

  test("searches content, unless it is encrypted", async () => {
    const { send, log } = await kit();
    await log.append([logEntry("a", {}, [], { request: "Hello World", answer: null, sealed: false }), logEntry("b")]);
    expect((await send("GET", "/api/logs?content_search=world")).body.logs).toHaveLength(1);
    const sealed = await kit({ sealer: new Sealer("a passphrase of our own") });
    const { status, body } = await sealed.send("GET", "/api/logs?content_search=world");
    expect([status, body.error.path]).toEqual([400, "content_search"]);
  });

  test("needs the token, and only knows its methods", async () => {
    const { send } = await kit({ adminToken: "secret" });
    for (const path of ["", "/stats", "/x", "/live", "/dropped", "/filterdata"])
      expect((await send("GET", `/api/logs${path}`)).status).toBe(401);
    expect((await send("POST", "/api/logs/recalculate-cost")).status).toBe(401);
    const open = await kit();
    expect((await open.send("POST", "/api/logs")).status).toBe(405);
    expect((await open.send("GET", "/api/logs/recalculate-cost")).status).toBe(405);
    expect((await open.send("GET", "/api/logs/a/b")).status).toBe(404);
  });

  test("says so when its store does not answer", async () => {
    const log = new MemoryLog();
    log.list = () => Promise.reject(new StoreError("unavailable", "/somewhere/logs.db is held by another process"));
    const { send } = await kit({ log });
    const { status, text } = await send("GET", "/api/logs");
    expect(status).toBe(503);
    expect(text).not.toContain("/somewhere");
  });
});

describe("GET /api/logs/{id}", () => {
  test("answers by the row's id and by the request's, with attempts, trail and the others of its id", async () => {
    const { send } = await logged([{ requestId: "same" }, { requestId: "same" }, {}]);
    expect((await send("GET", "/api/logs/r0")).body).toMatchObject({ id: "r0", same_request_id: ["r1"] });
    const { body } = await send("GET", "/api/logs/same");
    expect(body).toMatchObject({ id: "r1", same_request_id: ["r0"], content: null, outcome: "success", cost: 0.018 });
    expect(body.attempts).toMatchObject([{ provider: "bedrock", key: { id: "k1", name: "main" }, choice: "weighted" }]);
    expect(body.trail).toContain("No virtual key was used.");
  });

  test("takes ids as they are, percent-encoded", async () => {
    const { send } = await logged([{ requestId: "a/b?c %" }]);
    expect((await send("GET", `/api/logs/${encodeURIComponent("a/b?c %")}`)).status).toBe(200);
    expect((await send("GET", "/api/logs/unknown")).status).toBe(404);
  });
});

describe("DELETE /api/logs", () => {
  test("deletes rows by their ids, and says how many there were", async () => {
    const { send, ids } = await logged([{}, {}, {}]);
    const { status, body } = await send("DELETE", "/api/logs", { ids: ["r0", "r2", "r2", "gone"] });
    expect([status, body]).toEqual([200, { deleted: 2 }]);
    expect(await ids("")).toEqual(["r1"]);
    expect((await send("DELETE", "/api/logs?ids=r1,gone")).body).toEqual({ deleted: 1 });
    expect((await send("DELETE", "/api/logs")).status).toBe(400);
  });

  test.each([[{}], [{ ids: [] }], [{ ids: [1] }], [{ ids: "r0" }], [{ ids: Array.from({ length: 1001 }, String) }]])(
    "refuses what names no rows, %#",
    async (body) => {
      const { send } = await logged([{}]);
      expect(await send("DELETE", "/api/logs", body)).toMatchObject({ status: 400, body: { error: { path: "ids" } } });
    },
  );

  test("refuses what it does not know", async () => {
    const { send, ids } = await logged([{}]);
    const answer = await send("DELETE", "/api/logs", { ids: ["r0"], all: true });
    expect(answer).toMatchObject({ status: 400, body: { error: { path: "all" } } });
    expect(await ids("")).toEqual(["r0"]);
  });
});

describe("sums", () => {
  const hour = 60 * minute;

  test("stats count a day back, and compare with the time before", async () => {
    const { send } = await logged([
      { arrivedAt: noon - 30 * hour },
      { arrivedAt: noon - 2 * hour, outcome: "error", costMicroUsd: null },
      { arrivedAt: noon - hour, cacheKind: "direct", costMicroUsd: 0, durationMs: 100 },
    ]);
    const { body } = await send("GET", "/api/logs/stats?compare_to_previous=true&period=1d");
    expect(body).toMatchObject({
      start_time: "2026-12-31T00:00:00.000Z",
      requests: 2,
      success: 1,
      error: 1,
      success_rate: 0.5,
      cache_hits: 1,
      max_latency: 100,
      latency_p99: 100,
      cost: 0,
      previous: { requests: 1, cost: 0.018, end_time: "2026-12-31T00:00:00.000Z" },
    });
    expect((await send("GET", "/api/logs/stats")).body.requests).toBe(2);
    expect((await send("GET", "/api/logs/stats?period=1w")).body.requests).toBe(3);
    const refused = await send("GET", "/api/logs/stats?compare_to_previous=true&end_time=2027-01-01");
    expect(refused).toMatchObject({ status: 400, body: { error: { path: "compare_to_previous" } } });
  });

  test("of nothing are nothing", async () => {
    const { send } = await kit();
    expect((await send("GET", "/api/logs/stats")).body).toMatchObject({ requests: 0, success_rate: null, cost: 0 });
    expect((await send("GET", "/api/logs/histogram")).body.buckets).toEqual([]);
    expect((await send("GET", "/api/logs/rankings")).body.rankings).toEqual([]);
  });

  const spread: readonly Partial<LogRow>[] = [
    { arrivedAt: noon - 90 * minute, provider: "openai", model: "a", dimensions: [["env", "test"]] },
    { arrivedAt: noon - 80 * minute, outcome: "error", durationMs: 50 },
    { arrivedAt: noon - 10 * minute, model: "a", costMicroUsd: null },
  ];

  test.each([
    [
      "",
      [
        { requests: 2, success: 1, error: 1, cancelled: 0 },
        { requests: 1, success: 1 },
      ],
    ],
    ["/tokens", [{ input_tokens: 24, total_tokens: 36 }, { output_tokens: 6 }]],
    [
      "/cost",
      [
        { cost: 0.036, missing_cost: 0 },
        { cost: 0, missing_cost: 1 },
      ],
    ],
    ["/latency", [{ requests: 2, latency_p50: 12.5, latency_p99: 50 }, { latency_p99: 12.5 }]],
    ["/throughput", [{ requests_per_second: 2 / 3600 }, { tokens_per_second: 18 / 3600 }]],
    ["/models", [{ model: "a" }, { model: "m" }, { model: "a", missing_cost: 1 }]],
    ["/by-provider", [{ provider: "bedrock" }, { provider: "openai" }, { provider: "bedrock" }]],
    ["/cost/by-provider", [{ provider: "bedrock", cost: 0.018 }, {}, {}]],
    ["/latency/by-provider", [{ provider: "bedrock", latency_p50: 50 }, {}, {}]],
    ["/tokens/by-dimension", [{ dimension: null }, { dimension: "test", input_tokens: 12 }, { dimension: null }]],
  ])("histogram%s", async (path, buckets) => {
    const { send } = await logged(spread);
    const more = path.endsWith("dimension") ? "&dimension=env" : "";
    const { status, body } = await send("GET", `/api/logs/histogram${path}?period=2h&bucket_size=1h${more}`);
    expect([status, body.bucket_size_seconds]).toEqual([200, 3600]);
    expect(body.buckets).toMatchObject(buckets);
    expect(body.buckets[0].timestamp).toBe("2026-12-31T22:00:00.000Z");
  });

  test("histograms choose the size of their buckets, and refuse too many", async () => {
    const { send } = await kit();
    expect((await send("GET", "/api/logs/histogram?period=1h")).body.bucket_size_seconds).toBe(60);
    expect((await send("GET", "/api/logs/histogram")).body.bucket_size_seconds).toBe(1800);
    const many = await send("GET", "/api/logs/histogram?bucket_size=1s");
    expect(many).toMatchObject({ status: 400, body: { error: { path: "bucket_size" } } });
    const none = await send("GET", "/api/logs/histogram/by-dimension");
    expect(none).toMatchObject({ status: 400, body: { error: { path: "dimension" } } });
    for (const path of ["/colours", "/tokens/by-colour", "/by-provider/x"])
      expect((await send("GET", `/api/logs/histogram${path}`)).status).toBe(404);
  });

  test("rankings say who uses most", async () => {
    const { send } = await logged(spread);
    const names = async (query: string) =>
      (await send("GET", `/api/logs/rankings?${query}`)).body.rankings.map(({ name }: { name: string }) => name);
    expect(await names("")).toEqual(["a", "m"]);
    expect(await names("by=providers&limit=1")).toEqual(["bedrock"]);
    expect(await names("sort_by=latency")).toEqual(["m", "a"]);
    expect(await names("by=metadata_env")).toEqual(["test"]);
    expect(await names("by=virtual_keys")).toEqual([]);
    const wrong = await send("GET", "/api/logs/rankings?by=toString");
    expect(wrong).toMatchObject({ status: 400, body: { error: { path: "by" } } });
  });

  test("a session is listed with its sums", async () => {
    const { send } = await logged([{ session: "s/1" }, { session: "s/1" }, { session: "other" }]);
    const { body } = await send("GET", "/api/logs/sessions/s%2F1?limit=1");
    expect(body).toMatchObject({ session_id: "s/1", summary: { requests: 2, cost: 0.036 }, logs: [{ id: "r1" }] });
    expect((await send("GET", "/api/logs/sessions/none")).status).toBe(404);
  });

  test("filterdata tells what there is to choose from", async () => {
    const { send } = await logged([
      { virtualKeyId: "vk", virtualKeyName: "app", rules: ["r"] },
      { provider: "openai" },
    ]);
    expect((await send("GET", "/api/logs/filterdata")).body).toMatchObject({
      providers: ["bedrock", "openai"],
      virtual_keys: [{ id: "vk", name: "app" }],
      selected_keys: [{ id: "k1", name: "main" }],
      routing_rule_ids: ["r"],
      status: ["success"],
    });
  });

  test("dropped rows of all front ends are counted together", async () => {
    const logStates = [
      { dropped: 2, waiting: 1 },
      { dropped: 3, waiting: 0 },
    ];
    const { send } = await kit({ logStates });
    expect((await send("GET", "/api/logs/dropped")).body).toEqual({ dropped: 5, waiting: 1 });
  });
});

describe("POST /api/logs/recalculate-cost", () => {
  const absurd = { model: "m", input_cost_per_token: 1, output_cost_per_token: 1 };

  test("A56 works costs out again with the prices in force, and says what changed", async () => {
    const { send, log, ids } = await logged(
      [
        { costMicroUsd: 18_000_000 },
        { costMicroUsd: null },
        { costMicroUsd: 24_000 },
        { outcome: "error", costMicroUsd: null },
        { cacheKind: "direct", costMicroUsd: 0 },
        { provider: "unknown", model: "unheard-of", costMicroUsd: null },
        { inputTokens: null, outputTokens: null, totalTokens: null, costMicroUsd: null },
        { provider: "openai", model: "m", costMicroUsd: 18_000_000 },
      ],
      { file: { pricing_overrides: [{ ...absurd, input_cost_per_token: 0.001, output_cost_per_token: 0.002 }] } },
    );
    const { status, body } = await send("POST", "/api/logs/recalculate-cost?providers=bedrock,unknown");
    expect(status).toBe(200);
    expect(body).toEqual({
      rows: 7,
      changed: 2,
      missing_cost: 1,
      cost_before: 18,
      cost_after: 0.048,
      difference: -17.952,
      complete: true,
      continue_with_end_time: null,
    });
    const costs = (await log.list({ filter: {}, sort: "arrivedAt", descending: false, limit: 10, offset: 0 })).rows;
    expect(costs.map(({ costMicroUsd }) => costMicroUsd)).toEqual([
      24_000,
      24_000,
      24_000,
      null,
      0,
      null,
      null,
      18_000_000,
    ]);
    expect(await ids("min_cost=10")).toEqual(["r7"]);
    expect((await send("POST", "/api/logs/recalculate-cost")).body.changed).toBe(1);
    expect((await send("POST", "/api/logs/recalculate-cost")).body.changed).toBe(0);
  });

  test("uses a price as soon as it has been corrected", async () => {
    const { send } = await logged([{ costMicroUsd: null }]);
    expect((await send("POST", "/api/logs/recalculate-cost")).body).toMatchObject({ changed: 0, missing_cost: 1 });
    expect((await send("POST", at.prices, absurd)).status).toBe(201);
    expect((await send("POST", "/api/logs/recalculate-cost")).body).toMatchObject({ changed: 1, cost_after: 18 });
    expect((await send("GET", "/api/logs/r0")).body.cost).toBe(18);
  });

  test("goes through more rows than one page has", async () => {
    const { send } = await logged(
      Array.from({ length: 1234 }, (_, n) => ({ costMicroUsd: null, arrivedAt: noon - (n >> 2) })),
      { file: { pricing_overrides: [absurd] } },
    );
    expect((await send("POST", "/api/logs/recalculate-cost")).body).toMatchObject({ rows: 1234, changed: 1234 });
  });
});

describe("GET /api/logs/live", () => {
  test("opens an event stream with its filter, and refuses what a feed cannot filter by", async () => {
    const { send } = await kit();
    const { status, headers } = await send("GET", "/api/logs/live?outcome=error");
    expect([status, headers.get("content-type")]).toEqual([200, "text/event-stream"]);
    for (const name of ["start_time", "content_search", "limit"]) {
      const refused = await send("GET", `/api/logs/live?${name}=1`);
      expect([refused.status, refused.body.error.path]).toEqual([400, name]);
    }
  });
});

describe("the trail of a request", () => {
  async function trail(row: Partial<LogRow>, attempts = [logAttempt()]): Promise<string[]> {
    const { send, log } = await kit();
    await log.append([logEntry("a", row, attempts)]);
    return (await send("GET", "/api/logs/a")).body.trail;
  }

  test("tells of rules, keys, retries and fallbacks", async () => {
    const failed = logAttempt({ outcome: "error", status: 429, errorType: "ThrottlingException", durationMs: 120 });
    expect(
      await trail(
        {
          operation: "ConverseStream",
          streams: true,
          askedModel: "openai/gpt-4o",
          virtualKeyId: "vk",
          virtualKeyName: "app",
          teamId: "t",
          teamName: "Search",
          rules: ["cheap", "cheaper"],
          firstEventMs: 900,
          durationMs: 12_345,
        },
        [
          failed,
          { ...failed, choice: "again", status: 500, errorType: null },
          { ...failed, keyId: "k2", keyName: "second" },
          logAttempt({
            fallbackIndex: 1,
            provider: "openai",
            model: "gpt-4o",
            keyId: "k3",
            keyName: "own",
            choice: "only",
          }),
        ],
      ),
    ).toEqual([
      "ConverseStream was asked of the model openai/gpt-4o, as a stream.",
      "It came with the virtual key app, of the team Search.",
      "The routing rule cheap matched, and then the rule cheaper.",
      "The key main of bedrock with the model m was used, chosen by weight.",
      "It failed after 120 ms with 429 ThrottlingException.",
      "The key main was tried once more.",
      "It failed after 120 ms with 500.",
      "Another key was tried: second, chosen by weight.",
      "It failed after 120 ms with 429 ThrottlingException.",
      "Fallback 1 came next: openai.",
      "The key own of openai with the model gpt-4o was used, the only one that was available.",
      "It answered within 10.0 ms.",
      "The client had the whole answer after 12.3 s with the stop reason end_turn; its first event came after 900 ms.",
      "12 tokens in and 6 out were used, at a cost of $0.018.",
    ]);
  });

  test("tells of a refusal by a limit", async () => {
    const refused = { outcome: "error" as const, status: 400, errorType: "ServiceQuotaExceededException" };
    const usage = { inputTokens: null, outputTokens: null, totalTokens: null };
    expect(await trail({ ...refused, ...usage, limit: "budget", message: "Used up.", durationMs: 1 }, [])).toEqual([
      "Converse was asked of the model m.",
      "No virtual key was used.",
      "It was refused: a budget was used up.",
      "No provider was asked.",
      "After 1.0 ms the client was told 400 ServiceQuotaExceededException: Used up.",
    ]);
  });

  test("tells of the cache", async () => {
    const hit = { cacheEntryId: "e1", costMicroUsd: 0 };
    expect(await trail({ ...hit, cacheKind: "direct" }, [])).toContain(
      "The cache had the answer to exactly this request (entry e1).",
    );
    expect(await trail({ ...hit, cacheKind: "direct" }, [])).not.toContain("No provider was asked.");
    expect(await trail({ ...hit, cacheKind: "semantic", cacheSimilarity: 0.91234 }, [])).toContain(
      "The cache had the answer to a request of similarity 0.912 (entry e1).",
    );
    expect(await trail({ cacheKind: "miss", cacheReason: "nothing alike" })).toContain(
      "The cache had no answer: nothing alike.",
    );
    expect(await trail({ cacheKind: "bypass", cacheReason: "too many messages" })).toContain(
      "The cache was not used: too many messages.",
    );
  });

  test("tells of a client that left, and of what it cost all the same", async () => {
    const left = { outcome: "cancelled" as const, status: 499 };
    const sentences = await trail(
      { ...left, usageEstimated: true, costMicroUsd: null, cacheReadTokens: 3, firstEventMs: null, durationMs: 1500 },
      [logAttempt({ ...left, durationMs: 1490 })],
    );
    expect(sentences.slice(-3)).toEqual([
      "It was broken off after 1.49 s.",
      "The client left after 1.50 s.",
      "12 tokens in and 6 out were estimated, and 3 tokens of prompt caches; the price is not known.",
    ]);
  });
});
