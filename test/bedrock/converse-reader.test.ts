import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { readConverse, readToolConfig } from "../../src/bedrock/converse-reader.ts";
import { BedrockError } from "../../src/bedrock/errors.ts";
import { converseRequest } from "./arbitraries.ts";

const messages = [{ role: "user", content: [{ text: "hello" }] }];

/** The message of the refusal of a body with these members beside valid messages. */
function refusal(members: object, streaming = false): string {
  try {
    readConverse({ messages, ...members }, streaming);
  } catch (error) {
    if (error instanceof BedrockError && error.type === "ValidationException") return error.message;
    throw error;
  }
  throw new Error("was not refused");
}

describe("any valid Converse request", () => {
  test("is read to what it is", () => {
    fc.assert(
      fc.property(converseRequest, fc.boolean(), (request, streaming) => {
        const body: unknown = JSON.parse(JSON.stringify(request));
        expect(readConverse(body, streaming)).toStrictEqual(body);
      }),
    );
  });

  test("may have members that are null, as if they were missing", () => {
    const request = readConverse(
      { messages, system: null, inferenceConfig: { maxTokens: null, topP: 0.5 }, toolConfig: null },
      false,
    );
    expect(request).toStrictEqual({ messages, inferenceConfig: { topP: 0.5 } });
  });
});

describe("any JSON at all", () => {
  test("is read, or refused as a ValidationException", () => {
    fc.assert(
      fc.property(fc.jsonValue(), (value) => {
        try {
          readConverse(value, true);
        } catch (error) {
          expect(error).toBeInstanceOf(BedrockError);
        }
      }),
    );
  });
});

describe("a wrong field", () => {
  test.each([
    [{ messages: [] }, "messages: must have at least one item"],
    [{ messages: undefined }, "messages: is required and must be a list"],
    [{ messages: "hi" }, "messages: must be a list, not a string"],
    [{ messages: [{ role: "user", content: [{ text: 1 }] }] }, "messages[0].content[0].text: must be a string, not 1"],
    [{ model: "x" }, "model: is not a field known here"],
    [{ system: "be brief" }, "system: must be a list, not a string"],
    [{ inferenceConfig: { maxTokens: 0 } }, "inferenceConfig.maxTokens: must be at least 1, not 0"],
    [{ inferenceConfig: { maxTokens: 1.5 } }, "inferenceConfig.maxTokens: must be an integer, not 1.5"],
    [{ inferenceConfig: { temperature: 1.5 } }, "inferenceConfig.temperature: must be from 0 to 1, not 1.5"],
    [{ inferenceConfig: { topK: 1 } }, "inferenceConfig.topK: is not a field known here"],
    [{ inferenceConfig: { stopSequences: ["a", ""] } }, "inferenceConfig.stopSequences[1]: must not be empty"],
    [
      { inferenceConfig: { stopSequences: Array(2501).fill("a") } },
      "inferenceConfig.stopSequences: must have at most 2500",
    ],
    [{ toolConfig: { tools: [] } }, "toolConfig.tools: must have at least one item"],
    [{ toolConfig: { tools: [{ toolSpec: { name: "f" } }] } }, "toolConfig.tools[0].toolSpec.inputSchema: is required"],
    [
      { toolConfig: { tools: [{ toolSpec: { name: "f", description: "", inputSchema: { json: {} } } }] } },
      "toolConfig.tools[0].toolSpec.description: must not be empty",
    ],
    [
      { toolConfig: { tools: [{ cachePoint: { type: "default" } }], toolChoice: { none: {} } } },
      "toolConfig.toolChoice.none: is not a member known here",
    ],
    [
      { toolConfig: { tools: [{ cachePoint: { type: "default" } }], toolChoice: { auto: { x: 1 } } } },
      "toolConfig.toolChoice.auto.x: is not a field known here",
    ],
    [{ guardrailConfig: { streamProcessingMode: "sync" } }, "guardrailConfig.streamProcessingMode: is not a field"],
    [{ additionalModelRequestFields: [1] }, "additionalModelRequestFields: must be an object, not a list"],
    [{ additionalModelResponseFieldPaths: ["a"] }, "additionalModelResponseFieldPaths[0]: must be a JSON pointer"],
    [
      { additionalModelResponseFieldPaths: Array(11).fill("/a") },
      "additionalModelResponseFieldPaths: must have at most 10",
    ],
    [{ promptVariables: { a: { text: 1 } } }, "promptVariables.a.text: must be a string"],
    [{ promptVariables: { a: { image: 1 } } }, "promptVariables.a.image: is not a member"],
    [{ requestMetadata: { a: 1 } }, "requestMetadata.a: must be a string, not 1"],
    [{ requestMetadata: { a: "x".repeat(257) } }, "requestMetadata.a: must have at most 256 characters"],
    [{ requestMetadata: { ["k".repeat(257)]: "x" } }, "must have a name of at most 256 characters"],
    [
      { requestMetadata: Object.fromEntries(Array.from({ length: 17 }, (_, at) => [`k${at}`, "x"])) },
      "requestMetadata: must have at most 16 entries",
    ],
    [{ performanceConfig: { latency: "fast" } }, "performanceConfig.latency: must be standard, optimized"],
    [{ serviceTier: {} }, "serviceTier.type: is required"],
    [{ outputConfig: { effort: "x".repeat(17) } }, "outputConfig.effort: must have at most 16 characters"],
    [
      { outputConfig: { textFormat: { type: "json_schema", structure: { jsonSchema: { schema: {} } } } } },
      "outputConfig.textFormat.structure.jsonSchema.schema: must be a string, not an object",
    ],
    [
      { outputConfig: { textFormat: { type: "json_schema", structure: { xml: {} } } } },
      "outputConfig.textFormat.structure.xml: is not a member",
    ],
  ])("is refused by its path: %j", (members, said) => {
    expect(refusal(members)).toContain(said);
  });

  test("is refused when it is named like a prototype", () => {
    const hostile: unknown = JSON.parse('{"requestMetadata": {"__proto__": "x"}}');
    expect(refusal(Object(hostile))).toBe("requestMetadata.__proto__: is a name that is not accepted");
    expect(() => readConverse(JSON.parse('{"messages": [], "__proto__": {"a": 1}}'), false)).toThrow("__proto__");
  });

  test("may be the body itself", () => {
    expect(() => readConverse(null, false)).toThrow("body: is required and must be an object");
    expect(() => readConverse([], false)).toThrow("body: must be an object, not a list");
  });
});

describe("a stream's guardrail", () => {
  test("has a processing mode", () => {
    const guardrailConfig = { streamProcessingMode: "async" as const };
    expect(readConverse({ messages, guardrailConfig }, true)).toStrictEqual({ messages, guardrailConfig });
    expect(refusal({ guardrailConfig: { streamProcessingMode: "later" } }, true)).toContain("must be sync, async");
  });
});

describe("a tool configuration", () => {
  test("is named by the path where it stands", () => {
    expect(() => readToolConfig({ tools: [{ toolSpec: { name: "" } }] }, "body.toolConfig")).toThrow(
      "body.toolConfig.tools[0].toolSpec.name: must not be empty",
    );
  });
});
