import { ConverseCommand, ConverseStreamCommand, InvokeModelCommand } from "@aws-sdk/client-bedrock-runtime";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type Protocol, protocols, runtimeClient } from "../support/clients.ts";
import { decodeFrames } from "../support/frames.ts";
import { type RunningGateway, startGateway } from "../support/gateway.ts";
import { send, userTurn } from "../support/raw-http.ts";
import { collect, rejection } from "../support/wait.ts";

let gateway: RunningGateway;
let ruled: RunningGateway;

beforeAll(async () => {
  gateway = await startGateway();
  ruled = await startGateway({
    withoutH2: true,
    config: {
      providers: {
        mock: {
          rules: [
            { match: { model: "*haiku*", text: "story" }, answer: "A brave knight.", chunk_delay_ms: 1 },
            { match: { text: "slow down" }, error: { status: 429, type: "ThrottlingException", message: "slow down" } },
            {
              match: { text: "break" },
              answer: "one two three four five six",
              error: { status: 424, type: "ModelStreamErrorException", message: "broke", after_chunks: 2 },
            },
            { match: { text: "cut" }, answer: "one two three four five six", truncate_after_chunks: 2 },
            { match: { text: "tool" }, answer: "", tool_calls: [{ name: "f", input: { a: [1, "ł"] } }] },
          ],
        },
      },
    },
  });
}, 60_000);
afterAll(async () => {
  await Promise.all([gateway?.stop(), ruled?.stop()]);
}, 30_000);

const messages = [{ role: "user" as const, content: [{ text: "Hello, mock!" }] }];
const errorType = (answer: { readonly headers: Readonly<Record<string, unknown>> }) =>
  String(answer.headers["x-amzn-errortype"]).split(":")[0];

describe("a gateway without any configuration", () => {
  test("says at its start that the mock provider answers", () => {
    const ready = gateway.logs.find((line) => line.msg === "ready");
    expect(JSON.stringify(ready)).toContain("mock");
  });

  test.each(protocols)("answers every model id with the last user text over %s", async (protocol: Protocol) => {
    const client = runtimeClient(gateway, protocol);
    for (const modelId of ["anthropic.claude-3-sonnet-20240229", "mistral.mistral-large-2407", "whatever:1"]) {
      const answer = await client.send(new ConverseCommand({ modelId, messages }));
      expect(answer.output?.message?.content?.map((block) => block.text).join("")).toContain("Hello, mock!");
      expect(answer.stopReason).toBe("end_turn");
      expect(answer.usage?.totalTokens).toBe((answer.usage?.inputTokens ?? 0) + (answer.usage?.outputTokens ?? 0));
      const streamed = await collect((await client.send(new ConverseStreamCommand({ modelId, messages }))).stream);
      expect(streamed.map((event) => event.contentBlockDelta?.delta?.text ?? "").join("")).toContain("Hello, mock!");
      expect(streamed.at(-1)?.metadata?.usage).toEqual(answer.usage);
    }
    client.destroy();
  });

  test("answers InvokeModel in the model's own family", async () => {
    const client = runtimeClient(gateway, "http/1.1");
    const claude = await client.send(
      new InvokeModelCommand({
        modelId: "anthropic.claude-3-haiku-20240307-v1:0",
        body: JSON.stringify({
          anthropic_version: "bedrock-2023-05-31",
          max_tokens: 50,
          messages: [{ role: "user", content: "Say hi" }],
        }),
      }),
    );
    expect(JSON.parse(claude.body.transformToString())).toMatchObject({
      type: "message",
      role: "assistant",
      content: [{ type: "text", text: expect.stringContaining("Say hi") }],
      stop_reason: "end_turn",
    });
    const mistral = await client.send(
      new InvokeModelCommand({
        modelId: "mistral.mistral-large-2407",
        body: JSON.stringify({ prompt: "Say hello from Mistral", max_tokens: 50, temperature: 0.7 }),
      }),
    );
    expect(mistral.body.transformToString()).toContain("Say hello from Mistral");
    client.destroy();
  });

  test.each([
    ["at the top", { notYetKnown: { a: 1 } }, "notYetKnown"],
    ["in inferenceConfig", { inferenceConfig: { maxTokens: 1, notYetKnown: 2 } }, "notYetKnown"],
  ])("A14 refuses an unknown field %s with a ValidationException that names it", async (_where, more, name) => {
    for (const action of ["converse", "converse-stream"]) {
      const answer = await send(gateway.url, `/bedrock/model/m/${action}`, { body: userTurn("hi", more) });
      expect(answer.status).toBe(400);
      expect(errorType(answer)).toBe("ValidationException");
      expect(answer.body.toString()).toContain(name);
    }
  });

  test("A14 refuses an unknown kind of content block by its path", async () => {
    const body = JSON.stringify({ messages: [{ role: "user", content: [{ text: "hi" }, { hologram: {} }] }] });
    const answer = await send(gateway.url, "/bedrock/model/m/converse", { body });
    expect(answer.status).toBe(400);
    expect(errorType(answer)).toBe("ValidationException");
    expect(answer.body.toString()).toMatch(/messages\[0\]\.content\[1\]|hologram/);
  });

  test.each([
    ["no JSON", "{"],
    ["an empty body", ""],
    ["an array", "[]"],
    ["a wrong type", '{"messages":"hi"}'],
    ["a wrong role", '{"messages":[{"role":"bogus","content":[{"text":"x"}]}]}'],
    ["two members in one block", '{"messages":[{"role":"user","content":[{"text":"x","image":{}}]}]}'],
  ])("refuses %s with a ValidationException", async (_what, body) => {
    for (const action of ["converse", "converse-stream"]) {
      const answer = await send(gateway.url, `/bedrock/model/m/${action}`, { body });
      expect(answer.status).toBe(400);
      expect(errorType(answer)).toBe("ValidationException");
      expect(answer.headers["x-amzn-requestid"]).toBeDefined();
    }
  });
});

describe("rules of the mock provider", () => {
  const say = (text: string, action = "converse", model = "mock%2Fclaude-haiku") =>
    send(ruled.url, `/bedrock/model/${model}/${action}`, { body: userTurn(text) });

  test("answer by model and text", async () => {
    expect((await say("tell me a story")).body.toString()).toContain("A brave knight.");
    expect((await say("tell me a story", "converse", "opus")).body.toString()).not.toContain("A brave knight.");
    const frames = decodeFrames((await say("tell me a story", "converse-stream")).body);
    expect(frames.map((frame) => frame.type)).toEqual(
      expect.arrayContaining(["messageStart", "messageStop", "metadata"]),
    );
  });

  test("fail with the error they name", async () => {
    for (const action of ["converse", "converse-stream"]) {
      const answer = await say("slow down", action);
      expect([answer.status, errorType(answer)]).toEqual([429, "ThrottlingException"]);
      expect(answer.body.toString()).toContain("slow down");
    }
  });

  test("break a stream after some chunks, with an exception frame", async () => {
    for (const text of ["break", "cut"]) {
      const answer = await say(text, "converse-stream");
      expect(answer.status).toBe(200);
      const frames = decodeFrames(answer.body);
      expect(frames.filter((frame) => frame.type === "contentBlockDelta")).toHaveLength(2);
      expect(frames.at(-1)).toMatchObject({ kind: "exception", type: "modelStreamErrorException" });
    }
  });

  test("call tools, whole and streamed", async () => {
    const client = runtimeClient(ruled, "http/1.1");
    const request = { modelId: "m", messages: [{ role: "user" as const, content: [{ text: "use the tool" }] }] };
    const answer = await client.send(new ConverseCommand(request));
    expect(answer.stopReason).toBe("tool_use");
    const use = answer.output?.message?.content?.find((block) => block.toolUse !== undefined)?.toolUse;
    expect(use).toMatchObject({ name: "f", input: { a: [1, "ł"] } });
    const events = await collect((await client.send(new ConverseStreamCommand(request))).stream);
    const fragments = events.map((event) => event.contentBlockDelta?.delta?.toolUse?.input ?? "").join("");
    expect(JSON.parse(fragments)).toEqual({ a: [1, "ł"] });
    client.destroy();
  });

  test("leave a gateway with no Bedrock to refuse nothing but what it cannot serve", async () => {
    const client = runtimeClient(ruled, "http/1.1");
    const error = await rejection(client.send(new InvokeModelCommand({ modelId: "m", body: "not json" })));
    expect(error).toMatchObject({ name: "ValidationException" });
    client.destroy();
  });
});
