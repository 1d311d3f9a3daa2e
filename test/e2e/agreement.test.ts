/**
 * A thousand mixed requests over two front ends, told five times: by the clients, the upstreams' own counts, the request
 * log, the metrics, and the traces a collector receives. All tell the same story, and the budget was charged by it.
 */
import { request as httpRequest } from "node:http";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { failure, stream } from "../support/answers.ts";
import { type FakeBedrock, startFakeBedrock } from "../support/fake-bedrock.ts";
import { type FakeCollector, startFakeCollector } from "../support/fake-collector.ts";
import { type FakeProvider, keyOf, startFakeProvider } from "../support/fake-providers.ts";
import { converseFrames } from "../support/frames.ts";
import { type RunningGateway, relayConfig, startGateway } from "../support/gateway.ts";
import { quotaOf, thousandth } from "../support/governed.ts";
import { openaiWire } from "../support/providers/openai.ts";
import { send, userTurn } from "../support/raw-http.ts";
import { sleep, until } from "../support/wait.ts";

const virtualKey = {
  id: "vk_app",
  name: "app",
  value: "sk-bf-agreement",
  allow_all_providers: true,
  budgets: [{ max_limit: 1_000_000, reset_duration: "1d" }],
};
const each = 100;
const atOnce = 16;
/** An entry can be found half a second after its answer was complete. */
const findableMs = 600;

/** What a kind of request is, how it ends, and how often its upstreams are asked for it. */
interface Kind {
  readonly model: string;
  readonly action: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly outcome: "success" | "error" | "cancelled";
  readonly bedrock: number;
  readonly openai: number;
}

const gpt = "openai%2Fgpt-4o-mini";
const kinds: Readonly<Record<string, Kind>> = {
  whole: { model: "vendor.model", action: "converse", outcome: "success", bedrock: 1, openai: 0 },
  streamed: { model: "vendor.model", action: "converse-stream", outcome: "success", bedrock: 1, openai: 0 },
  invoked: { model: "anthropic.model", action: "invoke", outcome: "success", bedrock: 1, openai: 0 },
  translated: { model: gpt, action: "converse", outcome: "success", bedrock: 0, openai: 1 },
  "translated stream": { model: gpt, action: "converse-stream", outcome: "success", bedrock: 0, openai: 1 },
  "refused upstream": { model: "bad.model", action: "converse", outcome: "error", bedrock: 1, openai: 0 },
  "refused here": {
    model: "vendor.model",
    action: "converse",
    headers: { "x-bf-vk": "sk-bf-nobody" },
    outcome: "error",
    bedrock: 0,
    openai: 0,
  },
  "fallen back": {
    model: "failing.model",
    action: "converse",
    headers: { "x-bf-fallbacks": "openai/gpt-4o-mini" },
    outcome: "success",
    bedrock: 1,
    openai: 1,
  },
  broken: { model: "broken.model", action: "converse-stream", outcome: "error", bedrock: 1, openai: 0 },
  cached: {
    model: "cached.model",
    action: "converse",
    headers: { "x-bf-cache-key": "shared" },
    outcome: "success",
    bedrock: 0,
    openai: 0,
  },
  left: { model: "endless.model", action: "converse-stream", outcome: "cancelled", bedrock: 1, openai: 0 },
};
const all = Object.values(kinds);
/** Asked once before all others, so that the cache has its answer. */
const first: Kind = { ...(kinds.cached as Kind), bedrock: 1 };
const total = all.length * each + 1;
const sum = (of: (kind: Kind) => number) => all.reduce((so, kind) => so + of(kind), 0) * each + of(first);
const ended = (outcome: Kind["outcome"]) => sum((kind) => (kind.outcome === outcome ? 1 : 0));

interface Row {
  readonly request_id: string;
  readonly outcome: string;
  readonly input_tokens: number | null;
  readonly output_tokens: number | null;
  readonly cost: number | null;
  readonly cache: { readonly kind: string } | null;
  readonly attempts?: readonly { readonly provider: string }[];
}

let fake: FakeBedrock;
let openai: FakeProvider;
let collector: FakeCollector;
let gateway: RunningGateway;

beforeAll(async () => {
  [fake, openai, collector] = await Promise.all([
    startFakeBedrock(),
    startFakeProvider(openaiWire(), { keys: [keyOf("openai")] }),
    startFakeCollector(),
  ]);
  fake.when("bad.model", failure(400, "ValidationException", "no"));
  fake.when("failing.model", failure(424, "ModelErrorException", "no"));
  fake.when("broken.model", () => stream(converseFrames().slice(0, 4), "destroy"));
  fake.when("endless.model", () => stream(converseFrames().slice(0, 4), "hang"));
  const relay: { providers?: object } = relayConfig(fake.url);
  gateway = await startGateway({
    config: {
      providers: {
        ...relay.providers,
        openai: {
          keys: [{ name: "o", value: keyOf("openai"), weight: 1, models: ["*"] }],
          network_config: { base_url: openai.url },
        },
      },
      governance: { pricing_overrides: [thousandth], virtual_keys: [virtualKey] },
      semantic_cache: { enabled: true },
      observability: { otel: { endpoint: collector.url } },
    },
    env: { BIFROST_FRONTENDS: "2" },
    withoutH2: true,
  });
}, 30_000);
afterAll(async () => {
  await gateway?.stop();
  for (const one of [fake, openai, collector]) await one?.[Symbol.asyncDispose]();
}, 30_000);

/** Sends one and reads its answer, or leaves with its first bytes. */
function ask(id: string, { model, action, headers, outcome }: Kind): Promise<void> {
  const path = `/bedrock/model/${model}/${action}`;
  const all = { "x-bf-vk": virtualKey.value, "x-request-id": id, ...headers };
  const invoke = JSON.stringify({
    anthropic_version: "bedrock-2023-05-31",
    max_tokens: 10,
    messages: [{ role: "user", content: "hi" }],
  });
  const body = action === "invoke" ? invoke : userTurn("hi");
  if (outcome !== "cancelled") return send(gateway.url, path, { headers: all, body }).then(() => undefined);
  return new Promise((resolve, reject) => {
    const outgoing = httpRequest(`${gateway.url}${path}`, { method: "POST", headers: all, agent: false }, (answer) => {
      answer.on("error", () => undefined);
      answer.once("data", () => {
        outgoing.destroy();
        resolve();
      });
    });
    outgoing.on("error", reject);
    outgoing.end(body);
  });
}

/** Pages are read when no more rows come: one that did would shift them. */
async function countOfLog(): Promise<number> {
  const { body } = await send(gateway.url, "/api/logs?limit=1", { method: "GET" });
  return (JSON.parse(body.toString()) as { readonly pagination: { readonly total_count: number } }).pagination
    .total_count;
}

async function rowsOfLog(): Promise<Row[]> {
  const rows: Row[] = [];
  for (let offset = 0; offset < total + 1000; offset += 1000) {
    const { body } = await send(gateway.url, `/api/logs?limit=1000&offset=${offset}`, { method: "GET" });
    const page = (JSON.parse(body.toString()) as { readonly logs: readonly Row[] }).logs;
    rows.push(...page);
    if (page.length < 1000) break;
  }
  return rows;
}

const added = (values: readonly (number | null | undefined)[]) =>
  values.reduce<number>((so, one) => so + (one ?? 0), 0);
const numbers = (values: readonly unknown[]) => values.map((one) => (typeof one === "number" ? one : 0));

describe("what is told of a thousand mixed requests", { timeout: 120_000 }, () => {
  test("is the same everywhere", async () => {
    const asked = Object.entries(kinds).flatMap(([name, kind]) =>
      Array.from({ length: each }, (_, index) => ({ id: `${name.replaceAll(" ", "-")}-${index}`, kind })),
    );
    await ask("first", first);
    await sleep(findableMs);
    // Mixed, the same way in every run.
    const mixed = asked.map((one, index) => ({ one, at: (index * 7919) % asked.length })).sort((a, b) => a.at - b.at);
    const waiting = mixed.map(({ one }) => one);
    const lane = async () => {
      for (let next = waiting.pop(); next !== undefined; next = waiting.pop()) await ask(next.id, next.kind);
    };
    await Promise.all(Array.from({ length: atOnce }, lane));

    await until("all rows", async () => (await countOfLog()) >= total, 20_000);
    const rows = await rowsOfLog();
    const spans = await until(
      "all spans",
      () => {
        const servers = collector.spans.filter(({ kind }) => kind === "server");
        return servers.length >= total && servers;
      },
      20_000,
    );
    const calls = collector.spans.filter(({ kind }) => kind === "client");

    // Each request once.
    expect(rows).toHaveLength(total);
    expect(new Set(rows.map((row) => row.request_id)).size).toBe(total);
    expect(spans).toHaveLength(total);
    expect(await gateway.metric("bifrost_requests_total")).toBe(total);

    // How they ended.
    for (const outcome of ["success", "error", "cancelled"] as const) {
      expect(rows.filter((row) => row.outcome === outcome)).toHaveLength(ended(outcome));
      expect(spans.filter(({ attributes }) => attributes["bifrost.outcome"] === outcome)).toHaveLength(ended(outcome));
      expect(await gateway.metric("bifrost_requests_total", { outcome })).toBe(ended(outcome));
    }

    // How often upstreams were asked, by their own counts.
    for (const [provider, upstream] of [
      ["bedrock", fake],
      ["openai", openai],
    ] as const) {
      const times = sum((kind) => kind[provider]);
      expect(upstream.requests).toHaveLength(times);
      expect(await gateway.metric("bifrost_upstream_requests_total", { provider })).toBe(times);
      expect(calls.filter(({ attributes }) => attributes["bifrost.provider"] === provider)).toHaveLength(times);
    }

    // What the cache answered.
    expect(rows.filter(({ cache }) => cache?.kind === "direct")).toHaveLength(each);
    expect(await gateway.metric("bifrost_cache_hits_total", { cache_type: "direct" })).toBe(each);
    expect(spans.filter(({ attributes }) => attributes["bifrost.cache.kind"] === "direct")).toHaveLength(each);
    const lookups = collector.spans.filter(({ name }) => name === "cache lookup");
    expect(lookups).toHaveLength(each + 1);
    for (const lookup of lookups) {
      const request = spans.find(({ spanId }) => spanId === lookup.parentSpanId);
      expect(lookup.attributes["bifrost.cache.kind"]).toBe(request?.attributes["bifrost.cache.kind"]);
      expect(lookup.start).toBeGreaterThanOrEqual(request?.start ?? Number.NaN);
      expect(lookup.end).toBeGreaterThan(lookup.start);
      expect(lookup.end).toBeLessThanOrEqual((request?.end ?? Number.NaN) + 0.01);
    }

    // What was used, and what it cost.
    const input = added(rows.map((row) => row.input_tokens));
    const output = added(rows.map((row) => row.output_tokens));
    const cost = added(rows.map((row) => row.cost));
    expect(input).toBeGreaterThan(0);
    expect(await gateway.metric("bifrost_input_tokens_total")).toBe(input);
    expect(await gateway.metric("bifrost_output_tokens_total")).toBe(output);
    expect(await gateway.metric("bifrost_cost_total")).toBeCloseTo(cost, 6);
    const of = (name: string) => added(numbers(spans.map(({ attributes }) => attributes[name])));
    expect(of("gen_ai.usage.input_tokens")).toBe(input);
    expect(of("gen_ai.usage.output_tokens")).toBe(output);
    expect(of("gen_ai.usage.cost")).toBeCloseTo(cost, 6);
    const budget = (await quotaOf(gateway, virtualKey.value)).find(({ kind }) => kind === "budget");
    expect(budget?.current_usage).toBeCloseTo(cost, 6);
    expect(budget?.reserved).toBe(0);

    for (const one of [fake, openai, collector]) expect(one.violations).toEqual([]);
  });
});
