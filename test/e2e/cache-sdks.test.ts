/** Answers from the cache as AWS's own SDKs read them. */
import {
  ConverseCommand,
  ConverseStreamCommand,
  InvokeModelCommand,
  InvokeModelWithResponseStreamCommand,
} from "@aws-sdk/client-bedrock-runtime";
import { describe, expect, test } from "vitest";
import { cachedConfig, inFrontOfFakes, member } from "../support/cached.ts";
import { type Protocol, protocols, runtimeClient } from "../support/clients.ts";
import { startGateway } from "../support/gateway.ts";
import { findBoto3, runPython } from "../support/python.ts";
import { collect } from "../support/wait.ts";

const boto3 = findBoto3();
const claude = "anthropic.claude-3-haiku-20240307-v1:0";
const on = inFrontOfFakes((fakes) =>
  startGateway({ config: cachedConfig(fakes, { default_cache_key: "everybody" }), env: { BIFROST_FRONTENDS: "1" } }),
);

describe.each(protocols)("A64 the AWS SDK over %s reads answers from the cache", (protocol: Protocol) => {
  test.each(["vendor.model-v1:0", "openai/gpt-4o"])("of %s with Converse and ConverseStream", async (modelId) => {
    const client = runtimeClient(on.gateway, protocol);
    const messages = [{ role: "user" as const, content: [{ text: `Hello ${modelId} over ${protocol}!` }] }];
    const original = await client.send(new ConverseCommand({ modelId, messages }));
    for (let time = 0; time < 2; time++) {
      const whole = await client.send(new ConverseCommand({ modelId, messages }));
      expect(whole.output).toEqual(original.output);
      expect(whole.usage).toEqual(original.usage);
      const { stream } = await client.send(new ConverseStreamCommand({ modelId, messages }));
      const events = await collect(stream);
      const text = events.map((event) => event.contentBlockDelta?.delta?.text ?? "").join("");
      expect(text).toBe(original.output?.message?.content?.[0]?.text);
      expect(events.at(0)?.messageStart?.role).toBe("assistant");
      expect(events.find((event) => event.messageStop)?.messageStop?.stopReason).toBe(original.stopReason);
      expect(events.at(-1)?.metadata?.usage).toEqual(original.usage);
    }
    expect(on.fake.requests.length + on.fakes.openai.requests.length).toBe(1);
    client.destroy();
  });

  test.each([claude, "openai/gpt-4o"])("of %s with InvokeModel, whole and streamed", async (modelId) => {
    const client = runtimeClient(on.gateway, protocol);
    const body = JSON.stringify({
      anthropic_version: "bedrock-2023-05-31",
      max_tokens: 100,
      messages: [{ role: "user", content: `Hello ${modelId} over ${protocol}!` }],
    });
    const textOf = (bytes: Uint8Array | undefined): string => {
      const parsed: unknown = JSON.parse(Buffer.from(bytes ?? []).toString());
      const content = member(parsed, "content");
      const texts = Array.isArray(content) ? content.map((block) => member(block, "text")) : [];
      return [...texts, member(member(parsed, "delta"), "text") ?? ""].join("");
    };
    const original = await client.send(new InvokeModelCommand({ modelId, body }));
    for (let time = 0; time < 2; time++) {
      const whole = await client.send(new InvokeModelCommand({ modelId, body }));
      expect(textOf(whole.body)).toBe(textOf(original.body));
      const streamed = await client.send(new InvokeModelWithResponseStreamCommand({ modelId, body }));
      const chunks = await collect(streamed.body);
      expect(chunks.map((event) => textOf(event.chunk?.bytes)).join("")).toBe(textOf(original.body));
    }
    expect(on.fake.requests.length + on.fakes.openai.requests.length).toBe(1);
    client.destroy();
  });
});

test.skipIf(boto3 === undefined)(`A64 boto3 ${boto3} reads answers from the cache, whole and streamed`, async () => {
  const { result } = await runPython("cached.py", on.gateway.url);
  const three = (said: unknown, ...more: unknown[]) => [
    ["miss", null, said, ...more],
    ["direct", "cached", said, ...more],
    ["direct", "cached", said, ...more],
  ];
  const same = expect.any(String);
  expect(result).toEqual({
    relayed: three("Hello from the fake.", "end_turn", 6),
    translated: three(same, "end_turn", 9),
    invoked: three("Hello from the fake.", "end_turn"),
    invokedTranslated: three(same, "end_turn"),
  });
  expect(on.fake.requests).toHaveLength(2);
  expect(on.fakes.openai.requests).toHaveLength(2);
});
