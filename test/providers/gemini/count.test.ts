import { expect, test } from "vitest";
import type { JsonObject } from "../../../src/bedrock/json.ts";
import type { Target } from "../../../src/providers/dialect.ts";
import { gemini } from "../../../src/providers/gemini/gemini.ts";
import { requestOf, user } from "../fixtures.ts";
import { bodyOf, geminiMemo, geminiTarget, vertexTarget } from "./support.ts";

const request = requestOf([user({ text: "hi" })], {
  system: [{ text: "be kind" }],
  toolConfig: {
    tools: [{ toolSpec: { name: "f", inputSchema: { json: { type: "object" } } } }],
    toolChoice: { any: {} },
  },
  inferenceConfig: { maxTokens: 5 },
  serviceTier: { type: "flex" },
});

function count(target: Target) {
  if (gemini.countTokens === undefined) throw new Error("cannot count");
  const { request: sent } = gemini.countTokens.encode(request, target);
  const body: JsonObject = JSON.parse(sent.body);
  return { path: sent.path, body };
}

const decode = (body: string) => gemini.countTokens?.decode({ headers: {}, body: Buffer.from(body) }, geminiMemo());

test("the Gemini API counts the whole request it would answer", () => {
  const target = geminiTarget("gemini-2.5-pro", { streaming: true });
  expect(count(target)).toEqual({
    path: "/v1beta/models/gemini-2.5-pro:countTokens",
    body: { generateContentRequest: { model: "models/gemini-2.5-pro", ...bodyOf(request, target) } },
  });
});

test("assumes Vertex counts these fields of it, and knows no others", () => {
  const { path, body } = count(vertexTarget("gemini-2.5-pro"));
  expect(path).toMatch(/^\/v1beta1\/projects\/.*\/gemini-2\.5-pro:countTokens$/);
  expect(Object.keys(body)).toEqual(["contents", "systemInstruction", "tools", "generationConfig"]);
});

test("the answer is a number, or none", () => {
  expect(decode('{"totalTokens":31,"promptTokensDetails":[]}')).toBe(31);
  expect(decode("{}")).toMatchObject({ kind: "failure", error: { type: "ModelErrorException" } });
  expect(decode('{"error":{"code":429,"message":"m","status":"RESOURCE_EXHAUSTED"}}')).toMatchObject({
    error: { type: "ThrottlingException" },
  });
});
