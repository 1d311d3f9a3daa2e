/** A whole chat completion as a Converse answer. */
import type { Citation, ImageFormat } from "../../bedrock/converse.ts";
import { isJsonObject, type JsonValue } from "../../bedrock/json.ts";
import { AnswerWriter, listOf, objectOf, textOf } from "../answer.ts";
import { writeCalls } from "../chat/calls.ts";
import type { Answer, Memo, ProviderAnswer, ProviderFailure } from "../dialect.ts";
import { isFailure, nonsense, readJson } from "../nonsense.ts";
import { chatQuirksOf } from "../table.ts";
import { AnswerContent, type ContentOut, readTier } from "./answer-content.ts";
import { readChatUsage } from "./chat-usage.ts";
import { readSources } from "./citations.ts";
import { innerFailure } from "./failure.ts";
import { finishFailure, nativeAnswer, readFinish } from "./finish.ts";
import { familyOf } from "./request.ts";

/** Reads an answer of status 200. */
export function decodeChat(answer: ProviderAnswer, memo: Memo): Answer | ProviderFailure {
  const body = readJson(answer);
  if (isFailure(body)) return body;
  const failure = innerFailure(body, memo.target);
  if (failure !== undefined) return failure;
  const choice = listOf(body.choices)[0];
  if (!isJsonObject(choice)) return nonsense("The provider's answer has no choices.");
  const message = choice.message;
  // OpenRouter tells here of a failure of the provider behind it.
  const inner = innerFailure(choice, memo.target);
  if (inner !== undefined) return inner;
  if (!isJsonObject(message)) return nonsense("The provider's answer has no message.");
  const finish = readFinish(choice);
  if (typeof finish === "object") return finishFailure(finish.failed, memo.target, false);

  const quirks = chatQuirksOf(memo.target.kind);
  const writer = new AnswerWriter(memo, familyOf(memo.target));
  const pieces = new Pieces(writer);
  const content = new AnswerContent(memo.schema, quirks, pieces);
  content.read(message);
  for (const source of readSources(body)) content.citation(source);
  const calls = message.tool_calls;
  if (listOf(calls).length > 0) content.callsBegin();
  else content.end();
  pieces.flush();
  const isAnswered = quirks.repeatsCalls && memo.schema && content.hasText;
  if (!isAnswered && !writeCalls(finish === "max_tokens" ? withNames(calls) : calls, writer)) {
    return nonsense("The provider's answer has calls that are none.");
  }
  if (finish === undefined && !writer.hasText && !writer.hasCalls) {
    return nonsense("The provider's answer has neither content nor a reason for its end.");
  }
  const usage = readChatUsage(body, quirks);
  if (usage !== undefined) writer.usage(usage);
  const tier = readTier(body);
  if (tier !== undefined) writer.serviceTier(tier);
  const native = memo.responsePaths.length > 0 ? nativeAnswer(body, choice) : undefined;
  return writer.finish(content.refused ? "content_filtered" : (finish ?? "end_turn"), native);
}

/** Cut off within a call, there may not even be a name. */
function withNames(calls: JsonValue | undefined): JsonValue {
  return listOf(calls).filter((call) => textOf(objectOf(objectOf(call).function).name) !== "");
}

/** Gives content to the writer of whole answers, neighbouring pieces of the same kind as one. */
class Pieces implements ContentOut {
  readonly #writer: AnswerWriter;
  #kind: "reasoning" | "text" | undefined;
  #text = "";
  #signature = "";
  #citations: Citation[] = [];

  constructor(writer: AnswerWriter) {
    this.#writer = writer;
  }

  text(text: string): void {
    if (text === "") return;
    this.#become("text");
    this.#text += text;
  }

  citation(citation: Citation): void {
    this.#become("text");
    this.#citations.push(citation);
  }

  reasoning(text: string): void {
    if (text === "") return;
    this.#become("reasoning");
    this.#text += text;
  }

  signature(blob: string): void {
    this.#become("reasoning");
    this.#signature += blob;
  }

  redacted(data: string): void {
    this.flush();
    this.#writer.redacted(data);
  }

  image(format: ImageFormat, bytes: string): void {
    this.flush();
    this.#writer.image(format, bytes);
  }

  blockEnd(): void {
    this.flush();
  }

  flush(): void {
    if (this.#kind === "text") this.#writer.text(this.#text, this.#citations);
    if (this.#kind === "reasoning") this.#writer.reasoning(this.#text, this.#signature);
    this.#kind = undefined;
    this.#text = "";
    this.#signature = "";
    this.#citations = [];
  }

  #become(kind: "reasoning" | "text"): void {
    if (this.#kind !== kind) this.flush();
    this.#kind = kind;
  }
}
