import { AnthropicBedrock } from "@anthropic-ai/bedrock-sdk";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { failure } from "../support/answers.ts";
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

const clientOf = (gateway: RunningGateway) =>
  new AnthropicBedrock({
    baseURL: `${gateway.url}/bedrock`,
    awsRegion: "us-west-2",
    awsAccessKey: "bifrost-dummy-key",
    awsSecretKey: "bifrost-dummy-secret",
    apiKey: null,
    maxRetries: 0,
  });
const request = {
  model: "anthropic.claude-3-haiku-20240307-v1:0",
  max_tokens: 64,
  messages: [{ role: "user" as const, content: "Write a haiku about coding." }],
};

describe("Anthropic's SDK for Bedrock", () => {
  test("creates a message, and its raw colon in the path reaches Bedrock encoded", async () => {
    const message = await clientOf(relay).messages.create(request);
    expect(message.content).toEqual([{ type: "text", text: "Hello from the fake." }]);
    expect(message.usage).toMatchObject({ input_tokens: 14, output_tokens: 9 });
    expect(fake.requests.at(-1)?.path).toBe("/model/anthropic.claude-3-haiku-20240307-v1%3A0/invoke");
    const sent: unknown = JSON.parse(fake.requests.at(-1)?.body.toString() ?? "");
    expect(sent).toMatchObject({ anthropic_version: expect.any(String), max_tokens: 64 });
  });

  test("streams a message", async () => {
    const events = await collect(await clientOf(relay).messages.create({ ...request, stream: true }));
    expect(events.map((event) => event.type)).toEqual([
      "message_start",
      "content_block_start",
      "content_block_delta",
      "content_block_delta",
      "content_block_delta",
      "content_block_stop",
      "message_delta",
      "message_stop",
    ]);
    const final = await clientOf(relay).messages.stream(request).finalMessage();
    expect(final.content).toMatchObject([{ type: "text", text: "Silent code runs" }]);
    expect(final.stop_reason).toBe("end_turn");
  });

  test("sees Bedrock's errors with their status and message", async () => {
    fake.queue(failure(429, "ThrottlingException", "Too many requests, please wait."));
    const error = await rejection(clientOf(relay).messages.create(request));
    expect(error).toMatchObject({ status: 429 });
    expect(String(error)).toContain("Too many requests");
  });

  test("gets answers and streams from the mock provider", async () => {
    const client = clientOf(mock);
    const message = await client.messages.create(request);
    expect(message).toMatchObject({ type: "message", role: "assistant", stop_reason: "end_turn" });
    expect(JSON.stringify(message.content)).toContain("Write a haiku about coding.");
    const final = await client.messages.stream(request).finalMessage();
    expect(JSON.stringify(final.content)).toContain("Write a haiku about coding.");
    expect(final.usage.output_tokens).toBe(message.usage.output_tokens);
  });
});
