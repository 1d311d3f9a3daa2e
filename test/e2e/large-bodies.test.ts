/** Bodies that a worker reads (A37): they arrive whole, are refused as small ones are, and nobody waits for them. */
import { readFileSync } from "node:fs";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { converseAnswer, json } from "../support/answers.ts";
import { type FakeBedrock, startFakeBedrock } from "../support/fake-bedrock.ts";
import { type FakeProviders, providerNames, startFakeProviders } from "../support/fake-providers.ts";
import { decodeFrames, payloadOf } from "../support/frames.ts";
import { type RunningGateway, relayConfig, startGateway } from "../support/gateway.ts";
import { type RawAnswer, send, sendH2, userTurn } from "../support/raw-http.ts";
import { modelIdOf } from "../support/translated.ts";
import { rejection, sleep, until } from "../support/wait.ts";

const mib = 1024 * 1024;
let fakes: FakeProviders;
let bedrock: FakeBedrock;
let gateway: RunningGateway;

beforeAll(async () => {
  fakes = await startFakeProviders();
  bedrock = await startFakeBedrock();
  const relayed = relayConfig(bedrock.url);
  const providers = { ...fakes.config(), ...("providers" in relayed && Object(relayed.providers)) };
  gateway = await startGateway({ config: { providers } });
}, 40_000);
beforeEach(() => {
  fakes.reset();
  bedrock.reset();
});
afterEach(() => expect([...fakes.violations(), ...bedrock.violations]).toEqual([]));
afterAll(async () => {
  await gateway?.stop();
  await fakes?.[Symbol.asyncDispose]();
  await bedrock?.[Symbol.asyncDispose]();
}, 30_000);

const pathOf = (model: string, action = "converse") => `/bedrock/model/${encodeURIComponent(model)}/${action}`;
const openai = pathOf(modelIdOf("openai"));

/** @param bytes the length of the picture's base64, all of it different from any other's */
function pictureOf(bytes: number): string {
  const picture = Buffer.alloc((bytes / 4) * 3);
  for (let at = 0; at < picture.length; at += 4) picture.writeUInt32LE((at * 2654435761) % 2 ** 32, at);
  // The first bytes of a PNG: some providers look at them.
  Buffer.from("89504e470d0a1a0a", "hex").copy(picture);
  return picture.toString("base64");
}

function pictureTurn(picture: string, more: object = {}): string {
  const content = [{ text: "What is this?" }, { image: { format: "png", source: { bytes: picture } } }];
  return JSON.stringify({ messages: [{ role: "user", content }], ...more });
}

const parsed = ({ body }: RawAnswer): { readonly message: string } => JSON.parse(body.toString());

describe("a body of 20 MB", { timeout: 60_000 }, () => {
  test.each([
    ["HTTP/1.1", () => send],
    ["HTTP/2", () => sendH2],
  ] as const)("is relayed byte for byte over %s, signed", async (name, sender) => {
    const body = pictureTurn(pictureOf(20 * mib));
    const origin = name === "HTTP/2" ? gateway.h2url : gateway.url;
    expect((await sender()(origin, pathOf("vendor.model"), { body })).status).toBe(200);
    expect(bedrock.requests).toHaveLength(1);
    expect(bedrock.requests[0]?.body.equals(Buffer.from(body))).toBe(true);
  });

  test("that does not say its length is relayed as well", async () => {
    const body = pictureTurn(pictureOf(20 * mib));
    const headers = { "transfer-encoding": "chunked" };
    expect((await send(gateway.url, pathOf("vendor.model"), { body, headers })).status).toBe(200);
    expect(bedrock.requests[0]?.body.equals(Buffer.from(body))).toBe(true);
  });

  test("is translated with its picture whole, while small requests are answered", async () => {
    const picture = pictureOf(20 * mib);
    let done = false;
    const large = send(gateway.url, openai, { body: pictureTurn(picture) }).finally(() => {
      done = true;
    });
    let small = 0;
    while (!done) {
      expect((await send(gateway.url, pathOf("vendor.model"), { body: userTurn("hi") })).status).toBe(200);
      small++;
      await sleep(5);
    }
    expect((await large).status).toBe(200);
    expect(small).toBeGreaterThan(0);
    expect(JSON.stringify(fakes.openai.lastBody()).includes(picture)).toBe(true);
  });

  test("A37 leaves memory within a tenth of what it was after the first ones", async () => {
    const body = pictureTurn(pictureOf(20 * mib));
    const large = async (count: number) => {
      for (let index = 0; index < count; index++) {
        expect((await send(gateway.url, index % 2 === 0 ? openai : pathOf("vendor.model"), { body })).status).toBe(200);
        bedrock.reset();
        fakes.reset();
      }
    };
    /** During two seconds of small requests: what large ones leave is collected as others come. */
    const rested = async () => {
      const seen: number[] = [];
      for (const end = Date.now() + 2000; Date.now() < end; ) {
        for (let count = 0; count < 50; count++)
          await send(gateway.url, pathOf("vendor.model"), { body: userTurn("hi") });
        seen.push(memoryOf(gateway));
      }
      return { lowest: Math.min(...seen), highest: Math.max(...seen) };
    };
    await large(24);
    const { highest: baseline } = await rested();
    await large(24);
    // Sooner than idle workers end, whose memory would be given back in any case.
    await until(`a return to ${baseline / mib} MiB`, async () => (await rested()).lowest <= 1.1 * baseline, 20_000);
  });
});

describe("a large body", { timeout: 60_000 }, () => {
  test.each(providerNames)("reaches %s as a small one does", async (name) => {
    const ask = async (text: string) => {
      const answer = await send(gateway.url, pathOf(modelIdOf(name)), {
        body: userTurn(text, { system: [{ text: "Be." }] }),
      });
      expect(answer.status).toBe(200);
      const body = JSON.stringify(fakes[name].lastBody());
      expect(body.includes(text)).toBe(true);
      return body.replace(text, "");
    };
    expect(await ask("x".repeat(mib))).toBe(await ask("~short~"));
  });

  test("that streams, or counts tokens, is answered as a small one is", async () => {
    const text = "word ".repeat(100_000);
    const streamed = await send(gateway.url, pathOf(modelIdOf("anthropic"), "converse-stream"), {
      body: userTurn(text),
    });
    expect(streamed.status).toBe(200);
    expect(streamed.body.includes("messageStop")).toBe(true);
    const input = { converse: JSON.parse(userTurn(text)) as object };
    const counted = await send(gateway.url, pathOf(modelIdOf("openai"), "count-tokens"), {
      body: JSON.stringify({ input }),
    });
    expect(counted.status).toBe(200);
    expect(JSON.parse(counted.body.toString())).toMatchObject({ inputTokens: expect.any(Number) });
  });

  test.each([
    ["no JSON", `{"messages": ${" ".repeat(mib)}nonsense}`, /body: is not valid JSON/],
    [
      "a wrong member",
      pictureTurn("A".repeat(mib), { inferenceConfig: { maxTokens: "many" } }),
      /inferenceConfig\.maxTokens/,
    ],
    [
      "what the provider cannot carry",
      pictureTurn("A".repeat(mib), { promptVariables: { a: { text: "b" } } }),
      /promptVariables/,
    ],
  ])("is refused for %s, by name", async (_what, body, message) => {
    const answer = await send(gateway.url, openai, { body });
    expect(answer.status).toBe(400);
    expect(parsed(answer).message).toMatch(message);
    expect(fakes.openai.requests).toEqual([]);
  });

  test("goes whole to the fallback of a provider that fails", async () => {
    fakes.openai.queue(fakes.openai.failure(503, "down"));
    const picture = pictureOf(mib);
    const headers = { "x-bf-fallbacks": modelIdOf("mistral") };
    const answer = await send(gateway.url, openai, { body: pictureTurn(picture), headers });
    expect(answer.status).toBe(200);
    expect(answer.headers["x-bifrost-provider"]).toBe("mistral");
    expect(JSON.stringify(fakes.mistral.lastBody()).includes(picture)).toBe(true);
  });

  test("whose client leaves meanwhile is not sent on, and the next one is", async () => {
    const controller = new AbortController();
    const leaving = rejection(
      send(gateway.url, openai, { body: pictureTurn(pictureOf(20 * mib)), signal: controller.signal }),
    );
    await until("its arrival", async () => (await gateway.metric("bifrost_active_requests")) > 1);
    controller.abort();
    await leaving;
    expect((await send(gateway.url, openai, { body: pictureTurn(pictureOf(mib)) })).status).toBe(200);
    await until("an idle gateway", async () => (await gateway.metric("bifrost_active_requests")) <= 1);
  });

  test("is given up at its deadline", async () => {
    const headers = { "x-bf-timeout-ms": "1" };
    const answer = await send(gateway.url, openai, { body: pictureTurn(pictureOf(4 * mib)), headers });
    expect(answer.status).toBe(408);
  });

  test("with a guardrail around the model is seen by it, and is sent without it", async () => {
    const passes = json({ action: "NONE", outputs: [], assessments: [{ seen: true }] });
    bedrock.when("ApplyGuardrail", passes);
    const guardrailConfig = { guardrailIdentifier: "gr1", guardrailVersion: "1", trace: "enabled" };
    const ask = async (text: string, action: string) => {
      const body = userTurn(text, { guardrailConfig });
      const answer = await send(gateway.url, pathOf(modelIdOf("openai"), action), { body });
      expect(answer.status).toBe(200);
      const seen = bedrock.requests.map((request) => JSON.parse(request.body.toString()));
      expect(seen.map(({ source }) => source)).toEqual(["INPUT", "OUTPUT"]);
      expect(seen[0].content).toEqual([{ text: { text } }]);
      const sent = JSON.stringify(fakes.openai.lastBody());
      expect(sent.includes(text)).toBe(true);
      bedrock.reset();
      bedrock.when("ApplyGuardrail", passes);
      const { body: bytes } = answer;
      const said = action === "converse" ? bytes.toString() : JSON.stringify(decodeFrames(bytes).map(payloadOf));
      return { sent: sent.replace(text, ""), said: said.replace(/"latencyMs":\d+/g, "") };
    };
    for (const action of ["converse", "converse-stream"])
      expect(await ask("x".repeat(mib), action)).toEqual(await ask("~short~", action));
    bedrock.when(
      "ApplyGuardrail",
      json({ action: "GUARDRAIL_INTERVENED", outputs: [{ text: "No." }], assessments: [] }),
    );
    const before = fakes.openai.requests.length;
    const stopped = await send(gateway.url, openai, { body: userTurn("x".repeat(mib), { guardrailConfig }) });
    expect(JSON.parse(stopped.body.toString())).toMatchObject({ stopReason: "guardrail_intervened" });
    expect(fakes.openai.requests.length).toBe(before);
  });

  test("that only speaks of a guardrail is translated as any other", async () => {
    const text = `${"x".repeat(mib)} "guardrailConfig"`;
    expect((await send(gateway.url, openai, { body: userTurn(text) })).status).toBe(200);
    expect(JSON.stringify(fakes.openai.lastBody()).includes(JSON.stringify(text).slice(1, -1))).toBe(true);
    expect(bedrock.requests).toEqual([]);
  });

  test("that is paid by the piece is relayed as a small one is", async () => {
    const source = (text: string) => ({
      inlineDocumentSource: { textDocument: { text }, type: "TEXT" },
      type: "INLINE",
    });
    const body = JSON.stringify({
      queries: [{ textQuery: { text: "q" }, type: "TEXT" }],
      sources: Array.from({ length: 150 }, () => source("x".repeat(10_000))),
      rerankingConfiguration: {
        bedrockRerankingConfiguration: {
          modelConfiguration: { modelArn: "arn:aws:bedrock:us-east-1::foundation-model/cohere.rerank-v3-5:0" },
        },
        type: "BEDROCK_RERANKING_MODEL",
      },
    });
    expect((await send(gateway.url, "/bedrock/rerank", { body })).status).toBe(200);
    expect(bedrock.requests.at(-1)?.body.equals(Buffer.from(body))).toBe(true);
  });

  test("without reasoning that Bedrock would refuse is relayed with the rest", async () => {
    const foreign = { reasoningContent: { reasoningText: { text: "hm", signature: "gw1.gemini.abcdefgh.c2ln" } } };
    const assistant = { role: "assistant", content: [foreign, { text: "well" }] };
    const user = { role: "user", content: [{ text: "x".repeat(mib) }] };
    const body = JSON.stringify({ messages: [user, assistant, user] });
    expect((await send(gateway.url, pathOf("vendor.model"), { body })).status).toBe(200);
    const kept = { messages: [user, { role: "assistant", content: [{ text: "well" }] }, user] };
    expect(bedrock.requests[0]?.body.equals(Buffer.from(JSON.stringify(kept)))).toBe(true);
  });
});

describe("a large answer", { timeout: 60_000 }, () => {
  const text = "an answer ".repeat(200_000);

  test("is relayed, and its tokens are counted", async () => {
    const message = { role: "assistant", content: [{ text }] };
    bedrock.when("vendor.long", json({ ...converseAnswer, output: { message } }));
    const before = await gateway.metric("bifrost_output_tokens_total", { provider: "bedrock" });
    const answer = await send(gateway.url, pathOf("vendor.long"), { body: userTurn("hi") });
    expect(JSON.parse(answer.body.toString())).toMatchObject({ output: { message } });
    expect(await gateway.metric("bifrost_output_tokens_total", { provider: "bedrock" })).toBeGreaterThan(before);
  });

  test("of images is relayed", async () => {
    const images = ["A".repeat(3 * mib), "B".repeat(3 * mib)];
    bedrock.when("amazon.nova-canvas-v1:0", json({ images }));
    const body = JSON.stringify({ taskType: "TEXT_IMAGE", textToImageParams: { text: "x" } });
    const answer = await send(gateway.url, pathOf("amazon.nova-canvas-v1:0", "invoke"), { body });
    expect(answer.status).toBe(200);
    expect(JSON.parse(answer.body.toString())).toEqual({ images });
  });

  test("that is none is not passed on", async () => {
    bedrock.when("vendor.long", json({ nothing: text }));
    expect((await send(gateway.url, pathOf("vendor.long"), { body: userTurn("hi") })).status).toBe(424);
  });

  test("is translated", async () => {
    fakes.openai.queue({ text });
    const answer = await send(gateway.url, openai, { body: userTurn("hi") });
    expect(answer.status).toBe(200);
    expect(JSON.parse(answer.body.toString())).toMatchObject({
      output: { message: { role: "assistant", content: [{ text }] } },
      metrics: { latencyMs: expect.any(Number) },
    });
  });
});

describe("the mock provider", { timeout: 60_000 }, () => {
  test("answers a large body as it answers a small one", async () => {
    await using mock = await startGateway({ withoutH2: true });
    const body = pictureTurn(pictureOf(4 * mib));
    const answer = await send(mock.url, pathOf("any.model"), { body });
    expect(JSON.parse(answer.body.toString())).toMatchObject({
      output: { message: { content: [{ text: "What is this?" }] } },
    });
    const streamed = await send(mock.url, pathOf("any.model", "converse-stream"), { body });
    expect(streamed.status).toBe(200);
    expect(streamed.body.includes("messageStop")).toBe(true);
  });

  test("makes vectors and rankings of a large body as of a small one", async () => {
    await using mock = await startGateway({ withoutH2: true });
    const invoke = async (model: string, body: object) => {
      const answer = await send(mock.url, pathOf(model, "invoke"), { body: JSON.stringify(body) });
      return { status: answer.status, body: JSON.parse(answer.body.toString()) };
    };
    const pad = " ".repeat(mib);
    const vector = await invoke("amazon.titan-embed-text-v2:0", { inputText: "word", dimensions: 256 });
    expect(vector.status).toBe(200);
    expect(await invoke("amazon.titan-embed-text-v2:0", { inputText: `word${pad}`, dimensions: 256 })).toMatchObject({
      status: 200,
      body: { embedding: expect.any(Array) },
    });
    const documents = ["about dogs", "about cats"];
    const ranked = await invoke("cohere.rerank-v3-5:0", { query: "cats", documents, api_version: 2 });
    expect(ranked.status).toBe(200);
    const long = { query: "cats", documents: documents.map((text) => text + pad), api_version: 2 };
    const { body } = await invoke("cohere.rerank-v3-5:0", long);
    expect(body.results.map(({ index }: { readonly index: number }) => index)).toEqual(
      ranked.body.results.map(({ index }: { readonly index: number }) => index),
    );
    const refused = await invoke("amazon.nova-canvas-v1:0", {
      taskType: "TEXT_IMAGE",
      textToImageParams: { text: pad },
    });
    expect(refused).toMatchObject({ status: 400, body: { message: expect.stringContaining("no images") } });
    const guard = { source: "INPUT", content: [{ text: { text: `fine${pad}` } }] };
    const applied = await send(mock.url, "/bedrock/guardrail/gr1/version/1/apply", { body: JSON.stringify(guard) });
    expect(JSON.parse(applied.body.toString())).toMatchObject({ action: "NONE" });
  });
});

/** Resident memory of the gateway and of its keeper. Bytes. */
function memoryOf({ pid }: RunningGateway): number {
  const child = readFileSync(`/proc/${pid}/task/${pid}/children`, "utf8").split(" ")[0];
  const of = (process: string) =>
    Number(/VmRSS:\s*(\d+) kB/.exec(readFileSync(`/proc/${process}/status`, "utf8"))?.[1]) * 1024;
  return of(String(pid)) + of(String(child));
}
