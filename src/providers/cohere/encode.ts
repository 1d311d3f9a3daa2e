import type { ConverseRequest } from "../../bedrock/converse.ts";
import { defined } from "../../bedrock/defined.ts";
import { refuseField } from "../../bedrock/errors.ts";
import type { JsonObject } from "../../bedrock/json.ts";
import { objectOf } from "../answer.ts";
import { oneCallPath, withoutClaudeFields } from "../claude-fields.ts";
import type { Encoded, Target } from "../dialect.ts";
import { knownFields } from "../known-fields.ts";
import { textFormats } from "../media.ts";
import { prepare } from "../prepare.ts";
import type { Prepared, PreparedInference } from "../prepared.ts";
import { budgetFor } from "../reasoning.ts";
import { reasoningPaths } from "../reasoning-paths.ts";
import { allImages, type Rules, textOnly } from "../rules.ts";
import { apiPath } from "../table.ts";
import { bedrockIds } from "../tool-ids.ts";
import { commonNames } from "../tool-names.ts";
import { collectDocuments, type Documents } from "./documents.ts";
import { writeMessages } from "./messages.ts";
import { longestAnswer, reasons } from "./models.ts";
import { writeTools } from "./tools.ts";

/** Cohere marks no reasoning with a signature, so this name is seen by nobody. */
export const family = "cohere";

/** Fields of Cohere's own. It refuses a request with a field it does not know. */
const known: ReadonlySet<string> = new Set([
  "seed",
  "frequency_penalty",
  "presence_penalty",
  "safety_mode",
  "citation_options",
  "logprobs",
  "priority",
  "response_format",
  "documents",
]);
const reserved: ReadonlySet<string> = new Set([
  "model",
  "messages",
  "stream",
  "tools",
  "strict_tools",
  "tool_choice",
  "max_tokens",
  "temperature",
  "p",
  "stop_sequences",
]);

/** Beside `response_format` there may be no documents: they become text. */
function rulesFor(withDocuments: boolean): Rules {
  return {
    family,
    ids: bedrockIds,
    names: commonNames,
    ...textOnly,
    reasoning: "all",
    maxStops: 5,
    images: allImages,
    documents: withDocuments ? textFormats : new Set(),
    searchResults: withDocuments,
    citations: withDocuments,
    topK: true,
    strictTools: true,
  };
}

/**
 * Converse → `POST /v2/chat`.
 *
 * @throws BedrockError ValidationException that names the field Cohere cannot carry
 */
export function encode(request: ConverseRequest, target: Target): Encoded {
  const prepared = prepare(request, target, rulesFor(!wantsFormat(request)));
  const ignored = [...prepared.ignored];
  const { fields: others, oneCall = false } = withoutClaudeFields(prepared.fields, ignored);
  if (oneCall) ignored.push(oneCallPath);
  const { documents: ownDocuments, ...ownRest } = knownFields(others, known, reserved, ignored);
  const documents = collectDocuments(prepared, ownDocuments);
  refuseContradictions(prepared, documents, ownRest);
  const { fields, answerTool } = writeTools(prepared, ignored);
  if (prepared.serviceTier !== undefined && prepared.serviceTier !== "default") ignored.push("serviceTier");
  const body = {
    model: target.model,
    stream: target.streaming,
    messages: writeMessages(prepared, { documents, thinks: reasons(target), ignored }),
    ...fields,
    ...(documents.list.length > 0 && { documents: documents.list }),
    ...citationFields(documents, prepared),
    ...inferenceFields(prepared.inference, prepared.fields.topK),
    ...thinkingFields(prepared, request, target, ignored),
    ...ownRest,
  };
  return {
    request: {
      method: "POST",
      path: apiPath(target.kind, "/chat"),
      headers: [["content-type", "application/json"]],
      body: JSON.stringify(body),
    },
    ignored,
    memo: answerTool === undefined ? prepared.memo : { answerTool, ...prepared.memo },
  };
}

function wantsFormat({ outputConfig, additionalModelRequestFields: own = {} }: ConverseRequest): boolean {
  const format = outputConfig?.textFormat ?? own.response_format ?? objectOf(own.output_config).format;
  return format != null;
}

function refuseContradictions({ schema, tools }: Prepared, documents: Documents, own: JsonObject): void {
  if (own.response_format !== undefined) {
    const path = "additionalModelRequestFields.response_format";
    if (schema !== undefined) throw refuseField(path, "contradicts the request's own output schema");
    if (tools.length > 0)
      throw refuseField(path, "cannot stand beside tools; give the schema in outputConfig.textFormat");
  }
  if (documents.list.length > 0 && (schema !== undefined || own.response_format !== undefined)) {
    throw refuseField("additionalModelRequestFields.documents", "cannot stand beside a schema for the answer");
  }
}

/**
 * Cohere cites documents and tool results unless it is told not to, and cited text reaches the client as
 * `citationsContent`; so who did not ask for citations gets plain text.
 */
function citationFields({ cited, list }: Documents, { turns }: Prepared): JsonObject {
  const hasSources = list.length > 0 || turns.some(({ blocks }) => blocks.some((block) => block.kind === "toolResult"));
  return hasSources && !cited ? { citation_options: { mode: "OFF" } } : {};
}

function inferenceFields({ maxTokens, temperature, topP, stops }: PreparedInference, topK?: number): JsonObject {
  return defined({
    max_tokens: maxTokens,
    temperature: temperature === undefined ? undefined : Math.min(temperature, 1),
    p: topP === undefined ? undefined : clamp(topP, 0.01, 0.99),
    k: topK === undefined ? undefined : clamp(topK, 0, 500),
    stop_sequences: stops.length === 0 ? undefined : stops,
  });
}

function thinkingFields(
  { reasoning, inference }: Prepared,
  request: ConverseRequest,
  target: Target,
  ignored: string[],
): JsonObject {
  if (!reasons(target)) {
    ignored.push(...reasoningPaths(request));
    return {};
  }
  if (reasoning.mode === "unset") return {};
  if (reasoning.mode === "off") return { thinking: { type: "disabled" } };
  const budget = budgetFor(reasoning, inference.maxTokens ?? longestAnswer);
  return { thinking: { type: "enabled", ...(budget !== undefined && { token_budget: Math.max(1, budget) }) } };
}

function clamp(value: number, least: number, most: number): number {
  return Math.min(Math.max(value, least), most);
}
