import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { readConverse } from "../../../src/bedrock/converse-reader.ts";
import { BedrockError } from "../../../src/bedrock/errors.ts";
import { ai21Jamba } from "../../../src/bedrock/families/ai21.ts";
import { cohereCommand } from "../../../src/bedrock/families/cohere-command.ts";
import { cohereCommandR } from "../../../src/bedrock/families/cohere-command-r.ts";
import { cohereEmbed } from "../../../src/bedrock/families/cohere-embed.ts";
import { deepseek } from "../../../src/bedrock/families/deepseek.ts";
import type { Family } from "../../../src/bedrock/families/family.ts";
import { llama } from "../../../src/bedrock/families/llama.ts";
import { mistralChat, mistralPrompt } from "../../../src/bedrock/families/mistral.ts";
import { openaiChat } from "../../../src/bedrock/families/openai-chat.ts";
import { rerank } from "../../../src/bedrock/families/rerank.ts";
import { stability } from "../../../src/bedrock/families/stability.ts";
import { titanEmbed } from "../../../src/bedrock/families/titan-embed.ts";
import { titanImage } from "../../../src/bedrock/families/titan-image.ts";
import { titanText } from "../../../src/bedrock/families/titan-text.ts";
import type { JsonObject } from "../../../src/bedrock/json.ts";
import { jsonValue } from "../arbitraries.ts";
import { answerOf, chunksOf, context, eventsOf, stopReasons, textBlock } from "./exchanges.ts";

const call = { id: "a", type: "function", function: { name: "f", arguments: '{"x":1}' } };
const chatBody = {
  messages: [
    { role: "system", content: "Be brief." },
    { role: "user", content: "Hi" },
    { role: "assistant", content: "Hm", tool_calls: [call] },
    { role: "tool", tool_call_id: "a", content: "1" },
  ],
  tools: [{ type: "function", function: { name: "f", parameters: {} } }],
  tool_choice: "auto",
  max_tokens: 5,
  temperature: 1,
  stop: ["x"],
  response_format: { type: "json_object" },
};

const texts: readonly (readonly [family: Family, body: JsonObject])[] = [
  [titanText, { inputText: "Hi", textGenerationConfig: { maxTokenCount: 5, stopSequences: ["x"] } }],
  [llama, { prompt: "<|start_header_id|>user<|end_header_id|>\n\nHi<|eot_id|>", max_gen_len: 5, images: ["/9j/"] }],
  [mistralPrompt, { prompt: "<s>[INST] Hi [/INST]", max_tokens: 5, stop: ["x"], top_k: 5 }],
  [mistralChat, chatBody],
  [cohereCommand, { prompt: "Hi", max_tokens: 5, stop_sequences: ["x"], num_generations: 1 }],
  [
    cohereCommandR,
    {
      message: "Hi",
      chat_history: [
        { role: "USER", message: "Hi" },
        { role: "CHATBOT", message: "Ho", tool_calls: [{ name: "f", parameters: { x: 1 } }] },
      ],
      tools: [{ name: "f", description: "F", parameter_definitions: { x: { type: "list[int]", required: true } } }],
      tool_results: [{ call: { name: "f", parameters: { x: 1 } }, outputs: [{ y: 2 }] }],
    },
  ],
  [ai21Jamba, chatBody],
  [deepseek, { prompt: "<｜User｜>Hi<｜Assistant｜>", max_tokens: 5 }],
  [openaiChat, chatBody],
];
const others = [
  [titanEmbed, { inputText: "Hi", dimensions: 256, embeddingTypes: ["float"] }],
  [cohereEmbed, { texts: ["Hi"], input_type: "search_query", embedding_types: ["float"] }],
  [
    titanImage,
    {
      taskType: "TEXT_IMAGE",
      textToImageParams: { text: "Hi", negativeText: "Ho" },
      imageGenerationConfig: { numberOfImages: 1, quality: "standard", width: 512, height: 512, cfgScale: 8, seed: 1 },
    },
  ],
  [titanImage, { taskType: "IMAGE_VARIATION", imageVariationParams: { text: "Hi", images: ["/9j/"] } }],
  [stability, { prompt: "Hi", mode: "image-to-image", image: "/9j/", strength: 0.5, seed: 1, aspect_ratio: "1:1" }],
  [stability, { text_prompts: [{ text: "Hi", weight: 1 }], width: 512, height: 512, samples: 1, steps: 30 }],
  [rerank, { query: "Hi", documents: ["Ho"], top_n: 1, api_version: 2, max_tokens_per_doc: 100 }],
] as const;

/** The paths of every value in a body. */
function pathsOf(value: unknown): readonly (readonly string[])[] {
  if (typeof value !== "object" || value === null) return [[]];
  return [[], ...Object.entries(value).flatMap(([name, member]) => pathsOf(member).map((path) => [name, ...path]))];
}

/** The body as text, with the value at the path replaced. */
function replaced(body: unknown, [name, ...rest]: readonly string[], by: unknown): unknown {
  if (name === undefined || typeof body !== "object" || body === null) return by;
  const copy: unknown = structuredClone(body);
  return Object.assign(copy ?? {}, {
    [name]: replaced(Object.entries(body).find(([key]) => key === name)?.[1], rest, by),
  });
}

describe.each(texts.map(([family, body]) => [family.name, family, body] as const))("%s", (_name, family, body) => {
  test("makes Converse of its body", () => {
    const request: unknown = JSON.parse(JSON.stringify(family.read(body)));
    expect(readConverse(request, false)).toEqual(request);
  });

  test("reads a body with anything anywhere in it, or refuses it by a path", () => {
    const arbitrary = fc.record({ path: fc.constantFrom(...pathsOf(body).slice(1)), by: jsonValue });
    fc.assert(
      fc.property(arbitrary, ({ path, by }) => {
        const hostile: JsonObject = JSON.parse(JSON.stringify(replaced(body, path, by)));
        const request = readOrRefuse(family, hostile);
        if (request !== undefined) expect(readConverse(inRange(request), false)).toEqual(inRange(request));
      }),
      { numRuns: 300 },
    );
  });

  test("has a word for every stop reason, the same whole and streamed", () => {
    for (const reason of stopReasons) {
      const answer = JSON.stringify(family.write(answerOf([{ text: "x" }], reason), { ...context, body }));
      const word = /"(?:stop_reason|finish_reason|completionReason)":"(\w+)"/;
      const chunks = chunksOf(family, eventsOf([textBlock(["x"])], reason), { ...context, body });
      expect(word.exec(JSON.stringify(chunks.at(-1)))?.[1]).toBe(word.exec(answer)?.[1]);
      expect(answer).toMatch(word);
    }
  });
});

describe.each(others.map(([family, body]) => [family.name, family, body] as const))("%s", (_name, family, body) => {
  test("reads a body with anything anywhere in it, or refuses it by a path", () => {
    const arbitrary = fc.record({ path: fc.constantFrom(...pathsOf(body).slice(1)), by: jsonValue });
    fc.assert(
      fc.property(arbitrary, ({ path, by }) => {
        const hostile: JsonObject = JSON.parse(JSON.stringify(replaced(body, path, by)));
        readOrRefuse(family, hostile);
      }),
    );
  });
});

/** What the family reads; undefined when it refuses the body with a path. */
function readOrRefuse(family: { read(body: JsonObject): unknown }, body: JsonObject): unknown {
  try {
    return JSON.parse(JSON.stringify(family.read(body)));
  } catch (error) {
    if (!(error instanceof BedrockError)) throw error;
    expect(error.type).toBe("ValidationException");
    expect(error.message).toMatch(/^[\w.[\]"…-]+.*: /s);
    return undefined;
  }
}

/** A temperature that Converse has no room for is carried all the same; here it is beside the point. */
function inRange(request: unknown): unknown {
  return JSON.parse(JSON.stringify(request, (name, value: unknown) => (name === "temperature" ? 1 : value)));
}
