import { describe, expect, test } from "vitest";
import type { JsonObject } from "../../../src/bedrock/json.ts";
import {
  answerOf,
  asContent,
  collected,
  decoded,
  decodeWhole,
  failed,
  geminiMemo,
  geminiTarget,
  streamed,
} from "./support.ts";

/** The answer as it came, and the same in two chunks: both must say the same. */
function read(body: JsonObject, memo = geminiMemo()) {
  const whole = decoded(body, memo);
  const stream = collected([body], memo);
  expect(asContent(stream)).toEqual(whole.output.message.content);
  expect(stream.stopReason).toBe(whole.stopReason);
  expect(stream.usage).toEqual(whole.usage);
  expect(stream.additional).toEqual(whole.additionalModelResponseFields);
  return whole;
}

const contentOf = (parts: readonly JsonObject[], memo = geminiMemo()) =>
  read(answerOf(parts), memo).output.message.content;

describe("parts", () => {
  test("text and thoughts keep their order; neighbours of a kind are one block", () => {
    expect(
      contentOf([
        { text: "let ", thought: true },
        { text: "me think", thought: true },
        { text: "Hel" },
        { text: "lo" },
        { text: "more", thought: true },
      ]),
    ).toEqual([
      { reasoningContent: { reasoningText: { text: "let me think" } } },
      { text: "Hello" },
      { reasoningContent: { reasoningText: { text: "more" } } },
    ]);
  });

  test("F3 empty and blank text is no block", () => {
    expect(contentOf([{ text: "" }, { text: " \n" }])).toEqual([]);
    expect(contentOf([{ text: "\n" }, { text: "a" }])).toEqual([{ text: "\na" }]);
  });

  test("F23 a call without an id is given one, stable for the request", () => {
    const parts = [{ functionCall: { name: "weather", args: { city: "Bern" } } }];
    const [block] = contentOf(parts);
    expect(block).toEqual({
      toolUse: { toolUseId: expect.stringMatching(/^tooluse_\w{22}$/), name: "weather", input: { city: "Bern" } },
    });
    expect(contentOf(parts)).toEqual([block]);
  });

  test("F24 an id of Google's is kept", () => {
    expect(contentOf([{ functionCall: { id: "call_129591", name: "f", args: {} } }])).toHaveProperty(
      "[0].toolUse.toolUseId",
      "call_129591",
    );
  });

  test.each([[undefined], [null], [{}]])("F66 arguments %j are no arguments", (args) => {
    expect(contentOf([{ functionCall: { name: "f", ...(args !== undefined && { args }) } }])).toHaveProperty(
      "[0].toolUse.input",
      {},
    );
  });

  test("F14 arguments that are no object are wrapped", () => {
    expect(contentOf([{ functionCall: { name: "f", args: [1] } }])).toHaveProperty("[0].toolUse.input", {
      rawInvalidInput: [1],
    });
  });

  test("F12 names come back as the client knows them", () => {
    const memo = geminiMemo({ toolNames: new Map([["_9lives_abc", "9lives"]]) });
    expect(contentOf([{ functionCall: { name: "_9lives_abc", args: {} } }], memo)).toHaveProperty(
      "[0].toolUse.name",
      "9lives",
    );
  });

  test("an image is an image; drafts of it are thoughts", () => {
    expect(
      contentOf([
        { inlineData: { mimeType: "image/png", data: "ZHJhZnQ=" }, thought: true },
        { text: "here" },
        { inlineData: { mimeType: "image/jpeg", data: "aGk=" } },
      ]),
    ).toEqual([{ text: "here" }, { image: { format: "jpeg", source: { bytes: "aGk=" } } }]);
  });

  test("media that Converse has no answer for are said to be there", () => {
    expect(contentOf([{ inlineData: { mimeType: "audio/L16", data: "aGk=" } }])).toEqual([
      { text: "[The model answered with audio/L16 data, which cannot be passed on.]" },
    ]);
  });

  test("code that Google ran is text", () => {
    expect(
      contentOf([
        { text: "Let me count." },
        { executableCode: { language: "PYTHON", code: "print(1)" } },
        { codeExecutionResult: { outcome: "OUTCOME_OK", output: "1" } },
        { codeExecutionResult: { outcome: "OUTCOME_FAILED", output: "oops" } },
      ]),
    ).toEqual([{ text: "Let me count.\n```python\nprint(1)\n```\n\n```\n1\n```\n\n```\nOUTCOME_FAILED\noops\n```\n" }]);
  });

  test("F74 F75 pages that the search found are citations of the text", () => {
    const body = answerOf([{ text: "It is " }, { text: "sunny." }], {
      candidate: {
        groundingMetadata: {
          groundingChunks: [
            { web: { uri: "https://a.example/1", title: "A", domain: "a.example" } },
            { web: { uri: "https://a.example/1" } },
            { web: { uri: "https://b.example" } },
            { retrievedContext: { uri: "gs://x" } },
          ],
        },
      },
    });
    expect(decoded(body).output.message.content).toEqual([
      {
        citationsContent: {
          content: [{ text: "It is sunny." }],
          citations: [
            { title: "A", location: { web: { url: "https://a.example/1", domain: "a.example" } } },
            { location: { web: { url: "https://b.example" } } },
          ],
        },
      },
    ]);
    expect(collected([body]).blocks).toEqual([{ text: "It is sunny.", citations: 2 }]);
  });
});

describe("stop reasons", () => {
  const said = (finishReason: string, parts: readonly JsonObject[] = [{ text: "a" }]) =>
    read(answerOf(parts, { finishReason })).stopReason;
  const call = { functionCall: { name: "f", args: {} } };

  test("F7 STOP is the end of the turn, or a use of tools where there are calls", () => {
    expect(said("STOP")).toBe("end_turn");
    expect(said("STOP", [{ text: "a" }, call])).toBe("tool_use");
    expect(said("STOP", [])).toBe("end_turn");
  });

  test("F81 MAX_TOKENS wins over calls", () => {
    expect(said("MAX_TOKENS", [call])).toBe("max_tokens");
  });

  test.each([
    "SAFETY",
    "RECITATION",
    "LANGUAGE",
    "BLOCKLIST",
    "PROHIBITED_CONTENT",
    "SPII",
    "IMAGE_SAFETY",
    "IMAGE_PROHIBITED_CONTENT",
    "IMAGE_RECITATION",
    "MODEL_ARMOR",
  ])("%s is filtered content", (reason) => {
    expect(said(reason, [])).toBe("content_filtered");
    expect(said(reason)).toBe("content_filtered");
  });

  test.each(["MALFORMED_FUNCTION_CALL", "UNEXPECTED_TOOL_CALL", "TOO_MANY_TOOL_CALLS"])(
    "assumes %s is a malformed use of tools, and shows what the model wrote",
    (finishReason) => {
      const body = answerOf([], { finishReason, candidate: { finishMessage: "Malformed function call: f(" } });
      expect(read(body)).toMatchObject({
        stopReason: "malformed_tool_use",
        output: { message: { content: [{ text: "Malformed function call: f(" }] } },
      });
    },
  );

  test("OTHER and words that are new count by what is there", () => {
    for (const reason of ["OTHER", "FINISH_REASON_UNSPECIFIED", "NO_IMAGE", "A_NEW_WORD", "constructor"]) {
      expect(said(reason)).toBe("end_turn");
      expect(said(reason, [])).toBe("malformed_model_output");
      expect(said(reason, [{ text: " " }])).toBe("malformed_model_output");
    }
  });
});

describe("blocked prompts", () => {
  test("are filtered content, and empty", () => {
    const body = {
      promptFeedback: { blockReason: "PROHIBITED_CONTENT" },
      usageMetadata: { promptTokenCount: 9, totalTokenCount: 9 },
      modelVersion: "gemini-3.7-flash",
    };
    expect(read(body)).toEqual({
      output: { message: { role: "assistant", content: [] } },
      stopReason: "content_filtered",
      usage: { inputTokens: 9, outputTokens: 0, totalTokens: 9 },
    });
  });

  test("feedback without a block is none", () => {
    expect(read(answerOf([{ text: "a" }], { promptFeedback: { safetyRatings: [] } })).stopReason).toBe("end_turn");
    expect(failed({ promptFeedback: { blockReason: "BLOCK_REASON_UNSPECIFIED" } }).error.type).toBe(
      "ModelErrorException",
    );
  });
});

describe("usage", () => {
  const usageOf = (usageMetadata: JsonObject) => read(answerOf([{ text: "12345678" }], { usageMetadata })).usage;

  test("F68 thoughts are added to the output", () => {
    expect(
      usageOf({ promptTokenCount: 29, candidatesTokenCount: 15, thoughtsTokenCount: 1801, totalTokenCount: 1845 }),
    ).toEqual({
      inputTokens: 29,
      outputTokens: 1816,
      totalTokens: 1845,
    });
  });

  test("cached tokens are taken out of the prompt's", () => {
    expect(usageOf({ promptTokenCount: 100, cachedContentTokenCount: 80, candidatesTokenCount: 5 })).toEqual({
      inputTokens: 20,
      outputTokens: 5,
      totalTokens: 105,
      cacheReadInputTokens: 80,
    });
  });

  test("F68 more cached than prompt is no negative number", () => {
    expect(usageOf({ promptTokenCount: 10, cachedContentTokenCount: 80 })).toMatchObject({ inputTokens: 0 });
  });

  test("tokens of Google's own tools are input beside the prompt", () => {
    const counts = {
      promptTokenCount: 55,
      candidatesTokenCount: 51,
      totalTokenCount: 251,
      toolUsePromptTokenCount: 89,
      thoughtsTokenCount: 56,
    };
    expect(usageOf(counts)).toEqual({ inputTokens: 144, outputTokens: 107, totalTokens: 251 });
  });

  test("F67 F74 without counts it is estimated", () => {
    for (const usageMetadata of [{}, { trafficType: "ON_DEMAND" }, { promptTokenCount: "7" }]) {
      const body = answerOf([{ text: "12345678" }], { usageMetadata });
      expect(decodeWhole(body)).toMatchObject({
        estimated: true,
        response: { usage: { inputTokens: 7, outputTokens: 2, totalTokens: 9 } },
      });
      expect(streamed([body]).estimated).toBe(true);
      read(body);
    }
  });

  test.each([
    [{ serviceTier: "standard" }, "default"],
    [{ serviceTier: "flex" }, "flex"],
    [{ trafficType: "ON_DEMAND_PRIORITY" }, "priority"],
    [{ trafficType: "PROVISIONED_THROUGHPUT" }, "reserved"],
  ])("%j is the tier %s", (tier, type) => {
    const body = answerOf([{ text: "a" }], { usageMetadata: { promptTokenCount: 1, ...tier } });
    expect(decoded(body).serviceTier).toEqual({ type });
    const events = streamed([body]).steps.flatMap((step) => step.events);
    expect(events.at(-1)).toMatchObject({ metadata: { serviceTier: { type } } });
  });
});

test("the client's response fields are members of Google's answer, without its content", () => {
  const memo = geminiMemo({
    responsePaths: ["/candidates/0/finishReason", "/modelVersion", "/candidates/0/content", "/no"],
  });
  expect(
    read(answerOf([{ text: "a" }], { modelVersion: "gemini-3-flash" }), memo).additionalModelResponseFields,
  ).toEqual({
    candidates: { "0": { finishReason: "STOP" } },
    modelVersion: "gemini-3-flash",
  });
});

test("stop sequences beyond Google's five cut the text", () => {
  const memo = geminiMemo({ stops: ["###"] });
  const body = answerOf([{ text: "one #" }, { text: "## two" }, { functionCall: { name: "f", args: {} } }]);
  const whole = decoded(body, memo);
  expect(whole).toMatchObject({ stopReason: "stop_sequence", output: { message: { content: [{ text: "one " }] } } });
  expect(collected([body], memo)).toMatchObject({ stopReason: "stop_sequence", blocks: [{ text: "one " }] });
});

describe("answers that are none", () => {
  test("F74 no candidates", () => {
    for (const body of [{}, { candidates: [] }, { candidates: null }, { usageMetadata: { promptTokenCount: 1 } }]) {
      expect(failed(body)).toMatchObject({ retry: "same_key", elsewhere: true });
      expect(failed(body).error.type).toBe("ModelErrorException");
    }
  });

  test("F70 no finish reason", () => {
    expect(failed(answerOf([{ text: "half" }], { finishReason: "" })).error.type).toBe("ModelErrorException");
  });

  test("a call without a name: nothing may run on a guess", () => {
    expect(failed(answerOf([{ functionCall: { args: {} } }])).error.type).toBe("ModelErrorException");
  });

  test("F69 an error in an answer of status 200", () => {
    const body = { error: { code: 503, message: "The model is overloaded.", status: "UNAVAILABLE" } };
    const failure = failed(body, geminiMemo({ target: geminiTarget() }));
    expect(failure.error).toMatchObject({ type: "ServiceUnavailableException", message: "The model is overloaded." });
  });
});
