/** The thread that a local model runs in: the runtime computes without a pause, and nobody else should stand still for it. */
import { Worker } from "node:worker_threads";
import { type Embedder, type EmbeddingSettings, spaceOf } from "./embedder.ts";

/** Texts that wait for the model; it would not come to more of them before they are given up. */
const mostWaiting = 64;

/** What the thread answers to a text; without one once it has its model, or none. */
export type ModelAnswer = { readonly vector: Float32Array } | { readonly error: string } | { readonly ready: true };

export class ModelThread implements Embedder {
  readonly space: string;
  readonly #settings: EmbeddingSettings;
  #worker: Worker | undefined;
  #answered: ((answer: ModelAnswer) => void) | undefined;
  /** The one before is over. */
  #last: Promise<unknown> = Promise.resolve();
  #waiting = 0;
  #closed = false;

  constructor(settings: EmbeddingSettings) {
    this.#settings = settings;
    this.space = spaceOf(settings);
  }

  /**
   * One text after the other; those that nobody waits for any more are left out.
   *
   * @throws (as a rejection) Error when the model fails or is behind, and the signal's reason
   */
  async embed(text: string, signal: AbortSignal): Promise<Float32Array> {
    if (this.#waiting >= mostWaiting) throw new Error("the model is behind");
    this.#waiting++;
    const made = this.#last.then(() => {
      signal.throwIfAborted();
      return this.#ask(text);
    });
    this.#last = made.catch(() => undefined);
    try {
      return await made;
    } finally {
      this.#waiting--;
    }
  }

  /** Loads the model, which takes a while, before the first text comes. */
  open(): void {
    this.#last = this.#ask(undefined).catch(() => undefined);
  }

  async close(): Promise<void> {
    this.#closed = true;
    await this.#worker?.terminate();
  }

  async #ask(text: string | undefined): Promise<Float32Array> {
    if (this.#closed) throw new Error("the model's thread is closed");
    this.#worker ??= this.#start();
    const worker = this.#worker;
    const answer = await new Promise<ModelAnswer>((resolve) => {
      this.#answered = resolve;
      worker.postMessage(text);
    });
    this.#answered = undefined;
    if ("error" in answer) throw new Error(answer.error);
    return "vector" in answer ? answer.vector : new Float32Array();
  }

  #start(): Worker {
    const extension = import.meta.url.endsWith(".ts") ? "ts" : "js";
    const worker = new Worker(new URL(`../../workers/local-model.${extension}`, import.meta.url), {
      workerData: this.#settings,
    });
    worker.unref();
    worker.on("message", (answer: ModelAnswer) => this.#answered?.(answer));
    worker.on("error", (error) => this.#answered?.({ error: `the model's thread failed: ${String(error)}` }));
    worker.on("exit", () => {
      // The next text starts another one.
      if (this.#worker === worker) this.#worker = undefined;
      this.#answered?.({ error: "the model's thread has ended" });
    });
    return worker;
  }
}
