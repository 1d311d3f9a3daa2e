/** Any Converse request is either refused by the path of a field, or becomes one Google takes, with nothing lost. */
import fc from "fast-check";
import { expect, test } from "vitest";
import type { ContentBlock, ConverseRequest, Message, ToolResultContent } from "../../../src/bedrock/converse.ts";
import { BedrockError } from "../../../src/bedrock/errors.ts";
import { isJsonObject, type JsonObject, type JsonValue } from "../../../src/bedrock/json.ts";
import type { Encoded, Target } from "../../../src/providers/dialect.ts";
import { gemini } from "../../../src/providers/gemini/gemini.ts";
import { wrapSignature } from "../../../src/providers/provenance.ts";
import { converseRequest, jsonObject, jsonValue, name, text } from "../../bedrock/arbitraries.ts";
import { encoded, geminiTarget, vertexTarget } from "./support.ts";

const targets: readonly Target[] = [
  geminiTarget("gemini-3-flash-preview"),
  geminiTarget("gemini-2.5-flash", { streaming: true }),
  geminiTarget("gemma-3-27b-it"),
  vertexTarget("gemini-3.1-pro-preview"),
  vertexTarget("gemini-2.5-pro"),
];
const target = fc.constantFrom(...targets);

/** Undefined when it was refused as a request may be. */
function tryEncode(request: ConverseRequest, to: Target): (Encoded & { readonly json: JsonObject }) | undefined {
  try {
    return encoded(request, to);
  } catch (error) {
    if (!(error instanceof BedrockError)) throw error;
    expect(error.type).toBe("ValidationException");
    expect(error.message).toMatch(/^[a-zA-Z][\w-]*(?:\[\d+\]|\["(?:[^"\\]|\\.)*…?"\]|\.[\w-]+…?)*: ./s);
    return undefined;
  }
}

test("whatever the service model allows", () => {
  fc.assert(
    fc.property(converseRequest, target, (request, to) => {
      const first = tryEncode(request, to);
      if (first !== undefined) expect(gemini.encode(request, to).request.body).toBe(first.request.body);
    }),
    { numRuns: 200 },
  );
});

// Conversations that mostly can be carried

const base64 = fc.base64String({ minLength: 4, maxLength: 12 });
const image = fc.record({
  image: fc.record({ format: fc.constantFrom("png", "jpeg", "webp"), source: fc.record({ bytes: base64 }) }),
});
const document: fc.Arbitrary<{ document: Extract<ContentBlock, { document: unknown }>["document"] }> = fc.record({
  document: fc.record(
    {
      format: fc.constantFrom("txt", "md", "csv", "html"),
      name,
      source: fc.oneof(
        fc.record({ text }),
        fc.record({ content: fc.array(fc.record({ text }), { minLength: 1, maxLength: 2 }) }),
      ),
      context: text,
    },
    { requiredKeys: ["format", "name", "source"] },
  ),
});
const searchResult = fc.record({
  searchResult: fc.record({
    source: text,
    title: text,
    content: fc.array(fc.record({ text }), { minLength: 1, maxLength: 2 }),
  }),
});
const textBlock = fc.record({ text });
const callId = fc.constantFrom("a", "b", "c", "weird.id:1");
const toolName = fc.constantFrom("weather", "9lives", "mcp/server:tool", "x".repeat(64));
const toolUse = fc.record({ toolUse: fc.record({ toolUseId: callId, name: toolName, input: jsonObject }) });
const resultContent: fc.Arbitrary<ToolResultContent> = fc.oneof(
  textBlock,
  fc.record({ json: jsonValue.filter((value) => value !== null) }),
  image,
  document,
  searchResult,
);
const toolResult = fc.record({
  toolResult: fc.record(
    {
      toolUseId: callId,
      content: fc.array(resultContent, { maxLength: 3 }),
      status: fc.constantFrom("success", "error"),
    },
    { requiredKeys: ["toolUseId", "content"] },
  ),
});
const reasoning = fc
  .tuple(text, fc.constantFrom("own:c2ln", "next:c2ln", "last:c2ln", "unknown"), fc.constantFrom(...targets, undefined))
  .map(([words, blob, by]) => ({
    reasoningContent: {
      reasoningText: {
        text: words,
        ...(by !== undefined && {
          signature: wrapSignature(by.kind === "vertex" ? "gemini-vertex" : "gemini", by, blob),
        }),
      },
    },
  }));
const message: fc.Arbitrary<Message> = fc.oneof(
  fc.record({
    role: fc.constant("user" as const),
    content: fc.array(fc.oneof(textBlock, toolResult, image, document, searchResult), { minLength: 1, maxLength: 4 }),
  }),
  fc.record({
    role: fc.constant("assistant" as const),
    content: fc.array(fc.oneof(textBlock, toolUse, reasoning, image), { minLength: 1, maxLength: 4 }),
  }),
  fc.record({ role: fc.constant("system" as const), content: fc.array(textBlock, { minLength: 1, maxLength: 2 }) }),
);
const tool = fc.record({
  toolSpec: fc.record(
    {
      name: toolName,
      description: name,
      inputSchema: fc.record({ json: jsonObject.map((properties) => ({ type: "object", properties })) }),
      strict: fc.boolean(),
    },
    { requiredKeys: ["name", "inputSchema"] },
  ),
});
const conversation: fc.Arbitrary<ConverseRequest> = fc.record(
  {
    messages: fc.array(message, { minLength: 1, maxLength: 6 }),
    system: fc.array(fc.record({ text: name }), { maxLength: 2 }),
    toolConfig: fc.record(
      {
        tools: fc.uniqueArray(tool, { minLength: 1, maxLength: 3, selector: ({ toolSpec }) => toolSpec.name }),
        toolChoice: fc.constantFrom({ auto: {} }, { any: {} }),
      },
      { requiredKeys: ["tools"] },
    ),
    inferenceConfig: fc.record(
      { maxTokens: fc.integer({ min: 1, max: 100_000 }), temperature: fc.double({ min: 0, max: 5, noNaN: true }) },
      { requiredKeys: [] },
    ),
    outputConfig: fc.record(
      {
        effort: fc.constantFrom("low", "medium", "max"),
        textFormat: jsonObject.map((properties) => ({
          type: "json_schema" as const,
          structure: { jsonSchema: { schema: JSON.stringify({ type: "object", properties }) } },
        })),
      },
      { requiredKeys: [] },
    ),
  },
  { requiredKeys: ["messages"] },
);

test("nothing of a conversation is lost: texts, names, inputs and results are in the body, or listed", () => {
  let carried = 0;
  fc.assert(
    fc.property(conversation, target, (request, to) => {
      const result = tryEncode(request, to);
      if (result === undefined) return;
      carried++;
      const sent = collectSent(result.json);
      const lost = wanted(request).filter(
        ({ value, path }) => !result.ignored.some((ignored) => path.startsWith(ignored)) && !sent.has(value),
      );
      expect(lost).toEqual([]);
    }),
    { numRuns: 300 },
  );
  expect(carried).toBeGreaterThan(150);
});

interface Wanted {
  readonly path: string;
  readonly value: string;
}

/** What of a request must arrive. Blank text says nothing and may stay behind. */
function wanted({ messages, system = [], toolConfig }: ConverseRequest): readonly Wanted[] {
  const found: Wanted[] = [];
  const add = (path: string, value: string) => {
    if (value.trim() !== "") found.push({ path, value });
  };
  for (const [index, block] of system.entries()) if ("text" in block) add(`system[${index}]`, block.text);
  for (const [index, { content }] of messages.entries()) {
    for (const [place, block] of content.entries()) {
      const path = `messages[${index}].content[${place}]`;
      if ("text" in block) add(path, block.text);
      if ("document" in block) addDocument(block, path, add);
      if ("searchResult" in block) for (const part of block.searchResult.content) add(path, part.text);
      if ("image" in block && "bytes" in block.image.source) add(path, block.image.source.bytes);
      if ("toolUse" in block) add(path, JSON.stringify(block.toolUse.input));
      if ("toolResult" in block) {
        const at = `${path}.toolResult`;
        for (const part of block.toolResult.content) {
          if ("text" in part) add(at, part.text);
          if ("json" in part) add(at, typeof part.json === "string" ? part.json : JSON.stringify(part.json));
          if ("document" in part) addDocument(part, at, add);
          if ("image" in part && "bytes" in part.image.source) add(at, part.image.source.bytes);
        }
      }
    }
  }
  for (const [index, one] of (toolConfig?.tools ?? []).entries()) {
    if (!("toolSpec" in one)) continue;
    const { description = "", inputSchema } = one.toolSpec;
    add(`toolConfig.tools[${index}]`, description);
    add(`toolConfig.tools[${index}]`, JSON.stringify(inputSchema.json));
  }
  return found;
}

function addDocument(
  { document: { source, context = "" } }: Extract<ContentBlock, { document: unknown }>,
  path: string,
  add: (path: string, value: string) => void,
): void {
  add(path, context);
  if ("text" in source) add(path, source.text);
  if ("content" in source) for (const part of source.content) add(path, part.text);
}

/** All that a body says: its texts, its text documents, and the JSON of its values. */
class Sent {
  readonly #texts: string[] = [];
  readonly #json = new Set<string>();

  add(value: JsonValue): void {
    if (typeof value === "string") this.#texts.push(value);
    this.#json.add(JSON.stringify(value));
    if (isJsonObject(value) && value.mimeType === "text/plain" && typeof value.data === "string") {
      this.#texts.push(Buffer.from(value.data, "base64").toString());
    }
    if (typeof value === "object" && value !== null) for (const member of Object.values(value)) this.add(member);
  }

  has(wanted: string): boolean {
    // A result without its call stands as JSON text.
    const quoted = JSON.stringify(wanted);
    return this.#json.has(wanted) || this.#texts.some((sent) => sent.includes(wanted) || sent.includes(quoted));
  }
}

function collectSent(body: JsonObject): Sent {
  const sent = new Sent();
  sent.add(body);
  return sent;
}
