import { describe, expect, test } from "vitest";
import type { ConverseRequest } from "../../../src/bedrock/converse.ts";
import { requestOf, user } from "../fixtures.ts";
import { bodyOf, encoded, geminiTarget, vertexTarget } from "./support.ts";

const ask = (changes: Partial<ConverseRequest>) => requestOf([user({ text: "hi" })], changes);

describe("inference", () => {
  test("has Gemini's names, and nothing that was not asked for", () => {
    expect(bodyOf(ask({})).generationConfig).toBeUndefined();
    expect(
      bodyOf(
        ask({
          inferenceConfig: { maxTokens: 100, temperature: 0.5, topP: 0.9, stopSequences: ["END"] },
          additionalModelRequestFields: { top_k: 40 },
        }),
      ).generationConfig,
    ).toEqual({ maxOutputTokens: 100, temperature: 0.5, topP: 0.9, topK: 40, stopSequences: ["END"] });
  });

  test("F44 temperature and topP may stand together", () => {
    expect(bodyOf(ask({ inferenceConfig: { temperature: 0, topP: 0 } })).generationConfig).toEqual({
      temperature: 0,
      topP: 0,
    });
  });

  test("F45 a temperature above Gemini's range is clamped to its end", () => {
    expect(bodyOf(ask({ inferenceConfig: { temperature: 5 } })).generationConfig).toEqual({ temperature: 2 });
    expect(bodyOf(ask({ inferenceConfig: { temperature: 1.5 } })).generationConfig).toEqual({ temperature: 1.5 });
  });

  test("F48 assumes Gemini takes five stop sequences; the gateway watches for the others", () => {
    const stopSequences = ["1", "2", "3", "4", "5", "6", "7"];
    const { json, memo } = encoded(ask({ inferenceConfig: { stopSequences } }));
    expect(json.generationConfig).toEqual({ stopSequences: ["1", "2", "3", "4", "5"] });
    expect(memo.stops).toEqual(["6", "7"]);
  });

  test("F49 without maxTokens the model's own limit counts", () => {
    expect(bodyOf(ask({ inferenceConfig: {} })).generationConfig).toBeUndefined();
  });
});

describe("the service tier", () => {
  test("stands in the body on the Gemini API", () => {
    expect(bodyOf(ask({ serviceTier: { type: "flex" } })).serviceTier).toBe("flex");
    expect(bodyOf(ask({ serviceTier: { type: "default" } })).serviceTier).toBeUndefined();
  });

  test("is headers on Vertex", () => {
    const { json, request } = encoded(ask({ serviceTier: { type: "priority" } }), vertexTarget());
    expect(json.serviceTier).toBeUndefined();
    expect(request.headers).toEqual([
      ["content-type", "application/json"],
      ["x-vertex-ai-llm-request-type", "shared"],
      ["x-vertex-ai-llm-shared-request-type", "priority"],
    ]);
  });

  test("reserved has no equivalent: it is the default, and that is said", () => {
    for (const target of [geminiTarget(), vertexTarget()]) {
      const { json, ignored, request } = encoded(ask({ serviceTier: { type: "reserved" } }), target);
      expect(json.serviceTier).toBeUndefined();
      expect(request.headers).toHaveLength(1);
      expect(ignored).toEqual(["serviceTier"]);
    }
  });
});

describe("fields of the model's own", () => {
  const fields = (
    additionalModelRequestFields: ConverseRequest["additionalModelRequestFields"],
    target = geminiTarget(),
  ) => encoded(ask(additionalModelRequestFields === undefined ? {} : { additionalModelRequestFields }), target);

  test("Gemini's go as they are", () => {
    const safetySettings = [{ category: "HARM_CATEGORY_HARASSMENT", threshold: "BLOCK_NONE" }];
    const { json, ignored } = fields({
      safetySettings,
      cachedContent: "cachedContents/1",
      generationConfig: { seed: 7 },
    });
    expect(json).toMatchObject({ safetySettings, cachedContent: "cachedContents/1", generationConfig: { seed: 7 } });
    expect(ignored).toEqual([]);
  });

  test("F50 others are left out and reported, since Google refuses what it does not know", () => {
    const { json, ignored } = fields({ anthropic_version: "x", min_p: 0.1, labels: { a: "b" } });
    expect(Object.keys(json)).toEqual(["contents"]);
    expect([...ignored].sort()).toEqual([
      "additionalModelRequestFields.anthropic_version",
      "additionalModelRequestFields.labels",
      "additionalModelRequestFields.min_p",
    ]);
  });

  test("labels are Vertex's", () => {
    expect(fields({ labels: { team: "a" } }, vertexTarget()).json.labels).toEqual({ team: "a" });
  });

  test("what the gateway writes itself is refused by its path", () => {
    expect(() => fields({ generationConfig: { maxOutputTokens: 1 } })).toThrow(
      /^additionalModelRequestFields\.generationConfig\.maxOutputTokens: /,
    );
    expect(() => fields({ generationConfig: [1] })).toThrow(/^additionalModelRequestFields\.generationConfig: /);
  });
});

describe("what has no place", () => {
  test("is listed", () => {
    const { ignored } = encoded(
      requestOf([user({ text: "hi" }, { cachePoint: { type: "default" } })], {
        requestMetadata: { a: "b" },
        performanceConfig: { latency: "optimized" },
        system: [{ text: "s" }, { cachePoint: { type: "default", ttl: "1h" } }],
      }),
    );
    expect([...ignored].sort()).toEqual([
      "messages[0].content[1].cachePoint",
      "performanceConfig.latency",
      "requestMetadata",
      "system[1].cachePoint",
    ]);
  });

  test("or refused, where it must not be lost", () => {
    expect(() => encoded(ask({ guardrailConfig: { guardrailIdentifier: "g" } }))).toThrow(/^guardrailConfig: /);
  });
});
