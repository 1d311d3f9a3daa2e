import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { failure, stream } from "../support/answers.ts";
import type { FakeBedrock } from "../support/fake-bedrock.ts";
import { type FakeProvider, startFakeProvider } from "../support/fake-providers.ts";
import { converseFrames, decodeFrames } from "../support/frames.ts";
import { freePort, type LogLine, type RunningGateway, startGateway } from "../support/gateway.ts";
import { ask, badKey, byKey, down, errorOf, fine, keyOf, pool, startKeyedBedrock, throttled } from "../support/keys.ts";
import { openaiWire } from "../support/providers/openai.ts";
import { send } from "../support/raw-http.ts";
import { until } from "../support/wait.ts";

const openaiKey = "sk-openai-canary-0123456789";
// Some providers serve one test or two, so that no circuit opens for the failures of the others.
const names = ["main", "first", "eleven", "lab", "silent", "other", "throttled", "refused"];

let bedrock: FakeBedrock;
let openai: FakeProvider;
let gateway: RunningGateway;

beforeAll(async () => {
  bedrock = await startKeyedBedrock(names);
  openai = await startFakeProvider(openaiWire(), { keys: [openaiKey] });
  const { url } = bedrock;
  gateway = await startGateway({
    config: {
      providers: {
        bedrock: pool(url, { main: {} }, {}, {}),
        first: pool(url, { first: {} }),
        eleven: pool(url, { eleven: {} }),
        lab: pool(url, { lab: {} }),
        slow: pool(url, { silent: {} }, { stream_start_timeout_in_seconds: 0.3 }),
        other: pool(url, { other: { models: ["m"] } }),
        limited: pool(url, { throttled: {} }),
        refused: pool(url, { refused: {} }),
        gone: pool(`http://127.0.0.1:${await freePort()}`, { gone: {} }),
        openai: {
          keys: [{ name: "open", value: openaiKey }],
          network_config: { base_url: openai.url, max_retries: 0 },
        },
      },
    },
    env: { BIFROST_LOG_LEVEL: "debug" },
    withoutH2: true,
  });
}, 60_000);
beforeEach(() => {
  bedrock.reset();
  openai.reset();
});
afterEach(() => {
  expect(bedrock.violations).toEqual([]);
  expect(openai.violations).toEqual([]);
});
afterAll(async () => {
  await gateway?.stop();
  await bedrock?.[Symbol.asyncDispose]();
  await openai?.[Symbol.asyncDispose]();
}, 30_000);

const fallbacks = (list: string, more: object = {}) => ({ "x-bf-fallbacks": list, ...more });
const post = (model: string, action: string, body: object, headers: Readonly<Record<string, string>>) =>
  send(gateway.url, `/bedrock/model/${encodeURIComponent(model)}/${action}`, { body: JSON.stringify(body), headers });
const lineOf = (id: string): Promise<LogLine> =>
  until(`the line of ${id}`, () => gateway.logs.find((line) => line.requestId === id));

describe("x-bf-fallbacks", () => {
  test("are asked in their order, and the headers and the log say who was", async () => {
    bedrock.when("m", byKey({ main: down, lab: () => throttled() }));
    openai.queue(openai.failure(500, "Broken."));
    const headers = fallbacks("lab/m, openai/gpt-4o-mini ,other/m,bedrock/never", { "x-request-id": "in-order" });
    const answer = await ask(gateway, "m", headers);
    expect(answer).toMatchObject({
      status: 200,
      headers: {
        "x-bifrost-provider": "other",
        "x-bifrost-model": "m",
        "x-bifrost-key": "other",
        "x-bifrost-attempts": "4",
        "x-bifrost-fallback-index": "3",
        "x-amzn-requestid": "in-order",
      },
    });
    expect(bedrock.requests.map(keyOf)).toEqual(["main", "lab", "other"]);
    expect((await lineOf("in-order")).trail).toEqual([
      { provider: "bedrock", key: "main", model: "m", status: 503, type: "ServiceUnavailableException" },
      { provider: "lab", key: "lab", model: "m", status: 429, type: "ThrottlingException" },
      expect.objectContaining({ provider: "openai", key: "open", model: "gpt-4o-mini" }),
    ]);
  });

  test("are not asked when the first target answers, or when the request itself is wrong", async () => {
    const answer = await ask(gateway, "m", fallbacks("lab/m"));
    expect(answer.headers).toMatchObject({ "x-bifrost-fallback-index": "0", "x-bifrost-attempts": "1" });
    bedrock.when("m", failure(400, "ValidationException", "Wrong."));
    expect(errorOf(await ask(gateway, "m", fallbacks("lab/m")))).toMatchObject({ status: 400, message: "Wrong." });
    expect(bedrock.requests.map(keyOf)).toEqual(["main", "main"]);
  });

  test("to providers that are not configured are left out; Bedrock's own ids need no provider", async () => {
    bedrock.when("m", down);
    const arn = "arn:aws:bedrock:eu-west-1:123456789012:inference-profile/eu.anthropic.claude";
    bedrock.when(arn, down);
    bedrock.when("anthropic.claude", down);
    const list = `nobody/m, ,${arn},eu-north-1/anthropic.claude,us.amazon.nova-pro-v1:0`;
    const answer = await ask(gateway, "m", fallbacks(list));
    expect(answer).toMatchObject({ status: 200, headers: { "x-bifrost-fallback-index": "3" } });
    expect(bedrock.requests.map(({ label }) => label)).toEqual([
      "m",
      arn,
      "anthropic.claude",
      "us.amazon.nova-pro-v1:0",
    ]);
  });

  test("that are too many, or of an operation without a model in its path, are refused by name", async () => {
    const many = Array.from({ length: 11 }, () => "lab/m").join(",");
    const rerank = { path: "/bedrock/rerank", headers: fallbacks("lab/m") };
    const answers = [
      await ask(gateway, "m", fallbacks(many)),
      await send(gateway.url, rerank.path, { body: "{}", headers: rerank.headers }),
    ];
    for (const answer of answers) {
      expect(errorOf(answer)).toMatchObject({ status: 400, type: "ValidationException" });
      expect(errorOf(answer).message).toContain("x-bf-fallbacks");
    }
    expect(bedrock.requests).toEqual([]);
  });

  test("follow a key that is throttled, a credential that is refused, and a model no key serves", async () => {
    bedrock.when("m", byKey({ throttled: () => throttled("30"), refused: badKey }));
    for (const model of ["limited/m", "limited/m", "refused/m", "refused/m", "other/unserved"]) {
      const answer = await ask(gateway, model, fallbacks("lab/m"));
      expect(answer, model).toMatchObject({ status: 200, headers: { "x-bifrost-provider": "lab" } });
    }
    expect(bedrock.all("m").filter((request) => keyOf(request) === "throttled")).toHaveLength(1);
  });

  test("do not follow a pin on a key that there is not", async () => {
    const answer = await ask(gateway, "m", fallbacks("lab/m", { "x-bf-api-key": "lab" }));
    expect(errorOf(answer)).toMatchObject({ status: 400, type: "ValidationException" });
    expect(bedrock.requests).toEqual([]);
  });
});

describe("when every target has failed", () => {
  test("the first one's error comes as it was, with the headers of the first one", async () => {
    bedrock.when("m", byKey({ first: () => failure(500, "InternalServerException", "First."), lab: down }));
    const answer = await ask(gateway, "first/m", fallbacks("lab/m"));
    expect(errorOf(answer)).toEqual({ status: 500, type: "InternalServerException", message: "First." });
    expect(answer.headers).toMatchObject({
      "x-bifrost-provider": "first",
      "x-bifrost-key": "first",
      "x-bifrost-fallback-index": "0",
      "x-bifrost-attempts": "2",
    });
  });

  test("a fallback that cannot carry the request does not hide the first one's error", async () => {
    bedrock.when("m", down);
    const body = { messages: [{ role: "user", content: [{ text: "hi" }] }], fieldOfTomorrow: 1 };
    const answer = await post("first/m", "converse", body, fallbacks("openai/gpt-4o"));
    expect(errorOf(answer)).toMatchObject({ status: 503, message: "Try later." });
    expect(openai.requests).toEqual([]);
  });

  test("A42 what the gateway says itself is a 503 with the first cause, the last one and the request id", async () => {
    bedrock.when("m", byKey({ lab: () => failure(429, "ThrottlingException", "Slow down.") }));
    for (const [list, last] of [
      ["lab/m", "ThrottlingException"],
      ["", "ECONNREFUSED"],
    ] as const) {
      const answer = await ask(gateway, "gone/m", fallbacks(list, { "x-request-id": "asked-42" }));
      const { status, type, message } = errorOf(answer);
      expect([status, type]).toEqual([503, "ServiceUnavailableException"]);
      expect(message).toContain("ECONNREFUSED");
      expect(message).toContain(last);
      expect(message).toContain("asked-42");
      expect(answer.headers).toMatchObject({ "x-bifrost-provider": "gone", "x-amzn-requestid": "asked-42" });
    }
    const line = await lineOf("asked-42");
    expect(line.trail).toEqual([
      { provider: "gone", key: "gone", model: "m", status: 503, type: "ServiceUnavailableException" },
      { provider: "lab", key: "lab", model: "m", status: 429, type: "ThrottlingException" },
    ]);
  });

  test("in time: a deadline that passes at a fallback is the answer", async () => {
    bedrock.when("m", byKey({ first: down, lab: () => ({ ...fine(), delayMs: 5000 }) }));
    const answer = await ask(gateway, "first/m", fallbacks("lab/m", { "x-bf-timeout-ms": "400" }));
    expect(errorOf(answer)).toMatchObject({ status: 408, type: "ModelTimeoutException" });
    await expect.poll(() => bedrock.requests.at(-1)?.aborted, { timeout: 1000 }).toBe(true);
  });
});

describe("A11 Bedrock, another provider, Bedrock", () => {
  const messages = [{ role: "user", content: [{ text: "hi" }, { cachePoint: { type: "default" } }] }];
  const chain = fallbacks("openai/gpt-4o,lab/m");

  test("what only Bedrock has is left out for the other, by name, and there again for the last", async () => {
    const body = {
      messages,
      requestMetadata: { team: "search" },
      performanceConfig: { latency: "optimized" },
    };
    bedrock.when("m", byKey({ eleven: down }));
    openai.queue(openai.failure(500, "Broken."));
    const answer = await post("eleven/m", "converse", body, chain);
    expect(answer).toMatchObject({ status: 200, headers: { "x-bifrost-fallback-index": "2" } });
    expect(bedrock.requests.map(({ body: sent }) => sent.toString())).toEqual(Array(2).fill(JSON.stringify(body)));
    expect(openai.requests).toHaveLength(1);
    expect(JSON.stringify(openai.lastBody())).not.toMatch(
      /requestMetadata|search|performanceConfig|optimized|cachePoint/,
    );

    // Where the other one answers, it says what it left out.
    const other = await post("eleven/m", "converse", body, chain);
    expect(other).toMatchObject({ status: 200, headers: { "x-bifrost-provider": "openai" } });
    const ignored = String(other.headers["x-bifrost-ignored"]);
    for (const field of ["requestMetadata", "performanceConfig.latency", "messages[0].content[1].cachePoint"])
      expect(ignored).toContain(field);
  });

  test("what the other cannot carry passes it by, and reaches the last", async () => {
    const body = { messages, fieldOfTomorrow: { a: [1e3] } };
    bedrock.when("m", byKey({ eleven: down }));
    const answer = await post("eleven/m", "converse", body, { ...chain, "x-request-id": "tomorrow" });
    expect(answer).toMatchObject({ status: 200, headers: { "x-bifrost-provider": "lab" } });
    expect(openai.requests).toEqual([]);
    expect(bedrock.requests.map(({ body: sent }) => sent.toString())).toEqual(Array(2).fill(JSON.stringify(body)));
  });
});

describe("A19 a stream that opens and then is silent", () => {
  test.each([
    ["Bedrock", "lab/m", "lab"],
    ["another provider", "openai/gpt-4o", "openai"],
  ])("is left for a fallback to %s, and nothing of it leaks", async (_what, fallback, provider) => {
    bedrock.when(
      "m",
      byKey({ silent: () => stream([...converseFrames().slice(0, 1), 20_000]), lab: () => stream(converseFrames()) }),
    );
    for (const action of ["converse-stream", "converse-stream"]) {
      const answer = await ask(gateway, "slow/m", fallbacks(fallback), action);
      expect(answer).toMatchObject({
        status: 200,
        headers: { "x-bifrost-provider": provider, "x-bifrost-fallback-index": "1", "x-bifrost-attempts": "2" },
      });
      const types = decodeFrames(answer.body).map(({ type }) => type);
      expect(types.filter((type) => type === "messageStart")).toHaveLength(1);
      expect(types.at(-1)).toBe("metadata");
    }
    await expect.poll(() => bedrock.requests[0]?.aborted, { timeout: 1000 }).toBe(true);
  });

  test("is waited for when there is no fallback, or its provider is not configured", async () => {
    bedrock.when("m", stream([900, ...converseFrames()]));
    for (const headers of [{}, fallbacks("nobody/m")]) {
      const answer = await ask(gateway, "slow/m", headers, "converse-stream");
      expect(answer).toMatchObject({
        status: 200,
        headers: { "x-bifrost-provider": "slow", "x-bifrost-attempts": "1" },
      });
      expect(decodeFrames(answer.body).at(-1)?.type).toBe("metadata");
    }
  });
});
