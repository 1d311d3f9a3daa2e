import { once } from "node:events";
import { createServer, type Server } from "node:http";
import { buffer } from "node:stream/consumers";
import { type BedrockAgentRuntimeClient, RerankCommand } from "@aws-sdk/client-bedrock-agent-runtime";
import { type BedrockRuntimeClient, InvokeModelCommand } from "@aws-sdk/client-bedrock-runtime";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { isJsonObject, type JsonObject } from "../../src/bedrock/json.ts";
import { agentRuntimeClient, runtimeClient } from "../support/clients.ts";
import { type RunningGateway, startGateway } from "../support/gateway.ts";
import { send } from "../support/raw-http.ts";

interface Seen {
  readonly path: string;
  readonly headers: NodeJS.Dict<string | string[]>;
  readonly body: JsonObject;
}

/** Answers by path, each as its provider does; keeps what it was asked. */
const answers: Readonly<Record<string, JsonObject>> = {
  "/v1/images/generations": { created: 1, data: [{ b64_json: "YQ==" }, { b64_json: "Yg==" }] },
  "/v1/images/edits": { created: 1, data: [{ b64_json: "Yw==" }] },
  "/v1beta/models/gemini-2.5-flash-image:generateContent": {
    candidates: [
      { content: { parts: [{ inlineData: { mimeType: "image/png", data: "ZA==" } }] }, finishReason: "STOP" },
    ],
  },
  "/v1beta/models/gemini-3-pro-image:generateContent": {
    candidates: [{ finishReason: "IMAGE_SAFETY", finishMessage: "Too violent for a fox" }],
  },
  "/v2/rerank": {
    id: "r",
    results: [
      { index: 1, relevance_score: 0.75 },
      { index: 0, relevance_score: 0.25 },
    ],
    meta: { billed_units: { search_units: 1 } },
  },
};

const png = "iVBORw0KGgoAAAA=";
const seen: Seen[] = [];
let server: Server;
let gateway: RunningGateway;
let client: BedrockRuntimeClient;
let agent: BedrockAgentRuntimeClient;

beforeAll(async () => {
  server = createServer((request, response) => {
    buffer(request).then(
      (bytes) => {
        const path = request.url ?? "";
        const body: unknown = JSON.parse(bytes.toString());
        seen.push({ path, headers: request.headers, body: isJsonObject(body) ? body : {} });
        const answer = answers[path];
        response.writeHead(answer === undefined ? 404 : 200, { "content-type": "application/json" });
        response.end(JSON.stringify(answer ?? { error: { message: "there is nothing at this path" } }));
      },
      (error: unknown) => response.destroy(error instanceof Error ? error : undefined),
    );
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("the fake has no port");
  const network_config = { base_url: `http://127.0.0.1:${address.port}`, max_retries: 0 };
  const provider = (key: object = {}) => ({ keys: [{ name: "main", value: "canary-key", ...key }], network_config });
  const aliases = { ranker: "rerank-v3.5" };
  gateway = await startGateway({
    config: {
      providers: { openai: provider(), gemini: provider(), cohere: provider({ aliases }), anthropic: provider() },
    },
  });
  client = runtimeClient(gateway, "http/1.1");
  agent = agentRuntimeClient(gateway, "http/1.1");
}, 30_000);
beforeEach(() => void seen.splice(0));
afterAll(async () => {
  client?.destroy();
  agent?.destroy();
  await gateway?.stop();
  server?.closeAllConnections();
  server?.close();
}, 30_000);

async function invoke(modelId: string, body: object): Promise<unknown> {
  const answer = await client.send(new InvokeModelCommand({ modelId, body: JSON.stringify(body) }));
  expect(answer.contentType).toBe("application/json");
  return JSON.parse(Buffer.from(answer.body).toString());
}

const titan = {
  taskType: "TEXT_IMAGE",
  textToImageParams: { text: "A fox" },
  imageGenerationConfig: { numberOfImages: 2, width: 1024, height: 1024, quality: "standard", cfgScale: 8, seed: 3 },
};

describe("images", () => {
  test("asked for as Titan's are made by OpenAI", async () => {
    expect(await invoke("openai/gpt-image-1", titan)).toEqual({ images: ["YQ==", "Yg=="], error: null });
    expect(seen).toMatchObject([
      {
        path: "/v1/images/generations",
        headers: { authorization: "Bearer canary-key" },
        body: { model: "gpt-image-1", prompt: "A fox", n: 2, size: "1024x1024", quality: "medium" },
      },
    ]);
  });

  test("come with what was left out, and InvokeModel's headers", async () => {
    const path = `/bedrock/model/${encodeURIComponent("openai/gpt-image-1")}/invoke`;
    const headers = { "x-amzn-bedrock-service-tier": "flex" };
    const answer = await send(gateway.url, path, { body: JSON.stringify(titan), headers });
    expect(answer.status).toBe(200);
    expect(answer.headers["x-bifrost-ignored"]).toBe(
      "imageGenerationConfig.cfgScale, serviceTier, imageGenerationConfig.seed",
    );
    expect(answer.headers["x-amzn-bedrock-invocation-latency"]).toMatch(/^\d+$/);
    expect(answer.headers["x-amzn-bedrock-input-token-count"]).toBeUndefined();
    expect(answer.headers["x-bifrost-provider"]).toBe("openai");
  });

  test("are changed by OpenAI as JSON", async () => {
    const body = { taskType: "IMAGE_VARIATION", imageVariationParams: { text: "In winter", images: [png] } };
    expect(await invoke("openai/gpt-image-1", body)).toEqual({ images: ["Yw=="], error: null });
    expect(seen[0]?.body).toMatchObject({ images: [{ image_url: `data:image/png;base64,${png}` }] });
  });

  test("asked for as Stability's are made by Gemini", async () => {
    const body = { prompt: "A fox", mode: "text-to-image", aspect_ratio: "16:9", seed: 3 };
    expect(await invoke("gemini/gemini-2.5-flash-image", body)).toEqual({
      images: ["ZA=="],
      seeds: [3],
      finish_reasons: [null],
    });
    expect(seen[0]).toMatchObject({
      headers: { "x-goog-api-key": "canary-key" },
      body: { generationConfig: { responseModalities: ["IMAGE"], imageConfig: { aspectRatio: "16:9" }, seed: 3 } },
    });
  });

  test.each([
    ["anthropic/claude-sonnet-4-5", titan, "The provider anthropic makes no images"],
    ["openai/dall-e-3", titan, "imageGenerationConfig.numberOfImages: must be at most 1"],
    [
      "gemini/gemini-2.5-flash-image",
      { taskType: "INPAINTING", inPaintingParams: { text: "a", image: png, maskImage: png } },
      "inPaintingParams.maskImage: other providers have no such masks",
    ],
  ])("are refused without a request upstream: %s", async (modelId, body, message) => {
    await expect(invoke(modelId, body)).rejects.toMatchObject({
      name: "ValidationException",
      message: expect.stringContaining(message),
    });
    expect(seen).toEqual([]);
  });

  test("that the provider's policy forbids are a ValidationException", async () => {
    const asked = invoke("gemini/gemini-3-pro-image", { prompt: "A fox", mode: "text-to-image" });
    await expect(asked).rejects.toMatchObject({
      name: "ValidationException",
      message: expect.stringContaining("Too violent for a fox"),
    });
  });

  test("are not streamed, and not guarded", async () => {
    const path = `/bedrock/model/${encodeURIComponent("openai/gpt-image-1")}`;
    const body = JSON.stringify(titan);
    const streamed = await send(gateway.url, `${path}/invoke-with-response-stream`, { body });
    expect(streamed.status).toBe(400);
    expect(streamed.body.toString()).toContain("does not stream");
    const headers = { "x-amzn-bedrock-guardrailidentifier": "g", "x-amzn-bedrock-guardrailversion": "1" };
    const guarded = await send(gateway.url, `${path}/invoke`, { body, headers });
    expect(guarded.status).toBe(400);
    expect(guarded.body.toString()).toContain("guardrailConfig");
    expect(seen).toEqual([]);
  });
});

describe("ranking", () => {
  const rerank = (modelArn: string, numberOfResults?: number) =>
    agent.send(
      new RerankCommand({
        queries: [{ type: "TEXT", textQuery: { text: "q" } }],
        sources: [
          { type: "INLINE", inlineDocumentSource: { type: "TEXT", textDocument: { text: "a" } } },
          { type: "INLINE", inlineDocumentSource: { type: "JSON", jsonDocument: { title: "b" } } },
        ],
        rerankingConfiguration: {
          type: "BEDROCK_RERANKING_MODEL",
          bedrockRerankingConfiguration: { modelConfiguration: { modelArn }, numberOfResults },
        },
      }),
    );

  test("with Rerank is done by the model that the body names", async () => {
    const { results, nextToken } = await rerank("cohere/rerank-v3.5");
    expect(results).toEqual([
      { index: 1, relevanceScore: 0.75 },
      { index: 0, relevanceScore: 0.25 },
    ]);
    expect(nextToken).toBeUndefined();
    expect(seen).toMatchObject([
      {
        path: "/v2/rerank",
        headers: { authorization: "Bearer canary-key" },
        body: { model: "rerank-v3.5", query: "q", documents: ["a", '{"title":"b"}'] },
      },
    ]);
  });

  test("gives as many results as asked for, from the model that a key's alias means", async () => {
    const { results } = await rerank("cohere/ranker", 1);
    expect(results).toEqual([{ index: 1, relevanceScore: 0.75 }]);
    expect(seen[0]?.body).toMatchObject({ model: "rerank-v3.5", top_n: 1 });
  });

  test("with InvokeModel is done in Cohere's own form", async () => {
    const body = { query: "q", documents: ["a", "b"], top_n: 2, api_version: 2 };
    expect(await invoke("cohere/rerank-v3.5", body)).toEqual({
      results: [
        { index: 1, relevance_score: 0.75 },
        { index: 0, relevance_score: 0.25 },
      ],
    });
    expect(seen[0]?.body).toEqual({ model: "rerank-v3.5", query: "q", documents: ["a", "b"], top_n: 2 });
  });

  test("fails when the provider ranks a document that was not sent", async () => {
    await expect(invoke("cohere/rerank-v3.5", { query: "q", documents: ["a"] })).rejects.toMatchObject({
      name: "ModelErrorException",
    });
  });

  test.each(["openai", "gemini", "anthropic"])("is refused by name for %s", async (provider) => {
    await expect(rerank(`${provider}/m`)).rejects.toMatchObject({
      name: "ValidationException",
      message: expect.stringContaining(`The provider ${provider} does not rank documents`),
    });
    expect(seen).toEqual([]);
  });
});
