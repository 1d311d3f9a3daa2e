/** Generators of what the service model allows, for property tests. Optional members are there or not, never null. */
import fc from "fast-check";
import type {
  Citation,
  CitationLocation,
  ContentBlock,
  ConverseRequest,
  Message,
  ToolConfig,
  ToolResultContent,
} from "../../src/bedrock/converse.ts";
import type { JsonObject, JsonValue } from "../../src/bedrock/json.ts";

/** Text of any characters, hostile ones included. */
export const text = fc.oneof(
  fc.string({ unit: "grapheme" }),
  fc.constantFrom("\u0000", "</s>", "__proto__", '"\\', "  "),
);
export const name = fc.oneof(
  fc.string({ minLength: 1, unit: "grapheme" }),
  fc.constantFrom("toolu_1", "get_weather", "a.b:c"),
);
const base64 = fc.uint8Array({ minLength: 1, maxLength: 20 }).map((bytes) => Buffer.from(bytes).toString("base64"));
const index = fc.nat(1000);

/** JSON as a client may send it inside a schema or a tool's input. */
export const jsonValue: fc.Arbitrary<JsonValue> = fc.letrec<{ value: JsonValue; object: JsonObject }>((tie) => ({
  value: fc.oneof(
    { depthSize: "small", withCrossShrink: true },
    fc.constant(null),
    fc.boolean(),
    fc.integer(),
    text,
    fc.array(tie("value"), { maxLength: 3 }),
    tie("object"),
  ),
  object: fc.dictionary(
    fc.string({ maxLength: 8 }).filter((key) => key !== "__proto__"),
    tie("value"),
    { maxKeys: 3, noNullPrototype: true },
  ),
})).value;

export const jsonObject: fc.Arbitrary<JsonObject> = fc.dictionary(
  fc.string({ maxLength: 8 }).filter((key) => key !== "__proto__"),
  jsonValue,
  { maxKeys: 3, noNullPrototype: true },
);

/** A record of required and optional members; an optional one is missing rather than undefined. */
function shape<Required extends object, Optional extends object>(
  required: { [K in keyof Required]: fc.Arbitrary<Required[K]> },
  optional: { [K in keyof Optional]: fc.Arbitrary<Optional[K]> },
) {
  return fc
    .tuple(fc.record(required), fc.record(optional, { requiredKeys: [] }))
    .map(([must, may]) => ({ ...must, ...may }));
}

const source = fc.oneof(
  fc.record({ bytes: base64 }),
  fc.record({ s3Location: shape({ uri: name }, { bucketOwner: text }) }),
);
const textUnion = fc.record({ text });
const error = shape({}, { message: text });
const image = shape({ format: fc.constantFrom("png", "jpeg", "gif", "webp"), source }, { error });
const citationsConfig = fc.record({ enabled: fc.boolean() });
const document = shape(
  { name, source: fc.oneof(source, textUnion, fc.record({ content: fc.array(textUnion, { maxLength: 2 }) })) },
  { format: fc.constantFrom("pdf", "csv", "md", "txt", "docx"), context: text, citations: citationsConfig },
);
const video = fc.record({ format: fc.constantFrom("mkv", "mp4", "three_gp"), source });
const audio = shape({ format: fc.constantFrom("mp3", "x-aac", "pcm"), source }, { error });
const cachePoint = shape(
  { type: fc.constant("default" as const) },
  { ttl: fc.constantFrom("5m" as const, "1h" as const) },
);
const searchResult = shape(
  { source: text, title: text, content: fc.array(textUnion, { minLength: 1, maxLength: 2 }) },
  { citations: citationsConfig },
);
const toolResultContent: fc.Arbitrary<ToolResultContent> = fc.oneof(
  fc.record({ json: jsonValue.filter((value) => value !== null) }),
  textUnion,
  fc.record({ image }),
  fc.record({ document }),
  fc.record({ video }),
  fc.record({ searchResult }),
);
const range = shape({}, { documentIndex: index, start: index, end: index });
const location: fc.Arbitrary<CitationLocation> = fc.oneof(
  fc.record({ web: shape({}, { url: text, domain: text }) }),
  fc.record({ documentChar: range }),
  fc.record({ documentPage: range }),
  fc.record({ documentChunk: range }),
  fc.record({ searchResultLocation: shape({}, { searchResultIndex: index, start: index, end: index }) }),
);
const citation: fc.Arbitrary<Citation> = shape(
  {},
  { title: text, source: text, sourceContent: fc.array(textUnion, { maxLength: 2 }), location },
);
const guardContent = fc.oneof(
  fc.record({
    text: shape({ text }, { qualifiers: fc.array(fc.constantFrom("grounding_source" as const, "query" as const)) }),
  }),
  fc.record({
    image: fc.record({
      format: fc.constantFrom("png" as const, "jpeg" as const),
      source: fc.record({ bytes: base64 }),
    }),
  }),
);
const toolChange = fc.record({ tool: shape({}, { type: text, name: text, serverName: text }) });

export const contentBlock: fc.Arbitrary<ContentBlock> = fc.oneof(
  textUnion,
  fc.record({ image }),
  fc.record({ document }),
  fc.record({ video }),
  fc.record({ audio }),
  fc.record({
    toolUse: shape(
      { toolUseId: name, name, input: jsonValue.filter((value) => value !== null) },
      { type: fc.constantFrom("server_tool_use", "tool_use") },
    ),
  }),
  fc.record({
    toolResult: shape(
      { toolUseId: name, content: fc.array(toolResultContent, { maxLength: 3 }) },
      { status: fc.constantFrom("success" as const, "error" as const), type: text },
    ),
  }),
  fc.record({ guardContent }),
  fc.record({ cachePoint }),
  fc.record({
    reasoningContent: fc.oneof(
      fc.record({ reasoningText: shape({ text }, { signature: text }) }),
      fc.record({ redactedContent: base64 }),
    ),
  }),
  fc.record({
    citationsContent: shape(
      {},
      { content: fc.array(textUnion, { maxLength: 2 }), citations: fc.array(citation, { maxLength: 2 }) },
    ),
  }),
  fc.record({ searchResult }),
  fc.record({ toolAddition: toolChange }),
  fc.record({ toolRemoval: toolChange }),
);

const message: fc.Arbitrary<Message> = fc.record({
  role: fc.constantFrom("user", "assistant", "system"),
  content: fc.array(contentBlock, { maxLength: 4 }),
});

const toolConfig: fc.Arbitrary<ToolConfig> = shape(
  {
    tools: fc.array(
      fc.oneof(
        fc.record({
          toolSpec: shape(
            { name, inputSchema: fc.record({ json: jsonObject }) },
            { description: name, strict: fc.boolean() },
          ),
        }),
        fc.record({ systemTool: fc.record({ name }) }),
        fc.record({ cachePoint }),
      ),
      { minLength: 1, maxLength: 3 },
    ),
  },
  {
    toolChoice: fc.oneof(fc.constant({ auto: {} }), fc.constant({ any: {} }), fc.record({ tool: fc.record({ name }) })),
  },
);

const fraction = fc.double({ min: 0, max: 1, noNaN: true }).map((value) => value + 0);

/** A whole body of Converse, all members of the service model but `streamProcessingMode`. */
export const converseRequest: fc.Arbitrary<ConverseRequest> = shape(
  { messages: fc.array(message, { minLength: 1, maxLength: 3 }) },
  {
    system: fc.array(fc.oneof(fc.record({ text: name }), fc.record({ guardContent }), fc.record({ cachePoint })), {
      maxLength: 3,
    }),
    inferenceConfig: shape(
      {},
      {
        maxTokens: fc.integer({ min: 1 }),
        temperature: fraction,
        topP: fraction,
        stopSequences: fc.array(name, { maxLength: 4 }),
      },
    ),
    toolConfig,
    guardrailConfig: shape(
      {},
      {
        guardrailIdentifier: text,
        guardrailVersion: text,
        trace: fc.constantFrom("enabled" as const, "disabled" as const, "enabled_full" as const),
      },
    ),
    additionalModelRequestFields: jsonObject,
    additionalModelResponseFieldPaths: fc.array(
      fc.string({ maxLength: 200 }).map((pointer) => `/${pointer}`),
      { maxLength: 10 },
    ),
    promptVariables: fc.dictionary(
      name.filter((key) => key !== "__proto__"),
      textUnion,
      { maxKeys: 2, noNullPrototype: true },
    ),
    requestMetadata: fc.dictionary(
      fc.string({ minLength: 1, maxLength: 20 }).filter((key) => key !== "__proto__"),
      fc.string({ maxLength: 256 }),
      { maxKeys: 16, noNullPrototype: true },
    ),
    performanceConfig: shape({}, { latency: fc.constantFrom("standard" as const, "optimized" as const) }),
    serviceTier: fc.record({ type: fc.constantFrom("priority", "default", "flex", "reserved") }),
    outputConfig: shape(
      {},
      {
        effort: fc.constantFrom("low", "max"),
        textFormat: fc.record({
          type: fc.constant("json_schema" as const),
          structure: fc.record({ jsonSchema: shape({ schema: name }, { name: text, description: text }) }),
        }),
      },
    ),
  },
);
