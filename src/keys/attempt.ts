/** One attempt at a key, from its begin to the one outcome it reports. */
import type { CoolingName } from "./cooling.ts";
import type { Tag } from "./hash.ts";
import { enter, leave } from "./layout.ts";
import { forgiveRefusals, type KeyState, refuseCredential, refusePayment } from "./state.ts";
import type { Measured } from "./stats.ts";
import { tickOf } from "./waits.ts";

/**
 * How an attempt failed. `network`: no answer; `server`: 5xx or nonsense; `timeout`; `throttled`: 429; `credential`: 401,
 * 403 about the key, signature errors; `payment`: 402, quota exhausted; `client`: the request's own fault, such as 400;
 * `cancelled`: the client left. The last two say nothing about the key.
 */
export type FailureKind =
  | "network"
  | "server"
  | "timeout"
  | "throttled"
  | "credential"
  | "payment"
  | "client"
  | "cancelled";

/**
 * Why an attempt is made with its key: the client wants it; its session has it; the strategy has chosen it, or it was the
 * only one available; it is asked whether it works again; nothing else is left; it is asked once more. `direct`: it is
 * the client's own.
 */
export type KeyChoice =
  | "pinned"
  | "session"
  | "weighted"
  | "adaptive"
  | "least-busy"
  | "latency"
  | "only"
  | "probe"
  | "last_resort"
  | "again"
  | "direct";

export interface SessionBinding {
  readonly tag: Tag;
  readonly ttlMs: number;
}

/** A key and a model at it, as the ring keeps them. */
export interface Member<K> extends CoolingName {
  readonly key: K;
  readonly weight: number;
}

/**
 * An attempt under way. It ends with exactly one of {@link success} and {@link failure}, whatever happened to the
 * request; what is reported after that does nothing.
 */
export class Attempt<K> {
  readonly kind = "attempt";
  readonly key: K;
  readonly choice: KeyChoice;
  /** Whether this is the one attempt that finds out if an open circuit can be closed. */
  readonly isProbe: boolean;
  readonly #state: KeyState;
  readonly #member: Member<K>;
  readonly #session: SessionBinding | undefined;
  readonly #generation: number;
  /** The circuit was not closed when the attempt began. */
  readonly #isTrial: boolean;
  #probe: number;
  #isOver = false;

  /** Begins the attempt: from here on it counts as in flight. @param probe from the circuit, or 0 */
  constructor(
    state: KeyState,
    member: Member<K>,
    probe: number,
    isTrial: boolean,
    session: SessionBinding | undefined,
    choice: KeyChoice,
  ) {
    this.choice = choice;
    this.#state = state;
    this.#member = member;
    this.#session = session;
    this.#probe = probe;
    this.#isTrial = isTrial;
    this.key = member.key;
    this.isProbe = probe !== 0;
    this.#generation = enter(state.memory, member.slot);
  }

  /** The upstream has begun to answer with success: an open circuit closes now and not at the end of a long stream. */
  answering(): void {
    if (!this.#isTrial || this.#isOver) return;
    this.#state.circuit.close(this.#member.slot);
    this.#probe = 0;
  }

  /** A complete answer. Binds the session, if there is one, to this key. */
  success(measured: Measured, now: number): void {
    if (!this.#end()) return;
    const { stats, circuit, cooling, sessions } = this.#state;
    const { slot } = this.#member;
    stats.succeed(slot, measured, now);
    if (this.#isTrial) circuit.close(slot);
    circuit.settle(slot, now);
    cooling.forgive(this.#member, now);
    forgiveRefusals(this.#state, slot, now);
    if (this.#session !== undefined) {
      sessions.bind(this.#session.tag, slot, this.#generation, this.#session.ttlMs, now);
    }
  }

  /** @param retryAfterMs with `throttled` and `payment`: what the upstream asks for; what is not above 0 is ignored */
  failure(kind: FailureKind, now: number, retryAfterMs?: number): void {
    if (!this.#end()) return;
    const { stats, circuit, cooling } = this.#state;
    const { slot } = this.#member;
    const wait = retryAfterMs !== undefined && retryAfterMs > 0 ? retryAfterMs : undefined;
    switch (kind) {
      case "network":
      case "server":
      case "timeout":
        stats.fail(slot, now);
        circuit.failed(slot, this.#probe, now);
        return;
      case "throttled":
        stats.throttle(slot, now);
        cooling.cool(this.#member, now, wait);
        break;
      case "credential":
        refuseCredential(this.#state, slot, now);
        break;
      case "payment":
        refusePayment(this.#state, slot, now, wait);
        break;
      case "client":
      case "cancelled":
        break;
    }
    circuit.abandon(slot, this.#probe, now);
  }

  /** Once more at the same key, however it is by now: the repetition after a network fault, for instance. */
  again(now: number): Attempt<K> {
    return beginAttempt(this.#state, this.#member, now, this.#session, "again");
  }

  /** Ends the attempt once. False when it was over, or when its slot belongs to another key by now. */
  #end(): boolean {
    if (this.#isOver) return false;
    this.#isOver = true;
    return leave(this.#state.memory, this.#member.slot, this.#generation);
  }
}

/** Begins an attempt at a key whatever its circuit says; as its probe when one is due. */
export function beginAttempt<K>(
  state: KeyState,
  member: Member<K>,
  now: number,
  session: SessionBinding | undefined,
  choice: KeyChoice,
): Attempt<K> {
  const isClosed = state.circuit.phase(member.slot, tickOf(now)) === "closed";
  const probe = isClosed ? 0 : state.circuit.takeProbe(member.slot, now);
  return new Attempt(state, member, probe, !isClosed, session, choice);
}
