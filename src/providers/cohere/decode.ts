import { isJsonObject, type JsonObject, type JsonValue } from "../../bedrock/json.ts";
import { AnswerWriter, listOf, textOf } from "../answer.ts";
import { writeCalls } from "../chat/calls.ts";
import type { Answer, Memo, ProviderAnswer, ProviderFailure } from "../dialect.ts";
import { isFailure, nonsense, readJson } from "../nonsense.ts";
import { citeText, isOfText, readSources } from "./citations.ts";
import { family } from "./encode.ts";
import { innerFailure } from "./failure.ts";
import { failedFinish, readFinish, readUsage } from "./finish.ts";

/** `{message: {content, tool_plan, tool_calls, citations}, finish_reason, usage}` → Converse. */
export function decode(answer: ProviderAnswer, memo: Memo): Answer | ProviderFailure {
  const body = readJson(answer);
  if (isFailure(body)) return body;
  const { message, finish_reason, usage } = body;
  if (!isJsonObject(message)) {
    return innerFailure(body, memo.target) ?? nonsense("The provider's answer has no message.");
  }
  const reason = readFinish(finish_reason);
  if (reason === undefined) return nonsense("The provider's answer does not say why it ends.");
  if (reason === "error" || reason === "timeout") {
    return failedFinish(reason, textOf(body.error), memo.target, false);
  }
  const writer = new AnswerWriter(memo, family);
  if (!writeContent(message, memo, writer)) {
    return nonsense("The content of the provider's answer is neither text nor parts.");
  }
  if (message.tool_plan != null) writer.reasoning(textOf(message.tool_plan));
  if (!writeCalls(message.tool_calls, writer)) return nonsense("The provider's answer has a call without a name.");
  writer.usage(readUsage(usage));
  return writer.finish(reason, body);
}

/** Returns false when the content is of no known shape. */
function writeContent({ content, citations }: JsonObject, memo: Memo, writer: AnswerWriter): boolean {
  if (content == null) return true;
  const items: readonly JsonValue[] = typeof content === "string" ? [{ type: "text", text: content }] : listOf(content);
  if (!Array.isArray(content) && typeof content !== "string") return false;
  const cited = listOf(citations).filter(isJsonObject).filter(isOfText);
  const firstText = items.findIndex((item) => isJsonObject(item) && item.type !== "thinking");
  for (const [index, item] of items.entries()) {
    if (!isJsonObject(item)) return false;
    const text = item.type === "thinking" ? item.thinking : item.text;
    if (typeof text !== "string") return false;
    if (item.type === "thinking") writer.reasoning(text);
    else writeCited(text, citationsOf(cited, index, firstText), memo, writer);
  }
  return true;
}

/** A citation names its text by `content_index`; without one it is of the first. */
function citationsOf(citations: readonly JsonObject[], index: number, firstText: number): readonly JsonObject[] {
  return citations.filter(
    ({ content_index }) => (typeof content_index === "number" ? content_index : firstText) === index,
  );
}

function writeCited(text: string, citations: readonly JsonObject[], memo: Memo, writer: AnswerWriter): void {
  // Where the gateway looks for stop sequences itself, one may lie across the end of a cited piece.
  if (memo.stops.length > 0) {
    writer.text(text, citations.flatMap(readSources));
    return;
  }
  for (const piece of citeText(text, citations)) writer.text(piece.text, piece.citations);
}
