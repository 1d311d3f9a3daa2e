/** The blocks of a stream while they are being received; stream-writer.ts puts them in order. */
import type { BlockDelta, BlockStart, Citation } from "../bedrock/converse.ts";
import { isNoInput, mayBeNoInput } from "./call-input.ts";
import { StopWatch } from "./stop-sequences.ts";

/** A block that is being received. */
export class Draft {
  readonly start: BlockStart | undefined;
  /** A call: only its end closes it, not the beginning of another block. */
  readonly staysOpen: boolean;
  /** Given when the first event of the block is written. */
  index: number | undefined;
  closed = false;
  #deltas: BlockDelta[] = [];

  constructor(start: BlockStart | undefined, staysOpen: boolean) {
    this.start = start;
    this.staysOpen = staysOpen;
  }

  add(delta: BlockDelta): void {
    this.#deltas.push(delta);
  }

  /** Adds what comes last. Called once. */
  close(): void {}

  take(): readonly BlockDelta[] {
    const deltas = this.#deltas;
    this.#deltas = [];
    return deltas;
  }
}

/** Text. Blank beginnings wait for what follows: a block that stays blank is never written, since it could not be sent back. */
export class TextDraft extends Draft {
  readonly #watch: StopWatch;
  #blank = "";
  #visible = false;

  /** @param staysOpen for a call whose input is the answer's text */
  constructor(stops: readonly string[], staysOpen: boolean) {
    super(undefined, staysOpen);
    this.#watch = new StopWatch(stops);
  }

  /** Returns true when a stop sequence was hit. */
  addText(text: string): boolean {
    const watched = this.#watch.push(text);
    this.#show(watched.text);
    return watched.stopped;
  }

  addCitation(citation: Citation): void {
    this.add({ citation });
  }

  override close(): void {
    this.#show(this.#watch.flush());
  }

  #show(text: string): void {
    if (text === "") return;
    if (!this.#visible && text.trim() === "") {
      this.#blank += text;
      return;
    }
    this.add({ text: this.#blank + text });
    this.#visible = true;
    this.#blank = "";
  }
}

/** Reasoning; its signature is written last, and once. */
export class ReasoningDraft extends Draft {
  readonly #wrap: (blob: string) => string;
  signature = "";

  constructor(wrap: (blob: string) => string) {
    super(undefined, false);
    this.#wrap = wrap;
  }

  override close(): void {
    if (this.signature !== "") this.add({ reasoningContent: { signature: this.#wrap(this.signature) } });
    this.signature = "";
  }
}

/** A call. Input that is empty or `null` is held back until it turns out to be something else, or to be no input. */
export class CallDraft extends Draft {
  #input = "";
  #shown = 0;

  constructor(start: BlockStart) {
    super(start, true);
  }

  addInput(fragment: string): void {
    this.#input += fragment;
    if (this.#shown === 0 && mayBeNoInput(this.#input)) return;
    this.#show(this.#input);
  }

  override close(): void {
    if (this.#shown > 0) return;
    if (isNoInput(this.#input)) this.#input = "{}";
    this.#show(this.#input);
  }

  isJson(): boolean {
    try {
      JSON.parse(this.#input);
      return true;
    } catch {
      // The answer to the question.
      return false;
    }
  }

  #show(input: string): void {
    this.add({ toolUse: { input: input.slice(this.#shown) } });
    this.#shown = input.length;
  }

  /** Fragments that had to wait are written as one. */
  override take(): readonly BlockDelta[] {
    const deltas = super.take();
    if (deltas.length <= 1) return deltas;
    const input = deltas.map((delta) => ("toolUse" in delta ? delta.toolUse.input : "")).join("");
    return [{ toolUse: { input } }];
  }
}
