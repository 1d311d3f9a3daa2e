/** Converse as a request for chat completions. */
import type { ConverseRequest, DocumentFormat } from "../../bedrock/converse.ts";
import type { ChatQuirks } from "../chat-quirks.ts";
import { oneCallPath, withoutClaudeFields } from "../claude-fields.ts";
import type { Encoded, Target } from "../dialect.ts";
import { ownFields } from "../model-fields.ts";
import { prepare } from "../prepare.ts";
import type { Prepared, PreparedInference } from "../prepared.ts";
import { reasoningPaths } from "../reasoning-paths.ts";
import { allImages, type Rules, textOnly } from "../rules.ts";
import { chatQuirksOf } from "../table.ts";
import { openaiIds } from "../tool-ids.ts";
import { commonNames } from "../tool-names.ts";
import { writeMessages } from "./messages.ts";
import { type Abilities, abilitiesOf } from "./models.ts";
import { familyOf, post } from "./request.ts";
import { writeSchema } from "./schema.ts";
import { askForReasoning } from "./thinking.ts";
import { writeTools } from "./tools.ts";

/** Members that are `undefined` are not written. */
type Body = Readonly<Record<string, unknown>>;

const noDocuments: ReadonlySet<DocumentFormat> = new Set();
const pdf: ReadonlySet<DocumentFormat> = new Set(["pdf"]);
const noAudio: Rules["audios"] = new Set();
const wavAndMp3: Rules["audios"] = new Set(["wav", "mp3"]);

/** Set by the gateway, or without a place in Converse's answer: several answers, sound, the older kind of calls. */
const reserved = [
  "model",
  "messages",
  "stream",
  "stream_options",
  "n",
  "modalities",
  "audio",
  "functions",
  "function_call",
];

/** The highest temperature of the API. */
const maxTemperature = 2;

/** @throws BedrockError ValidationException that names the field this target cannot carry */
export function encodeChat(request: ConverseRequest, target: Target): Encoded {
  const quirks = chatQuirksOf(target.kind);
  const model = abilitiesOf(target, quirks);
  const prepared = prepare(request, target, rulesFor(target, quirks, model));
  const ignored = [...prepared.ignored];
  const body = writeBody(prepared, request, { target, quirks, model, ignored });
  return { request: post(target, quirks, "/chat/completions", body), ignored, memo: prepared.memo };
}

function rulesFor(target: Target, quirks: ChatQuirks, model: Abilities): Rules {
  const { reasoningOut, reasoningOutModels } = quirks;
  const takesReasoning = reasoningOutModels?.test(target.baseModel ?? target.model) ?? true;
  return {
    family: familyOf(target),
    ids: openaiIds,
    names: commonNames,
    ...textOnly,
    systemTurns: quirks.systemTurns,
    reasoning: reasoningOut !== "none" && takesReasoning ? "all" : "none",
    maxStops: model.isReasoner ? 0 : quirks.maxStops,
    images: allImages,
    documents: quirks.pdf ? pdf : noDocuments,
    audios: quirks.audio ? wavAndMp3 : noAudio,
    cachePoints: quirks.cacheControl,
    topK: quirks.topK,
    strictTools: quirks.strictTools,
  };
}

interface Place {
  readonly target: Target;
  readonly quirks: ChatQuirks;
  readonly model: Abilities;
  /** Takes the paths of what is left out. */
  readonly ignored: string[];
}

function writeBody(prepared: Prepared, request: ConverseRequest, place: Place): Body {
  const { target, quirks, model, ignored } = place;
  const hasTools = prepared.tools.length > 0;
  const { response_format, instructions } = writeSchema(prepared.schema, hasTools, quirks);
  const messages = writeMessages(
    prepared,
    {
      quirks,
      target,
      family: familyOf(target),
      systemRole: model.isReasoner ? "developer" : "system",
      instructions,
    },
    ignored,
  );
  const { thinking, toolChoice } = settleThinking(prepared, request, place);
  const tools = writeTools(prepared.tools, toolChoice, quirks, ignored);
  const { fields, oneCall = false } = withoutClaudeFields(prepared.fields, ignored);
  const written = defined({
    model: target.model,
    messages,
    ...tools,
    parallel_tool_calls: oneCall && hasTools && takesOneCall(place) ? false : undefined,
    response_format,
    ...writeInference(prepared.inference, thinking.isOff, place),
    ...thinking.fields,
    top_k: prepared.fields.topK,
    service_tier: writeTier(prepared, place),
    stream: target.streaming ? true : undefined,
    stream_options: target.streaming && quirks.includeUsage ? { include_usage: true } : undefined,
  });
  if (oneCall && written.parallel_tool_calls === undefined) ignored.push(oneCallPath);
  const own = ownFields(fields, new Set([...reserved, ...Object.keys(written)]));
  return { ...quirks.extra, ...model.extra, ...own, ...written };
}

/** OpenAI's own models, but for the o-series, which refuse `parallel_tool_calls`; of other servers nothing is known. */
function takesOneCall({ target: { model, baseModel = model }, quirks }: Place): boolean {
  return quirks.systemRole === "by_model" && !/^o\d/.test(baseModel);
}

function defined(members: Body): Body {
  return Object.fromEntries(Object.entries(members).filter(([, value]) => value !== undefined));
}

/** Thinking and a forced choice of tools exclude each other at some servers: what the client said in so many words wins. */
function settleThinking(prepared: Prepared, request: ConverseRequest, { quirks, model, ignored }: Place) {
  const { reasoning, inference, tools, toolChoice } = prepared;
  const conflict =
    quirks.forcedChoiceStopsThinking &&
    toolChoice !== undefined &&
    toolChoice.kind !== "auto" &&
    reasoning.mode !== "off";
  const wantsThinking = reasoning.mode === "on" || reasoning.mode === "adaptive";
  const thinking = askForReasoning(
    {
      intent: conflict && !wantsThinking ? { mode: "off" } : reasoning,
      maxTokens: inference.maxTokens,
      hasTools: tools.length > 0,
      hasSampling: inference.temperature !== undefined || inference.topP !== undefined,
    },
    quirks,
    model,
  );
  if (!thinking.isCarried) {
    ignored.push(...reasoningPaths(request));
  }
  if (!conflict || !wantsThinking) return { thinking, toolChoice };
  ignored.push("toolConfig.toolChoice");
  return { thinking, toolChoice: { kind: "auto" as const } };
}

function writeInference(inference: PreparedInference, isOff: boolean, { quirks, model, ignored }: Place): Body {
  const { maxTokens, temperature, topP, stops } = inference;
  const takesSampling = model.sampling === "always" || (model.sampling === "when_off" && isOff);
  if (!takesSampling && temperature !== undefined) ignored.push("inferenceConfig.temperature");
  if (!takesSampling && topP !== undefined) ignored.push("inferenceConfig.topP");
  const isNewName = quirks.maxTokens === "by_model" ? model.isReasoner : quirks.maxTokens === "max_completion_tokens";
  return {
    max_tokens: isNewName ? undefined : maxTokens,
    max_completion_tokens: isNewName ? maxTokens : undefined,
    temperature: takesSampling && temperature !== undefined ? Math.min(temperature, maxTemperature) : undefined,
    top_p: takesSampling ? topP : undefined,
    stop: stops.length > 0 ? stops : undefined,
  };
}

function writeTier({ serviceTier }: Prepared, { quirks, model, ignored }: Place): string | undefined {
  if (serviceTier === undefined || serviceTier === "default") return undefined;
  if (quirks.serviceTiers.includes(serviceTier) && model.tiers.includes(serviceTier)) return serviceTier;
  ignored.push("serviceTier");
  return undefined;
}
