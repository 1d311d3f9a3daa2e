/** A front end's way to the workers, which the supervisor owns. */
import { setImmediate } from "node:timers/promises";
import { BedrockError } from "../bedrock/errors.ts";
import type { Jobs } from "../gateway/jobs.ts";
import type { OffThread } from "../gateway/off-thread.ts";
import type { NamedJob } from "./worker-pool.ts";

/** So much may wait for the workers on behalf of one front end. More is refused before it is copied. */
export const mostWaiting = { jobs: 64, bytes: 512 * 1024 * 1024 };

/** What is copied in one go: about a third of a millisecond. */
const sliceBytes = 1024 * 1024;

/** Of an answer that has been paid for; refusing these would gain nothing. */
const unrefused: ReadonlySet<keyof Jobs> = new Set(["finish", "facts"]);

export class Workers implements OffThread {
  readonly #send: (named: NamedJob, transfer: readonly ArrayBuffer[]) => Promise<unknown>;
  #jobs = 0;
  #bytes = 0;

  /** @param send carries a job to the pool and its result back */
  constructor(send: (named: NamedJob, transfer: readonly ArrayBuffer[]) => Promise<unknown>) {
    this.#send = send;
  }

  async run<Name extends keyof Jobs>(
    name: Name,
    body: Uint8Array,
    rest: Omit<Parameters<Jobs[Name]>[0], "body">,
  ): Promise<ReturnType<Jobs[Name]>> {
    if (!unrefused.has(name) && this.#isFull(body.length)) {
      throw new BedrockError("ThrottlingException", "Too many large requests are waiting to be worked on.", {
        retryAfterSeconds: 1,
      });
    }
    this.#jobs++;
    this.#bytes += body.length;
    try {
      const copy = await copyOf(body);
      return (await this.#send({ name, job: { ...rest, body: copy } }, [copy.buffer])) as ReturnType<Jobs[Name]>;
    } finally {
      this.#jobs--;
      this.#bytes -= body.length;
    }
  }

  /** One job is always taken, however large. */
  #isFull(bytes: number): boolean {
    return this.#jobs > 0 && (this.#jobs >= mostWaiting.jobs || this.#bytes + bytes > mostWaiting.bytes);
  }
}

/** The worker gets memory of its own, which moves to it; the original may be needed for another attempt. */
async function copyOf(body: Uint8Array): Promise<Uint8Array<ArrayBuffer>> {
  const copy = new Uint8Array(new ArrayBuffer(body.length));
  for (let from = 0; from < body.length; from += sliceBytes) {
    if (from > 0) await setImmediate();
    copy.set(body.subarray(from, from + sliceBytes), from);
  }
  return copy;
}
