/** Generates requests that every Claude can be asked. Ids of calls come from a small pool, so that they meet. */
import fc from "fast-check";
import type { ContentBlock, ConverseRequest, Message, ToolConfig } from "../../../src/bedrock/converse.ts";
import type { JsonObject } from "../../../src/bedrock/json.ts";
import type { Target } from "../../../src/providers/dialect.ts";
import { wrapRedacted, wrapSignature } from "../../../src/providers/provenance.ts";
import { jsonObject, jsonValue, text } from "../../bedrock/arbitraries.ts";
import { claude, haiku3, onVertex, opus5, opus55, sonnet45, sonnet46 } from "./support.ts";

export const targets: readonly Target[] = [
  ...[
    haiku3,
    "claude-sonnet-4-20250514",
    sonnet45,
    "claude-opus-4-5",
    sonnet46,
    opus5,
    opus55,
    "claude-sonnet-5-5",
  ].map((model) => claude(model)),
  onVertex(),
  onVertex("claude-opus-4-6"),
  onVertex("claude-opus-5-5"),
];

const said = text.map((value) => (value.trim() === "" ? `said ${value}` : value));
const base64 = fc.uint8Array({ minLength: 1, maxLength: 9 }).map((bytes) => Buffer.from(bytes).toString("base64"));
const image = fc.record({
  format: fc.constantFrom("png" as const, "webp" as const),
  source: fc.record({ bytes: base64 }),
});
const document = fc.oneof(
  fc.record({ name: said, format: fc.constant("pdf" as const), source: fc.record({ bytes: base64 }) }),
  fc.record({ name: said, source: fc.record({ text: said }), citations: fc.record({ enabled: fc.boolean() }) }),
  fc.record({ name: said, source: fc.record({ content: fc.array(fc.record({ text: said }), { minLength: 1 }) }) }),
);
const searchResult = fc.record({
  source: said,
  title: said,
  content: fc.array(fc.record({ text: said }), { minLength: 1, maxLength: 2 }),
});
const id = fc.constantFrom("a", "b.c:d", "toolu_1");
const toolName = fc.constantFrom("weather", "mcp.server/tool:x", "x".repeat(80));
const cachePoint = fc.oneof(
  fc.constant({ type: "default" as const }),
  fc.constant({ type: "default" as const, ttl: "1h" as const }),
);

const userBlock: fc.Arbitrary<ContentBlock> = fc.oneof(
  { weight: 3, arbitrary: fc.record({ text }) },
  fc.record({ image }),
  fc.record({ document }),
  fc.record({ searchResult }),
  fc.record({ cachePoint }),
  fc.record({ guardContent: fc.record({ text: fc.record({ text: said }) }) }),
  {
    weight: 3,
    arbitrary: fc.record({
      toolResult: fc.record({
        toolUseId: id,
        status: fc.constantFrom("success" as const, "error" as const),
        content: fc.array(
          fc.oneof(
            fc.record({ text }),
            fc.record({ json: jsonValue }),
            fc.record({ image }),
            fc.record({ document }),
            fc.record({ searchResult }),
          ),
          { maxLength: 3 },
        ),
      }),
    }),
  },
);

function assistantBlock(target: Target): fc.Arbitrary<ContentBlock> {
  const signature = said.map((blob) => wrapSignature("anthropic", target, blob));
  const location = fc.oneof(
    fc.constant({ documentChar: { documentIndex: 0, start: 0, end: 3 } }),
    fc.constant({ web: { url: "https://x" } }),
  );
  return fc.oneof(
    { weight: 3, arbitrary: fc.record({ text }) },
    {
      weight: 3,
      arbitrary: fc.record({ toolUse: fc.record({ toolUseId: id, name: toolName, input: jsonValue }) }),
    },
    fc.record({ reasoningContent: fc.record({ reasoningText: fc.record({ text, signature }) }) }),
    fc.record({ reasoningContent: fc.record({ reasoningText: fc.record({ text, signature: said }) }) }),
    said.map((data) => ({ reasoningContent: { redactedContent: wrapRedacted("anthropic", target, data) } })),
    fc.record({
      citationsContent: fc.record({
        content: fc.array(fc.record({ text: said }), { minLength: 1, maxLength: 2 }),
        citations: fc.array(fc.record({ location }), { maxLength: 2 }),
      }),
    }),
    fc.record({ image }),
    fc.record({ cachePoint }),
  );
}

function messages(target: Target): fc.Arbitrary<readonly Message[]> {
  const message: fc.Arbitrary<Message> = fc.oneof(
    fc.record({ role: fc.constant("user" as const), content: fc.array(userBlock, { maxLength: 4 }) }),
    fc.record({ role: fc.constant("assistant" as const), content: fc.array(assistantBlock(target), { maxLength: 4 }) }),
    fc.record({ role: fc.constant("system" as const), content: fc.array(fc.record({ text: said }), { maxLength: 1 }) }),
  );
  const hello: Message = { role: "user", content: [{ text: "hello" }] };
  return fc.array(message, { maxLength: 5 }).map((list) => [hello, ...list]);
}

const toolConfig: fc.Arbitrary<ToolConfig> = fc.uniqueArray(toolName, { minLength: 1, maxLength: 3 }).chain((names) =>
  fc
    .record({
      schemas: fc.array(jsonObject, { minLength: names.length, maxLength: names.length }),
      strict: fc.boolean(),
      choice: fc.constantFrom(undefined, { auto: {} }, { any: {} }, { tool: { name: names[0] ?? "" } }),
    })
    .map(({ schemas, strict, choice }) => ({
      tools: names.map((name, at) => ({ toolSpec: { name, inputSchema: { json: schemas[at] ?? {} }, strict } })),
      ...(choice !== undefined && { toolChoice: choice }),
    })),
);

const modelFields: fc.Arbitrary<JsonObject> = fc.oneof(
  fc.constantFrom<JsonObject>(
    {},
    { top_k: 5 },
    { thinking: { type: "adaptive" } },
    { thinking: { type: "disabled" } },
    { anthropic_beta: ["b-2025-01-01"] },
    { reasoningConfig: { type: "enabled", maxReasoningEffort: "low" } },
  ),
  fc.integer({ min: 1, max: 200_000 }).map((budget_tokens) => ({ thinking: { type: "enabled", budget_tokens } })),
);

const answerSchema = jsonObject.map((schema) => ({
  type: "json_schema" as const,
  structure: { jsonSchema: { schema: JSON.stringify({ ...schema, type: "object" }) } },
}));

/** A request, and whom to ask. */
export const asked: fc.Arbitrary<{ readonly target: Target; readonly request: ConverseRequest }> = fc
  .constantFrom(...targets)
  .chain((target) =>
    fc.record({
      target: fc.boolean().map((streaming): Target => ({ ...target, streaming })),
      request: fc.record(
        {
          messages: messages(target),
          system: fc.array(fc.oneof(fc.record({ text }), fc.record({ cachePoint })), { maxLength: 3 }),
          toolConfig,
          inferenceConfig: fc.record(
            {
              maxTokens: fc.integer({ min: 1, max: 300_000 }),
              temperature: fc.double({ min: 0, max: 5, noNaN: true }),
              topP: fc.double({ min: 0, max: 1, noNaN: true }),
              stopSequences: fc.array(
                said.filter((stop) => stop !== ""),
                { maxLength: 6 },
              ),
            },
            { requiredKeys: [] },
          ),
          additionalModelRequestFields: modelFields,
          outputConfig: fc.record(
            { effort: fc.constantFrom("low", "high", "xhigh", "max"), textFormat: answerSchema },
            { requiredKeys: [] },
          ),
          serviceTier: fc.record({ type: fc.constantFrom("priority", "default", "flex", "reserved") }),
        },
        { requiredKeys: ["messages"] },
      ),
    }),
  );
