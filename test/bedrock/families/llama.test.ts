import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { metricsKey } from "../../../src/bedrock/families/family.ts";
import { llama } from "../../../src/bedrock/families/llama.ts";
import {
  answerOf,
  call,
  chunksOf,
  context,
  eventsOf,
  failure,
  joined,
  metrics,
  parse,
  refusal,
  textBlock,
} from "./exchanges.ts";

const png = "iVBORw0KGgoAAAANSUhEUg==";
const jpeg = "/9j/4AAQSkZJRg==";

describe("reading Llama's body", () => {
  test("takes the template apart, and the parameters by Llama's names", () => {
    const request = llama.read({
      prompt:
        "<|begin_of_text|><|start_header_id|>system<|end_header_id|>\n\nBe brief.<|eot_id|><|start_header_id|>user<|end_header_id|>\n\nHi<|eot_id|><|start_header_id|>assistant<|end_header_id|>\n\n",
      max_gen_len: 512,
      temperature: 0.5,
      top_p: 0.9,
      top_k: 40,
    });
    expect(request).toEqual({
      system: [{ text: "Be brief." }],
      messages: [{ role: "user", content: [{ text: "Hi" }] }],
      inferenceConfig: { maxTokens: 512, temperature: 0.5, topP: 0.9 },
      additionalModelRequestFields: { top_k: 40 },
    });
  });

  test("puts images before the text when the prompt does not say where", () => {
    const { messages } = llama.read({ prompt: "What is this?", images: [png, jpeg] });
    expect(messages).toEqual([
      {
        role: "user",
        content: [
          { image: { format: "png", source: { bytes: png } } },
          { image: { format: "jpeg", source: { bytes: jpeg } } },
          { text: "What is this?" },
        ],
      },
    ]);
  });

  test("puts images where the prompt says", () => {
    const { messages } = llama.read({ prompt: "Compare <|image|> and <|image|>.", images: [png, jpeg] });
    expect(messages[0]?.content).toEqual([
      { text: "Compare " },
      { image: { format: "png", source: { bytes: png } } },
      { text: " and " },
      { image: { format: "jpeg", source: { bytes: jpeg } } },
      { text: "." },
    ]);
  });

  test.each([
    ["{}", "prompt: is required"],
    ['{"prompt":""}', "prompt: must not be empty"],
    ['{"prompt":"<|eot_id|>"}', "prompt: must not be empty"],
    ['{"prompt":{}}', "prompt: must be a string, not an object"],
    ['{"prompt":"Hi","max_gen_len":0}', "max_gen_len: must be at least 1"],
    ['{"prompt":"Hi","temperature":"hot"}', "temperature: must be a number"],
    ['{"prompt":"Hi","top_p":1.1}', "top_p: must be from 0 to 1"],
    ['{"prompt":"Hi","images":"AA=="}', "images: must be a list"],
    ['{"prompt":"Hi","images":["AA=="]}', "images[0]: must be base64 of a png, jpeg, gif or webp image"],
    ['{"prompt":"Hi <|image|> <|image|>","images":["/9j/"]}', "images: must be as many as the prompt has"],
  ])("refuses %s by path", (body, message) => {
    expect(refusal(llama, parse(body))).toContain(message);
  });
});

describe("writing Llama's answer", () => {
  test("has Llama's shape", () => {
    expect(llama.write(answerOf([{ text: "Hello" }]), context)).toEqual({
      generation: "Hello",
      prompt_token_count: 12,
      generation_token_count: 5,
      stop_reason: "stop",
    });
  });

  test.each([
    ["max_tokens", "length"],
    ["stop_sequence", "stop"],
    ["tool_use", "stop"],
    ["content_filtered", "content_filter"],
    ["malformed_model_output", "stop"],
  ] as const)("says why it ended: %s is %s", (reason, word) => {
    expect(llama.write(answerOf([{ text: "x" }], reason), context)).toMatchObject({ stop_reason: word });
  });

  test("fails on a tool call and on an image", () => {
    expect(failure(() => llama.write(answerOf([call]), context)).type).toBe("ModelErrorException");
    const image = { image: { format: "png" as const, source: { bytes: png } } };
    expect(failure(() => llama.write(answerOf([image]), context)).message).toContain("image");
  });
});

describe("streaming Llama's answer", () => {
  test("has the same members in each chunk, null until they are known", () => {
    expect(chunksOf(llama, eventsOf([textBlock(["Hel", "lo"])]))).toEqual([
      { generation: "Hel", prompt_token_count: null, generation_token_count: null, stop_reason: null },
      { generation: "lo", prompt_token_count: null, generation_token_count: null, stop_reason: null },
      {
        generation: "",
        prompt_token_count: 12,
        generation_token_count: 5,
        stop_reason: "stop",
        [metricsKey]: metrics,
      },
    ]);
  });

  test("says the same as the whole answer, however the text is cut", () => {
    fc.assert(
      fc.property(fc.array(fc.string({ unit: "binary" })), (pieces) => {
        const streamed = joined(chunksOf(llama, eventsOf([textBlock(pieces)])), "generation");
        expect(llama.write(answerOf([{ text: pieces.join("") }]), context).generation).toBe(streamed);
      }),
    );
  });
});
