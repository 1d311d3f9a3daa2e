/** A complete answer of `generateContent` into Converse. */
import type { Citation, ImageFormat, ServiceTier } from "../../bedrock/converse.ts";
import type { JsonValue } from "../../bedrock/json.ts";
import { AnswerWriter } from "../answer.ts";
import type { Answer, Memo, ProviderAnswer, ProviderFailure } from "../dialect.ts";
import { isFailure, nonsense, readJson } from "../nonsense.ts";
import type { UsageReport } from "../usage.ts";
import { AnswerReader, type Sink } from "./reader.ts";
import { familyOf } from "./rules.ts";

export function decode(answer: ProviderAnswer, memo: Memo): Answer | ProviderFailure {
  const body = readJson(answer);
  if (isFailure(body)) return body;
  const writer = new AnswerWriter(memo, familyOf(memo.target));
  const sink = new WholeSink(writer);
  const reader = new AnswerReader(sink, memo);
  const failure = reader.read(body);
  if (failure !== undefined) return failure;
  const ending = reader.end();
  if (ending === undefined) return nonsense("The provider's answer does not say that it is complete.");
  sink.blockEnd();
  return writer.finish(ending.reason, ending.native);
}

/** Puts neighbouring pieces together before they are written. */
class WholeSink implements Sink {
  readonly #writer: AnswerWriter;
  #text = "";
  #reasoning = "";
  #citations: Citation[] = [];

  constructor(writer: AnswerWriter) {
    this.#writer = writer;
  }

  text(text: string): void {
    this.#endReasoning();
    this.#text += text;
  }

  reasoning(text: string): void {
    this.#endText();
    this.#reasoning += text;
  }

  signature(blob: string): void {
    this.#endText();
    this.#writer.reasoning(this.#reasoning, blob);
    this.#reasoning = "";
  }

  blockEnd(): void {
    this.#endText();
    this.#endReasoning();
  }

  call(id: JsonValue | undefined, name: string, input: string): void {
    this.blockEnd();
    this.#writer.call(id, name, input);
  }

  image(format: ImageFormat, bytes: string): void {
    this.blockEnd();
    this.#writer.image(format, bytes);
  }

  citation(citation: Citation): void {
    this.#citations.push(citation);
  }

  usage(report: UsageReport): void {
    this.#writer.usage(report);
  }

  serviceTier(tier: ServiceTier["type"]): void {
    this.#writer.serviceTier(tier);
  }

  #endText(): void {
    this.#writer.text(this.#text, this.#citations);
    this.#text = "";
    this.#citations = [];
  }

  #endReasoning(): void {
    this.#writer.reasoning(this.#reasoning);
    this.#reasoning = "";
  }
}
