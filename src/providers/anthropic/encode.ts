/** Converse as a request of the Messages API. */

import type { ConverseRequest, ServiceTier } from "../../bedrock/converse.ts";
import { defined } from "../../bedrock/defined.ts";
import type { JsonObject } from "../../bedrock/json.ts";
import type { Encoded, Target } from "../dialect.ts";
import { ownFields } from "../model-fields.ts";
import { prepare } from "../prepare.ts";
import type { Prepared, SystemPart, TextPart } from "../prepared.ts";
import { keepCachePoints, markBlocks, withCacheControl } from "./cache.ts";
import { plainText, writeBlock } from "./content.ts";
import { checkBetas, countRequest, isVertex, messagesRequest } from "./endpoint.ts";
import { allowsBudget, arrangeTurns, endTurns } from "./messages.ts";
import { type ClaudeModel, claudeModel } from "./models.ts";
import { rulesFor } from "./rules.ts";
import { planThinking, thinkingPaths } from "./thinking.ts";
import { planTools } from "./tools.ts";

/** Cache points in one request. */
const mostCachePoints = 4;

/** Names the gateway writes itself; a client that sets them as the model's own fields would write them twice. */
const reserved = new Set([
  "model",
  "messages",
  "system",
  "tools",
  "max_tokens",
  "temperature",
  "top_p",
  "stop_sequences",
  "stream",
]);

/** What the counting of tokens takes of a request. */
const counted = new Set([
  "system",
  "messages",
  "tools",
  "tool_choice",
  "thinking",
  "output_config",
  "cache_control",
  "context_management",
  "mcp_servers",
]);

interface Written {
  readonly body: JsonObject;
  readonly betas: readonly string[];
  readonly ignored: readonly string[];
  readonly memo: Encoded["memo"];
}

/** @throws BedrockError ValidationException that names the field the model cannot take */
export function encode(request: ConverseRequest, target: Target): Encoded {
  const { body, betas, ignored, memo } = write(request, target);
  return { request: messagesRequest(body, betas, target), ignored, memo };
}

/** @throws BedrockError ValidationException that names the field the model cannot take */
export function encodeCount(request: ConverseRequest, target: Target): Encoded {
  const { body, betas, ignored, memo } = write(request, target);
  const taken = Object.fromEntries(Object.entries(body).filter(([name]) => counted.has(name)));
  return { request: countRequest(taken, betas, target), ignored, memo };
}

function write(request: ConverseRequest, target: Target): Written {
  const model = claudeModel(target.baseModel ?? target.model);
  const vertex = isVertex(target);
  const prepared = prepare(request, target, rulesFor(model.structured && !vertex));
  const ignored = [...prepared.ignored];

  // On Vertex an organisation has to allow structured output first; a tool is always there, unless it cannot be forced.
  const native = model.structured && (!vertex || model.refusesForcedTools);
  const tooling = planTools(prepared, request, model, native, ignored);
  const arranged = arrangeTurns(prepared.turns, ignored);
  const thinking = planThinking(prepared, model, !tooling.forced && allowsBudget(arranged));
  if (thinking.refused) {
    ignored.push(...thinkingPaths(request.outputConfig?.effort, request.additionalModelRequestFields));
  }

  // Continuing a beginning goes neither with thinking nor with a schema.
  const turns = endTurns(arranged, model.prefill && !thinking.active && tooling.format === undefined);
  const system = markBlocks(prepared.system, writeSystem, ignored);
  const messages = turns.map(({ role, blocks }) => ({
    role,
    content: markBlocks(blocks, (block) => writeBlock(block, ignored), ignored),
  }));
  const { tool_choice: _, ...own } = ownFields(prepared.fields, reserved);
  const kept = keepCachePoints(
    [...tooling.tools, ...system],
    messages.flatMap(({ content }) => content),
    own.cache_control === undefined ? mostCachePoints : mostCachePoints - 1,
    ignored,
  );
  const { effort } = thinking;
  const { format } = tooling;
  const blankStops = prepared.inference.stops.filter((stop) => stop.trim() === "");

  const body = {
    max_tokens: thinking.maxTokens,
    ...(system.length > 0 && { system: system.map((block) => withCacheControl(block, kept)) }),
    messages: messages.map(({ role, content }) => ({
      role,
      content: content.map((block) => withCacheControl(block, kept)),
    })),
    ...(tooling.tools.length > 0 && { tools: tooling.tools.map((tool) => withCacheControl(tool, kept)) }),
    ...(tooling.choice !== undefined && { tool_choice: tooling.choice }),
    ...writeSampling(prepared, request, model, thinking.active, ignored),
    ...writeStops(prepared),
    ...(thinking.thinking !== undefined && { thinking: thinking.thinking }),
    ...((effort !== undefined || format !== undefined) && {
      output_config: { ...(effort !== undefined && { effort }), ...(format !== undefined && { format }) },
    }),
    ...writeTier(prepared.serviceTier, !vertex && own.service_tier === undefined, ignored),
    ...own,
  };
  return {
    body,
    betas: checkBetas(prepared.fields.anthropicBeta ?? []),
    ignored,
    memo: {
      ...(tooling.answerTool !== undefined && { answerTool: tooling.answerTool }),
      ...prepared.memo,
      // Refused by the API: the gateway cuts the text itself.
      stops: blankStops,
    },
  };
}

function writeSystem(part: Extract<SystemPart, TextPart>): JsonObject {
  return plainText(part.text);
}

function writeStops({ inference }: Prepared): JsonObject {
  const stops = inference.stops.filter((stop) => stop.trim() !== "");
  return stops.length === 0 ? {} : { stop_sequences: stops };
}

/** A value of 1 is what a model does without being told, so to leave it out changes nothing. */
function writeSampling(
  { inference, fields }: Prepared,
  request: ConverseRequest,
  model: ClaudeModel,
  thinking: boolean,
  ignored: string[],
): JsonObject {
  const { temperature, topP } = inference;
  const { topK } = fields;
  const takesTemperature = temperature !== undefined && !model.refusesSampling && !thinking;
  // Beside thinking only the upper end of the range is taken.
  const rangeStart = thinking ? 0.95 : 0;
  const takesTopP =
    topP !== undefined && !model.refusesSampling && topP >= rangeStart && !(takesTemperature && model.oneSampler);
  const takesTopK = topK !== undefined && !model.refusesSampling && !thinking;
  if (temperature !== undefined && !takesTemperature && temperature !== 1) ignored.push("inferenceConfig.temperature");
  if (topP !== undefined && !takesTopP && topP !== 1) ignored.push("inferenceConfig.topP");
  if (topK !== undefined && !takesTopK) ignored.push(topKPath(request.additionalModelRequestFields));
  return defined({
    temperature: takesTemperature ? Math.min(temperature, 1) : undefined,
    top_p: takesTopP ? topP : undefined,
    top_k: takesTopK ? topK : undefined,
  });
}

function topKPath(fields: JsonObject = {}): string {
  const name = ["top_k", "topK", "k"].find((candidate) => fields[candidate] != null) ?? "inferenceConfig.topK";
  return `additionalModelRequestFields.${name}`;
}

/**
 * Anthropic has the priority that was paid for in advance, and the standard.
 *
 * @param free false where there is no such field, or the client has set it by itself
 */
function writeTier(tier: ServiceTier["type"] | undefined, free: boolean, ignored: string[]): JsonObject {
  if (tier === undefined) return {};
  if (free && tier === "priority") return { service_tier: "auto" };
  if (free && tier === "default") return { service_tier: "standard_only" };
  ignored.push("serviceTier");
  return {};
}
