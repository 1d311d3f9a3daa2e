import { ChatBedrockConverse } from "@langchain/aws";
import { AIMessageChunk, HumanMessage, SystemMessage } from "@langchain/core/messages";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { converseAnswer, failure, json, stream } from "../support/answers.ts";
import { type Protocol, protocols, runtimeClient } from "../support/clients.ts";
import { type FakeBedrock, startFakeBedrock } from "../support/fake-bedrock.ts";
import { converseFrames } from "../support/frames.ts";
import { type RunningGateway, relayConfig, startGateway } from "../support/gateway.ts";
import { collect, rejection } from "../support/wait.ts";

let fake: FakeBedrock;
let relay: RunningGateway;
let mock: RunningGateway;

beforeAll(async () => {
  fake = await startFakeBedrock();
  [relay, mock] = await Promise.all([startGateway({ config: relayConfig(fake.url) }), startGateway()]);
}, 60_000);
beforeEach(() => fake.reset());
afterEach(() => expect(fake.violations).toEqual([]));
afterAll(async () => {
  await Promise.all([relay?.stop(), mock?.stop()]);
  await fake?.[Symbol.asyncDispose]();
}, 30_000);

const chatOf = (gateway: RunningGateway, protocol: Protocol) =>
  new ChatBedrockConverse({
    model: "anthropic.claude-3-5-sonnet-20240620-v1:0",
    region: "us-west-2",
    client: runtimeClient(gateway, protocol),
    maxRetries: 0,
  });
const prompt = [new SystemMessage("Be brief."), new HumanMessage("Hello!")];

describe.each(protocols)("LangChain's ChatBedrockConverse over %s", (protocol: Protocol) => {
  test("answers", async () => {
    const message = await chatOf(relay, protocol).invoke(prompt);
    expect(message.text).toBe("Hello from the fake.");
    expect(message.usage_metadata).toMatchObject({ input_tokens: 12, output_tokens: 6, total_tokens: 18 });
    const sent: unknown = JSON.parse(fake.requests.at(-1)?.body.toString() ?? "");
    expect(sent).toMatchObject({ system: [{ text: "Be brief." }] });
  });

  test("streams", async () => {
    const chunks = await collect(await chatOf(relay, protocol).stream(prompt));
    expect(chunks.map((chunk) => chunk.text).join("")).toBe("Once upon a time, the end.");
  });

  test("reads a streamed tool call", async () => {
    const toolUse = { toolUseId: "tooluse_1", name: "weather", fragments: ['{"ci', 'ty":"Wien"}'] };
    fake.queue(stream(converseFrames({ toolUse })));
    const schema = { type: "object", properties: { city: { type: "string" } } };
    const bound = chatOf(relay, protocol).bindTools([{ toolSpec: { name: "weather", inputSchema: { json: schema } } }]);
    let whole = new AIMessageChunk({ content: "" });
    for await (const chunk of await bound.stream(prompt)) whole = whole.concat(chunk);
    expect(whole.tool_calls).toMatchObject([{ id: "tooluse_1", name: "weather", args: { city: "Wien" } }]);
  });

  test("reads reasoning beside text", async () => {
    const content = [{ reasoningContent: { reasoningText: { text: "Hm.", signature: "c2ln" } } }, { text: "Hi." }];
    fake.queue(json({ ...converseAnswer, output: { message: { role: "assistant", content } } }));
    const message = await chatOf(relay, protocol).invoke(prompt);
    expect(JSON.stringify(message.content)).toContain("c2ln");
  });

  test("sees Bedrock's errors", async () => {
    fake.queue(failure(400, "ValidationException", "No such model."));
    expect(await rejection(chatOf(relay, protocol).invoke(prompt))).toMatchObject({
      name: "ValidationException",
      message: "No such model.",
    });
  });

  test("gets answers and streams from the mock provider", async () => {
    const message = await chatOf(mock, protocol).invoke(prompt);
    expect(message.text).toContain("Hello!");
    const chunks = await collect(await chatOf(mock, protocol).stream(prompt));
    expect(chunks.map((chunk) => chunk.text).join("")).toBe(message.text);
  });
});
