/** Google: the Gemini API and the express mode of Vertex AI. */
import { isJsonObject, type JsonObject, type JsonValue } from "../../../src/bedrock/json.ts";
import { checkRequest } from "../../providers/gemini/check-request.ts";
import { pieces, type Said, usual } from "./said.ts";
import { type Asked, dataEvent, onlyMembers, someTexts, type Wire } from "./wire.ts";

export function geminiWire(place: "gemini" | "vertex" = "gemini"): Wire {
  const vertex = place === "vertex";
  const models = vertex ? "/v1beta1/publishers/google/models" : "/v1beta/models";
  return {
    operations: [
      ["chat", new RegExp(`^${models}/([^/:]+):generateContent$`)],
      ["chat", new RegExp(`^${models}/([^/:]+):streamGenerateContent\\?alt=sse$`)],
      ["count", new RegExp(`^${models}/([^/:]+):countTokens$`)],
      ["embed", new RegExp(`^${models}/([^/:]+):batchEmbedContents$`)],
    ],
    auth: (key) => ["x-goog-api-key", key],
    streams: ({ query }) => query === "alt=sse",
    check: (asked, model) => check(asked, model, vertex),
    whole: (said, model) => ({
      candidates: [{ content: { parts: partsOf(said), role: "model" }, finishReason: finishOf(said), index: 0 }],
      usageMetadata: usageOf(said),
      modelVersion: model,
      responseId: "fake",
    }),
    events,
    count: (totalTokens) => ({ totalTokens, promptTokensDetails: [{ modality: "TEXT", tokenCount: totalTokens }] }),
    embeddings: ({ body }, vector) => ({
      embeddings: textsOf(body).map((text) => ({ values: vector(text) })),
    }),
    refusal: (status, message, word = words[status] ?? "UNKNOWN") => ({
      error: { code: status, message, status: word },
    }),
    errorEvent: (message, word) => dataEvent({ error: { code: 503, message, status: word } }),
  };
}

const words: Readonly<Record<number, string>> = {
  400: "INVALID_ARGUMENT",
  401: "UNAUTHENTICATED",
  403: "PERMISSION_DENIED",
  404: "NOT_FOUND",
  429: "RESOURCE_EXHAUSTED",
  500: "INTERNAL",
  503: "UNAVAILABLE",
};

function check({ operation, body }: Asked, model: string, vertex: boolean): void {
  const server = { vertex, signsCalls: model.startsWith("gemini-3") };
  if (operation === "chat") {
    checkRequest(body, server);
    return;
  }
  if (operation === "embed") {
    onlyMembers(body, ["requests"], ["requests"]);
    for (const request of listOf(body.requests)) {
      onlyMembers(request, ["model", "content", "taskType", "title", "outputDimensionality"], ["model", "content"]);
      if (request.model !== `models/${model}`) throw new Error("requests[].model: is not the model of the path");
    }
    textsOf(body);
    return;
  }
  onlyMembers(body, ["generateContentRequest"], ["generateContentRequest"]);
  if (!isJsonObject(body.generateContentRequest)) throw new Error("generateContentRequest: is no object");
  const { model: named, ...counted } = body.generateContentRequest;
  if (named !== `models/${model}`) throw new Error("generateContentRequest.model: is not the model of the path");
  checkRequest(counted, server);
}

function textsOf(body: JsonObject): readonly string[] {
  const texts = listOf(body.requests).map(({ content }) => {
    const [part] = isJsonObject(content) ? listOf(content.parts) : [];
    return part?.text;
  });
  return someTexts(texts, "requests");
}

function listOf(value: JsonValue | undefined): readonly JsonObject[] {
  return Array.isArray(value) ? value.filter(isJsonObject) : [];
}

/** Gemini signs its calls and leaves their ids out. */
function partsOf({ reasoning, text, calls = [] }: Said): readonly JsonObject[] {
  return [
    ...(reasoning === undefined
      ? []
      : [
          {
            text: reasoning.text,
            thought: true,
            ...(reasoning.signature && { thoughtSignature: reasoning.signature }),
          },
        ]),
    ...(text === undefined ? [] : [{ text }]),
    ...calls.map(({ name, input, signature }) => ({
      functionCall: { name, args: input },
      ...(signature !== undefined && { thoughtSignature: signature }),
    })),
  ];
}

function finishOf({ stop }: Said): string {
  if (stop === "length") return "MAX_TOKENS";
  return stop === "filtered" ? "SAFETY" : "STOP";
}

function usageOf({ usage = usual }: Said): JsonObject {
  return {
    promptTokenCount: usage.input,
    candidatesTokenCount: usage.output,
    totalTokenCount: usage.input + usage.output,
    ...("cached" in usage && { cachedContentTokenCount: usage.cached ?? 0 }),
  };
}

/** Each event is an answer of its own; parallel calls come one to an event, all at the same place. */
function events(said: Said, model: string): readonly string[] {
  const chunk = (parts: readonly JsonObject[], finishReason?: string) =>
    dataEvent({
      candidates: [
        { content: { parts, role: "model" }, index: 0, ...(finishReason !== undefined && { finishReason }) },
      ],
      usageMetadata: { promptTokenCount: (said.usage ?? usual).input },
      modelVersion: model,
      responseId: "fake",
    });
  const { reasoning, text, calls } = said;
  return [
    ...(reasoning === undefined
      ? []
      : pieces(reasoning.text, 8).map((piece) => chunk([{ text: piece, thought: true }]))),
    ...(reasoning?.signature === undefined ? [] : [chunk([{ text: "", thoughtSignature: reasoning.signature }])]),
    ...pieces(text ?? "", 4).map((piece) => chunk([{ text: piece }])),
    ...partsOf({ ...(calls !== undefined && { calls }) }).map((part) => chunk([part])),
    dataEvent({
      candidates: [{ content: { parts: [{ text: "" }], role: "model" }, finishReason: finishOf(said), index: 0 }],
      usageMetadata: usageOf(said),
      modelVersion: model,
    }),
  ];
}
