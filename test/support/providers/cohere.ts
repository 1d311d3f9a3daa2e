/** Cohere: chat and embed, version 2. */
import type { JsonObject } from "../../../src/bedrock/json.ts";
import { accept } from "../../providers/cohere/server.ts";
import { pieces, type Said, usual } from "./said.ts";
import { type Asked, onlyMembers, someTexts, type Wire } from "./wire.ts";

const embedFields = ["model", "texts", "input_type", "embedding_types", "output_dimension", "truncate", "max_tokens"];

export const cohereWire: Wire = {
  operations: [
    ["chat", /^\/v2\/chat$/],
    ["embed", /^\/v2\/embed$/],
  ],
  auth: (key) => ["authorization", `Bearer ${key}`],
  streams: ({ body }) => body.stream === true,
  check({ operation, body }) {
    if (operation === "chat") {
      accept(JSON.stringify(body));
      return;
    }
    onlyMembers(body, embedFields, ["model", "texts", "input_type", "embedding_types"]);
    someTexts(body.texts, "texts");
  },
  whole: (said) => ({
    id: "fake",
    finish_reason: finishOf(said),
    message: { role: "assistant", ...messageOf(said) },
    usage: usageOf(said),
  }),
  events,
  count: () => {
    throw new Error("Cohere counts no tokens of a conversation");
  },
  embeddings: ({ body }: Asked, vector) => ({
    id: "fake",
    texts: someTexts(body.texts, "texts"),
    embeddings: { float: someTexts(body.texts, "texts").map(vector) },
    meta: { api_version: { version: "2" }, billed_units: { input_tokens: 8 } },
    response_type: "embeddings_by_type",
  }),
  refusal: (_status, message) => ({ id: "fake", message }),
  errorEvent: (message) => event("message-end", { delta: { finish_reason: "ERROR", error: message } }),
};

/** What a model says beside calls is its plan. */
function messageOf({ reasoning, text, calls = [] }: Said): JsonObject {
  const content = [
    ...(reasoning === undefined ? [] : [{ type: "thinking", thinking: reasoning.text }]),
    ...(text === undefined || calls.length > 0 ? [] : [{ type: "text", text }]),
  ];
  return {
    ...(content.length > 0 && { content }),
    ...(text !== undefined && calls.length > 0 && { tool_plan: text }),
    ...(calls.length > 0 && {
      tool_calls: calls.map(({ id, name, input }) => ({
        id,
        type: "function",
        function: { name, arguments: JSON.stringify(input) },
      })),
    }),
  };
}

function finishOf({ calls = [], stop }: Said): string {
  if (stop === "length") return "MAX_TOKENS";
  if (stop === "filtered") return "ERROR_TOXIC";
  return calls.length > 0 ? "TOOL_CALL" : "COMPLETE";
}

function usageOf({ usage = usual }: Said): JsonObject {
  return {
    billed_units: { input_tokens: 3, output_tokens: 2 },
    tokens: { input_tokens: usage.input, output_tokens: usage.output },
  };
}

function events(said: Said): readonly string[] {
  const { reasoning, text = "", calls = [] } = said;
  const block = (index: number, kind: "thinking" | "text", whole: string) =>
    whole === ""
      ? []
      : [
          event("content-start", { index, delta: { message: { content: { type: kind, [kind]: "" } } } }),
          ...pieces(whole, 5).map((piece) =>
            event("content-delta", { index, delta: { message: { content: { [kind]: piece } } } }),
          ),
          event("content-end", { index }),
        ];
  const spoken =
    calls.length > 0
      ? pieces(text, 5).map((tool_plan) => event("tool-plan-delta", { delta: { message: { tool_plan } } }))
      : block(reasoning === undefined ? 0 : 1, "text", text);
  return [
    event("message-start", { id: "fake", delta: { message: { role: "assistant", content: [], tool_plan: "" } } }),
    ...block(0, "thinking", reasoning?.text ?? ""),
    ...spoken,
    ...calls.flatMap(({ id, name, input }, index) => {
      const tool_calls = { id, type: "function", function: { name, arguments: "" } };
      return [
        event("tool-call-start", { index, delta: { message: { tool_calls } } }),
        ...pieces(JSON.stringify(input), 6).map((piece) =>
          event("tool-call-delta", { index, delta: { message: { tool_calls: { function: { arguments: piece } } } } }),
        ),
        event("tool-call-end", { index }),
      ];
    }),
    event("message-end", { id: "fake", delta: { finish_reason: finishOf(said), usage: usageOf(said) } }),
    "data: [DONE]\n\n",
  ];
}

function event(type: string, members: object): string {
  return `event: ${type}\ndata: ${JSON.stringify({ type, ...members })}\n\n`;
}
