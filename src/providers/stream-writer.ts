/**
 * Writes Converse stream events from whatever order a provider streams in. One state machine for all dialects.
 *
 * Blocks stand in a queue. Only the first is written; those behind it collect what arrives for them:
 *
 *     closed and written │ first: live │ waiting │ waiting: takes new text
 *
 * A block of text or reasoning closes when another block begins. A tool call stays open until `toolEnd` or the end of
 * the answer, since providers interleave the fragments of parallel calls, and input that looks complete may not be. So
 * indexes are dense, blocks never overlap, and each is closed exactly once.
 */
import type {
  BlockDelta,
  Citation,
  ConverseEvent,
  ImageFormat,
  ServiceTier,
  StopReason,
  TokenUsage,
} from "../bedrock/converse.ts";
import type { JsonValue } from "../bedrock/json.ts";
import { CallNaming } from "./call-naming.ts";
import type { Memo, ProviderFailure, StreamStep } from "./dialect.ts";
import { truncatedStream } from "./nonsense.ts";
import { wrapRedacted, wrapSignature } from "./provenance.ts";
import { pickFields } from "./response-fields.ts";
import { stopReasonFor } from "./stop-reason.ts";
import { CallDraft, Draft, ReasoningDraft, TextDraft } from "./stream-drafts.ts";
import { mergeUsage, tokensOfCharacters, type UsageReport, usageOf } from "./usage.ts";

/** How the provider tells its calls apart: an index, an id, or whatever else does. */
export type CallKey = string | number;

export class StreamWriter {
  readonly #memo: Memo;
  readonly #family: string;
  readonly #naming: CallNaming;
  readonly #queue: Draft[] = [];
  readonly #calls = new Map<CallKey, CallDraft | TextDraft>();
  readonly #inputs: CallDraft[] = [];
  #events: ConverseEvent[] = [];
  #started = false;
  #state: "open" | "done" | "failed" = "open";
  #nextIndex = 0;
  /** A stop sequence of ours was hit: what still comes is not the client's. */
  #cut = false;
  #stop: StopReason | undefined;
  #native: JsonValue | undefined;
  #report: UsageReport = {};
  #tier: ServiceTier["type"] | undefined;
  #characters = 0;

  /** @param family whose signatures these are: the same word as in the dialect's rules */
  constructor(memo: Memo, family: string) {
    this.#memo = memo;
    this.#family = family;
    this.#naming = new CallNaming(memo);
  }

  /** The provider has begun to answer. The other methods call it; alone it is for an answer without content. */
  start(): void {
    if (this.#started) return;
    this.#started = true;
    this.#events.push({ messageStart: { role: "assistant" } });
  }

  /** A piece of text; an empty one is nothing. */
  text(text: string): void {
    if (text === "" || this.#cut) return;
    this.start();
    this.#addText(this.#openText(), text);
  }

  /** A piece of reasoning; an empty one is nothing. */
  reasoning(text: string): void {
    if (text === "" || this.#cut) return;
    this.#openReasoning().add({ reasoningContent: { text } });
    this.#characters += text.length;
    this.#pump();
  }

  /** The provider's signature, or a piece of it, for the open reasoning; else for a block of its own. */
  signature(blob: string): void {
    if (blob === "" || this.#cut) return;
    this.#openReasoning().signature += blob;
    this.#pump();
  }

  /** A whole redacted block, as the provider's text. */
  redacted(data: string): void {
    if (this.#cut) return;
    const redactedContent = wrapRedacted(this.#family, this.#memo.target, data);
    this.#pushWhole(new Draft(undefined, false), { reasoningContent: { redactedContent } });
  }

  /** A whole image. @param bytes base64 */
  image(format: ImageFormat, bytes: string): void {
    if (this.#cut) return;
    this.#pushWhole(new Draft({ image: { format } }, false), { image: { source: { bytes } } });
  }

  /** A citation of the open text. */
  citation(citation: Citation): void {
    if (this.#cut) return;
    this.start();
    this.#openText().addCitation(citation);
    this.#pump();
  }

  /**
   * A call begins. Called again for the same key it does nothing: some providers repeat the name.
   *
   * @param id what the provider called it; may be missing, empty or of another type
   * @param name as the provider knows it; must not be empty, wait until it arrives
   */
  toolStart(key: CallKey, id: unknown, name: string): void {
    if (this.#cut || this.#calls.has(key)) return;
    this.start();
    if (name === this.#memo.answerTool) {
      this.#calls.set(key, this.#push(new TextDraft(this.#memo.stops, true)));
      return;
    }
    const call = this.#push(new CallDraft({ toolUse: this.#naming.next(id, name) }));
    this.#calls.set(key, call);
    this.#inputs.push(call);
    this.#pump();
  }

  /** A piece of a call's input as JSON text. Does nothing for a call that has not begun. */
  toolArgs(key: CallKey, fragment: string): void {
    if (this.#cut || fragment === "") return;
    const call = this.#calls.get(key);
    if (call === undefined) return;
    if (call instanceof TextDraft) {
      this.#addText(call, fragment);
      return;
    }
    call.addInput(fragment);
    this.#characters += fragment.length;
    this.#pump();
  }

  /** The provider says that the call is complete. */
  toolEnd(key: CallKey): void {
    const call = this.#calls.get(key);
    if (call === undefined) return;
    call.closed = true;
    this.#pump();
  }

  /** The provider says that its block of text or reasoning is complete: what follows is another one. */
  blockEnd(): void {
    const last = this.#queue.at(-1);
    if (last === undefined || last.staysOpen) return;
    last.closed = true;
    this.#pump();
  }

  /**
   * The provider says why it stopped. Content may still follow; the last word counts.
   *
   * @param native the provider's own closing members, for `additionalModelResponseFieldPaths`
   */
  finish(reason: StopReason, native?: JsonValue): void {
    if (this.#cut) return;
    this.start();
    this.#stop = reason;
    if (native !== undefined) this.#native = native;
  }

  /** Token counts; may come in parts and again. */
  usage(report: UsageReport): void {
    this.#report = mergeUsage(this.#report, report);
  }

  /** The tier that served the request. */
  serviceTier(tier: ServiceTier["type"]): void {
    this.#tier = tier;
  }

  /** Whether a finish reason has been given. */
  get finished(): boolean {
    return this.#stop !== undefined;
  }

  /** Whether something the client sees has been given. */
  get started(): boolean {
    return this.#started;
  }

  /** Whether calls have been given that the client sees. */
  get hasCalls(): boolean {
    return this.#naming.count > 0;
  }

  /** The events since the last step. Ends the answer by itself when one of our stop sequences was hit. */
  step(): StreamStep {
    if (this.#cut) return this.end();
    return { events: this.#take(), done: this.#state === "done" };
  }

  /** The provider's stream is over, cleanly or not: without a finish reason it was cut off, and that is a failure. */
  end(): StreamStep {
    if (this.#state !== "open") return { events: [], done: this.#state === "done" };
    for (const draft of this.#queue) draft.closed = true;
    const stop = this.#stop;
    if (stop === undefined) return this.fail(truncatedStream());
    this.#pump();
    const malformed = this.#inputs.some((call) => !call.isJson());
    const additional = this.#native === undefined ? undefined : pickFields(this.#memo.responsePaths, this.#native);
    this.#events.push({
      messageStop: {
        stopReason: stopReasonFor(stop, { hasCalls: this.hasCalls, malformed }),
        ...(additional !== undefined && { additionalModelResponseFields: additional }),
      },
    });
    this.#events.push({
      metadata: {
        usage: this.measure().usage,
        metrics: { latencyMs: 0 },
        ...(this.#tier !== undefined && { serviceTier: { type: this.#tier } }),
      },
    });
    this.#state = "done";
    return { events: this.#take(), done: true };
  }

  /** The answer has failed: what was written stands, and nothing follows. */
  fail(failure: ProviderFailure): StreamStep {
    this.#state = "failed";
    return { events: this.#take(), failure, done: false };
  }

  /** Usage so far, estimated from the text where the provider has not reported it. */
  measure(): { readonly usage: TokenUsage; readonly estimated: boolean } {
    const estimate = { inputTokens: this.#memo.inputTokens, outputTokens: tokensOfCharacters(this.#characters) };
    return usageOf(this.#report, estimate);
  }

  // The queue

  #addText(draft: TextDraft, text: string): void {
    this.#characters += text.length;
    if (draft.addText(text)) {
      this.#cut = true;
      this.#stop = "stop_sequence";
    }
    this.#pump();
  }

  #openText(): TextDraft {
    const last = this.#queue.at(-1);
    if (last instanceof TextDraft && !last.closed) return last;
    return this.#push(new TextDraft(this.#memo.stops, false));
  }

  #openReasoning(): ReasoningDraft {
    this.start();
    const last = this.#queue.at(-1);
    if (last instanceof ReasoningDraft && !last.closed) return last;
    return this.#push(new ReasoningDraft((blob) => wrapSignature(this.#family, this.#memo.target, blob)));
  }

  #pushWhole(draft: Draft, delta: BlockDelta): void {
    this.start();
    this.#push(draft).add(delta);
    draft.closed = true;
    this.#pump();
  }

  #push<T extends Draft>(draft: T): T {
    const last = this.#queue.at(-1);
    if (last !== undefined && !last.staysOpen) last.closed = true;
    this.#queue.push(draft);
    return draft;
  }

  /** Writes as much as can be written: the first block's news, and when it is closed, the next one's. */
  #pump(): void {
    for (let first = this.#queue[0]; first !== undefined; first = this.#queue[0]) {
      if (first.closed) first.close();
      const deltas = first.take();
      if (first.index === undefined && (first.start !== undefined || deltas.length > 0)) {
        first.index = this.#nextIndex++;
        if (first.start !== undefined) {
          this.#events.push({ contentBlockStart: { contentBlockIndex: first.index, start: first.start } });
        }
      }
      const contentBlockIndex = first.index;
      if (contentBlockIndex !== undefined) {
        for (const delta of deltas) this.#events.push({ contentBlockDelta: { contentBlockIndex, delta } });
      }
      if (!first.closed) return;
      if (contentBlockIndex !== undefined) this.#events.push({ contentBlockStop: { contentBlockIndex } });
      this.#queue.shift();
    }
  }

  #take(): readonly ConverseEvent[] {
    const events = this.#events;
    this.#events = [];
    return events;
  }
}
