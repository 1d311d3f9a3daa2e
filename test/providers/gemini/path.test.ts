import { describe, expect, test } from "vitest";
import type { Target } from "../../../src/providers/dialect.ts";
import { gemini } from "../../../src/providers/gemini/gemini.ts";
import { requestOf, user } from "../fixtures.ts";
import { geminiTarget, vertexTarget } from "./support.ts";

const pathOf = (target: Target) => gemini.encode(requestOf([user({ text: "hi" })]), target).request.path;

describe("the Gemini API", () => {
  test.each([
    ["gemini-3-flash-preview", "/v1beta/models/gemini-3-flash-preview:generateContent"],
    ["models/gemini-2.5-pro", "/v1beta/models/gemini-2.5-pro:generateContent"],
    ["tunedModels/mine-1", "/v1beta/tunedModels/mine-1:generateContent"],
  ])("%s is asked at %s", (model, path) => {
    expect(pathOf(geminiTarget(model))).toBe(path);
  });

  test("a stream is asked for as server-sent events: without, it would be one JSON list", () => {
    expect(pathOf(geminiTarget("gemini-2.5-pro", { streaming: true }))).toBe(
      "/v1beta/models/gemini-2.5-pro:streamGenerateContent?alt=sse",
    );
  });
});

describe("Vertex", () => {
  const place = "/v1beta1/projects/my-project/locations/us-central1";

  test.each([
    ["gemini-2.5-pro", `${place}/publishers/google/models/gemini-2.5-pro:generateContent`],
    ["models/gemini-2.5-pro", `${place}/publishers/google/models/gemini-2.5-pro:generateContent`],
    ["publishers/google/models/gemini-2.5-pro", `${place}/publishers/google/models/gemini-2.5-pro:generateContent`],
    ["1234567890", `${place}/endpoints/1234567890:generateContent`],
    ["endpoints/1234567890", `${place}/endpoints/1234567890:generateContent`],
  ])("%s is asked at %s", (model, path) => {
    expect(pathOf(vertexTarget(model))).toBe(path);
  });

  test("without a project it is the express mode's path", () => {
    expect(pathOf(vertexTarget("gemini-2.5-pro", { vertex: { region: "global" } }))).toBe(
      "/v1beta1/publishers/google/models/gemini-2.5-pro:generateContent",
    );
  });
});

test("a model id cannot leave its place in the path", () => {
  for (const model of ["../secrets", "a/../../b", "models//x", "models/.", ""]) {
    for (const target of [geminiTarget(model), vertexTarget(model)]) {
      expect(() => pathOf(target), model).toThrow(/^modelId: /);
    }
  }
  expect(pathOf(geminiTarget("a?key=b#c:d e"))).toBe("/v1beta/models/a%3Fkey%3Db%23c%3Ad%20e:generateContent");
});

test("headers are those of JSON", () => {
  const { request } = gemini.encode(requestOf([user({ text: "hi" })]), geminiTarget());
  expect(request.headers).toEqual([["content-type", "application/json"]]);
  expect(request.method).toBe("POST");
});
