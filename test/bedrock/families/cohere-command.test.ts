import { describe, expect, test } from "vitest";
import { cohereCommand } from "../../../src/bedrock/families/cohere-command.ts";
import { metricsKey } from "../../../src/bedrock/families/family.ts";
import {
  answerOf,
  call,
  chunksOf,
  context,
  eventsOf,
  failure,
  metrics,
  parse,
  refusal,
  textBlock,
} from "./exchanges.ts";

describe("reading Cohere Command's body", () => {
  test("takes Cohere's names, and keeps what Converse has no member for", () => {
    const request = cohereCommand.read({
      prompt: "Hi </s>",
      max_tokens: 20,
      temperature: 4.5,
      p: 0.7,
      k: 50,
      stop_sequences: ["END"],
      return_likelihoods: "NONE",
      num_generations: 1,
      logit_bias: { "7": -1 },
      truncate: "END",
      stream: true,
    });
    expect(request).toEqual({
      messages: [{ role: "user", content: [{ text: "Hi </s>" }] }],
      inferenceConfig: { maxTokens: 20, temperature: 4.5, topP: 0.7, stopSequences: ["END"] },
      additionalModelRequestFields: { k: 50, logit_bias: { "7": -1 }, truncate: "END" },
    });
  });

  test.each([
    ["{}", "prompt: is required"],
    ['{"prompt":"Hi","num_generations":2}', "num_generations: must be 1"],
    ['{"prompt":"Hi","num_generations":0}', "num_generations: must be at least 1"],
    ['{"prompt":"Hi","return_likelihoods":"ALL"}', "return_likelihoods: must be NONE"],
    ['{"prompt":"Hi","return_likelihoods":true}', "return_likelihoods: must be a string"],
    ['{"prompt":"Hi","temperature":5.1}', "temperature: must be from 0 to 5"],
    ['{"prompt":"Hi","stream":"yes"}', "stream: must be true or false"],
  ])("refuses %s by path", (body, message) => {
    expect(refusal(cohereCommand, parse(body))).toContain(message);
  });
});

const about = { ...context, body: { prompt: "Hi", stream: true } };
const wholeAnswer = {
  id: context.requestId,
  generations: [{ id: `${context.requestId}-0`, text: "Hello", finish_reason: "COMPLETE" }],
  prompt: "Hi",
};

describe("writing Cohere Command's answer", () => {
  test("has Cohere's shape, and repeats the prompt", () => {
    expect(cohereCommand.write(answerOf([{ text: "Hello" }]), about)).toEqual(wholeAnswer);
  });

  test.each([
    ["stop_sequence", "COMPLETE"],
    ["max_tokens", "MAX_TOKENS"],
    ["content_filtered", "ERROR_TOXIC"],
  ] as const)("says why it ended: %s is %s", (reason, word) => {
    const answer = cohereCommand.write(answerOf([{ text: "x" }], reason), about);
    expect(answer).toMatchObject({ generations: [{ finish_reason: word }] });
  });

  test("fails on a tool call", () => {
    expect(failure(() => cohereCommand.write(answerOf([call]), about)).type).toBe("ModelErrorException");
  });
});

describe("streaming Cohere Command's answer", () => {
  test("is pieces when the body asks for them", () => {
    expect(chunksOf(cohereCommand, eventsOf([textBlock(["Hel", "lo"])]), about)).toEqual([
      { text: "Hel", is_finished: false, index: 0 },
      { text: "lo", is_finished: false, index: 0 },
      { is_finished: true, finish_reason: "COMPLETE", [metricsKey]: metrics },
    ]);
  });

  test("is the whole answer in one chunk when it does not", () => {
    const quiet = { ...context, body: { prompt: "Hi" } };
    expect(chunksOf(cohereCommand, eventsOf([textBlock(["Hel", "lo"])]), quiet)).toEqual([
      { ...wholeAnswer, [metricsKey]: metrics },
    ]);
  });

  test("fails before its end on what it has no form for", () => {
    const quiet = { ...context, body: { prompt: "Hi" } };
    const image = { contentBlockStart: { contentBlockIndex: 0, start: { image: { format: "png" as const } } } };
    expect(failure(() => cohereCommand.stream(quiet).push(image)).type).toBe("ModelErrorException");
  });
});
