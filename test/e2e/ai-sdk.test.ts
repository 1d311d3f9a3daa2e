import { createAmazonBedrock } from "@ai-sdk/amazon-bedrock";
import { generateText, jsonSchema, streamText, tool } from "ai";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { converseAnswer, failure, json } from "../support/answers.ts";
import { type FakeBedrock, startFakeBedrock } from "../support/fake-bedrock.ts";
import { type RunningGateway, relayConfig, startGateway } from "../support/gateway.ts";
import { collect, rejection } from "../support/wait.ts";

let fake: FakeBedrock;
let relay: RunningGateway;
let mock: RunningGateway;

beforeAll(async () => {
  fake = await startFakeBedrock();
  [relay, mock] = await Promise.all([
    startGateway({ config: relayConfig(fake.url), withoutH2: true }),
    startGateway({ withoutH2: true }),
  ]);
}, 60_000);
beforeEach(() => fake.reset());
afterEach(() => expect(fake.violations).toEqual([]));
afterAll(async () => {
  await Promise.all([relay?.stop(), mock?.stop()]);
  await fake?.[Symbol.asyncDispose]();
}, 30_000);

const modelOf = (gateway: RunningGateway) =>
  createAmazonBedrock({
    baseURL: `${gateway.url}/bedrock`,
    region: "us-west-2",
    accessKeyId: "bifrost-dummy-key",
    secretAccessKey: "bifrost-dummy-secret",
  })("us.amazon.nova-lite-v1:0");

describe("Vercel's AI SDK", () => {
  test("generates text", async () => {
    const { text, usage, finishReason } = await generateText({ model: modelOf(relay), prompt: "Hello!" });
    expect(text).toBe("Hello from the fake.");
    expect(finishReason).toBe("stop");
    expect(usage).toMatchObject({ inputTokens: 12, outputTokens: 6 });
    expect(fake.requests.at(-1)?.label).toBe("us.amazon.nova-lite-v1:0");
  });

  test("generates text with an API key for its credential, which stays behind", async () => {
    const bedrock = createAmazonBedrock({
      baseURL: `${relay.url}/bedrock`,
      region: "us-west-2",
      apiKey: "api-key-of-the-client",
    });
    const { text } = await generateText({ model: bedrock("us.amazon.nova-lite-v1:0"), prompt: "Hello!" });
    expect(text).toBe("Hello from the fake.");
    expect(fake.requests.at(-1)?.rawHeaders.join(" ")).not.toContain("of-the-client");
  });

  test("streams text", async () => {
    const { textStream, usage } = streamText({ model: modelOf(relay), prompt: "Hello!" });
    expect(await collect(textStream)).toEqual(["Once upon", " a time,", " the end."]);
    expect(await usage).toMatchObject({ inputTokens: 12, outputTokens: 7 });
  });

  test("calls a tool and sends its result back", async () => {
    const use = { toolUseId: "tooluse_0123456789abcdefghijkl", name: "weather", input: { city: "Gdańsk" } };
    fake.queue(
      json({
        ...converseAnswer,
        output: { message: { role: "assistant", content: [{ toolUse: use }] } },
        stopReason: "tool_use",
      }),
    );
    const asked: unknown[] = [];
    const weather = tool({
      description: "The weather of a city",
      inputSchema: jsonSchema<{ city: string }>({ type: "object", properties: { city: { type: "string" } } }),
      execute: (input) => {
        asked.push(input);
        return { celsius: 4 };
      },
    });
    const { text } = await generateText({
      model: modelOf(relay),
      prompt: "Weather?",
      tools: { weather },
      stopWhen: ({ steps }) => steps.length === 2,
    });
    expect(asked).toEqual([{ city: "Gdańsk" }]);
    expect(text).toBe("Hello from the fake.");
    expect(fake.requests.at(-1)?.body.toString()).toContain(use.toolUseId);
  });

  test("sees Bedrock's errors with their status and message", async () => {
    fake.queue(failure(400, "ValidationException", "The provided model identifier is invalid."));
    const error = await rejection(generateText({ model: modelOf(relay), prompt: "Hello!", maxRetries: 0 }));
    expect(error).toMatchObject({ statusCode: 400 });
    expect(String(error)).toContain("The provided model identifier is invalid.");
  });

  test("gets answers and streams from the mock provider", async () => {
    const { text } = await generateText({ model: modelOf(mock), prompt: "Hello, mock!" });
    expect(text).toContain("Hello, mock!");
    const { textStream } = streamText({ model: modelOf(mock), prompt: "Hello, mock!" });
    expect((await collect(textStream)).join("")).toBe(text);
  });
});
