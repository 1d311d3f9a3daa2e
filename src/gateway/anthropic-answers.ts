/** Anthropic's messages as Bedrock answers with them on InvokeModel, whole or streamed, as Converse. */
import type { ContentBlock, ConverseResponse, StopReason, TokenUsage } from "../bedrock/converse.ts";
import { isJsonObject, type JsonObject, type JsonValue } from "../bedrock/json.ts";

const stopReasons: ReadonlyMap<JsonValue | undefined, StopReason> = new Map([
  ["end_turn", "end_turn"],
  ["stop_sequence", "stop_sequence"],
  ["tool_use", "tool_use"],
]);

/** @returns undefined for a message with anything else than text, thinking and calls, or that is not complete */
export function readMessage(message: JsonObject): ConverseResponse | undefined {
  const stopReason = stopReasons.get(message.stop_reason);
  const usage = isJsonObject(message.usage) ? readUsage(message.usage) : undefined;
  if (stopReason === undefined || usage === undefined || !Array.isArray(message.content)) return undefined;
  const content: ContentBlock[] = [];
  for (const item of message.content) {
    const block = isJsonObject(item) ? readBlock(item) : undefined;
    if (block === undefined) return undefined;
    content.push(block);
  }
  return { output: { message: { role: "assistant", content } }, stopReason, usage, metrics: { latencyMs: 0 } };
}

function readBlock(block: JsonObject): ContentBlock | undefined {
  const { type, text, thinking, signature, data, id, name, input } = block;
  if (type === "text" && typeof text === "string") return { text };
  if (type === "thinking" && typeof thinking === "string" && typeof signature === "string")
    return { reasoningContent: { reasoningText: { text: thinking, signature } } };
  if (type === "redacted_thinking" && typeof data === "string")
    return { reasoningContent: { redactedContent: Buffer.from(data).toString("base64") } };
  if (type === "tool_use" && typeof id === "string" && typeof name === "string" && input !== undefined)
    return { toolUse: { toolUseId: id, name, input } };
  return undefined;
}

function readUsage(usage: JsonObject): TokenUsage | undefined {
  const { input_tokens: inputTokens, output_tokens: outputTokens } = usage;
  if (typeof inputTokens !== "number" || typeof outputTokens !== "number") return undefined;
  const read = countOf(usage.cache_read_input_tokens);
  const write = countOf(usage.cache_creation_input_tokens);
  const created = usage.cache_creation;
  return {
    inputTokens,
    outputTokens,
    totalTokens: inputTokens + outputTokens + (read ?? 0) + (write ?? 0),
    ...(read !== undefined && { cacheReadInputTokens: read }),
    ...(write !== undefined && { cacheWriteInputTokens: write }),
    ...(isJsonObject(created) && {
      cacheDetails: [
        { ttl: "5m", inputTokens: countOf(created.ephemeral_5m_input_tokens) ?? 0 },
        { ttl: "1h", inputTokens: countOf(created.ephemeral_1h_input_tokens) ?? 0 },
      ],
    }),
  };
}

function countOf(value: JsonValue | undefined): number | undefined {
  return typeof value === "number" ? value : undefined;
}

interface Draft {
  block: JsonObject;
  /** The text of the input, where it came in fragments. */
  input: string;
}

/** @returns the message that the events of a stream make; undefined when its end is missing, or one is not known */
export function assembleMessage(events: readonly JsonObject[]): JsonObject | undefined {
  let message: JsonObject | undefined;
  let isOver = false;
  const drafts = new Map<number, Draft>();
  for (const event of events) {
    const { type, index, ...members } = event;
    if (isOver) return undefined;
    switch (textOf(type)) {
      case "ping":
        break;
      case "message_start":
        if (!isJsonObject(members.message)) return undefined;
        message = members.message;
        break;
      case "content_block_start":
        if (typeof index !== "number" || !isJsonObject(members.content_block) || drafts.has(index)) return undefined;
        drafts.set(index, { block: members.content_block, input: "" });
        break;
      case "content_block_delta": {
        const draft = typeof index === "number" ? drafts.get(index) : undefined;
        if (draft === undefined || !isJsonObject(members.delta) || !add(draft, members.delta)) return undefined;
        break;
      }
      case "content_block_stop":
        break;
      case "message_delta": {
        if (message === undefined || !isJsonObject(members.delta)) return undefined;
        const { delta, usage, ...others } = members;
        const counted = { ...objectOf(message.usage), ...objectOf(usage) };
        message = { ...message, ...others, ...delta, usage: counted };
        break;
      }
      case "message_stop":
        if (message !== undefined) message = { ...message, ...members };
        isOver = true;
        break;
      default:
        return undefined;
    }
  }
  const content = [...drafts].sort(([a], [b]) => a - b).map(([, draft]) => finished(draft));
  const blocks = content.filter((block) => block !== undefined);
  return message === undefined || !isOver || blocks.length < content.length
    ? undefined
    : { ...message, content: blocks };
}

function objectOf(value: JsonValue | undefined): JsonObject {
  return isJsonObject(value) ? value : {};
}

/** False for a delta that is not known, or is not its block's. */
function add(draft: Draft, delta: JsonObject): boolean {
  const { type, ...members } = delta;
  const [[name, piece] = ["", null], ...others] = Object.entries(members);
  if (typeof piece !== "string" || others.length > 0) return false;
  switch (`${textOf(type)} ${name}`) {
    case "text_delta text":
    case "thinking_delta thinking":
    case "signature_delta signature":
      draft.block = { ...draft.block, [name]: textOf(draft.block[name]) + piece };
      return true;
    case "input_json_delta partial_json":
      draft.input += piece;
      return true;
    default:
      return false;
  }
}

function textOf(value: JsonValue | undefined): string {
  return typeof value === "string" ? value : "";
}

function finished({ block, input }: Draft): JsonObject | undefined {
  if (input === "") return block;
  try {
    const parsed: JsonValue = JSON.parse(input);
    return { ...block, input: parsed };
  } catch {
    // A call that broke off within its arguments.
    return undefined;
  }
}
