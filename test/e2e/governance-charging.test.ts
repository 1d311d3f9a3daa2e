/** What is charged, and that it is charged once, however a request ends. */
import { request as httpRequest } from "node:http";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { converseAnswer, failure, json, type StreamEnding, stream } from "../support/answers.ts";
import { type FakeBedrock, startFakeBedrock } from "../support/fake-bedrock.ts";
import { converseFrames, decodeFrames, exceptionFrame } from "../support/frames.ts";
import { type RunningGateway, startGateway } from "../support/gateway.ts";
import { governedConfig, quotaOf, thousandth } from "../support/governed.ts";
import { type RawAnswer, send, userTurn } from "../support/raw-http.ts";
import { sleep, until } from "../support/wait.ts";

const model = "vendor.model-v1:0";
const canvas = "amazon.nova-canvas-v1:0";
const ranker = "amazon.rerank-v1:0";
const unpriced = "stability.sd3-5-large-v1:0";
const day = { reset_duration: "1d" };
const rate = {
  request_max_limit: 1_000_000,
  request_reset_duration: "1d",
  token_max_limit: 1_000_000_000,
  token_reset_duration: "1d",
};
const keys = ["told", "cut", "unsaid", "left", "again", "pieces", "refuses"].map((id) => ({
  id,
  name: id,
  value: `sk-bf-${id}`,
  allow_all_providers: true,
  budgets: [{ ...day, max_limit: 1000 }],
  rate_limit: rate,
  ...(id === "refuses" && { unpriced_models: "refuse" }),
}));
const pricing_overrides = [
  thousandth,
  { model: canvas, output_cost_per_image: 0.06 },
  { model: ranker, input_cost_per_query: 0.002 },
];

const body = userTurn("hi", { inferenceConfig: { maxTokens: 50 } });
/** The prompt as it is estimated: a token for four bytes. */
const prompt = Math.ceil(body.length / 4);
const text = "abcdefghijklmnopqrstuvwxyz ".repeat(8);
const told = 19;
const whole = converseFrames({ pieces: [text] });
const withoutMetadata = whole.slice(0, -1);

describe("a request is charged", { timeout: 60_000 }, () => {
  let fake: FakeBedrock;
  let gateway: RunningGateway;

  beforeAll(async () => {
    fake = await startFakeBedrock();
    const network = { max_retries: 2, retry_backoff_initial: 1, retry_backoff_max: 5 };
    gateway = await startGateway({
      config: governedConfig(fake, { virtual_keys: keys, pricing_overrides }, { network }),
      env: { BIFROST_FRONTENDS: "2" },
      withoutH2: true,
    });
  }, 60_000);
  beforeEach(() => fake.reset());
  afterEach(() => expect(fake.violations).toEqual([]));
  afterAll(async () => {
    await gateway?.stop();
    await fake?.[Symbol.asyncDispose]();
  }, 30_000);

  /** All with one request id, which a client chooses and which means nothing. */
  const headersOf = (key: string) => ({ "x-bf-vk": `sk-bf-${key}`, "x-request-id": "the-same-for-all" });

  function ask(key: string, path: string, more: { readonly body?: string; readonly signal?: AbortSignal } = {}) {
    return send(gateway.url, `/bedrock/${path}`, { body, headers: headersOf(key), ...more });
  }

  const converse = (key: string, to = model) => ask(key, `model/${encodeURIComponent(to)}/converse`);
  const converseStream = (key: string, signal?: AbortSignal): Promise<RawAnswer> =>
    ask(key, `model/${encodeURIComponent(model)}/converse-stream`, { ...(signal !== undefined && { signal }) });

  /** Tokens, requests and USD that were charged; `reserved` of all together. */
  async function charged(key: string) {
    const limits = await quotaOf(gateway, `sk-bf-${key}`);
    const of = (kind: string) => limits.find((limit) => limit.kind === kind)?.current_usage ?? Number.NaN;
    const reserved = limits.reduce((sum, limit) => sum + limit.reserved, 0);
    return { tokens: of("tokens"), requests: of("requests"), usd: Number(of("budget").toFixed(6)), reserved };
  }

  /** Where all tokens cost a tenth of a cent. */
  const bill = (tokens: number, requests: number) => ({
    tokens,
    requests,
    usd: Number((tokens / 1000).toFixed(6)),
    reserved: 0,
  });

  test("A54 before a client can have read the event that ends its stream", async () => {
    // The upstream tells the end and leaves the connection open, so nothing but that event can have led to the charge.
    fake.when(model, stream(whole, "hang"));
    const seen = await new Promise((resolve, reject) => {
      const url = new URL(`/bedrock/model/${encodeURIComponent(model)}/converse-stream`, gateway.url);
      const outgoing = httpRequest(url, { method: "POST", headers: headersOf("told") }, (answer) => {
        let read = "";
        answer.on("data", (chunk: Buffer) => {
          read += chunk.toString("latin1");
          if (!read.includes('"usage"')) return;
          charged("told")
            .finally(() => outgoing.destroy())
            .then(resolve, reject);
        });
        answer.on("error", () => undefined);
      });
      outgoing.on("error", () => undefined);
      outgoing.end(body);
    });
    expect(seen).toEqual(bill(told, 1));
    await sleep(200);
    expect(await charged("told")).toEqual(bill(told, 1));
  });

  test.each<[key: string, how: string, ending: StreamEnding]>([
    ["cut", "ends without its usage", "end"],
    ["cut", "is cut before it tells its usage", "destroy"],
  ])("A54 its prompt and its text as estimated, once, when a stream (%s) %s", async (key, _, ending) => {
    const before = await charged(key);
    fake.when(model, stream(withoutMetadata, ending));
    const answer = await converseStream(key);
    expect(decodeFrames(answer.body).at(-1)).toMatchObject({ kind: "exception" });
    const { tokens, requests, usd, reserved } = await charged(key);
    const [used, asked] = [tokens - before.tokens, requests - before.requests];
    // Within the braces of the event are a few bytes that are no text.
    expect(used).toBeGreaterThanOrEqual(prompt + Math.floor(text.length / 4));
    expect(used).toBeLessThanOrEqual(prompt + Math.ceil(text.length / 4) + 10);
    expect([asked, reserved]).toEqual([1, 0]);
    expect(usd).toBeCloseTo(tokens / 1000, 6);
    // The same again costs the same again.
    await converseStream(key);
    expect(await charged(key)).toMatchObject({ tokens: tokens + used, requests: requests + 1, reserved: 0 });
  });

  test("its prompt as estimated when an answer says nothing of usage", async () => {
    const { usage: _, ...silent } = converseAnswer;
    fake.when(model, json(silent));
    expect((await converse("unsaid")).status).toBe(200);
    expect(await charged("unsaid")).toEqual(bill(prompt, 1));
  });

  test("A54 what it was sent when its client leaves in the midst of a stream", async () => {
    fake.when(model, stream([...withoutMetadata, 10_000], "hang"));
    await Promise.allSettled([converseStream("left", AbortSignal.timeout(400))]);
    await until(
      "its end",
      async () => (await charged("left")).requests === 1 && (await charged("left")).reserved === 0,
    );
    const { tokens } = await charged("left");
    expect(tokens).toBeGreaterThanOrEqual(prompt + Math.floor(text.length / 4));
    expect(tokens).toBeLessThanOrEqual(prompt + Math.ceil(text.length / 4) + 10);
    await sleep(200);
    expect((await charged("left")).tokens).toBe(tokens);
  });

  test("A54 once for all its attempts, and nothing for a failure", async () => {
    const down = failure(503, "ServiceUnavailableException", "Try later.");
    const throttled = stream([exceptionFrame("serviceUnavailableException", "Try later.")]);
    fake.queue(throttled, throttled, stream(whole));
    expect((await converseStream("again")).status).toBe(200);
    expect(fake.requests).toHaveLength(3);
    expect(await charged("again")).toEqual(bill(told, 1));
    fake.when("vendor.broken", down);
    const answer = await send(gateway.url, "/bedrock/model/vendor.broken/converse-stream", {
      body,
      headers: { ...headersOf("again"), "x-bf-fallbacks": `vendor.broken, ${model}` },
    });
    expect(answer.headers["x-bifrost-fallback-index"]).toBe("2");
    expect(await charged("again")).toEqual(bill(2 * told, 2));
    expect((await converse("again", "vendor.broken")).status).toBe(503);
    expect(await charged("again")).toEqual(bill(2 * told, 3));
  });

  test("for the images of its answer and the queries of its ranking, where they have a price", async () => {
    const images = JSON.stringify({
      taskType: "TEXT_IMAGE",
      textToImageParams: { text: "A fox" },
      imageGenerationConfig: { numberOfImages: 3 },
    });
    // One of three was withheld.
    fake.when(canvas, json({ images: ["YQ==", "Yg=="], error: "One was blocked." }));
    expect((await ask("pieces", `model/${encodeURIComponent(canvas)}/invoke`, { body: images })).status).toBe(200);
    expect(await charged("pieces")).toMatchObject({ usd: 0.12, requests: 1, reserved: 0 });
    const rerank = JSON.stringify({
      queries: [{ type: "TEXT", textQuery: { text: "q" } }],
      sources: ["a", "b"].map((one) => ({
        type: "INLINE",
        inlineDocumentSource: { type: "TEXT", textDocument: { text: one } },
      })),
      rerankingConfiguration: {
        type: "BEDROCK_RERANKING_MODEL",
        bedrockRerankingConfiguration: { modelConfiguration: { modelArn: ranker } },
      },
    });
    expect((await ask("pieces", "rerank", { body: rerank })).status).toBe(200);
    expect(await charged("pieces")).toMatchObject({ usd: 0.122, requests: 2, reserved: 0 });
    expect(await gateway.metric("bifrost_unpriced_requests_total")).toBe(0);
    // The price of tokens is no price of images.
    fake.when(unpriced, json({ images: ["YQ=="], seeds: [1], finish_reasons: [null] }));
    const drawn = (key: string) =>
      ask(key, `model/${encodeURIComponent(unpriced)}/invoke`, { body: JSON.stringify({ prompt: "A fox" }) });
    expect((await drawn("pieces")).status).toBe(200);
    expect(await charged("pieces")).toMatchObject({ usd: 0.122, requests: 3 });
    expect(await gateway.metric("bifrost_unpriced_requests_total")).toBe(1);
    expect((await drawn("refuses")).status).toBe(403);
  });
});
