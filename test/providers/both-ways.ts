/** The same answer read whole and read as a stream, in one form that can be compared. */
import type { Citation } from "../../src/bedrock/converse.ts";
import type { JsonValue } from "../../src/bedrock/json.ts";
import type {
  Answer,
  Dialect,
  DialectStream,
  Memo,
  ProviderAnswer,
  ProviderFailure,
  StreamItem,
} from "../../src/providers/dialect.ts";
import { isFailure } from "../../src/providers/nonsense.ts";
import { collect } from "./collect.ts";

export type Shown =
  | { readonly text: string; readonly citations?: number | readonly Citation[] }
  | { readonly reasoning: string }
  | { readonly id: string; readonly name: string; readonly input: unknown };

export interface Read {
  readonly content: readonly Shown[];
  readonly stopReason: unknown;
  readonly usage: unknown;
}

export function bodyOf(value: JsonValue | string): ProviderAnswer {
  return { headers: {}, body: Buffer.from(typeof value === "string" ? value : JSON.stringify(value)) };
}

/** An answer that must be one. */
export function answerOf(read: Answer | ProviderFailure): Answer {
  if (isFailure(read)) throw read.error;
  return read;
}

/** A failure that must be one. */
export function failureOf(read: unknown): ProviderFailure {
  if (isFailure(read)) return read;
  throw new Error(`not a failure: ${JSON.stringify(read)}`);
}

export function readWhole(dialect: Dialect, value: JsonValue, memo: Memo): Read {
  const { response } = answerOf(dialect.decode(bodyOf(value), memo));
  const content = response.output.message.content.map((block): Shown => {
    if ("text" in block) return { text: block.text };
    if ("citationsContent" in block) {
      const { content: parts = [], citations = [] } = block.citationsContent;
      return { text: parts.map((part) => part.text).join(""), citations: citations.length };
    }
    if ("reasoningContent" in block && "reasoningText" in block.reasoningContent) {
      return { reasoning: block.reasoningContent.reasoningText.text };
    }
    if ("toolUse" in block)
      return { id: block.toolUse.toolUseId, name: block.toolUse.name, input: block.toolUse.input };
    throw new Error(`unexpected block ${JSON.stringify(block)}`);
  });
  return { content, stopReason: response.stopReason, usage: response.usage };
}

/** Everything a stream gives, and how it ended. */
export function drain(stream: DialectStream, items: readonly StreamItem[]): ReturnType<DialectStream["end"]> {
  const events: ReturnType<DialectStream["end"]>["events"][number][] = [];
  for (const item of items) {
    const step = stream.push(item);
    events.push(...step.events);
    if (step.done || step.failure !== undefined) return { ...step, events };
  }
  const last = stream.end();
  return { ...last, events: [...events, ...last.events] };
}

export function readStream(dialect: Dialect, items: readonly StreamItem[], memo: Memo): Read {
  const { events, failure } = drain(dialect.stream(memo), items);
  if (failure !== undefined) throw failure.error;
  const { blocks, stopReason, usage } = collect(events);
  const content = blocks.map(({ start, text, reasoning, input, citations }): Shown => {
    if (start !== undefined && "toolUse" in start) {
      return { id: start.toolUse.toolUseId, name: start.toolUse.name, input: JSON.parse(input ?? "") };
    }
    if (reasoning !== undefined) return { reasoning };
    return { text: text ?? "", ...(citations !== undefined && { citations }) };
  });
  return { content, stopReason, usage };
}

export function item(data: JsonValue | string, event = ""): StreamItem {
  return { event, data: typeof data === "string" ? data : JSON.stringify(data) };
}
