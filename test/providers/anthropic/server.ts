/**
 * Stands for the server: the request shapes of the Messages API as they are documented, without a key more. Whatever the
 * API refuses with a 400 of which we know is refused here too.
 */
import { z } from "zod";
import { isJsonObject, type JsonObject } from "../../../src/bedrock/json.ts";

const cacheControl = z.strictObject({ type: z.literal("ephemeral"), ttl: z.enum(["5m", "1h"]).optional() }).optional();
const switchedOn = z.strictObject({ enabled: z.boolean() }).optional();
const notBlank = z.string().refine((text) => text.trim() !== "", "text content blocks must be non-empty");
const index = z.int().min(0);
const document = {
  cited_text: z.string(),
  document_index: index,
  document_title: z.string().nullable(),
};
const citation = z.discriminatedUnion("type", [
  z.strictObject({ type: z.literal("char_location"), ...document, start_char_index: index, end_char_index: index }),
  z.strictObject({ type: z.literal("page_location"), ...document, start_page_number: index, end_page_number: index }),
  z.strictObject({
    type: z.literal("content_block_location"),
    ...document,
    start_block_index: index,
    end_block_index: index,
  }),
  z.strictObject({
    type: z.literal("search_result_location"),
    cited_text: z.string(),
    source: z.string(),
    title: z.string().nullable(),
    search_result_index: index,
    start_block_index: index,
    end_block_index: index,
  }),
]);
const bareText = z.strictObject({ type: z.literal("text"), text: notBlank });
const text = z.strictObject({
  type: z.literal("text"),
  text: z.string().min(1),
  citations: z.array(citation).min(1).optional(),
  cache_control: cacheControl,
});
const image = z.strictObject({
  type: z.literal("image"),
  source: z.strictObject({
    type: z.literal("base64"),
    media_type: z.enum(["image/png", "image/jpeg", "image/gif", "image/webp"]),
    data: z.base64(),
  }),
  cache_control: cacheControl,
});
const documentBlock = z.strictObject({
  type: z.literal("document"),
  source: z.discriminatedUnion("type", [
    z.strictObject({ type: z.literal("base64"), media_type: z.literal("application/pdf"), data: z.base64() }),
    z.strictObject({ type: z.literal("text"), media_type: z.literal("text/plain"), data: notBlank }),
    z.strictObject({ type: z.literal("content"), content: z.array(bareText).min(1) }),
  ]),
  title: z.string().min(1),
  context: notBlank.optional(),
  citations: switchedOn,
  cache_control: cacheControl,
});
const searchResult = z.strictObject({
  type: z.literal("search_result"),
  source: z.string(),
  title: z.string(),
  content: z.array(bareText).min(1),
  citations: switchedOn,
  cache_control: cacheControl,
});
const id = z.string().regex(/^[a-zA-Z0-9_-]{1,64}$/);
const name = z.string().regex(/^[a-zA-Z0-9_-]{1,64}$/);
const anyObject = z.record(z.string(), z.unknown());
const toolUse = z.strictObject({
  type: z.literal("tool_use"),
  id,
  name,
  input: anyObject,
  cache_control: cacheControl,
});
const toolResult = z
  .strictObject({
    type: z.literal("tool_result"),
    tool_use_id: id,
    content: z
      .array(z.discriminatedUnion("type", [bareText, image, documentBlock, searchResult]))
      .min(1)
      .optional(),
    is_error: z.literal(true).optional(),
    cache_control: cacheControl,
  })
  .refine(
    ({ is_error, content }) => is_error !== true || content?.every((part) => part.type === "text") === true,
    "all content must be type text, and not empty, if is_error is true",
  );
const thinkingBlock = z.strictObject({
  type: z.literal("thinking"),
  thinking: z.string(),
  signature: z.string().min(1),
});
const redacted = z.strictObject({ type: z.literal("redacted_thinking"), data: z.string() });

const message = z.discriminatedUnion("role", [
  z.strictObject({
    role: z.literal("user"),
    content: z.array(z.discriminatedUnion("type", [text, image, documentBlock, searchResult, toolResult])).min(1),
  }),
  z.strictObject({
    role: z.literal("assistant"),
    content: z.array(z.discriminatedUnion("type", [text, toolUse, thinkingBlock, redacted])).min(1),
  }),
]);

const tool = z.strictObject({
  name,
  description: notBlank.optional(),
  input_schema: anyObject.refine((schema) => "type" in schema, "input_schema.type: Field required"),
  strict: z.boolean().optional(),
  cache_control: cacheControl,
});
const alone = z.literal(true).optional();
const toolChoice = z.discriminatedUnion("type", [
  z.strictObject({ type: z.literal("auto"), disable_parallel_tool_use: alone }),
  z.strictObject({ type: z.literal("any"), disable_parallel_tool_use: alone }),
  z.strictObject({ type: z.literal("tool"), name, disable_parallel_tool_use: alone }),
  z.strictObject({ type: z.literal("none") }),
]);
const display = z.enum(["summarized", "omitted"]).optional();
const thinking = z.discriminatedUnion("type", [
  z.strictObject({ type: z.literal("enabled"), budget_tokens: z.int().min(1024), display }),
  z.strictObject({ type: z.literal("adaptive"), display }),
  z.strictObject({ type: z.literal("disabled") }),
  z.strictObject({ type: z.literal("between_tools") }),
]);
const outputConfig = z.strictObject({
  effort: z.enum(["low", "medium", "high", "xhigh", "max"]).optional(),
  format: z.strictObject({ type: z.literal("json_schema"), schema: anyObject }).optional(),
});

const request = {
  max_tokens: z.int().min(1),
  messages: z.array(message).min(1),
  system: z
    .array(z.strictObject({ type: z.literal("text"), text: notBlank, cache_control: cacheControl }))
    .min(1)
    .optional(),
  tools: z.array(tool).min(1).optional(),
  tool_choice: toolChoice.optional(),
  temperature: z.number().min(0).max(1).optional(),
  top_p: z.number().min(0).max(1).optional(),
  top_k: z.int().optional(),
  stop_sequences: z.array(notBlank).min(1).optional(),
  stream: z.literal(true).optional(),
  thinking: thinking.optional(),
  output_config: outputConfig.optional(),
  service_tier: z.enum(["auto", "standard_only"]).optional(),
};
const direct = z.strictObject({ model: z.string(), ...request });
const vertex = z.strictObject({
  anthropic_version: z.literal("vertex-2023-10-16"),
  anthropic_beta: z.array(z.string()).min(1).optional(),
  ...request,
});

export type ServedBody = z.infer<typeof direct>;

/**
 * The body, if the server would take it.
 *
 * @param own names of the client's own fields, which the server knows better than we do
 * @throws an error that says what the server refuses
 */
export function serve(body: string, place: "direct" | "vertex" = "direct", own: readonly string[] = []): ServedBody {
  const json: unknown = JSON.parse(body);
  if (!isJsonObject(json)) throw new Error("the body is not an object");
  const known = Object.fromEntries(Object.entries(json).filter(([key]) => !own.includes(key)));
  const served = place === "direct" ? direct.parse(known) : { model: "on Vertex", ...vertex.parse(known) };
  checkTurns(served.messages);
  checkTogether(served);
  checkCachePoints(json);
  return served;
}

type Message = z.infer<typeof message>;

/** Roles alternate from the user's; each call has its result in the turn behind it, and results stand first. */
function checkTurns(messages: readonly Message[]): void {
  let waiting: readonly string[] = [];
  for (const [place, { role, content }] of messages.entries()) {
    if (role !== (place % 2 === 0 ? "user" : "assistant")) throw new Error(`messages.${place}: roles must alternate`);
    const results = content.flatMap((block) => (block.type === "tool_result" ? [block.tool_use_id] : []));
    if (results.join() !== waiting.join())
      throw new Error(`messages.${place}: results ${results.join()} for ${waiting.join()}`);
    if (content.slice(0, results.length).some((block) => block.type !== "tool_result")) {
      throw new Error(`messages.${place}: tool results must come first`);
    }
    if (role === "assistant" && ["thinking", "redacted_thinking"].includes(content.at(-1)?.type ?? "")) {
      throw new Error(`messages.${place}: the final block in an assistant message cannot be thinking`);
    }
    waiting = content.flatMap((block) => (block.type === "tool_use" ? [block.id] : []));
  }
  const end = messages.at(-1);
  const last = end?.content.at(-1);
  if (end?.role === "assistant" && last?.type === "text" && last.text !== last.text.trimEnd()) {
    throw new Error("final assistant content cannot end with trailing whitespace");
  }
}

function checkTogether({ thinking: asked, max_tokens, tool_choice, tools, ...served }: ServedBody): void {
  if (asked?.type === "enabled") {
    if (asked.budget_tokens >= max_tokens) throw new Error("max_tokens must be greater than thinking.budget_tokens");
    if (tool_choice?.type === "any" || tool_choice?.type === "tool") {
      throw new Error("Thinking may not be enabled when tool_choice forces tool use.");
    }
  }
  if (asked?.type === "enabled" || asked?.type === "adaptive") {
    if (served.temperature !== undefined || served.top_k !== undefined) throw new Error("sampling beside thinking");
    if (served.top_p !== undefined && served.top_p < 0.95) throw new Error("top_p beside thinking");
    if (served.messages.at(-1)?.role === "assistant") throw new Error("prefill beside thinking");
  }
  if (tool_choice !== undefined && tools === undefined) throw new Error("tool_choice without tools");
  if (tool_choice?.type === "tool" && tools?.every((candidate) => candidate.name !== tool_choice.name) === true) {
    throw new Error("tool_choice names no tool");
  }
  const names = tools?.map((candidate) => candidate.name) ?? [];
  if (new Set(names).size < names.length) throw new Error("tools: Tool names must be unique.");
}

function checkCachePoints(body: JsonObject): void {
  const points = JSON.stringify(body).split('"cache_control":{').length - 1;
  if (points > 4) throw new Error(`A maximum of 4 blocks with cache_control may be provided. Found ${points}.`);
}
