/** La Plateforme: chat completions of its own kind, and embeddings. */
import type { JsonObject } from "../../../src/bedrock/json.ts";
import { textOf } from "../../../src/providers/answer.ts";
import { accept } from "../../providers/mistral/server.ts";
import { finishOf } from "./openai.ts";
import { pieces, type Said, usual } from "./said.ts";
import { dataEvent, onlyMembers, someTexts, type Wire } from "./wire.ts";

export const mistralWire: Wire = {
  operations: [
    ["chat", /^\/v1\/chat\/completions$/],
    ["embed", /^\/v1\/embeddings$/],
  ],
  auth: (key) => ["authorization", `Bearer ${key}`],
  streams: ({ body }) => body.stream === true,
  check({ operation, body }) {
    if (operation === "chat") {
      accept(JSON.stringify(body));
      return;
    }
    onlyMembers(body, ["model", "input", "output_dimension", "output_dtype", "encoding_format"], ["model", "input"]);
    someTexts(body.input, "input");
  },
  whole: (said, model) => ({
    id: "cmpl-fake",
    object: "chat.completion",
    created: 1_760_000_000,
    model,
    choices: [
      {
        index: 0,
        message: { role: "assistant", content: contentOf(said), tool_calls: callsOf(said) },
        finish_reason: finishOf(said),
      },
    ],
    usage: usageOf(said),
  }),
  events,
  count: () => {
    throw new Error("Mistral counts no tokens");
  },
  embeddings: ({ body }, vector) => ({
    id: "embd-fake",
    object: "list",
    data: someTexts(body.input, "input").map((text, index) => ({
      object: "embedding",
      index,
      embedding: vector(text),
    })),
    model: textOf(body.model),
    usage: { prompt_tokens: 8, completion_tokens: 0, total_tokens: 8 },
  }),
  refusal: (status, message, word = "invalid_request_error") => ({
    object: "error",
    message:
      status === 422 ? { detail: [{ type: "extra_forbidden", loc: ["body"], msg: message, input: null }] } : message,
    type: word,
    param: null,
    code: null,
  }),
  errorEvent: (message, word) => dataEvent({ object: "error", message, type: word, code: 1000 }),
};

/** A model that reasons answers with a list of parts. */
function contentOf({ text = "", reasoning }: Said): string | readonly JsonObject[] {
  if (reasoning === undefined) return text;
  return [
    { type: "thinking", thinking: [{ type: "text", text: reasoning.text }], closed: true },
    { type: "text", text },
  ];
}

function callsOf({ calls = [] }: Said): readonly JsonObject[] | null {
  if (calls.length === 0) return null;
  return calls.map(({ id, name, input }, index) => ({
    id,
    type: "function",
    function: { name, arguments: JSON.stringify(input) },
    index,
  }));
}

function usageOf({ usage = usual }: Said): JsonObject {
  return {
    prompt_tokens: usage.input,
    completion_tokens: usage.output,
    total_tokens: usage.input + usage.output,
    ...("cached" in usage && { num_cached_tokens: usage.cached ?? 0 }),
  };
}

/** All calls come whole in one event, and usage with the reason to stop. */
function events(said: Said, model: string): readonly string[] {
  const head = { id: "cmpl-fake", object: "chat.completion.chunk", created: 1_760_000_000, model };
  const chunk = (delta: JsonObject, finish_reason: string | null = null, more: object = {}) =>
    dataEvent({ ...head, choices: [{ index: 0, delta, finish_reason }], ...more });
  const calls = callsOf(said);
  const thoughts = pieces(said.reasoning?.text ?? "", 9).map((text) => ({
    content: [{ type: "thinking", thinking: [{ type: "text", text }] }],
  }));
  return [
    chunk({ role: "assistant", content: "" }),
    ...thoughts.map((delta) => chunk(delta)),
    ...pieces(said.text ?? "", 4).map((content) => chunk({ content })),
    chunk({ content: "", ...(calls !== null && { tool_calls: calls }) }, finishOf(said), { usage: usageOf(said) }),
    dataEvent("[DONE]"),
  ];
}
