import type { ConverseRequest } from "../../bedrock/converse.ts";
import { defined } from "../../bedrock/defined.ts";
import { refuseField } from "../../bedrock/errors.ts";
import type { JsonObject } from "../../bedrock/json.ts";
import { writeTool } from "../chat/tools.ts";
import { oneCallPath, withoutClaudeFields } from "../claude-fields.ts";
import type { Encoded, Target } from "../dialect.ts";
import { knownFields } from "../known-fields.ts";
import { prepare } from "../prepare.ts";
import type { AnswerSchema, Prepared } from "../prepared.ts";
import { reasoningPaths } from "../reasoning-paths.ts";
import { allImages, type Rules, textOnly } from "../rules.ts";
import { apiPath } from "../table.ts";
import { mistralIds } from "../tool-ids.ts";
import { commonNames } from "../tool-names.ts";
import { writeMessages } from "./messages.ts";
import { type Reasoning, reasoningOf } from "./models.ts";

/** Mistral marks no reasoning with a signature, so this name is seen by nobody. */
export const family = "mistral";

const maxTemperature = 1.5;

/** Fields of Mistral's own. It refuses every field it does not know (422 `extra_forbidden`). */
const known: ReadonlySet<string> = new Set([
  "random_seed",
  "safe_prompt",
  "presence_penalty",
  "frequency_penalty",
  "parallel_tool_calls",
  "prediction",
  "prompt_mode",
  "response_format",
]);
const reserved: ReadonlySet<string> = new Set([
  "model",
  "messages",
  "stream",
  "tools",
  "tool_choice",
  "max_tokens",
  "temperature",
  "top_p",
  "stop",
]);

function rulesFor(reasoning: Reasoning): Rules {
  return {
    family,
    ids: mistralIds,
    names: commonNames,
    ...textOnly,
    userFirst: true,
    reasoning: reasoning === "none" ? "none" : "all",
    maxStops: Number.POSITIVE_INFINITY,
    images: allImages,
    documents: new Set(["pdf"]),
    strictTools: true,
  };
}

/**
 * Converse → `POST /v1/chat/completions`.
 *
 * @throws BedrockError ValidationException that names the field Mistral cannot carry
 */
export function encode(request: ConverseRequest, target: Target): Encoded {
  const reasoning = reasoningOf(target);
  const prepared = prepare(request, target, rulesFor(reasoning));
  const ignored = [...prepared.ignored];
  const messages = writeMessages(prepared, ignored);
  const { fields, oneCall = false } = withoutClaudeFields(prepared.fields, ignored);
  const own = knownFields(fields, known, reserved, ignored);
  if (oneCall && prepared.tools.length === 0) ignored.push(oneCallPath);
  if (prepared.schema !== undefined && own.response_format !== undefined) {
    throw refuseField("additionalModelRequestFields.response_format", "contradicts the request's own output schema");
  }
  if (prepared.serviceTier !== undefined && prepared.serviceTier !== "default") ignored.push("serviceTier");
  const body = {
    model: target.model,
    messages,
    ...toolFields(prepared, ignored),
    ...(oneCall && prepared.tools.length > 0 && { parallel_tool_calls: false }),
    ...inferenceFields(prepared, ignored),
    ...(prepared.schema !== undefined && { response_format: responseFormat(prepared.schema) }),
    ...effortFields(prepared, reasoning, request, ignored),
    ...(target.streaming && { stream: true }),
    ...own,
  };
  return {
    request: {
      method: "POST",
      path: apiPath(target.kind, "/chat/completions"),
      headers: [["content-type", "application/json"]],
      body: JSON.stringify(body),
    },
    ignored,
    memo: prepared.memo,
  };
}

/** A choice of one tool is that tool alone, and `any`. */
function toolFields({ tools, toolChoice }: Prepared, ignored: string[]): JsonObject {
  if (tools.length === 0) return {};
  if (toolChoice?.kind !== "tool") {
    return { tools: tools.map(writeTool), ...(toolChoice !== undefined && { tool_choice: toolChoice.kind }) };
  }
  const { name } = toolChoice;
  for (const tool of tools) if (tool.name !== name) ignored.push(tool.path);
  return { tools: tools.filter((tool) => tool.name === name).map(writeTool), tool_choice: "any" };
}

function inferenceFields({ inference }: Prepared, ignored: string[]): JsonObject {
  const { maxTokens, temperature, topP, stops } = inference;
  // Without sampling there is nothing to choose from, and Mistral refuses the combination.
  const greedy = temperature === 0 && topP !== undefined && topP < 1;
  if (greedy) ignored.push("inferenceConfig.topP");
  return defined({
    max_tokens: maxTokens,
    temperature: temperature === undefined ? undefined : Math.min(temperature, maxTemperature),
    top_p: greedy ? undefined : topP,
    stop: stops.length === 0 ? undefined : stops,
  });
}

function responseFormat({ name, description, schema }: AnswerSchema): JsonObject {
  return {
    type: "json_schema",
    json_schema: { name, ...(description !== undefined && { description }), schema, strict: true },
  };
}

/** Mistral knows `high` and `none`; a model that always reasons needs no telling, and cannot be told to stop. */
function effortFields(
  { reasoning: { mode } }: Prepared,
  reasoning: Reasoning,
  request: ConverseRequest,
  ignored: string[],
): JsonObject {
  if (reasoning === "adjustable") {
    if (mode === "unset") return {};
    return { reasoning_effort: mode === "off" ? "none" : "high" };
  }
  ignored.push(...reasoningPaths(request));
  return {};
}
