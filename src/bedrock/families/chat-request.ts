/** Reads a body of the chat formats. They differ in a few words; {@link ChatForm} says which. */
import type { ConverseRequest } from "../converse.ts";
import { refuseField } from "../errors.ts";
import type { JsonObject } from "../json.ts";
import { readAnyObject, readBoolean, readInteger, readName, readRest } from "../reading.ts";
import { type ChatRole, readChatMessages } from "./chat-messages.ts";
import { type ChoiceWords, readFormat, readToolMembers } from "./chat-tools.ts";
import {
  additionalFields,
  type InferenceNames,
  readInference,
  readStopTextOrList,
  refuseSeveral,
} from "./inference.ts";

export interface ChatForm {
  readonly roles: readonly ChatRole[];
  /** Content may be a list of texts and images. */
  readonly parts: boolean;
  readonly choices: ChoiceWords;
  /** `tool_choice` may name a function. */
  readonly namedChoice: boolean;
  readonly maxTemperature: number;
}

const carried = new Set([
  "messages",
  "max_tokens",
  "max_completion_tokens",
  "temperature",
  "top_p",
  "stop",
  "tools",
  "tool_choice",
  "response_format",
  "n",
  "logprobs",
  "top_logprobs",
  "model",
  "stream",
  "stream_options",
]);
const withoutFormat = new Set([...carried].filter((name) => name !== "response_format"));

/**
 * Reads a body into Converse.
 *
 * - `model`, `stream` and `stream_options` are checked and not carried: the path names the model, the operation says
 *   whether the answer streams, and the options are the answer's business.
 * - `n` above 1 and log probabilities are refused: no answer could hold them.
 * - `response_format` of type `json_object` is kept as an additional field, as is whatever Converse has no member for.
 *
 * @throws BedrockError ValidationException naming the path of a field that is wrong, or that Converse cannot carry
 */
export function readChat(body: JsonObject, form: ChatForm): ConverseRequest {
  checkEnvelope(body);
  refuseSeveral(body.n, "n");
  refuseLogprobs(body);
  const format = readFormat(body.response_format, "response_format");
  return {
    ...readChatMessages(body.messages, form.roles, form.parts),
    ...readInference(body, "", inferenceNames(body, form)),
    ...readToolMembers(body, form.choices, form.namedChoice),
    ...(typeof format === "object" && { outputConfig: format }),
    ...additionalFields(readRest(body, format === "json" ? withoutFormat : carried)),
  };
}

function checkEnvelope({ model, stream, stream_options }: JsonObject): void {
  if (model != null) readName(model, "model");
  if (stream != null) readBoolean(stream, "stream");
  if (stream_options == null) return;
  const { include_usage } = readAnyObject(stream_options, "stream_options");
  if (include_usage != null) readBoolean(include_usage, "stream_options.include_usage");
}

function refuseLogprobs({ logprobs, top_logprobs }: JsonObject): void {
  const reason = "cannot be served: log probabilities are not part of an answer here";
  if (logprobs != null && readBoolean(logprobs, "logprobs")) throw refuseField("logprobs", reason);
  if (top_logprobs != null && readInteger(top_logprobs, "top_logprobs") !== 0) {
    throw refuseField("top_logprobs", reason);
  }
}

function inferenceNames(body: JsonObject, form: ChatForm): InferenceNames {
  if (body.max_tokens != null && body.max_completion_tokens != null) {
    throw refuseField("max_tokens", "must not stand beside max_completion_tokens, which means the same");
  }
  return {
    maxTokens: body.max_completion_tokens == null ? "max_tokens" : "max_completion_tokens",
    temperature: "temperature",
    topP: "top_p",
    stop: "stop",
    readStop: readStopTextOrList,
    maxTemperature: form.maxTemperature,
  };
}
