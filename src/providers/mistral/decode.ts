import { isJsonObject } from "../../bedrock/json.ts";
import { AnswerWriter, listOf } from "../answer.ts";
import { writeCalls } from "../chat/calls.ts";
import type { Answer, Memo, ProviderAnswer, ProviderFailure } from "../dialect.ts";
import { failureFor } from "../failures.ts";
import { isFailure, nonsense, readJson } from "../nonsense.ts";
import { readFinish, readPieces, readUsage } from "./answer-parts.ts";
import { family } from "./encode.ts";
import { innerFailure } from "./failure.ts";

/** What the client reads of an answer that Mistral itself broke off. */
export const brokenOff = "The provider broke off the answer with an error.";

/** `{choices: [{message: {content, tool_calls}, finish_reason}], usage}` → Converse. */
export function decode(answer: ProviderAnswer, memo: Memo): Answer | ProviderFailure {
  const body = readJson(answer);
  if (isFailure(body)) return body;
  const failed = innerFailure(body, memo.target);
  if (failed !== undefined) return failed;
  const choice = listOf(body.choices)[0];
  if (!isJsonObject(choice) || !isJsonObject(choice.message)) return nonsense("The provider's answer has no message.");
  const reason = readFinish(choice.finish_reason);
  if (reason === undefined) return nonsense("The provider's answer does not say why it ends.");
  if (reason === "error") return failureFor("unavailable", brokenOff, memo.target);
  const pieces = readPieces(choice.message.content);
  if (pieces === undefined) return nonsense("The content of the provider's answer is neither text nor parts.");

  const writer = new AnswerWriter(memo, family);
  for (const { kind, text } of pieces) writer[kind](text);
  if (!writeCalls(choice.message.tool_calls, writer))
    return nonsense("The provider's answer has a call without a name.");
  writer.usage(readUsage(body.usage));
  return writer.finish(reason, body);
}
