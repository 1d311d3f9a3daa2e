/** A streamed message as Converse events. */
import type { JsonObject, JsonValue } from "../../bedrock/json.ts";
import { listOf, objectOf, textOf } from "../answer.ts";
import type { DialectStream, Memo, ProviderFailure, StreamItem, StreamStep } from "../dialect.ts";
import { readInnerFailure } from "../failures.ts";
import { isFailure, nonsense, readItem } from "../nonsense.ts";
import { StreamWriter } from "../stream-writer.ts";
import { blockOf } from "./block.ts";
import { citationOf } from "./citations.ts";
import { hints } from "./failure.ts";
import { family } from "./rules.ts";
import { readStopReason, readTier, readUsage } from "./usage.ts";

/** A call that has begun: its key for the writer, and the input it came with. */
interface OpenCall {
  readonly key: number;
  readonly input: JsonObject;
  /** Fragments have come: they are the input. */
  streamed: boolean;
}

/** Begins the answer with its first block, not with `message_start`: an overloaded server says so in between. */
export class AnthropicStream implements DialectStream {
  readonly #memo: Memo;
  readonly #writer: StreamWriter;
  /** By the index of the block, which some servers use again. */
  readonly #calls = new Map<JsonValue | undefined, OpenCall>();
  #nextKey = 0;
  #messageId: JsonValue | undefined;

  constructor(memo: Memo) {
    this.#memo = memo;
    this.#writer = new StreamWriter(memo, family);
  }

  push(item: StreamItem): StreamStep {
    // Not Anthropic's, but servers that imitate it end like OpenAI's.
    if (item.data.trim() === "[DONE]") return this.end();
    const event = readItem(item);
    if (isFailure(event)) return this.#writer.fail(event);
    const failure = readInnerFailure(event, this.#memo.target, hints) ?? this.#take(event);
    if (failure !== undefined) return this.#writer.fail(failure);
    return event.type === "message_stop" ? this.end() : this.#writer.step();
  }

  end(): StreamStep {
    // Not every server says that a block is complete before it says so of the message.
    if (this.#writer.finished) for (const index of this.#calls.keys()) this.#stopBlock(index);
    return this.#writer.end();
  }

  usage(): ReturnType<DialectStream["usage"]> {
    return this.#writer.measure();
  }

  #take(event: JsonObject): ProviderFailure | undefined {
    switch (textOf(event.type)) {
      case "message_start":
        return this.#start(objectOf(event.message));
      case "content_block_start":
        return this.#startBlock(event.content_block, event.index);
      case "content_block_delta":
        return this.#delta(objectOf(event.delta), event.index);
      case "content_block_stop":
        this.#stopBlock(event.index);
        return undefined;
      case "message_delta":
        this.#finish(event);
        return undefined;
      default:
        // `ping`, `message_stop`, and what is new.
        return undefined;
    }
  }

  #start(message: JsonObject): ProviderFailure | undefined {
    const { id = null, content, usage } = message;
    if (this.#messageId !== undefined) {
      return id === this.#messageId ? undefined : unreadable("The provider began a second message within the first.");
    }
    this.#messageId = id;
    this.#report(usage);
    // After calls that the provider itself has made, the message begins with blocks that are complete.
    for (const block of listOf(content)) {
      const failure = this.#startBlock(block, undefined);
      if (failure !== undefined) return failure;
      this.#stopBlock(undefined);
    }
    return undefined;
  }

  #startBlock(value: JsonValue | undefined, index: JsonValue | undefined): ProviderFailure | undefined {
    const block = blockOf(value);
    if (block === undefined) return unreadable("The provider began a block that cannot be read.");
    if (block.type === "other") return undefined;
    this.#writer.start();
    switch (block.type) {
      case "text":
        this.#writer.text(block.text);
        for (const citation of block.citations) this.#cite(citation);
        return undefined;
      case "thinking":
        this.#writer.reasoning(block.thinking);
        this.#writer.signature(block.signature);
        return undefined;
      case "redacted_thinking":
        this.#writer.redacted(block.data);
        return undefined;
      case "tool_use": {
        const key = this.#nextKey++;
        this.#calls.set(index, { key, input: block.input, streamed: false });
        this.#writer.toolStart(key, block.id, block.name);
        return undefined;
      }
    }
  }

  #delta(delta: JsonObject, index: JsonValue | undefined): ProviderFailure | undefined {
    const { type, text, thinking, signature, partial_json: json } = delta;
    switch (textOf(type)) {
      case "text_delta":
        return takeText(text, (piece) => this.#writer.text(piece));
      case "thinking_delta":
        return takeText(thinking, (piece) => this.#writer.reasoning(piece));
      case "signature_delta":
        return takeText(signature, (piece) => this.#writer.signature(piece));
      case "input_json_delta":
        return takeText(json, (piece) => this.#addInput(piece, index));
      case "citations_delta":
        this.#cite(delta.citation);
        return undefined;
      default:
        return undefined;
    }
  }

  #cite(value: JsonValue | undefined): void {
    const citation = citationOf(value);
    if (citation !== undefined) this.#writer.citation(citation);
  }

  /** Input of the provider's own tools belongs to no call of ours. */
  #addInput(json: string, index: JsonValue | undefined): void {
    const call = this.#calls.get(index);
    if (call === undefined || json === "") return;
    call.streamed = true;
    this.#writer.toolArgs(call.key, json);
  }

  #stopBlock(index: JsonValue | undefined): void {
    const call = this.#calls.get(index);
    if (call === undefined) {
      this.#writer.blockEnd();
      return;
    }
    if (!call.streamed) this.#writer.toolArgs(call.key, JSON.stringify(call.input));
    this.#writer.toolEnd(call.key);
    this.#calls.delete(index);
  }

  #finish({ delta: value, usage }: JsonObject): void {
    this.#report(usage);
    const delta = objectOf(value);
    const { stop_reason, stop_sequence = null } = delta;
    if (typeof stop_reason !== "string") return;
    const native = { delta, stop_reason, stop_sequence, ...(usage !== undefined && { usage }) };
    this.#writer.finish(readStopReason(stop_reason), native);
  }

  /** Later counts are of the whole, and replace the earlier ones they mention. */
  #report(usage: JsonValue | undefined): void {
    this.#writer.usage(readUsage(usage));
    const tier = readTier(usage);
    if (tier !== undefined) this.#writer.serviceTier(tier);
  }
}

function takeText(value: JsonValue | undefined, take: (text: string) => void): ProviderFailure | undefined {
  if (typeof value !== "string") return unreadable("The provider sent a piece of a block that cannot be read.");
  take(value);
  return undefined;
}

function unreadable(message: string): ProviderFailure {
  return nonsense(message, "ModelStreamErrorException");
}
