/** A stream of `streamGenerateContent?alt=sse` into Converse's events. It ends where the provider closes it. */
import type { Citation, ImageFormat, ServiceTier, TokenUsage } from "../../bedrock/converse.ts";
import type { JsonValue } from "../../bedrock/json.ts";
import type { DialectStream, Memo, StreamItem, StreamStep } from "../dialect.ts";
import { isFailure, readItem } from "../nonsense.ts";
import { StreamWriter } from "../stream-writer.ts";
import type { UsageReport } from "../usage.ts";
import { AnswerReader, type Sink } from "./reader.ts";
import { familyOf } from "./rules.ts";

export class GeminiStream implements DialectStream {
  readonly #writer: StreamWriter;
  readonly #reader: AnswerReader;

  constructor(memo: Memo) {
    this.#writer = new StreamWriter(memo, familyOf(memo.target));
    this.#reader = new AnswerReader(new PieceSink(this.#writer), memo);
  }

  push(item: StreamItem): StreamStep {
    const body = readItem(item);
    const failure = isFailure(body) ? body : this.#reader.read(body);
    return failure === undefined ? this.#writer.step() : this.#writer.fail(failure);
  }

  end(): StreamStep {
    const ending = this.#reader.end();
    if (ending !== undefined) this.#writer.finish(ending.reason, ending.native);
    return this.#writer.end();
  }

  usage(): { readonly usage: TokenUsage; readonly estimated: boolean } {
    return this.#writer.measure();
  }
}

class PieceSink implements Sink {
  readonly #writer: StreamWriter;
  /** Indexes of parts begin anew in each chunk: so every call has a number of ours. */
  #calls = 0;

  constructor(writer: StreamWriter) {
    this.#writer = writer;
  }

  text(text: string): void {
    this.#writer.text(text);
  }

  reasoning(text: string): void {
    this.#writer.reasoning(text);
  }

  signature(blob: string): void {
    this.#writer.signature(blob);
  }

  blockEnd(): void {
    this.#writer.blockEnd();
  }

  call(id: JsonValue | undefined, name: string, input: string): void {
    const key = this.#calls++;
    this.#writer.toolStart(key, id, name);
    this.#writer.toolArgs(key, input);
    this.#writer.toolEnd(key);
  }

  image(format: ImageFormat, bytes: string): void {
    this.#writer.image(format, bytes);
  }

  citation(citation: Citation): void {
    this.#writer.citation(citation);
  }

  usage(report: UsageReport): void {
    this.#writer.usage(report);
  }

  serviceTier(tier: ServiceTier["type"]): void {
    this.#writer.serviceTier(tier);
  }
}
