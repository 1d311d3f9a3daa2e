/** All families, and the choice of the one a request is written in. */
import { BedrockError } from "../errors.ts";
import { isJsonObject, type JsonObject, type JsonValue } from "../json.ts";
import { quote } from "../reading.ts";
import { ai21Jamba } from "./ai21.ts";
import { anthropicMessages } from "./anthropic-messages.ts";
import { anthropicText } from "./anthropic-text.ts";
import { cohereCommand } from "./cohere-command.ts";
import { cohereCommandR } from "./cohere-command-r.ts";
import { cohereEmbed } from "./cohere-embed.ts";
import { deepseek } from "./deepseek.ts";
import type { EmbeddingFamily, Family, ImageFamily, RerankFamily } from "./family.ts";
import { llama } from "./llama.ts";
import { mistralChat, mistralPrompt } from "./mistral.ts";
import { nova } from "./nova.ts";
import { openaiChat } from "./openai-chat.ts";
import { rerank } from "./rerank.ts";
import { stability } from "./stability.ts";
import { titanEmbed } from "./titan-embed.ts";
import { isImageTask, titanImage } from "./titan-image.ts";
import { titanText } from "./titan-text.ts";

export const textFamilies: readonly Family[] = [
  anthropicMessages,
  anthropicText,
  nova,
  titanText,
  llama,
  mistralPrompt,
  mistralChat,
  cohereCommand,
  cohereCommandR,
  ai21Jamba,
  deepseek,
  openaiChat,
];

export const embeddingFamilies: readonly EmbeddingFamily[] = [titanEmbed, cohereEmbed];

export const imageFamilies: readonly ImageFamily[] = [titanImage, stability];

export const rerankFamilies: readonly RerankFamily[] = [rerank];

/** @throws Error when no family of the kind has the name */
export function familyNamed<F extends AnyFamily>(families: readonly F[], name: string): F {
  const family = families.find((one) => one.name === name);
  if (family === undefined) throw new Error(`no family ${name}`);
  return family;
}

type AnyFamily = Family | EmbeddingFamily | ImageFamily | RerankFamily;

const regionPrefix = /^(?:us-gov|us|eu|apac|au|jp|in|ca|sa|global)\./;

/** By the beginning of a model's name, without its region. The first that fits counts. */
const vendors: readonly (readonly [name: RegExp, choose: (body: JsonObject) => AnyFamily])[] = [
  [/^anthropic\./, chooseAnthropic],
  [/^amazon\.nova-(?!canvas|reel|sonic|.*embed)/, () => nova],
  [/^amazon\.titan-(?:text-|tg1)/, () => titanText],
  [/^amazon\.titan-embed/, () => titanEmbed],
  [/^amazon\.(?:titan-image|nova-canvas)/, () => titanImage],
  [/^stability\./, () => stability],
  [/^(?:cohere|amazon)\.rerank/, () => rerank],
  [/^meta\.llama/, () => llama],
  [/^mistral\./, (body) => (has(body, "messages") ? mistralChat : mistralPrompt)],
  [/^cohere\.command-r/, () => cohereCommandR],
  [/^cohere\.command/, (body) => (has(body, "message") ? cohereCommandR : cohereCommand)],
  [/^cohere\.embed/, () => cohereEmbed],
  [/^ai21\.jamba/, () => ai21Jamba],
  [/^deepseek\./, (body) => (has(body, "messages") ? openaiChat : deepseek)],
  [/^(?:openai|qwen|moonshot|moonshotai|minimax|zai|nvidia|writer)\.|^google\.gemma/, () => openaiChat],
];

/** Vendors on Bedrock with models that no family here is for; the shape of such a body would only mislead. */
const knownVendor =
  /^(?:anthropic|amazon|meta|mistral|cohere|ai21|deepseek|openai|qwen|moonshot|moonshotai|minimax|zai|google|nvidia|writer|stability|luma|twelvelabs)\./;

/**
 * Chooses the family of an InvokeModel body: by the model's name on Bedrock, by the body's shape when the name says
 * nothing.
 *
 * @param modelId as the client wrote it: a model id, an inference profile, an ARN; decoded
 * @param foreign the model is another provider's, whose names say nothing about bodies
 * @throws BedrockError ValidationException naming the model when no family fits, or more than one
 */
export function chooseFamily(modelId: string, body: JsonObject, foreign: boolean): AnyFamily {
  if (!foreign) {
    const name = modelId.slice(modelId.lastIndexOf("/") + 1).replace(regionPrefix, "");
    const vendor = vendors.find(([pattern]) => pattern.test(name));
    if (vendor !== undefined) return vendor[1](body);
    if (knownVendor.test(name)) throw refuse(modelId, "is no model whose request body can be read here; use Converse");
  }
  return byShape(modelId, body);
}

function byShape(modelId: string, body: JsonObject): AnyFamily {
  const id = modelId.toLowerCase();
  if (has(body, "anthropic_version")) return chooseAnthropic(body);
  if (has(body, "schemaVersion")) return nova;
  if (has(body, "max_tokens_to_sample")) return anthropicText;
  if (has(body, "texts")) return cohereEmbed;
  if (isImageTask(body)) return titanImage;
  if (has(body, "text_prompts")) return stability;
  if (has(body, "query") && has(body, "documents")) return rerank;
  if (has(body, "inputText")) return isEmbedding(id, body) ? titanEmbed : titanText;
  if (has(body, "max_gen_len")) return llama;
  if (has(body, "message")) return cohereCommandR;
  if (has(body, "messages")) return byMessages(modelId, body);
  if (has(body, "prompt")) {
    if (stabilityMembers.some((name) => has(body, name))) return stability;
    if (id.includes("mistral")) return mistralPrompt;
    throw refuse(modelId, "does not say whose `prompt` this is, and several vendors have one; use Converse");
  }
  throw refuse(modelId, "does not say how to read this request body, and neither does the body; use Converse");
}

/** Members that stand beside a `prompt` only in Stability's bodies. */
const stabilityMembers = ["mode", "aspect_ratio", "negative_prompt", "output_format", "strength"];

function chooseAnthropic(body: JsonObject): Family {
  return has(body, "prompt") && !has(body, "messages") ? anthropicText : anthropicMessages;
}

function isEmbedding(id: string, body: JsonObject): boolean {
  if (has(body, "textGenerationConfig")) return false;
  return id.includes("embed") || ["dimensions", "normalize", "embeddingTypes"].some((name) => has(body, name));
}

function byMessages(modelId: string, body: JsonObject): AnyFamily {
  if (has(body, "inferenceConfig") || has(body, "toolConfig")) return nova;
  if (isOpenAiStyle(body)) return modelId.toLowerCase().includes("mistral") ? mistralChat : openaiChat;
  if (has(body, "max_tokens")) return anthropicMessages;
  throw refuse(
    modelId,
    "does not say whose `messages` these are; send `anthropic_version` with Anthropic's, or use Converse",
  );
}

/** Members of OpenAI's chat body that no other body with `messages` and `max_tokens` has. */
const openAiMembers = [
  "max_completion_tokens",
  "stop",
  "n",
  "seed",
  "response_format",
  "frequency_penalty",
  "presence_penalty",
  "logit_bias",
  "reasoning_effort",
  "parallel_tool_calls",
];

function isOpenAiStyle(body: JsonObject): boolean {
  if (openAiMembers.some((name) => has(body, name))) return true;
  const { messages, tools } = body;
  return listOf(messages).some(isOpenAiMessage) || listOf(tools).some((tool) => tool.type === "function");
}

/** Anthropic's own system messages stand behind others, and its bodies have a `system` for the first. */
function isOpenAiMessage(message: JsonObject, index: number): boolean {
  const { role, content } = message;
  if (role === "tool" || role === "developer" || (role === "system" && index === 0)) return true;
  return has(message, "tool_calls") || listOf(content).some((part) => has(part, "image_url"));
}

function listOf(value: JsonValue | undefined): readonly JsonObject[] {
  return Array.isArray(value) ? value.filter(isJsonObject) : [];
}

function has(body: JsonObject, name: string): boolean {
  return Object.hasOwn(body, name) && body[name] !== null;
}

function refuse(modelId: string, reason: string): BedrockError {
  return new BedrockError("ValidationException", `The model id ${quote(modelId)} ${reason}.`);
}
