/** The front ends as the supervisor sees them: started, asked together, and replaced when one of them dies. */
import { Worker } from "node:worker_threads";
import type { Logger } from "../telemetry/log.ts";
import type { MetricsSnapshot } from "../telemetry/metrics.ts";
import type { FrontEndOffers, FrontEndStart, Listening, SupervisorOffers } from "./messages.ts";
import { type Argument, Peer, type Result } from "./peer.ts";

export interface FrontEndsOptions {
  readonly count: number;
  /** What the one with this index, from 1, begins with; asked again for one that takes its place. */
  readonly begin: (index: number) => FrontEndStart;
  readonly offers: Omit<SupervisorOffers, "farewell">;
  readonly log: Logger;
}

interface Member {
  readonly index: number;
  readonly peer: Peer<SupervisorOffers, FrontEndOffers>;
  /** It stands in for one that died. */
  readonly isSubstitute: boolean;
  /** When it began to listen, as `performance.now()`. */
  listeningSince: number | undefined;
  isGone: boolean;
}

/** Where a substitute dies within this time as well, another one is no help. Milliseconds. */
const settledMs = 10_000;

export class FrontEnds {
  readonly #options: FrontEndsOptions;
  readonly #members: Member[] = [];
  /** Resolves when one has died whose place cannot be taken: the process had better be replaced. */
  readonly broken: Promise<void>;
  #break: () => void = () => undefined;
  /** What those that have died had counted. */
  readonly #past: MetricsSnapshot[] = [];
  #refuses = false;
  #ends = false;

  constructor(options: FrontEndsOptions) {
    this.#options = options;
    this.broken = new Promise((resolve) => {
      this.#break = resolve;
    });
  }

  /**
   * Starts them all, one after the other.
   *
   * @returns the ports of the first
   * @throws Error (as a rejection) when a port cannot be taken
   */
  async start(): Promise<Listening> {
    let first: Listening | undefined;
    for (let index = 1; index <= this.#options.count; index++) {
      const member = this.#start(index, false);
      this.#members.push(member);
      const listening = await this.#listen(member);
      first ??= listening;
    }
    if (first === undefined) throw new Error("there is no front end");
    return first;
  }

  /**
   * Calls the same function of each. One that dies meanwhile has no result.
   *
   * @throws (as a rejection) what the function throws
   */
  async all<Name extends keyof FrontEndOffers>(
    name: Name,
    argument: Argument<FrontEndOffers[Name]>,
  ): Promise<readonly Result<FrontEndOffers[Name]>[]> {
    const results = await Promise.all(
      this.#members.map(async (member) => {
        try {
          return [await member.peer.call(name, argument)];
        } catch (error) {
          if (member.isGone) return [];
          throw error;
        }
      }),
    );
    return results.flat();
  }

  /** The state of each key, of which all keep one truth. */
  keysHealth(): Promise<unknown> {
    const [first] = this.#members;
    if (first === undefined) throw new Error("there is no front end yet");
    return first.peer.call("keysHealth", undefined);
  }

  refuseGoverned(refuses: boolean): void {
    this.#refuses = refuses;
    this.all("refuseGoverned", refuses).catch((error: unknown) =>
      this.#options.log.error({ err: error }, "a front end was not told of the store"),
    );
  }

  /** What they have counted, and what those before them had. */
  async metrics(): Promise<readonly MetricsSnapshot[]> {
    const before = this.#past.length;
    const present = await this.all("metrics", undefined);
    // One that has died in between would be there twice, or not at all.
    return this.#past.length === before ? [...this.#past, ...present] : this.metrics();
  }

  /** From now on none is replaced. One that has died has nothing left to drain or close. */
  async end(name: "drain" | "cut" | "close"): Promise<void> {
    this.#ends = true;
    await Promise.allSettled(this.#members.map(({ peer }) => peer.call(name, undefined)));
  }

  #start(index: number, isSubstitute: boolean): Member {
    const { begin, offers, log } = this.#options;
    const worker = new Worker(new URL("./front-end.js", import.meta.url), { workerData: begin(index) });
    const farewell = (last: MetricsSnapshot) => {
      this.#past.push(last);
    };
    const member: Member = {
      index,
      peer: new Peer<SupervisorOffers, FrontEndOffers>(worker, { ...offers, farewell }),
      isSubstitute,
      listeningSince: undefined,
      isGone: false,
    };
    const hangUp = (error: Error): void => {
      member.isGone = true;
      member.peer.hangUp(error);
    };
    worker.on("error", (error) => {
      log.fatal({ err: error }, `front end ${index} failed`);
      hangUp(error);
    });
    worker.once("exit", (code) => {
      hangUp(new Error(`front end ${index} has ended with code ${code}`));
      this.#replace(member, code);
    });
    return member;
  }

  async #listen(member: Member): Promise<Listening> {
    if (this.#refuses) await member.peer.call("refuseGoverned", true);
    const listening = await member.peer.call("listen", undefined);
    member.listeningSince = performance.now();
    return listening;
  }

  #replace({ index, isSubstitute, listeningSince }: Member, code: number): void {
    if (this.#ends) return;
    const { log } = this.#options;
    const diedAt = performance.now();
    if (listeningSince === undefined || (isSubstitute && diedAt - listeningSince < settledMs)) {
      this.#break();
      return;
    }
    log.error(`front end ${index} has ended with code ${code}; another one takes its place`);
    const member = this.#start(index, true);
    this.#members[index - 1] = member;
    const serves = async (): Promise<void> => {
      await this.#listen(member);
      log.warn(`front end ${index} serves again, ${Math.round(performance.now() - diedAt)} ms later`);
    };
    serves().catch((error: unknown) => {
      log.fatal({ err: error }, `front end ${index} cannot be replaced`);
      this.#break();
    });
  }
}
