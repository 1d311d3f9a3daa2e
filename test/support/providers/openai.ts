/** OpenAI: chat completions and embeddings; Azure's paths to the same, and other servers that speak it. */
import type { JsonObject } from "../../../src/bedrock/json.ts";
import { textOf } from "../../../src/providers/answer.ts";
import { expectAccepted } from "../../providers/openai/server.ts";
import { pieces, type Said, usual } from "./said.ts";
import { dataEvent, onlyMembers, someTexts, type Wire } from "./wire.ts";

/** @param kind the row of the provider table whose fields are accepted */
export function openaiWire(kind = "openai", changes: Partial<Wire> = {}): Wire {
  return {
    operations: [
      ["chat", /^\/v1\/chat\/completions$/],
      ["embed", /^\/v1\/embeddings$/],
    ],
    auth: (key) => ["authorization", `Bearer ${key}`],
    streams: ({ body }) => body.stream === true,
    check({ operation, body }, model) {
      if (operation === "embed") {
        onlyMembers(body, ["model", "input", "dimensions", "encoding_format"], ["model", "input"]);
        someTexts(body.input, "input");
        return;
      }
      const ours = kind === "openai";
      expectAccepted(body, kind, ours ? ["parallel_tool_calls"] : []);
      if (ours) checkModel(body, model);
    },
    whole: (said, model) => ({
      id: "chatcmpl-fake",
      object: "chat.completion",
      created: 1_760_000_000,
      model,
      choices: [{ index: 0, message: messageOf(said), logprobs: null, finish_reason: finishOf(said) }],
      usage: usageOf(said),
      service_tier: "default",
      system_fingerprint: null,
    }),
    events,
    count: () => {
      throw new Error("OpenAI counts no tokens");
    },
    embeddings: ({ body }, vector) => ({
      object: "list",
      // The order is the index's, not the list's.
      data: someTexts(body.input, "input")
        .map((text, index) => ({ object: "embedding", index, embedding: vector(text) }))
        .toReversed(),
      model: textOf(body.model),
      usage: { prompt_tokens: 8, total_tokens: 8 },
    }),
    refusal: (_status, message, word) => ({
      error: { message, type: "invalid_request_error", param: null, code: word ?? null },
    }),
    errorEvent: (message, word) => dataEvent({ error: { message, type: word, param: null, code: word } }),
    ...changes,
  };
}

/** What the models refuse by themselves. */
function checkModel(body: JsonObject, model: string): void {
  if (body.parallel_tool_calls !== undefined && body.tools === undefined) {
    throw new Error("'parallel_tool_calls' is only allowed when 'tools' are specified.");
  }
  if (!/^(?:o\d|gpt-5)/.test(model)) return;
  for (const name of ["max_tokens", "stop", "temperature", "top_p"]) {
    if (body[name] !== undefined) throw new Error(`Unsupported parameter: '${name}' is not supported with this model.`);
  }
}

function messageOf({ text, reasoning, calls = [] }: Said): JsonObject {
  return {
    role: "assistant",
    content: text ?? null,
    refusal: null,
    annotations: [],
    ...(reasoning !== undefined && { reasoning_content: reasoning.text }),
    ...(calls.length > 0 && {
      tool_calls: calls.map(({ id, name, input }) => ({
        id,
        type: "function",
        function: { name, arguments: JSON.stringify(input) },
      })),
    }),
  };
}

export function finishOf({ calls = [], stop }: Said): string {
  if (stop === "length") return "length";
  if (stop === "filtered") return "content_filter";
  return calls.length > 0 ? "tool_calls" : "stop";
}

function usageOf({ usage = usual }: Said): JsonObject {
  return {
    prompt_tokens: usage.input,
    completion_tokens: usage.output,
    total_tokens: usage.input + usage.output,
    prompt_tokens_details: { cached_tokens: "cached" in usage ? (usage.cached ?? 0) : 0, audio_tokens: 0 },
    completion_tokens_details: { reasoning_tokens: 0, audio_tokens: 0 },
  };
}

/** Parallel calls are interleaved piece by piece, as servers may do that generate them side by side. */
function events(said: Said, model: string): readonly string[] {
  const { text = "", reasoning, calls = [] } = said;
  const head = { id: "chatcmpl-fake", object: "chat.completion.chunk", created: 1_760_000_000, model };
  const chunk = (delta: JsonObject, finish_reason: string | null = null) =>
    dataEvent({
      ...head,
      choices: [{ index: 0, delta, logprobs: null, finish_reason }],
      usage: null,
      obfuscation: "aB3",
    });
  const fragments = calls.map(({ input }) => pieces(JSON.stringify(input), 5));
  const longest = Math.max(0, ...fragments.map((list) => list.length));
  return [
    chunk({ role: "assistant", content: "", refusal: null }),
    ...pieces(reasoning?.text ?? "", 7).map((reasoning_content) => chunk({ reasoning_content })),
    ...pieces(text, 4).map((content) => chunk({ content })),
    ...calls.map(({ id, name }, index) =>
      chunk({ tool_calls: [{ index, id, type: "function", function: { name, arguments: "" } }] }),
    ),
    ...Array.from({ length: longest }, (_, round) =>
      fragments.flatMap((list, index) => {
        const piece = list[round];
        return piece === undefined ? [] : [chunk({ tool_calls: [{ index, function: { arguments: piece } }] })];
      }),
    ).flat(),
    chunk({}, finishOf(said)),
    dataEvent({ ...head, choices: [], usage: usageOf(said) }),
    dataEvent("[DONE]"),
  ];
}
