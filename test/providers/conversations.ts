/** Generated conversations that most providers can carry, and the proof that nothing of them is lost. */
import fc from "fast-check";
import { expect } from "vitest";
import type { ContentBlock, ConverseRequest, Message, ToolResultContent } from "../../src/bedrock/converse.ts";
import type { JsonObject, JsonValue } from "../../src/bedrock/json.ts";
import type { Encoded } from "../../src/providers/dialect.ts";
import { commonNames, sendableName } from "../../src/providers/tool-names.ts";
import { text as anyText, jsonObject } from "../bedrock/arbitraries.ts";

const word = fc.stringMatching(/^[a-z]{5,9}$/);
const text = fc.oneof({ weight: 4, arbitrary: word }, { weight: 1, arbitrary: anyText });
const base64 = fc.uint8Array({ minLength: 1, maxLength: 12 }).map((bytes) => Buffer.from(bytes).toString("base64"));
const name = fc.constantFrom("weather", "mcp.server/search:all", "get_time");
const id = fc.constantFrom("a", "tooluse_k3J9x_A", "call.1:2", "Abc123xyZ", "b".repeat(64));

const image = fc.record({
  image: fc.record({ format: fc.constantFrom("png", "jpeg"), source: fc.record({ bytes: base64 }) }),
});
const document = fc.record({
  document: fc.oneof(
    fc.record({ name: word, format: fc.constantFrom("txt", "md"), source: fc.record({ text: word }) }),
    fc.record({
      name: word,
      format: fc.constant("csv" as const),
      source: fc.record({ content: fc.array(fc.record({ text: word }), { minLength: 1, maxLength: 2 }) }),
    }),
    fc.record({ name: word, format: fc.constantFrom("pdf", "docx"), source: fc.record({ bytes: base64 }) }),
    fc.record({
      name: word,
      format: fc.constant("txt" as const),
      context: word,
      citations: fc.record({ enabled: fc.boolean() }),
      source: fc.record({ text: word }),
    }),
  ),
});
const searchResult = fc.record({
  searchResult: fc.record({
    source: word,
    title: word,
    content: fc.array(fc.record({ text: word }), { minLength: 1, maxLength: 2 }),
  }),
});
const resultContent: fc.Arbitrary<ToolResultContent> = fc.oneof(
  fc.record({ text }),
  fc.record({ json: jsonObject }),
  image,
  document,
  searchResult,
);
const userBlock: fc.Arbitrary<ContentBlock> = fc.oneof(
  { weight: 4, arbitrary: fc.record({ text }) },
  image,
  document,
  searchResult,
  fc.constant({ cachePoint: { type: "default" as const } }),
  fc.record({ guardContent: fc.record({ text: fc.record({ text }) }) }),
  {
    weight: 3,
    arbitrary: fc.record({
      toolResult: fc.record(
        {
          toolUseId: id,
          content: fc.array(resultContent, { maxLength: 3 }),
          status: fc.constantFrom("success", "error"),
        },
        { requiredKeys: ["toolUseId", "content"] },
      ),
    }),
  },
);
const assistantBlock: fc.Arbitrary<ContentBlock> = fc.oneof(
  { weight: 3, arbitrary: fc.record({ text }) },
  { weight: 3, arbitrary: fc.record({ toolUse: fc.record({ toolUseId: id, name, input: jsonObject }) }) },
  fc.record({
    reasoningContent: fc.record({ reasoningText: fc.record({ text, signature: word }, { requiredKeys: ["text"] }) }),
  }),
  fc.record({ reasoningContent: fc.record({ redactedContent: base64 }) }),
  image,
  document,
  fc.record({ citationsContent: fc.record({ content: fc.array(fc.record({ text }), { maxLength: 2 }) }) }),
);
const message: fc.Arbitrary<Message> = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.record({
      role: fc.constant("user" as const),
      content: fc.array(userBlock, { minLength: 1, maxLength: 4 }),
    }),
  },
  {
    weight: 4,
    arbitrary: fc.record({
      role: fc.constant("assistant" as const),
      content: fc.array(assistantBlock, { minLength: 1, maxLength: 4 }),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      role: fc.constant("system" as const),
      content: fc.array(fc.record({ text: word }), { minLength: 1, maxLength: 2 }),
    }),
  },
);

const schema = fc
  .tuple(fc.dictionary(word, fc.constant({ type: "string" }), { maxKeys: 3, noNullPrototype: true }), fc.boolean())
  .map(([properties, requires]): JsonObject => {
    const required = requires ? Object.keys(properties) : [];
    return { description: "z before a", type: "object", properties, ...(required.length > 0 && { required }) };
  });
const tools = fc.uniqueArray(name, { minLength: 1, maxLength: 3 }).chain((names) =>
  fc.tuple(
    ...names.map((toolName) =>
      fc.record({
        toolSpec: fc.record(
          {
            name: fc.constant(toolName),
            inputSchema: fc.record({ json: schema }),
            description: text.filter((said) => said !== ""),
            strict: fc.boolean(),
          },
          { requiredKeys: ["name", "inputSchema"] },
        ),
      }),
    ),
  ),
);
const toolConfig = tools.chain((list) => {
  const choice = fc.oneof(
    fc.constant({ auto: {} }),
    fc.constant({ any: {} }),
    fc.constantFrom(...list).map((tool) => ({ tool: { name: tool.toolSpec.name } })),
  );
  return fc.record({ tools: fc.constant(list), toolChoice: choice }, { requiredKeys: ["tools"] });
});

const fraction = fc.double({ min: 0, max: 1, noNaN: true }).map((value) => value + 0);

/** Requests of everything but what only Bedrock has. */
export const conversation: fc.Arbitrary<ConverseRequest> = fc.record(
  {
    messages: fc.array(message, { minLength: 1, maxLength: 6 }),
    system: fc.array(fc.record({ text: word }), { maxLength: 2 }),
    inferenceConfig: fc.record(
      {
        maxTokens: fc.integer({ min: 1, max: 100_000 }),
        temperature: fc.oneof(
          fraction,
          fc.double({ min: 0, max: 5, noNaN: true }).map((value) => value + 0),
        ),
        topP: fraction,
        stopSequences: fc.array(word, { maxLength: 7 }),
      },
      { requiredKeys: [] },
    ),
    toolConfig,
    additionalModelRequestFields: fc.record(
      {
        top_k: fc.nat(600),
        seed: fc.nat(),
        random_seed: fc.nat(),
        unheard_of: jsonObject,
        thinking: fc.oneof(
          fc.constant({ type: "disabled" }),
          fc.record({ type: fc.constant("enabled"), budget_tokens: fc.integer({ min: 1, max: 9000 }) }),
        ),
      },
      { requiredKeys: [] },
    ),
    requestMetadata: fc.constant({ team: "red" }),
    serviceTier: fc.record({ type: fc.constantFrom("priority" as const, "default" as const, "flex" as const) }),
    outputConfig: fc.record(
      {
        effort: fc.constantFrom("low", "high"),
        textFormat: fc.record({
          type: fc.constant("json_schema" as const),
          structure: fc.record({
            jsonSchema: fc.record({ schema: schema.map((value) => JSON.stringify(value)), name: word }),
          }),
        }),
      },
      { requiredKeys: [] },
    ),
  },
  { requiredKeys: ["messages"] },
);

/** What of a request a provider must be able to read, with the path of where the client wrote it. */
interface Fact {
  readonly path: string;
  readonly text: string;
}

/** Fails for every text, tool name, input and result of the request that is neither in the body nor said to be ignored. */
export function expectCarried(request: ConverseRequest, { request: { body }, ignored }: Encoded): void {
  const leaves = stringsOf(JSON.parse(body)).join("\n\u0000\n");
  for (const { path, text: wanted } of factsOf(request)) {
    if (wanted.trim() === "" || ignored.some((left) => path.startsWith(left))) continue;
    expect(leaves, `${path} is neither carried nor listed as ignored`).toContain(wanted);
  }
}

function factsOf({ system = [], messages, toolConfig: config }: ConverseRequest): readonly Fact[] {
  const facts: Fact[] = [];
  for (const [index, block] of system.entries())
    if ("text" in block) facts.push({ path: `system[${index}]`, text: block.text });
  for (const [index, tool] of (config?.tools ?? []).entries()) {
    if (!("toolSpec" in tool)) continue;
    const path = `toolConfig.tools[${index}].toolSpec`;
    facts.push(
      { path, text: sendableName(tool.toolSpec.name, commonNames) },
      { path, text: tool.toolSpec.description ?? "" },
    );
  }
  for (const [index, { content }] of messages.entries()) {
    for (const [place, block] of content.entries())
      facts.push(...factsOfBlock(block, `messages[${index}].content[${place}]`));
  }
  return facts;
}

function factsOfBlock(block: ContentBlock, path: string): readonly Fact[] {
  if ("text" in block) return [{ path: `${path}.text`, text: block.text }];
  if ("image" in block && "bytes" in block.image.source)
    return [{ path: `${path}.image`, text: block.image.source.bytes }];
  if ("document" in block) return factsOfDocument(block, `${path}.document`);
  if ("searchResult" in block) return factsOfResult(block, path);
  if ("guardContent" in block && "text" in block.guardContent)
    return [{ path: `${path}.guardContent.text.text`, text: block.guardContent.text.text }];
  if ("citationsContent" in block)
    return [
      {
        path: `${path}.citationsContent.content`,
        text: (block.citationsContent.content ?? []).map((part) => part.text).join(""),
      },
    ];
  if ("toolUse" in block) {
    return [
      { path: `${path}.toolUse`, text: sendableName(block.toolUse.name, commonNames) },
      { path: `${path}.toolUse`, text: JSON.stringify(block.toolUse.input) },
    ];
  }
  if ("toolResult" in block) {
    return block.toolResult.content.flatMap((part, index) =>
      factsOfResult(part, `${path}.toolResult.content[${index}]`),
    );
  }
  if ("reasoningContent" in block && "reasoningText" in block.reasoningContent) {
    return [{ path: `${path}.reasoningContent`, text: block.reasoningContent.reasoningText.text }];
  }
  return [];
}

function factsOfResult(part: ToolResultContent, path: string): readonly Fact[] {
  if ("json" in part) return [{ path, text: JSON.stringify(part.json) }];
  if ("document" in part) return factsOfDocument(part, path);
  if ("searchResult" in part) {
    const { title, source, content } = part.searchResult;
    return [title, source, ...content.map((piece) => piece.text)].map((said) => ({ path, text: said }));
  }
  if ("text" in part) return [{ path, text: part.text }];
  return "image" in part && "bytes" in part.image.source ? [{ path, text: part.image.source.bytes }] : [];
}

function factsOfDocument(
  { document: { source, context } }: Extract<ContentBlock, { document: unknown }>,
  path: string,
): readonly Fact[] {
  const texts = "text" in source ? [source.text] : "content" in source ? source.content.map((part) => part.text) : [];
  const bytes = "bytes" in source ? [source.bytes] : [];
  return [...texts, ...bytes, context ?? ""].map((said) => ({ path, text: said }));
}

function stringsOf(value: JsonValue): readonly string[] {
  if (typeof value === "string") return [value];
  if (typeof value !== "object" || value === null) return [];
  return Object.values(value).flatMap(stringsOf);
}
