/**
 * When a front end has too much to do already. New inference is then refused with a word on when to come again, before
 * it hurts what runs; streams go on, and so do health, metrics and the management API.
 */
import { BedrockError } from "../bedrock/errors.ts";
import type { BodyBudget } from "../http/exchange.ts";
import type { Reading } from "../telemetry/metrics.ts";

export interface OverloadLimits {
  /** How late the event loop may come to a timer, smoothed over about a second. Milliseconds; 0 turns it off. */
  readonly delayMs: number;
  /** What the process may have of memory. Bytes. */
  readonly memoryBytes: number;
  /** What request bodies that are being read or answered may take, in this front end. Bytes. */
  readonly bodyBytes: number;
}

export type OverloadReason = "delay" | "memory" | "bodies";

export interface OverloadListeners {
  /** Told as it begins, and with undefined as it ends. */
  readonly onChange: (reason: OverloadReason | undefined) => void;
  /** Frees what nobody needs any more; asked when memory runs out, since otherwise nothing might do so. */
  readonly collect: () => void;
}

/** Parts of the limit at which an overload begins, and ends: in between, what is stays. */
const begins = { delay: 1, memory: 0.9 };
const ends = { delay: 0.5, memory: 0.8 };
/** The weight of the newest delay. */
const smoothing = 0.25;
/** Milliseconds between two collections. */
const collectEveryMs = 5000;
const retryAfterSeconds = 2;

export class Overload implements BodyBudget {
  readonly #limits: OverloadLimits;
  readonly #listeners: OverloadListeners;
  #reason: OverloadReason | undefined;
  #delayMs = 0;
  #heldBytes = 0;
  readonly #refused: Record<OverloadReason, number> = { delay: 0, memory: 0, bodies: 0 };
  #collectedAt = Number.NEGATIVE_INFINITY;

  constructor(limits: OverloadLimits, listeners: OverloadListeners) {
    this.#limits = limits;
    this.#listeners = listeners;
  }

  /** Why new work is refused; undefined while it is not. */
  get reason(): OverloadReason | undefined {
    return this.#reason;
  }

  /** How late the event loop comes, smoothed. Milliseconds. */
  get delayMs(): number {
    return this.#delayMs;
  }

  /**
   * Takes a look, ten times a second.
   *
   * @param lateMs how late this look is
   * @param memoryBytes what the process has
   */
  look(lateMs: number, memoryBytes: number, now: number): void {
    this.#delayMs += (Math.max(0, lateMs) - this.#delayMs) * smoothing;
    const reason = this.#judge(memoryBytes);
    if (reason === "memory" && now - this.#collectedAt >= collectEveryMs) {
      this.#collectedAt = now;
      this.#listeners.collect();
    }
    if (reason === this.#reason) return;
    this.#reason = reason;
    this.#listeners.onChange(reason);
  }

  #judge(memoryBytes: number): OverloadReason | undefined {
    const { delayMs, memoryBytes: limit } = this.#limits;
    const memory = this.#reason === "memory" ? ends.memory : begins.memory;
    if (memoryBytes > memory * limit) return "memory";
    const delay = this.#reason === "delay" ? ends.delay : begins.delay;
    return delayMs > 0 && this.#delayMs > delay * delayMs ? "delay" : undefined;
  }

  /** One body is always let in, however large. */
  take(bytes: number): boolean {
    if (this.#reason !== undefined) return false;
    if (this.#heldBytes > 0 && this.#heldBytes + bytes > this.#limits.bodyBytes) return false;
    this.#heldBytes += bytes;
    return true;
  }

  /** The refusal of a request; counted. */
  refuse(reason: OverloadReason = this.#reason ?? "bodies"): BedrockError {
    this.#refused[reason]++;
    return overloaded(reason);
  }

  /** For the metrics. */
  readings(): readonly Reading[] {
    const refusals = ([reason, value]: readonly [string, number]): Reading => ({
      name: "bifrost_overload_refusals_total",
      help: "Requests refused for too much to do: delay of the event loop, memory, or bodies in flight.",
      type: "counter",
      labels: { reason },
      value,
      aggregate: "sum",
    });
    return [
      {
        name: "bifrost_overloaded",
        help: "Front ends that refuse new inference at the moment.",
        labels: {},
        value: this.#reason === undefined ? 0 : 1,
        aggregate: "sum",
      },
      ...Object.entries(this.#refused).map(refusals),
    ];
  }

  give(bytes: number): void {
    this.#heldBytes -= bytes;
  }
}

function overloaded(reason: OverloadReason): BedrockError {
  return new BedrockError("ThrottlingException", `The gateway is overloaded: ${words[reason]}. Try again later.`, {
    retryAfterSeconds,
  });
}

const words: Readonly<Record<OverloadReason, string>> = {
  delay: "it does not come round to new requests in time",
  memory: "its memory is nearly used up",
  bodies: "the requests that it is answering are too large in sum",
};
