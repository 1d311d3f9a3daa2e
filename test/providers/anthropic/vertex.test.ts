import { describe, expect, test } from "vitest";
import { anthropic } from "../../../src/providers/anthropic/anthropic.ts";
import { requestOf, user } from "../fixtures.ts";
import { bytesOf, claude, claudeMemo, failed, onVertex, send } from "./support.ts";

const request = requestOf([user({ text: "hi" })], { system: [{ text: "s" }] });

describe("Claude on Vertex", () => {
  test("has the model in the path and the version in the body", () => {
    const { request: sent } = send(request, onVertex());
    expect(sent).toMatchObject({
      method: "POST",
      path: "/v1/projects/p-1/locations/europe-west1/publishers/anthropic/models/claude-sonnet-4-5@20250929:rawPredict",
      headers: [["content-type", "application/json"]],
    });
    expect(JSON.parse(sent.body)).toMatchObject({ anthropic_version: "vertex-2023-10-16" });
    expect(JSON.parse(sent.body)).not.toHaveProperty("model");
  });

  test("streams from a path of its own", () => {
    const { request: sent, body } = send(request, onVertex("claude-opus-4-6", { streaming: true }));
    expect(sent.path).toMatch(/\/models\/claude-opus-4-6:streamRawPredict$/);
    expect(body.stream).toBe(true);
  });

  test("assumes that betas stand in the body (F54)", () => {
    const betas = { ...request, additionalModelRequestFields: { anthropic_beta: ["a", "b"] } };
    const { request: sent } = send(betas, onVertex());
    expect(JSON.parse(sent.body)).toMatchObject({ anthropic_beta: ["a", "b"] });
    expect(sent.headers).toHaveLength(1);
  });

  test("F57 a model's name cannot leave its place in the path", () => {
    const { path } = send(request, onVertex("publishers/anthropic/models/claude-opus-4-6?x=/../#:y")).request;
    expect(path).toBe("/v1/projects/p-1/locations/europe-west1/publishers/anthropic/models/%23%3Ay:rawPredict");
  });

  test("without a project the path is that of the express mode", () => {
    const { path } = send(request, onVertex(undefined, { vertex: { region: "global" } })).request;
    expect(path).toBe("/v1/publishers/anthropic/models/claude-sonnet-4-5@20250929:rawPredict");
  });
});

describe("counting tokens", () => {
  const { countTokens } = anthropic;
  const full = requestOf([user({ text: "hi" })], {
    system: [{ text: "s" }],
    inferenceConfig: { maxTokens: 5, temperature: 0.5, stopSequences: ["x"] },
    additionalModelRequestFields: { metadata: { user_id: "u" }, thinking: { type: "enabled", budget_tokens: 2000 } },
    toolConfig: { tools: [{ toolSpec: { name: "f", inputSchema: { json: { type: "object" } } } }] },
  });

  test("takes only what counts", () => {
    const sent = countTokens?.encode(full, claude("claude-sonnet-4-5", { streaming: true })).request;
    expect(sent?.path).toBe("/v1/messages/count_tokens");
    expect(Object.keys(JSON.parse(sent?.body ?? ""))).toEqual(["model", "system", "messages", "tools", "thinking"]);
  });

  test("has one path for all models on Vertex", () => {
    const sent = countTokens?.encode(full, onVertex()).request;
    expect(sent?.path).toBe(
      "/v1/projects/p-1/locations/europe-west1/publishers/anthropic/models/count-tokens:rawPredict",
    );
    expect(JSON.parse(sent?.body ?? "")).toMatchObject({
      anthropic_version: "vertex-2023-10-16",
      model: "claude-sonnet-4-5@20250929",
    });
  });

  test("reads the count", () => {
    const answer = (body: string) => countTokens?.decode({ headers: {}, body: bytesOf(body) }, claudeMemo()) ?? -1;
    expect(answer('{"input_tokens":2095}')).toBe(2095);
    expect(failed(answer('{"input_tokens":"many"}')).error.type).toBe("ModelErrorException");
    expect(failed(answer("<html>")).error.type).toBe("ModelErrorException");
    expect(
      failed(answer('{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}')).error.type,
    ).toBe("ServiceUnavailableException");
  });

  test("there are no embeddings", () => {
    expect(anthropic.embed).toBeUndefined();
  });
});
