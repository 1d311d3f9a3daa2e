/** Stops asking what did not answer several times in a row, for a while: each request would wait for it in vain. */
export class Breaker {
  readonly #failures: number;
  readonly #restMs: number;
  #inARow = 0;
  #restUntil = 0;

  /** @param failures so many in a row begin a rest of `restMs` milliseconds, after which one may try again */
  constructor(failures: number, restMs: number) {
    this.#failures = failures;
    this.#restMs = restMs;
  }

  allows(now: number): boolean {
    if (now < this.#restUntil) return false;
    // Whoever comes first after a rest tries; the others wait for what becomes of it.
    if (this.#inARow >= this.#failures) this.#restUntil = now + this.#restMs;
    return true;
  }

  worked(): void {
    this.#inARow = 0;
    this.#restUntil = 0;
  }

  failed(now: number): void {
    this.#inARow++;
    if (this.#inARow >= this.#failures) this.#restUntil = now + this.#restMs;
  }
}
