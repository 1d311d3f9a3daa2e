/** What is known only from hearsay: when a live server says otherwise, these are the tests to change. */
import { expect, test } from "vitest";
import { openai } from "../../../src/providers/openai/openai.ts";
import { bodyOf, item } from "../both-ways.ts";
import { requestOf, targetOf, user } from "../fixtures.ts";
import { delta, finish, memoFor, streamed } from "./chunks.ts";
import { hello, schemaConfig, send, toolConfig } from "./encoding.ts";

const kinds = [
  "openai",
  "azure",
  "groq",
  "xai",
  "together",
  "fireworks",
  "cerebras",
  "deepseek",
  "openrouter",
  "vllm",
  "ollama",
];

test.each(kinds)("assumes that %s understands stream_options", (kind) => {
  expect(send(hello(), { kind, streaming: true }).body.stream_options).toEqual({ include_usage: true });
});

test("assumes that OpenAI takes four stop sequences", () => {
  const stopSequences = ["a", "b", "c", "d", "e"];
  expect(send(hello({ inferenceConfig: { stopSequences } }), { model: "gpt-4o" }).body.stop).toHaveLength(4);
});

test("assumes that a name of a schema has at most 64 letters, digits, _ and -", () => {
  const { body } = send(hello({ outputConfig: schemaConfig({ type: "object" }, "Mein Schema ".repeat(9)) }));
  expect(body.response_format).toMatchObject({ json_schema: { name: expect.stringMatching(/^[\w-]{1,64}$/) } });
});

test("assumes that strict needs all members required and no others", () => {
  const schema = {
    type: "object",
    properties: { a: { type: "string" } },
    required: ["a"],
    additionalProperties: false,
  };
  const strict = (value: object) =>
    send(hello({ outputConfig: schemaConfig({ ...schema, ...value }) })).body.response_format;
  expect(strict({})).toMatchObject({ json_schema: { strict: true } });
  expect(strict({ required: [] })).toMatchObject({ json_schema: { strict: false } });
  expect(strict({ additionalProperties: true })).toMatchObject({ json_schema: { strict: false } });
});

test("assumes that DeepSeek ignores a temperature while it thinks", () => {
  const request = hello({ inferenceConfig: { temperature: 0.5 }, outputConfig: { effort: "high" } });
  expect(send(request, { kind: "deepseek" }).body).toMatchObject({ temperature: 0.5, thinking: { type: "enabled" } });
});

test("assumes that OpenRouter passes cache_control on, for texts", () => {
  const request = requestOf([user({ text: "x" }, { cachePoint: { type: "default" } })]);
  expect(JSON.stringify(send(request, { kind: "openrouter" }).body)).toContain('"cache_control":{"type":"ephemeral"}');
});

test("assumes that OpenRouter knows no cache points of tools", () => {
  const { tools } = toolConfig("f");
  const request = hello({ toolConfig: { tools: [...tools, { cachePoint: { type: "default" } }] } });
  expect(send(request, { kind: "openrouter" }).ignored).toEqual(["toolConfig.tools[1].cachePoint"]);
});

test("assumes that Ollama leaves the choice of tools to the model", () => {
  const request = hello({ toolConfig: { ...toolConfig("f"), toolChoice: { any: {} } } });
  expect(send(request, { kind: "ollama" }).ignored).toEqual(["toolConfig.toolChoice"]);
});

test("assumes that gpt-5.N-chat models take only a medium effort and no sampling", () => {
  const request = hello({ inferenceConfig: { temperature: 0.5 }, outputConfig: { effort: "low" } });
  expect(send(request, { model: "gpt-5.3-chat-latest" })).toMatchObject({
    body: { reasoning_effort: "medium" },
    ignored: ["inferenceConfig.temperature"],
  });
});

test("assumes that vLLM's errors are flat", () => {
  const body = bodyOf({ object: "error", message: "m", type: "BadRequestError", param: null, code: 400 }).body;
  const failure = openai.failure({ status: 400, headers: {}, body, now: 0 }, targetOf({ kind: "vllm" }));
  expect(failure.error).toMatchObject({ type: "ValidationException", message: "m" });
});

test("assumes that Groq's tool_use_failed is worth another try", () => {
  const body = bodyOf({ error: { message: "m", code: "tool_use_failed" } }).body;
  const failure = openai.failure({ status: 400, headers: {}, body, now: 0 }, targetOf({ kind: "groq" }));
  expect(failure).toMatchObject({ retry: "same_key", error: { type: "ModelErrorException" } });
});

test("assumes that an unknown reason for the end is an ordinary one, and abort is a failure", () => {
  expect(streamed([delta({ content: "x" }), finish("whatever")]).stopReason).toBe("end_turn");
  const stream = openai.stream(memoFor("sglang"));
  expect(stream.push(item({ choices: [{ delta: {}, finish_reason: "abort" }] })).failure).toBeDefined();
});
