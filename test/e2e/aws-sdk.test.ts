import {
  GetFoundationModelCommand,
  GetInferenceProfileCommand,
  ListFoundationModelsCommand,
  ListInferenceProfilesCommand,
} from "@aws-sdk/client-bedrock";
import { RerankCommand } from "@aws-sdk/client-bedrock-agent-runtime";
import {
  ApplyGuardrailCommand,
  type BedrockRuntimeClient,
  ConverseCommand,
  type ConverseCommandInput,
  ConverseStreamCommand,
  CountTokensCommand,
  GetAsyncInvokeCommand,
  InvokeGuardrailChecksCommand,
  InvokeModelCommand,
  InvokeModelWithResponseStreamCommand,
  ListAsyncInvokesCommand,
  StartAsyncInvokeCommand,
} from "@aws-sdk/client-bedrock-runtime";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { anthropicAnswer, converseAnswer, json, stream } from "../support/answers.ts";
import {
  agentRuntimeClient,
  bearerClient,
  controlClient,
  type Protocol,
  protocols,
  runtimeClient,
} from "../support/clients.ts";
import { type FakeBedrock, fakeBearer, startFakeBedrock } from "../support/fake-bedrock.ts";
import { converseFrames } from "../support/frames.ts";
import { type RunningGateway, relayConfig, startGateway } from "../support/gateway.ts";
import { collect } from "../support/wait.ts";

let fake: FakeBedrock;
let gateway: RunningGateway;

beforeAll(async () => {
  fake = await startFakeBedrock();
  gateway = await startGateway({ config: relayConfig(fake.url) });
}, 30_000);
beforeEach(() => fake.reset());
afterEach(() => expect(fake.violations).toEqual([]));
afterAll(async () => {
  await gateway?.stop();
  await fake?.[Symbol.asyncDispose]();
}, 30_000);

const modelId = "anthropic.claude-3-haiku-20240307-v1:0";
const messages = [{ role: "user" as const, content: [{ text: "Hello!" }] }];
const arn = "arn:aws:bedrock:us-east-1:123456789012:async-invoke/abcdefghijkl";

/** The request body as the fake received it. */
function sentBody(): Record<string, unknown> {
  const parsed: unknown = JSON.parse(fake.requests.at(-1)?.body.toString("utf8") ?? "null");
  return typeof parsed === "object" && parsed !== null ? { ...parsed } : {};
}

describe.each(protocols)("A01 the stock AWS SDK over %s", (protocol: Protocol) => {
  let client: BedrockRuntimeClient;
  beforeAll(() => {
    client = runtimeClient(gateway, protocol);
  });
  afterAll(() => client?.destroy());

  test("Converse answers what Bedrock answered, with its request id", async () => {
    fake.queue(json(converseAnswer, { "x-amzn-requestid": "11111111-2222-3333-4444-555555555555" }));
    const answer = await client.send(new ConverseCommand({ modelId, messages, inferenceConfig: { maxTokens: 10 } }));
    expect(answer.output).toEqual({ message: { role: "assistant", content: [{ text: "Hello from the fake." }] } });
    expect(answer.stopReason).toBe("end_turn");
    expect(answer.metrics).toEqual({ latencyMs: 412 });
    expect(answer.usage).toMatchObject({ inputTokens: 12, outputTokens: 6, totalTokens: 18, cacheReadInputTokens: 0 });
    expect(answer.$metadata).toMatchObject({
      httpStatusCode: 200,
      attempts: 1,
      requestId: "11111111-2222-3333-4444-555555555555",
    });
    expect(sentBody()).toEqual({ messages, inferenceConfig: { maxTokens: 10 } });
  });

  test("ConverseStream yields every event in its order", async () => {
    const answer = await client.send(new ConverseStreamCommand({ modelId, messages }));
    const events = await collect(answer.stream);
    expect(events).toMatchObject([
      { messageStart: { role: "assistant" } },
      { contentBlockDelta: { contentBlockIndex: 0, delta: { text: "Once upon" } } },
      { contentBlockDelta: { contentBlockIndex: 0, delta: { text: " a time," } } },
      { contentBlockDelta: { contentBlockIndex: 0, delta: { text: " the end." } } },
      { contentBlockStop: { contentBlockIndex: 0 } },
      { messageStop: { stopReason: "end_turn" } },
      { metadata: { usage: { inputTokens: 12, outputTokens: 7, totalTokens: 19 }, metrics: { latencyMs: 731 } } },
    ]);
  });

  test("InvokeModel carries the model's own body and headers both ways", async () => {
    const body = JSON.stringify({
      anthropic_version: "bedrock-2023-05-31",
      max_tokens: 10,
      messages: [{ role: "user", content: "Hi" }],
    });
    const answer = await client.send(
      new InvokeModelCommand({
        modelId,
        body,
        contentType: "application/json",
        accept: "application/json",
        trace: "ENABLED",
        guardrailIdentifier: "gr1",
        guardrailVersion: "1",
        performanceConfigLatency: "optimized",
      }),
    );
    expect(answer.body.transformToString()).toBe(JSON.stringify(anthropicAnswer));
    expect(answer.contentType).toBe("application/json");
    expect(fake.requests.at(-1)?.body.toString("utf8")).toBe(body);
    expect(fake.requests.at(-1)?.headers).toMatchObject({
      accept: "application/json",
      "content-type": "application/json",
      "x-amzn-bedrock-trace": "ENABLED",
      "x-amzn-bedrock-guardrailidentifier": "gr1",
      "x-amzn-bedrock-guardrailversion": "1",
      "x-amzn-bedrock-performanceconfig-latency": "optimized",
    });
  });

  test("InvokeModelWithResponseStream yields the model's own chunks", async () => {
    const answer = await client.send(
      new InvokeModelWithResponseStreamCommand({ modelId, body: "{}", accept: "application/json" }),
    );
    const chunks = (await collect(answer.body)).map((event): unknown =>
      JSON.parse(Buffer.from(event.chunk?.bytes ?? []).toString("utf8")),
    );
    expect(chunks.at(1)).toMatchObject({ type: "content_block_start" });
    expect(chunks.at(-1)).toMatchObject({
      type: "message_stop",
      "amazon-bedrock-invocationMetrics": { inputTokenCount: 14, outputTokenCount: 9 },
    });
    expect(answer.contentType).toBe("application/json");
    expect(fake.requests.at(-1)?.headers["x-amzn-bedrock-accept"]).toBe("application/json");
  });

  test("CountTokens counts both forms of input", async () => {
    const whole = await client.send(new CountTokensCommand({ modelId, input: { converse: { messages } } }));
    expect(whole.inputTokens).toBe(42);
    const body = Buffer.from('{"prompt":"x"}');
    const native = await client.send(new CountTokensCommand({ modelId, input: { invokeModel: { body } } }));
    expect(native.inputTokens).toBe(42);
    expect(sentBody()).toEqual({ input: { invokeModel: { body: body.toString("base64") } } });
  });

  test("ApplyGuardrail reaches its path with both labels", async () => {
    const answer = await client.send(
      new ApplyGuardrailCommand({
        guardrailIdentifier: "arn:aws:bedrock:us-east-1:123456789012:guardrail/abc",
        guardrailVersion: "DRAFT",
        source: "INPUT",
        content: [{ text: { text: "secret" } }],
      }),
    );
    expect(answer.action).toBe("GUARDRAIL_INTERVENED");
    expect(answer.outputs).toEqual([{ text: "Sorry, I cannot answer that." }]);
    expect(fake.requests.at(-1)?.path).toBe(
      "/guardrail/arn%3Aaws%3Abedrock%3Aus-east-1%3A123456789012%3Aguardrail%2Fabc/version/DRAFT/apply",
    );
  });

  test("InvokeGuardrailChecks is relayed", async () => {
    const answer = await client.send(
      new InvokeGuardrailChecksCommand({
        messages: [{ role: "user", content: [{ text: "Hello" }] }],
        checks: { contentFilter: { categories: [{ category: "HATE" }] } },
      }),
    );
    expect(answer.results?.contentFilter?.results).toEqual([{ category: "HATE", severityScore: 0.1 }]);
  });

  test("async invocations are started, read and listed", async () => {
    const started = await client.send(
      new StartAsyncInvokeCommand({
        modelId: "amazon.nova-reel-v1:0",
        modelInput: { taskType: "TEXT_VIDEO", textToVideoParams: { text: "a knight" } },
        outputDataConfig: { s3OutputDataConfig: { s3Uri: "s3://bucket/out" } },
      }),
    );
    expect(started.invocationArn).toBe(arn);
    const one = await client.send(new GetAsyncInvokeCommand({ invocationArn: arn }));
    expect(one.status).toBe("Completed");
    expect(one.submitTime).toEqual(new Date("2026-01-02T03:04:05Z"));
    const list = await client.send(
      new ListAsyncInvokesCommand({
        maxResults: 5,
        statusEquals: "Completed",
        submitTimeAfter: new Date("2026-01-01T00:00:00Z"),
        nextToken: "a+b/c==",
      }),
    );
    expect(list.asyncInvokeSummaries).toHaveLength(1);
    const query = new URLSearchParams(fake.requests.at(-1)?.query);
    expect(Object.fromEntries(query)).toEqual({
      maxResults: "5",
      statusEquals: "Completed",
      submitTimeAfter: "2026-01-01T00:00:00Z",
      nextToken: "a+b/c==",
    });
  });

  test("Rerank goes to the agent runtime", async () => {
    const agents = agentRuntimeClient(gateway, protocol);
    const answer = await agents.send(
      new RerankCommand({
        queries: [{ type: "TEXT", textQuery: { text: "capital" } }],
        sources: ["Lyon", "Paris"].map((text) => ({
          type: "INLINE" as const,
          inlineDocumentSource: { type: "TEXT" as const, textDocument: { text } },
        })),
        rerankingConfiguration: {
          type: "BEDROCK_RERANKING_MODEL",
          bedrockRerankingConfiguration: {
            numberOfResults: 2,
            modelConfiguration: { modelArn: "arn:aws:bedrock:us-east-1::foundation-model/cohere.rerank-v3-5:0" },
          },
        },
      }),
    );
    agents.destroy();
    expect(answer.results?.map((result) => result.index)).toEqual([1, 0]);
    expect(fake.requests.at(-1)?.operation).toBe("Rerank");
  });

  test("images and documents arrive upstream as the bytes they were", async () => {
    const image = Buffer.from("89504e470d0a1a0a00ff", "hex");
    const document = Buffer.from("%PDF-1.7 \u0000 end");
    await client.send(
      new ConverseCommand({
        modelId,
        messages: [
          {
            role: "user",
            content: [
              { image: { format: "png", source: { bytes: image } } },
              { document: { format: "pdf", name: "my file (1)", source: { bytes: document } } },
              { text: "What is this?" },
            ],
          },
        ],
      }),
    );
    expect(sentBody()).toEqual({
      messages: [
        {
          role: "user",
          content: [
            { image: { format: "png", source: { bytes: image.toString("base64") } } },
            { document: { format: "pdf", name: "my file (1)", source: { bytes: document.toString("base64") } } },
            { text: "What is this?" },
          ],
        },
      ],
    });
  });

  test("A26 tool calls come whole and streamed, and results go back with their ids", async () => {
    const toolUseId = "tooluse_abcdefghijklmnopqrstuv";
    const use = { toolUse: { toolUseId, name: "weather", input: { city: "Łódź" }, type: "tool_use" } };
    fake.queue(
      json({ ...converseAnswer, output: { message: { role: "assistant", content: [use] } }, stopReason: "tool_use" }),
      stream(converseFrames({ toolUse: { toolUseId, name: "weather", fragments: ["", '{"city":', '"Łódź"}'] } })),
    );
    const tools = { tools: [{ toolSpec: { name: "weather", inputSchema: { json: { type: "object" } } } }] };
    const whole = await client.send(new ConverseCommand({ modelId, messages, toolConfig: tools }));
    expect(whole.stopReason).toBe("tool_use");
    expect(whole.output?.message?.content?.[0]?.toolUse).toMatchObject({ toolUseId, input: { city: "Łódź" } });

    const result: ConverseCommandInput = {
      modelId,
      toolConfig: tools,
      messages: [
        ...messages,
        { role: "assistant", content: [{ toolUse: { toolUseId, name: "weather", input: { city: "Łódź" } } }] },
        {
          role: "user",
          content: [{ toolResult: { toolUseId, content: [{ json: { celsius: 4 } }], status: "success" } }],
        },
      ],
    };
    const events = await collect((await client.send(new ConverseStreamCommand(result))).stream);
    const fragments = events.map((event) => event.contentBlockDelta?.delta?.toolUse?.input ?? "");
    expect(JSON.parse(fragments.join(""))).toEqual({ city: "Łódź" });
    expect(sentBody().messages).toEqual(result.messages);
  });
});

describe("the AWS SDK's control plane client", () => {
  test("lists and reads foundation models and inference profiles", async () => {
    const client = controlClient(gateway);
    const models = await client.send(new ListFoundationModelsCommand({ byProvider: "Anthropic" }));
    expect(models.modelSummaries?.map((one) => one.modelId)).toEqual([modelId]);
    expect(fake.requests.at(-1)?.query).toBe("byProvider=Anthropic");
    const model = await client.send(new GetFoundationModelCommand({ modelIdentifier: modelId }));
    expect(model.modelDetails?.modelName).toBe("Claude 3 Haiku");
    const profiles = await client.send(new ListInferenceProfilesCommand({ typeEquals: "SYSTEM_DEFINED" }));
    expect(profiles.inferenceProfileSummaries).toHaveLength(1);
    expect(fake.requests.at(-1)?.query).toBe("type=SYSTEM_DEFINED");
    const profile = await client.send(new GetInferenceProfileCommand({ inferenceProfileIdentifier: `us.${modelId}` }));
    expect(profile.createdAt).toEqual(new Date("2025-01-02T03:04:05Z"));
    client.destroy();
  });
});

describe.each(protocols)("bearer tokens over %s", (protocol: Protocol) => {
  test("a client's API key is accepted and does not go upstream", async () => {
    const client = bearerClient(gateway, protocol, "bedrock-api-key-of-the-client");
    const answer = await client.send(new ConverseCommand({ modelId, messages }));
    expect(answer.stopReason).toBe("end_turn");
    expect(fake.requests.at(-1)?.rawHeaders.join(" ")).not.toContain("of-the-client");
    client.destroy();
  });
});

describe("a configured Bedrock API key", () => {
  test("goes upstream as a bearer token instead of a signature", async () => {
    const key = {
      value: fakeBearer,
      bedrock_key_config: {
        region: "us-east-1",
        endpoints: { runtime: fake.url, control: fake.url, agent_runtime: fake.url },
      },
    };
    const keyed = await startGateway({ config: relayConfig(fake.url, { key }) });
    try {
      const client = runtimeClient(keyed, "http/1.1");
      await client.send(new ConverseCommand({ modelId, messages }));
      client.destroy();
      expect(fake.requests.at(-1)?.headers.authorization).toBe(`Bearer ${fakeBearer}`);
      expect(keyed.output()).not.toContain(fakeBearer);
    } finally {
      await keyed.stop();
    }
  }, 30_000);
});
