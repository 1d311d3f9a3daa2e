import { isJsonObject, type JsonObject, type JsonValue } from "../../bedrock/json.ts";
import { listOf, objectOf, textOf } from "../answer.ts";
import { fragmentOf } from "../chat/calls.ts";
import type { DialectStream, Memo, ProviderFailure, StreamItem, StreamStep } from "../dialect.ts";
import { isFailure, nonsense, readItem } from "../nonsense.ts";
import { StreamWriter } from "../stream-writer.ts";
import { isOfText, readSources } from "./citations.ts";
import { family } from "./encode.ts";
import { innerFailure } from "./failure.ts";
import { failedFinish, readFinish, readUsage } from "./finish.ts";

/**
 * Reads Cohere's typed events. `content-end` may come before the content's citations, so a block ends where the next
 * one begins.
 */
export class CohereStream implements DialectStream {
  readonly #memo: Memo;
  readonly #writer: StreamWriter;
  /** What the last delta was a piece of. */
  #open: "text" | "thinking" | "plan" | undefined;
  /** The open text is more than blank: only then is it a block that can be cited. */
  #shown = false;
  /** By Cohere's index, which may come again for another call. */
  readonly #calls = new Map<JsonValue | undefined, number>();
  #callCount = 0;

  constructor(memo: Memo) {
    this.#memo = memo;
    this.#writer = new StreamWriter(memo, family);
  }

  push(item: StreamItem): StreamStep {
    if (item.data.trim() === "[DONE]") return this.end();
    const event = readItem(item);
    if (isFailure(event)) return this.#writer.fail(event);
    const failed = innerFailure(event, this.#memo.target) ?? this.#read(event, textOf(event.type) || item.event);
    if (failed !== undefined) return this.#writer.fail(failed);
    // Nothing follows the last event, but for some a `[DONE]`.
    return this.#writer.finished ? this.#writer.end() : this.#writer.step();
  }

  end(): StreamStep {
    return this.#writer.end();
  }

  usage(): ReturnType<DialectStream["usage"]> {
    return this.#writer.measure();
  }

  #read(event: JsonObject, type: string): ProviderFailure | undefined {
    const delta = objectOf(event.delta);
    const message = objectOf(delta.message);
    switch (type) {
      case "content-start":
        this.#begin(objectOf(message.content).type === "thinking" ? "thinking" : "text");
        return this.#content(message.content);
      case "content-delta":
        return this.#content(message.content);
      case "tool-plan-delta":
        return this.#plan(message.tool_plan);
      case "citation-start":
        this.#cite(message.citations);
        return undefined;
      case "tool-call-start":
        return this.#startCall(event.index, message.tool_calls);
      case "tool-call-delta":
        this.#addToCall(event.index, message.tool_calls);
        return undefined;
      case "tool-call-end":
        this.#writer.toolEnd(this.#calls.get(event.index) ?? this.#callCount);
        return undefined;
      case "message-end":
        return this.#finish(delta);
      default:
        // message-start, content-end, citation-end, debug: they say nothing that is not said elsewhere.
        return undefined;
    }
  }

  #begin(kind: "text" | "thinking" | "plan"): void {
    this.#writer.blockEnd();
    this.#open = kind;
    this.#shown = false;
  }

  #content(content: JsonValue | undefined): ProviderFailure | undefined {
    const { text, thinking } = objectOf(content);
    if ((text != null && typeof text !== "string") || (thinking != null && typeof thinking !== "string")) {
      return garbled();
    }
    if (textOf(thinking) !== "") {
      if (this.#open !== "thinking") this.#begin("thinking");
      this.#writer.reasoning(textOf(thinking));
    }
    if (textOf(text) !== "") {
      if (this.#open !== "text") this.#begin("text");
      this.#writer.text(textOf(text));
      this.#shown ||= textOf(text).trim() !== "";
    }
    return undefined;
  }

  #plan(plan: JsonValue | undefined): ProviderFailure | undefined {
    if (plan != null && typeof plan !== "string") return garbled();
    if (this.#open !== "plan") this.#begin("plan");
    this.#writer.reasoning(textOf(plan));
    return undefined;
  }

  /** One citation, or a list of them. Text that has been written cannot be cut any more: they belong to all of it. */
  #cite(citations: JsonValue | undefined): void {
    if (this.#open !== "text" || !this.#shown) return;
    const list = isJsonObject(citations) ? [citations] : listOf(citations).filter(isJsonObject);
    for (const source of list.filter(isOfText).flatMap(readSources)) this.#writer.citation(source);
  }

  #startCall(index: JsonValue | undefined, call: JsonValue | undefined): ProviderFailure | undefined {
    const { id, function: called } = objectOf(call);
    const { name, arguments: input } = objectOf(called);
    if (textOf(name) === "") return nonsense("The provider began a call without a name.", "ModelStreamErrorException");
    this.#open = undefined;
    this.#callCount++;
    this.#calls.set(index, this.#callCount);
    this.#writer.toolStart(this.#callCount, id, textOf(name));
    this.#writer.toolArgs(this.#callCount, fragmentOf(input));
    return undefined;
  }

  #addToCall(index: JsonValue | undefined, call: JsonValue | undefined): void {
    const { arguments: input } = objectOf(objectOf(call).function);
    this.#writer.toolArgs(this.#calls.get(index) ?? this.#callCount, fragmentOf(input));
  }

  #finish(delta: JsonObject): ProviderFailure | undefined {
    const reason = readFinish(delta.finish_reason);
    this.#writer.usage(readUsage(delta.usage));
    if (reason === undefined) return nonsense("The answer does not say why it ends.", "ModelStreamErrorException");
    if (reason === "error" || reason === "timeout") {
      return failedFinish(reason, textOf(delta.error), this.#memo.target, this.#writer.started);
    }
    this.#writer.finish(reason, delta);
    return undefined;
  }
}

function garbled(): ProviderFailure {
  return nonsense("The provider's stream has content that is neither text nor calls.", "ModelStreamErrorException");
}
