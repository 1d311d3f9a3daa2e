import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { BedrockError } from "../../../src/bedrock/errors.ts";
import {
  chooseFamily,
  embeddingFamilies,
  imageFamilies,
  rerankFamilies,
  textFamilies,
} from "../../../src/bedrock/families/index.ts";
import type { JsonObject } from "../../../src/bedrock/json.ts";
import { jsonObject } from "../arbitraries.ts";
import { refusal } from "./support.ts";

const messages = [{ role: "user", content: "hi" }];

describe("a Bedrock model id", () => {
  test.each([
    ["anthropic.claude-3-5-sonnet-20241022-v2:0", { messages }, "anthropic-messages"],
    ["anthropic.claude-v2:1", { prompt: "\n\nHuman: hi" }, "anthropic-text"],
    ["anthropic.claude-v2:1", {}, "anthropic-messages"],
    ["amazon.nova-micro-v1:0", { messages }, "nova"],
    ["amazon.nova-2-lite-v1:0", { messages }, "nova"],
    ["amazon.titan-text-express-v1", { inputText: "a" }, "titan-text"],
    ["amazon.titan-tg1-large", { inputText: "a" }, "titan-text"],
    ["amazon.titan-embed-text-v2:0", { inputText: "a" }, "titan-embed"],
    ["meta.llama3-1-8b-instruct-v1:0", { prompt: "a" }, "llama"],
    ["mistral.mistral-7b-instruct-v0:2", { prompt: "a" }, "mistral-prompt"],
    ["mistral.mistral-large-2407-v1:0", { messages }, "mistral-chat"],
    ["cohere.command-text-v14", { prompt: "a" }, "cohere-command"],
    ["cohere.command-r-v1:0", { message: "a" }, "cohere-command-r"],
    ["cohere.command-r-plus-v1:0", {}, "cohere-command-r"],
    ["cohere.embed-english-v3", { texts: ["a"] }, "cohere-embed"],
    ["ai21.jamba-1-5-mini-v1:0", { messages }, "ai21-jamba"],
    ["deepseek.r1-v1:0", { prompt: "a" }, "deepseek"],
    ["deepseek.v3-v1:0", { messages }, "openai-chat"],
    ["openai.gpt-oss-20b-1:0", { messages }, "openai-chat"],
    ["qwen.qwen3-32b-v1:0", { messages }, "openai-chat"],
    ["moonshot.kimi-k2-thinking", { messages }, "openai-chat"],
    ["moonshotai.kimi-k2.5", { messages }, "openai-chat"],
    ["minimax.minimax-m2", { messages }, "openai-chat"],
    ["zai.glm-4.7", { messages }, "openai-chat"],
    ["google.gemma-3-4b-it", { messages }, "openai-chat"],
    ["nvidia.nemotron-nano-9b-v2", { messages }, "openai-chat"],
    ["writer.palmyra-x5-v1:0", { messages }, "openai-chat"],
    ["amazon.titan-image-generator-v2:0", { taskType: "TEXT_IMAGE" }, "titan-image"],
    ["amazon.nova-canvas-v1:0", { taskType: "TEXT_IMAGE" }, "titan-image"],
    ["stability.sd3-large-v1:0", { prompt: "a cat", mode: "text-to-image" }, "stability"],
    ["stability.stable-diffusion-xl-v1", { text_prompts: [] }, "stability"],
    ["cohere.rerank-v3-5:0", { query: "a", texts: [] }, "rerank"],
    ["amazon.rerank-v1:0", { query: "a", documents: ["b"] }, "rerank"],
  ] as const)("%s with %j is %s", (modelId, body, name) => {
    expect(chooseFamily(modelId, body, false).name).toBe(name);
  });

  test.each(["us", "eu", "apac", "au", "jp", "in", "ca", "sa", "us-gov", "global"])(
    "may begin with the region %s, and stand in an ARN",
    (region) => {
      const profile = `${region}.meta.llama3-1-8b-instruct-v1:0`;
      const arn = `arn:aws:bedrock:us-east-1:123456789012:inference-profile/${profile}`;
      for (const id of [profile, arn]) expect(chooseFamily(id, { prompt: "a" }, false).name).toBe("llama");
    },
  );

  test("may be a foundation model's ARN, or have its region before it", () => {
    const arn = "arn:aws:bedrock:us-east-1::foundation-model/anthropic.claude-3-haiku-20240307-v1:0";
    expect(chooseFamily(arn, { messages }, false).name).toBe("anthropic-messages");
    expect(chooseFamily("us-east-1/amazon.nova-pro-v1:0", { messages }, false).name).toBe("nova");
  });

  test("decides even when the body looks like another's", () => {
    const body = { anthropic_version: "x", schemaVersion: "messages-v1", messages };
    expect(chooseFamily("openai.gpt-oss-20b-1:0", body, false).name).toBe("openai-chat");
  });

  test.each([
    ["amazon.nova-2-multimodal-embeddings-v1:0", { taskType: "SINGLE_EMBEDDING" }],
    ["amazon.nova-reel-v1:0", { taskType: "TEXT_VIDEO" }],
    ["ai21.j2-ultra-v1", { prompt: "a", max_tokens_to_sample: 1 }],
  ])("of a model without a family here is refused by name, whatever the body: %s", (modelId, body) => {
    expect(refusal(() => chooseFamily(modelId, body, false))).toContain(modelId);
  });
});

describe("a model id that says nothing", () => {
  const ids: readonly (readonly [modelId: string, foreign: boolean])[] = [
    ["m", false],
    ["whatever:1", false],
    ["arn:aws:bedrock:us-east-1:123456789012:application-inference-profile/a1b2c3d4", false],
    ["arn:aws:bedrock:us-east-1:123456789012:imported-model/x1y2", false],
    ["openai/gpt-4o", true],
    // Another provider's model may be called like one of Bedrock's.
    ["my-vllm/meta.llama3-8b", true],
  ];
  const bodies: readonly (readonly [JsonObject, string])[] = [
    [{ anthropic_version: "bedrock-2023-05-31", max_tokens: 1, messages }, "anthropic-messages"],
    [{ anthropic_version: "bedrock-2023-05-31", messages }, "anthropic-messages"],
    [{ anthropic_version: "bedrock-2023-05-31", max_tokens: 1 }, "anthropic-messages"],
    [{ anthropic_version: "bedrock-2023-05-31", prompt: "a" }, "anthropic-text"],
    [{ max_tokens: 1, messages }, "anthropic-messages"],
    [{ max_tokens: 1, messages: [{ role: "user", content: [{ type: "text", text: "a" }] }] }, "anthropic-messages"],
    [{ prompt: "\n\nHuman: a", max_tokens_to_sample: 1 }, "anthropic-text"],
    [{ anthropic_version: "x", prompt: "\n\nHuman: a", max_tokens_to_sample: 1 }, "anthropic-text"],
    [{ schemaVersion: "messages-v1", messages }, "nova"],
    [{ messages, inferenceConfig: { maxTokens: 1 } }, "nova"],
    [{ inputText: "a", textGenerationConfig: {} }, "titan-text"],
    [{ inputText: "a" }, "titan-text"],
    [{ inputText: "a", dimensions: 256 }, "titan-embed"],
    [{ inputText: "a", normalize: true }, "titan-embed"],
    [{ inputText: "a", embeddingTypes: ["float"] }, "titan-embed"],
    [{ texts: ["a"], input_type: "search_query" }, "cohere-embed"],
    [{ prompt: "a", max_gen_len: 1 }, "llama"],
    [{ message: "a" }, "cohere-command-r"],
    [{ taskType: "TEXT_IMAGE", textToImageParams: { text: "a" } }, "titan-image"],
    [{ taskType: "IMAGE_VARIATION", imageVariationParams: {} }, "titan-image"],
    [{ text_prompts: [{ text: "a" }] }, "stability"],
    [{ prompt: "a", mode: "text-to-image" }, "stability"],
    [{ prompt: "a", aspect_ratio: "1:1" }, "stability"],
    [{ query: "a", documents: ["b"] }, "rerank"],
    [{ messages, max_completion_tokens: 1 }, "openai-chat"],
    [{ messages: [{ role: "system", content: "a" }, ...messages], max_tokens: 1 }, "openai-chat"],
    [{ messages: [...messages, { role: "tool", tool_call_id: "t", content: "r" }], max_tokens: 1 }, "openai-chat"],
    [{ messages: [...messages, { role: "assistant", tool_calls: [] }], max_tokens: 1 }, "openai-chat"],
    [{ messages, max_tokens: 1, tools: [{ type: "function", function: { name: "f" } }] }, "openai-chat"],
    [
      { messages: [{ role: "user", content: [{ type: "image_url", image_url: { url: "data:" } }] }], max_tokens: 1 },
      "openai-chat",
    ],
  ];

  test.each(bodies)("leaves it to the body's shape: %j is %s", (body, name) => {
    for (const [modelId, foreign] of ids) expect(chooseFamily(modelId, body, foreign).name).toBe(name);
  });

  test("still tells an embedding model, and Mistral's two forms", () => {
    expect(chooseFamily("openai/text-embedding-3-small", { inputText: "a" }, true).name).toBe("titan-embed");
    expect(chooseFamily("mistral/mistral-large-latest", { prompt: "a" }, true).name).toBe("mistral-prompt");
    expect(chooseFamily("ollama/Mistral:7b", { prompt: "a" }, true).name).toBe("mistral-prompt");
    expect(chooseFamily("mistral/mistral-large-latest", { messages, stop: ["a"] }, true).name).toBe("mistral-chat");
  });

  test.each([
    [{ prompt: "a" }],
    [{ prompt: "a", max_tokens: 1, temperature: 0.5 }],
    [{ messages }],
    [{}],
    [{ taskType: "TEXT_IMAGE" }],
    [{ query: "a" }],
    [{ prompt: null, messages: null, inputText: null }],
  ])("is refused by name when the body is ambiguous: %j", (body) => {
    for (const [modelId, foreign] of ids) {
      const said = refusal(() => chooseFamily(modelId, body, foreign));
      expect(said).toContain(modelId.slice(0, 60));
      expect(said.length).toBeLessThan(300);
    }
  });

  test("is refused in few words even when it is very long", () => {
    expect(refusal(() => chooseFamily("x".repeat(100_000), {}, true)).length).toBeLessThan(300);
  });
});

describe("any id and body", () => {
  test("have a family, or are refused as a ValidationException", () => {
    const all: readonly unknown[] = [...textFamilies, ...embeddingFamilies, ...imageFamilies, ...rerankFamilies];
    fc.assert(
      fc.property(fc.string(), jsonObject, fc.boolean(), (modelId, body, foreign) => {
        try {
          expect(all).toContain(chooseFamily(modelId, body, foreign));
        } catch (error) {
          if (!(error instanceof BedrockError)) throw error;
          expect(error.type).toBe("ValidationException");
        }
      }),
    );
  });

  test("members of a prototype are no members of the body", () => {
    const body: JsonObject = JSON.parse('{"__proto__": {"max_gen_len": 1}, "prompt": "a"}');
    expect(refusal(() => chooseFamily("m", body, false))).toContain("`prompt`");
  });
});
