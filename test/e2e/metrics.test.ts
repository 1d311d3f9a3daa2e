/** The page for Prometheus, over two front ends. */
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { failure, stream } from "../support/answers.ts";
import { type FakeBedrock, startFakeBedrock } from "../support/fake-bedrock.ts";
import { converseFrames } from "../support/frames.ts";
import { type RunningGateway, relayConfig, startGateway } from "../support/gateway.ts";
import { send, userTurn } from "../support/raw-http.ts";
import { inParallel } from "../support/wait.ts";

let fake: FakeBedrock;
let gateway: RunningGateway;

beforeAll(async () => {
  fake = await startFakeBedrock();
  gateway = await startGateway({
    config: relayConfig(fake.url, {
      more: {
        observability: { dimensions: ["env"] },
        governance: {
          virtual_keys: [{ id: "vk", name: "app", value: "sk-bf-metrics", provider_configs: anyProvider }],
        },
      },
    }),
    env: { BIFROST_FRONTENDS: "2" },
    withoutH2: true,
  });
}, 30_000);
beforeEach(() => fake.reset());
afterEach(() => expect(fake.violations).toEqual([]));
afterAll(async () => {
  await gateway?.stop();
  await fake?.[Symbol.asyncDispose]();
}, 30_000);

const anyProvider = [{ provider: "bedrock", allowed_models: ["*"], key_ids: ["*"] }];

function ask(action: string, headers: Readonly<Record<string, string>> = {}, model = "vendor.model") {
  return send(gateway.url, `/bedrock/model/${model}/${action}`, { body: userTurn("hi"), headers });
}

async function page(): Promise<string> {
  return (await send(gateway.url, "/metrics", { method: "GET" })).body.toString();
}

describe("the page", () => {
  test("counts a request under its key, its dimension and its path's template", async () => {
    await ask("converse", { "x-bf-vk": "sk-bf-metrics", "x-bf-env": "staging", "x-bf-dim-secret": "not-a-label" });
    const text = await page();
    expect(text).toContain(
      'bifrost_success_requests_total{operation="Converse",provider="bedrock",model="vendor.model",virtual_key="app",' +
        'team="none",customer="none",fallback_index="0",dim_env="staging"} 1\n',
    );
    expect(text).toContain('http_requests_total{path="/bedrock/model/{modelId}/converse",method="POST",status="200"} ');
    expect(text).not.toContain("not-a-label");
  });

  test("tells what failed, whose fault it was, and which key is out of service", async () => {
    const labels = { status_code: "429", error_type: "provider_rate_limited" };
    const before = await gateway.metric("bifrost_error_requests_total", labels);
    fake.queue(failure(429, "ThrottlingException", "slow down"));
    expect((await ask("converse")).status).toBe(429);
    expect(await gateway.metric("bifrost_error_requests_total", labels)).toBe(before + 1);
    expect(await page()).toContain('bifrost_provider_key_up{provider="bedrock",key_id="main",key_name="main"} 1\n');
    fake.queue(failure(401, "UnrecognizedClientException", "who?"));
    expect((await ask("converse", {}, "vendor.other")).status).toBe(503);
    expect(await page()).toContain('bifrost_provider_key_up{provider="bedrock",key_id="main",key_name="main"} 0\n');
  });

  test("times a stream's first event and its pace", async () => {
    fake.queue(stream(converseFrames()));
    await ask("converse-stream", {}, "vendor.stream");
    const labels = { provider: "bedrock", model: "vendor.stream" };
    expect(await gateway.metric("bifrost_stream_first_token_latency_seconds_count", labels)).toBe(1);
    expect(await gateway.metric("bifrost_stream_inter_token_latency_seconds_count", labels)).toBe(1);
  });

  test("shows process and threads, each thread once", async () => {
    const text = await page();
    for (const thread of ["supervisor", "front-end-1", "front-end-2"]) {
      expect(text.match(new RegExp(`bifrost_heap_used_bytes\\{thread="${thread}"\\} \\d`, "g"))).toHaveLength(1);
      expect(text).toContain(`bifrost_event_loop_delay_seconds{thread="${thread}",quantile="0.99"} `);
    }
    expect(text).toMatch(/^process_resident_memory_bytes \d+$/m);
    expect(text).toContain('bifrost_threads{kind="front_end"} 2\n');
    expect(text).toMatch(/^bifrost_worker_queue_depth 0$/m);
  });

  test("has each series once, and text that a scraper can read", async () => {
    const text = await page();
    const seen = new Set<string>();
    for (const line of text.trimEnd().split("\n")) {
      if (line.startsWith("# ")) continue;
      expect(line).toMatch(/^[a-z_]+(?:\{(?:[a-z_]+="(?:[^"\\\n]|\\[\\"n])*",?)+\})? (?:[\d.e+-]+|\+Inf|NaN)$/);
      const name = line.slice(0, line.lastIndexOf(" "));
      expect(seen.has(name), name).toBe(false);
      seen.add(name);
    }
    expect(seen.size).toBeGreaterThan(50);
  });
});

test("10,000 models that clients make up stay 1,000 and other, on a page of bounded size", async () => {
  const mock = await startGateway({
    config: { providers: { mock: { rules: [] } } },
    env: { BIFROST_FRONTENDS: "2" },
    withoutH2: true,
  });
  try {
    const models = Array.from({ length: 10_000 }, (_, index) => `made-up-${index}`);
    await inParallel(models, 32, async (model) => {
      const { status } = await send(mock.url, `/bedrock/model/${model}/converse`, { body: userTurn("hi") });
      if (status !== 200) throw new Error(`${model}: ${status}`);
    });
    const text = (await send(mock.url, "/metrics", { method: "GET" })).body.toString();
    const named = new Set([...text.matchAll(/model="([^"]*)"/g)].map(([, model]) => model));
    expect(named.size).toBe(1001);
    expect(named).toContain("other");
    expect(text.length).toBeLessThan(8 * 1024 * 1024);
    expect(await mock.metric("bifrost_success_requests_total")).toBe(10_000);
    expect(await mock.metric("bifrost_upstream_requests_total", { provider: "mock" })).toBe(10_000);
  } finally {
    await mock.stop();
  }
}, 60_000);
