import type { JsonObject } from "../../bedrock/json.ts";
import { listOf, objectOf } from "../answer.ts";
import { CallDeltas } from "../chat/calls.ts";
import type { DialectStream, Memo, StreamItem, StreamStep } from "../dialect.ts";
import { failureFor } from "../failures.ts";
import { isFailure, nonsense, readItem } from "../nonsense.ts";
import { StreamWriter } from "../stream-writer.ts";
import { readFinish, readPieces, readUsage } from "./answer-parts.ts";
import { brokenOff } from "./decode.ts";
import { family } from "./encode.ts";
import { innerFailure } from "./failure.ts";

/** Reads `{choices: [{delta: {content, tool_calls}, finish_reason}], usage}` events, and `[DONE]`. */
export class MistralStream implements DialectStream {
  readonly #memo: Memo;
  readonly #writer: StreamWriter;
  readonly #calls: CallDeltas;

  constructor(memo: Memo) {
    this.#memo = memo;
    this.#writer = new StreamWriter(memo, family);
    this.#calls = new CallDeltas(this.#writer);
  }

  push(item: StreamItem): StreamStep {
    if (item.data.trim() === "[DONE]") return this.end();
    const chunk = readItem(item);
    if (isFailure(chunk)) return this.#writer.fail(chunk);
    const failed = innerFailure(chunk, this.#memo.target);
    if (failed !== undefined) return this.#writer.fail(failed);
    return this.#read(chunk);
  }

  end(): StreamStep {
    if (this.#calls.nameless) return this.#garbled();
    return this.#writer.end();
  }

  usage(): ReturnType<DialectStream["usage"]> {
    return this.#writer.measure();
  }

  #read(chunk: JsonObject): StreamStep {
    const choice = objectOf(listOf(chunk.choices)[0]);
    const delta = objectOf(choice.delta);
    const pieces = readPieces(delta.content);
    if (pieces === undefined) return this.#garbled();
    for (const { kind, text } of pieces) this.#writer[kind](text);
    if (!this.#calls.push(delta.tool_calls)) return this.#garbled();
    this.#writer.usage(readUsage(chunk.usage));
    const reason = readFinish(choice.finish_reason);
    if (reason === "error") return this.#brokenOff();
    if (reason !== undefined) this.#writer.finish(reason, chunk);
    return this.#writer.step();
  }

  #garbled(): StreamStep {
    return this.#writer.fail(
      nonsense("The provider's stream has content that is neither text nor calls.", "ModelStreamErrorException"),
    );
  }

  #brokenOff(): StreamStep {
    return this.#writer.fail(
      this.#writer.started
        ? nonsense(brokenOff, "ModelStreamErrorException")
        : failureFor("unavailable", brokenOff, this.#memo.target),
    );
  }
}
