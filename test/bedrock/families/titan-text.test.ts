import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { metricsKey } from "../../../src/bedrock/families/family.ts";
import { titanText } from "../../../src/bedrock/families/titan-text.ts";
import {
  answerOf,
  call,
  callBlock,
  chunksOf,
  context,
  eventsOf,
  failure,
  joined,
  metrics,
  parse,
  reasoning,
  reasoningBlock,
  refusal,
  textBlock,
} from "./exchanges.ts";

describe("reading Titan's body", () => {
  test("makes one user's message of the text, and inference parameters of the configuration", () => {
    const request = titanText.read({
      inputText: "User: Hi\nBot:",
      textGenerationConfig: { maxTokenCount: 512, temperature: 0.7, topP: 0.9, stopSequences: ["User:"] },
    });
    expect(request).toEqual({
      messages: [{ role: "user", content: [{ text: "User: Hi\nBot:" }] }],
      inferenceConfig: { maxTokens: 512, temperature: 0.7, topP: 0.9, stopSequences: ["User:"] },
    });
  });

  test("makes nothing of a configuration that is missing, empty or null", () => {
    const messages = [{ role: "user", content: [{ text: "Hi" }] }];
    expect(titanText.read({ inputText: "Hi" })).toEqual({ messages });
    expect(titanText.read({ inputText: "Hi", textGenerationConfig: null })).toEqual({ messages });
    expect(titanText.read({ inputText: "Hi", textGenerationConfig: {} })).toEqual({ messages });
  });

  test("keeps what it does not know", () => {
    const request = titanText.read({ inputText: "Hi", seed: 7, extra: { deep: [1] }, none: null });
    expect(request.additionalModelRequestFields).toEqual({ seed: 7, extra: { deep: [1] } });
  });

  test.each([
    ["{}", "inputText: is required"],
    ['{"inputText":""}', "inputText: must not be empty"],
    ['{"inputText":["Hi"]}', "inputText: must be a string, not a list"],
    ['{"inputText":"Hi","textGenerationConfig":[]}', "textGenerationConfig: must be an object"],
    ['{"inputText":"Hi","textGenerationConfig":{"maxTokenCount":0}}', "textGenerationConfig.maxTokenCount: must be"],
    ['{"inputText":"Hi","textGenerationConfig":{"maxTokenCount":"9"}}', "textGenerationConfig.maxTokenCount: must be"],
    ['{"inputText":"Hi","textGenerationConfig":{"temperature":1e999}}', "textGenerationConfig.temperature: must be"],
    ['{"inputText":"Hi","textGenerationConfig":{"temperature":-1}}', "textGenerationConfig.temperature: must be from"],
    ['{"inputText":"Hi","textGenerationConfig":{"topP":2}}', "textGenerationConfig.topP: must be from 0 to 1"],
    ['{"inputText":"Hi","textGenerationConfig":{"stopSequences":"x"}}', "textGenerationConfig.stopSequences: must be"],
    ['{"inputText":"Hi","textGenerationConfig":{"stopSequences":[""]}}', "textGenerationConfig.stopSequences[0]:"],
    ['{"inputText":"Hi","textGenerationConfig":{"topK":4}}', "textGenerationConfig.topK: is not a field known here"],
    ['{"inputText":"Hi","__proto__":{}}', "__proto__: is a name that is not accepted"],
    ['{"inputText":"Hi","more":{"__proto__":{}}}', "more.__proto__: is a name"],
  ])("refuses %s by path", (body, message) => {
    expect(refusal(titanText, parse(body))).toContain(message);
  });
});

describe("writing Titan's answer", () => {
  test("has Titan's shape, and counts the cached tokens of the prompt", () => {
    expect(titanText.write(answerOf([{ text: "Bonjour" }, { text: "!" }]), context)).toEqual({
      inputTextTokenCount: 12,
      results: [{ tokenCount: 5, outputText: "Bonjour!", completionReason: "FINISH" }],
    });
  });

  test.each([
    ["end_turn", "FINISH"],
    ["max_tokens", "LENGTH"],
    ["model_context_window_exceeded", "LENGTH"],
    ["stop_sequence", "STOP_CRITERIA_MET"],
    ["content_filtered", "CONTENT_FILTERED"],
    ["guardrail_intervened", "FINISH"],
    ["tool_use", "FINISH"],
  ] as const)("says why it ended: %s is %s", (reason, word) => {
    const answer = titanText.write(answerOf([{ text: "x" }], reason), context);
    expect(answer).toMatchObject({ results: [{ completionReason: word }] });
  });

  test("tells of a guardrail beside the answer", () => {
    const answer = titanText.write(answerOf([{ text: "No." }], "guardrail_intervened"), context);
    expect(answer).toMatchObject({ "amazon-bedrock-guardrailAction": "INTERVENED" });
  });

  test("leaves reasoning and citations out of the text", () => {
    const cited = { citationsContent: { content: [{ text: "Ulm" }], citations: [{ title: "Atlas" }] } };
    const answer = titanText.write(answerOf([reasoning, { text: "In " }, cited]), context);
    expect(answer).toMatchObject({ results: [{ outputText: "In Ulm" }] });
  });

  test("fails on a tool call, which it has no form for", () => {
    const error = failure(() => titanText.write(answerOf([call], "tool_use"), context));
    expect(error.type).toBe("ModelErrorException");
    expect(error.message).toContain("toolUse");
  });
});

describe("streaming Titan's answer", () => {
  test("is a chunk for each piece, and a last one with the counts and the metrics", () => {
    expect(chunksOf(titanText, eventsOf([textBlock(["Bon", "", "jour"])], "max_tokens"))).toEqual([
      {
        outputText: "Bon",
        index: 0,
        totalOutputTextTokenCount: null,
        completionReason: null,
        inputTextTokenCount: null,
      },
      {
        outputText: "jour",
        index: 0,
        totalOutputTextTokenCount: null,
        completionReason: null,
        inputTextTokenCount: null,
      },
      {
        outputText: "",
        index: 0,
        totalOutputTextTokenCount: 5,
        completionReason: "LENGTH",
        inputTextTokenCount: 12,
        [metricsKey]: metrics,
      },
    ]);
  });

  test("leaves reasoning out", () => {
    const chunks = chunksOf(titanText, eventsOf([reasoningBlock(["Hm", "."]), textBlock(["Yes"], 1)]));
    expect(chunks.map((chunk) => chunk.outputText)).toEqual(["Yes", ""]);
  });

  test("fails on a tool call when it begins", () => {
    const error = failure(() => chunksOf(titanText, eventsOf([callBlock("call_1", "weather", ["{}"])], "tool_use")));
    expect(error.type).toBe("ModelErrorException");
  });

  test("does not end well without a stop reason", () => {
    const error = failure(() => chunksOf(titanText, eventsOf([textBlock(["Bon"])]).slice(0, 2)));
    expect(error.type).toBe("ModelStreamErrorException");
  });

  test("says the same as the whole answer, however the text is cut", () => {
    fc.assert(
      fc.property(fc.array(fc.string({ unit: "binary" })), (pieces) => {
        const streamed = joined(chunksOf(titanText, eventsOf([textBlock(pieces)])), "outputText");
        const whole = titanText.write(answerOf([{ text: pieces.join("") }]), context);
        expect(whole).toMatchObject({ results: [{ outputText: streamed }] });
      }),
    );
  });
});
