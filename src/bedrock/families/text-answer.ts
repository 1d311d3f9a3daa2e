/**
 * Answers of the families that have text and nothing else: Titan, Llama, Mistral's and Cohere's prompt forms, DeepSeek.
 *
 * Reasoning is left out where the family has no place for it, since their clients take all they read for the answer.
 * Citations are left out too: the request had no way to ask for them.
 */
import type { BlockDelta, BlockStart, ContentBlock, ConverseEvent, ConverseTrace, StopReason } from "../converse.ts";
import { BedrockError } from "../errors.ts";
import type { JsonObject } from "../json.ts";
import { type FamilyStream, type InvocationMetrics, metricsKey } from "./family.ts";
import { guardrailMembers } from "./guardrail-members.ts";

export interface TextForm {
  /** The family's name as its users know it; for messages. */
  readonly title: string;
  /** What stands around reasoning, before the text it led to. */
  readonly reasoning?: { readonly open: string; readonly close: string };
}

/** The error for a block of an answer that the family cannot write. */
export function noForm(title: string, block: string): BedrockError {
  return new BedrockError("ModelErrorException", `The model's answer holds ${block}, which ${title} has no form for.`);
}

/** The error for a stream that ended without saying why. */
export function cutShort(): BedrockError {
  return new BedrockError("ModelStreamErrorException", "The model's answer ended before it was complete.");
}

/** @throws BedrockError ModelErrorException for a block that is not text, reasoning or cited text */
export function answerText(content: readonly ContentBlock[], form: TextForm): string {
  const flow = new TextFlow(form);
  const pieces = content.map((block) => blockText(block, flow));
  return pieces.join("") + flow.end();
}

function blockText(block: ContentBlock, flow: TextFlow): string {
  if ("text" in block) return flow.text(block.text);
  if ("reasoningContent" in block) {
    const reasoning = block.reasoningContent;
    return "reasoningText" in reasoning ? flow.reasoning(reasoning.reasoningText.text) : "";
  }
  if ("citationsContent" in block) return flow.text(citedText(block));
  throw noForm(flow.title, Object.keys(block).join());
}

/** The text of a block with citations, without them. */
export function citedText(block: Extract<ContentBlock, { citationsContent: unknown }>): string {
  return (block.citationsContent.content ?? []).map((part) => part.text).join("");
}

/** Puts text and reasoning in a row, and the tags between them. */
export class TextFlow {
  readonly title: string;
  readonly #tags: TextForm["reasoning"];
  #reasons = false;

  constructor(form: TextForm) {
    this.title = form.title;
    this.#tags = form.reasoning;
  }

  text(text: string): string {
    return text === "" ? "" : this.end() + text;
  }

  reasoning(text: string): string {
    if (this.#tags === undefined || text === "") return "";
    const open = this.#reasons ? "" : this.#tags.open;
    this.#reasons = true;
    return open + text;
  }

  end(): string {
    if (!this.#reasons || this.#tags === undefined) return "";
    this.#reasons = false;
    return this.#tags.close;
  }
}

/** How a family writes the pieces of a streamed text. */
export interface TextChunks {
  piece(text: string): JsonObject;
  /** The object that ends the stream; the metrics are added to it. */
  last(reason: StopReason, metrics: InvocationMetrics): JsonObject;
}

/** A stream of text: an object for each piece, and one for the end. */
export class TextStream implements FamilyStream {
  readonly #flow: TextFlow;
  readonly #chunks: TextChunks;
  #reason: StopReason | undefined;
  #trace: ConverseTrace | undefined;

  constructor(form: TextForm, chunks: TextChunks) {
    this.#flow = new TextFlow(form);
    this.#chunks = chunks;
  }

  push(event: ConverseEvent): readonly JsonObject[] {
    if ("contentBlockDelta" in event) return this.#piece(deltaText(event.contentBlockDelta.delta, this.#flow));
    if ("contentBlockStart" in event) throw noForm(this.#flow.title, startName(event.contentBlockStart.start));
    if ("metadata" in event) this.#trace = event.metadata.trace;
    if (!("messageStop" in event)) return [];
    this.#reason = event.messageStop.stopReason;
    return this.#piece(this.#flow.end());
  }

  end(metrics: InvocationMetrics): readonly JsonObject[] {
    if (this.#reason === undefined) throw cutShort();
    const last = this.#chunks.last(this.#reason, metrics);
    return [{ ...last, ...guardrailMembers(this.#reason, this.#trace), [metricsKey]: metrics }];
  }

  #piece(text: string): readonly JsonObject[] {
    return text === "" ? [] : [this.#chunks.piece(text)];
  }
}

/** @throws BedrockError ModelErrorException for a piece that is not text, reasoning or a citation */
export function deltaText(delta: BlockDelta, flow: TextFlow): string {
  if ("text" in delta) return flow.text(delta.text);
  if ("reasoningContent" in delta) {
    return "text" in delta.reasoningContent ? flow.reasoning(delta.reasoningContent.text) : "";
  }
  if ("citation" in delta) return "";
  throw noForm(flow.title, Object.keys(delta).join());
}

/** The kind of block that begins; text and reasoning have no start. */
export function startName(start: BlockStart): string {
  return Object.keys(start).join();
}
