/** A streamed chat completion as Converse events. */
import type { StopReason } from "../../bedrock/converse.ts";
import { isJsonObject, type JsonObject, type JsonValue } from "../../bedrock/json.ts";
import { CallDeltas } from "../chat/calls.ts";
import type { ChatQuirks } from "../chat-quirks.ts";
import type { DialectStream, Memo, ProviderFailure, StreamItem, StreamStep } from "../dialect.ts";
import { isFailure, nonsense, readItem } from "../nonsense.ts";
import { StreamWriter } from "../stream-writer.ts";
import { chatQuirksOf } from "../table.ts";
import { AnswerContent, readTier } from "./answer-content.ts";
import { readChatUsage } from "./chat-usage.ts";
import { readSources } from "./citations.ts";
import { innerFailure } from "./failure.ts";
import { finishFailure, nativeAnswer, readFinish } from "./finish.ts";
import { familyOf } from "./request.ts";

const nothing: StreamStep = { events: [], done: false };

/** Fast path: one push for each token. */
export class ChatStream implements DialectStream {
  readonly #memo: Memo;
  readonly #quirks: ChatQuirks;
  readonly #writer: StreamWriter;
  readonly #content: AnswerContent;
  readonly #calls: CallDeltas;
  #stop: StopReason | undefined;
  #native: JsonObject | undefined;
  #choice: JsonObject = {};
  #isOver = false;

  constructor(memo: Memo) {
    this.#memo = memo;
    this.#quirks = chatQuirksOf(memo.target.kind);
    this.#writer = new StreamWriter(memo, familyOf(memo.target));
    this.#content = new AnswerContent(memo.schema, this.#quirks, this.#writer);
    this.#calls = new CallDeltas(this.#writer, memo.schema && this.#quirks.repeatsCalls);
  }

  push(item: StreamItem): StreamStep {
    if (this.#isOver || item.data === "") return nothing;
    if (item.data.startsWith("[DONE]")) return this.end();
    const chunk = readItem(item);
    if (isFailure(chunk)) return this.#fail(chunk);
    const failure = innerFailure(item.event === "error" ? { type: "error", ...chunk } : chunk, this.#memo.target);
    if (failure !== undefined) return this.#fail(failure);

    const choice = Array.isArray(chunk.choices) ? chunk.choices[0] : undefined;
    if (isJsonObject(choice)) {
      const failed = this.#take(choice, chunk);
      if (failed !== undefined) return failed;
    }
    if (chunk.usage != null || chunk.x_groq != null) this.#usage(chunk);
    return this.#writer.step();
  }

  end(): StreamStep {
    if (this.#isOver) return nothing;
    this.#isOver = true;
    const stop = this.#stop;
    if (stop === undefined) return this.#writer.end();
    this.#content.end();
    if (!(this.#quirks.repeatsCalls && this.#memo.schema && this.#content.hasText)) {
      if (this.#calls.nameless && stop !== "max_tokens") {
        return this.#writer.fail(
          nonsense("The provider streamed a call of a tool without a name.", "ModelStreamErrorException"),
        );
      }
      this.#calls.flush();
    }
    this.#writer.finish(
      this.#content.refused ? "content_filtered" : stop,
      this.#native === undefined ? undefined : nativeAnswer(this.#native, this.#choice),
    );
    return this.#writer.end();
  }

  usage(): ReturnType<DialectStream["usage"]> {
    return this.#writer.measure();
  }

  /** Returns a step only when the choice is a failure. */
  #take(choice: JsonObject, chunk: JsonObject): StreamStep | undefined {
    const { delta } = choice;
    if (isJsonObject(delta)) {
      this.#writer.start();
      this.#content.read(delta);
      if (delta.tool_calls != null && !this.#callPieces(delta.tool_calls)) {
        return this.#fail(nonsense("The provider streamed calls that are none.", "ModelStreamErrorException"));
      }
    }
    if (choice.finish_reason == null) return undefined;
    const failure = innerFailure(choice, this.#memo.target);
    if (failure !== undefined) return this.#fail(failure);
    const finish = readFinish(choice);
    if (finish === undefined) return undefined;
    if (typeof finish === "object") {
      return this.#fail(finishFailure(finish.failed, this.#memo.target, this.#writer.started));
    }
    this.#finish(finish, choice, chunk);
    return undefined;
  }

  #callPieces(pieces: JsonValue): boolean {
    if (Array.isArray(pieces) && pieces.length > 0) this.#content.callsBegin();
    return this.#calls.push(pieces);
  }

  #finish(stop: StopReason, choice: JsonObject, chunk: JsonObject): void {
    this.#stop = stop;
    for (const source of readSources(chunk)) this.#content.citation(source);
    const tier = readTier(chunk);
    if (tier !== undefined) this.#writer.serviceTier(tier);
    if (this.#memo.responsePaths.length === 0) return;
    this.#choice = choice;
    this.#native = { ...this.#native, ...chunk };
  }

  #usage(chunk: JsonObject): void {
    const usage = readChatUsage(chunk, this.#quirks);
    if (usage === undefined) return;
    this.#writer.usage(usage);
    if (this.#memo.responsePaths.length > 0) this.#native = { ...this.#native, usage: chunk.usage ?? null };
  }

  #fail(failure: ProviderFailure): StreamStep {
    this.#isOver = true;
    return this.#writer.fail(failure);
  }
}
