/** Anthropic: messages and the counting of their tokens. */
import type { JsonObject } from "../../../src/bedrock/json.ts";
import { serve } from "../../providers/anthropic/server.ts";
import { pieces, type Said, usual } from "./said.ts";
import { type Asked, onlyMembers, type Wire } from "./wire.ts";

const countable = ["model", "system", "messages", "tools", "tool_choice", "thinking", "output_config"];

export const anthropicWire: Wire = {
  operations: [
    ["chat", /^\/v1\/messages$/],
    ["count", /^\/v1\/messages\/count_tokens$/],
  ],
  auth: (key) => ["x-api-key", key],
  streams: ({ body }) => body.stream === true,
  check,
  whole: (said, model) => ({
    id: "msg_fake",
    type: "message",
    role: "assistant",
    model,
    content: blocksOf(said).map(({ start, filled }) => ({ ...start, ...filled })),
    stop_reason: stopOf(said),
    stop_sequence: null,
    usage: usageOf(said),
  }),
  events,
  count: (input_tokens) => ({ input_tokens }),
  embeddings: () => {
    throw new Error("Anthropic makes no embeddings");
  },
  refusal: (status, message, word = words[status] ?? "api_error") => ({
    type: "error",
    error: { type: word, message },
    request_id: "req_fake",
  }),
  errorEvent: (message, word) => event("error", { error: { type: word, message } }),
};

const words: Readonly<Record<number, string>> = {
  400: "invalid_request_error",
  401: "authentication_error",
  403: "permission_error",
  404: "not_found_error",
  413: "request_too_large",
  429: "rate_limit_error",
  500: "api_error",
  529: "overloaded_error",
};

function check({ operation, headers, body }: Asked): void {
  if (headers["anthropic-version"] !== "2023-06-01") throw new Error("anthropic-version: header is required");
  if (operation === "chat") {
    serve(JSON.stringify(body), "direct", ["metadata", "context_management"]);
    const betas = String(headers["anthropic-beta"] ?? "").split(",");
    if (body.context_management !== undefined && !betas.some((beta) => beta.startsWith("context-management-"))) {
      throw new Error("context_management: Extra inputs are not permitted");
    }
    return;
  }
  onlyMembers(body, countable, ["model", "messages"]);
  serve(JSON.stringify({ max_tokens: 64_000, ...body }));
}

/** A block as it begins, what fills it, and the deltas that do. */
interface Block {
  readonly start: JsonObject;
  readonly filled: JsonObject;
  readonly deltas: readonly JsonObject[];
}

function blocksOf({ reasoning, redacted, text, calls = [] }: Said): readonly Block[] {
  const blocks: Block[] = [];
  if (reasoning !== undefined) {
    const signature = reasoning.signature ?? "c2lnbmVkIGJ5IENsYXVkZQ==";
    blocks.push({
      start: { type: "thinking", thinking: "", signature: "" },
      filled: { thinking: reasoning.text, signature },
      deltas: [
        ...pieces(reasoning.text, 8).map((thinking) => ({ type: "thinking_delta", thinking })),
        { type: "signature_delta", signature },
      ],
    });
  }
  if (redacted !== undefined) {
    blocks.push({ start: { type: "redacted_thinking", data: redacted }, filled: {}, deltas: [] });
  }
  if (text !== undefined) {
    const deltas = pieces(text, 4).map((piece) => ({ type: "text_delta", text: piece }));
    blocks.push({ start: { type: "text", text: "" }, filled: { text }, deltas });
  }
  for (const { id, name, input } of calls) {
    const deltas = ["", ...pieces(JSON.stringify(input), 6)].map((partial_json) => ({
      type: "input_json_delta",
      partial_json,
    }));
    blocks.push({ start: { type: "tool_use", id, name, input: {} }, filled: { input }, deltas });
  }
  return blocks;
}

function stopOf({ calls = [], stop }: Said): string {
  if (stop === "length") return "max_tokens";
  if (stop === "filtered") return "refusal";
  return calls.length > 0 ? "tool_use" : "end_turn";
}

/** Cached tokens are not a part of `input_tokens`. */
function usageOf({ usage = usual }: Said): JsonObject {
  const cached = "cached" in usage ? (usage.cached ?? 0) : 0;
  return {
    input_tokens: usage.input - cached,
    cache_creation_input_tokens: 0,
    cache_read_input_tokens: cached,
    output_tokens: usage.output,
    service_tier: "standard",
  };
}

function events(said: Said, model: string): readonly string[] {
  const usage = usageOf(said);
  const message = {
    id: "msg_fake",
    type: "message",
    role: "assistant",
    model,
    content: [],
    stop_reason: null,
    stop_sequence: null,
    usage: { ...usage, output_tokens: 1 },
  };
  return [
    event("message_start", { message }),
    event("ping", {}),
    ...blocksOf(said).flatMap(({ start, deltas }, index) => [
      event("content_block_start", { index, content_block: start }),
      ...deltas.map((delta) => event("content_block_delta", { index, delta })),
      event("content_block_stop", { index }),
    ]),
    event("message_delta", { delta: { stop_reason: stopOf(said), stop_sequence: null }, usage }),
    event("message_stop", {}),
  ];
}

function event(type: string, members: object): string {
  return `event: ${type}\ndata: ${JSON.stringify({ type, ...members })}\n\n`;
}
