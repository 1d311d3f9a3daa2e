/**
 * The keys of one provider, and which of them serves a request.
 *
 *     const choice = ring.choose({ model, session, tried }, Date.now(), Math.random());
 *     if (choice.kind === "refusal") …            // say why, or go on to the next target
 *     … send the request with choice.key …
 *     choice.success({ ms, outputTokens }, Date.now());      // or choice.failure("throttled", Date.now(), retryAfterMs)
 *                                                 // the same key once more: choice.again(Date.now())
 *
 * The order: fit keys (enabled, model allowed, within what the virtual key may use), the pinned one, the session's, the
 * probe of an open circuit that is due, and then the provider's strategy among those that are available.
 */
import { Attempt, beginAttempt, type Member, type SessionBinding } from "./attempt.ts";
import { type Choosable, isFit, resolveAlias } from "./choose.ts";
import { hashNumber, hashText } from "./hash.ts";
import { type KeyHealth, keyHealth, type PlacedKey } from "./health.ts";
import { generationOf, keyLine, keyWord, ownerOf } from "./layout.ts";
import { defaultSessionMs } from "./sessions.ts";
import { availability, type KeyState, mayBeAsked, untilAvailable } from "./state.ts";
import { pick, type Strategy } from "./strategies.ts";
import { tickOf } from "./waits.ts";

export interface RingOptions {
  /** The provider's name: sessions of different providers are kept apart by it. */
  readonly provider: string;
  readonly strategy: Strategy;
}

export interface ChoiceRequest<K> {
  /** As the client names it; undefined for operations without one. */
  readonly model: string | undefined;
  /** Exactly this key; the id wins. It is used although its circuit is open, not although it cools down. */
  readonly pin?: { readonly id?: string | undefined; readonly name?: string | undefined } | undefined;
  readonly session?: KeySession | undefined;
  /** Ids of the keys a virtual key may use; undefined means all. */
  readonly allowedIds?: ReadonlySet<string> | undefined;
  /** Keys that have failed this request already. */
  readonly tried?: readonly K[] | undefined;
  /**
   * Asks one key that is not well when there is no other: where no other target is left. Whether it works again shows
   * soonest so, and a lone key is never shut out by a guess. What the upstream has told (`Retry-After`) is kept.
   */
  readonly lastResort?: boolean | undefined;
}

export interface KeySession {
  readonly id: string;
  /** Keeps apart equal ids of different clients, such as the virtual key. */
  readonly scope: string;
  /** How long the session keeps its key after a success. One hour when missing. */
  readonly ttlMs?: number | undefined;
}

/**
 * Why no key was chosen.
 *
 * - `unknown_pin`, `unfit_pin`: the pinned key does not exist; is disabled, not allowed or does not serve the model.
 * - `no_key`: no key is enabled and allowed for the model.
 * - `cooling`: all fit keys are out of service, at least one of them for 429 or an exhausted quota.
 * - `credentials`: the upstream has refused the credentials of all fit keys. They are tried again after `waitMs`.
 * - `unhealthy`: the circuits are open.
 * - `exhausted`: all available keys have been tried by this request.
 */
export type Refusal<K> =
  | { readonly kind: "refusal"; readonly reason: "unknown_pin" | "no_key" | "exhausted" }
  | { readonly kind: "refusal"; readonly reason: "unfit_pin"; readonly key: K }
  | {
      readonly kind: "refusal";
      readonly reason: "cooling" | "credentials" | "unhealthy";
      /** The shortest wait after which a key may be available. */
      readonly waitMs: number;
    };

/** Models whose fit keys are remembered; a client that invents names makes it begin anew. */
const rememberedModels = 500;
const rememberedLength = 256;

export class KeyRing<K extends Choosable> {
  readonly #state: KeyState;
  readonly #options: RingOptions;
  readonly #placed: readonly PlacedKey<K>[];
  readonly #fit = new Map<string, readonly Member<K>[]>();
  // Reused by every choice, which is made in one go.
  readonly #ready: Member<K>[] = [];
  readonly #spare: Member<K>[] = [];

  /**
   * @param slots the slot of each key, in the order of the keys
   * @throws RangeError when a key has no slot in the memory
   */
  constructor(state: KeyState, keys: readonly K[], slots: readonly number[], options: RingOptions) {
    this.#state = state;
    this.#placed = keys.map((key, index) => {
      const slot = slots[index] ?? -1;
      if (slot < 0 || slot >= state.memory.capacities.keys) throw new RangeError(`the key ${key.id} has no slot`);
      const occupied = Atomics.load(state.memory.words, keyLine(slot) + keyWord.occupied);
      return { key, slot, generation: generationOf(occupied) };
    });
    this.#options = options;
  }

  /**
   * Chooses a key and begins an attempt at it, which has to be ended.
   *
   * @param now milliseconds, `Date.now()`
   * @param roll a random number in [0, 1)
   */
  choose(request: ChoiceRequest<K>, now: number, roll: number): Attempt<K> | Refusal<K> {
    const { id, name } = request.pin ?? {};
    if (id !== undefined || name !== undefined) return this.#choosePinned(request, now);
    const members = this.#membersFor(request.model);
    const session = this.#sessionOf(request);
    const bound = session && this.#boundTo(session, members, request, now);
    if (bound !== undefined) return beginAttempt(this.#state, bound, now, session, "session");
    const chosen = this.#available(members, request, now, roll, session);
    return chosen ?? this.#refusal(members, request, now);
  }

  /** Whether there is a key that this request has not tried and that could be asked now. */
  hasOther(request: ChoiceRequest<K>, now: number): boolean {
    const { id, name } = request.pin ?? {};
    if (id !== undefined || name !== undefined) return false;
    const tick = tickOf(now);
    return this.#membersFor(request.model).some((member) => {
      if (!isAllowed(member, request) || wasTried(member, request)) return false;
      const is = availability(this.#state, member, tick);
      return is === "ready" || is === "due";
    });
  }

  /** How each key does, in the order of the configuration. */
  health(now: number): readonly KeyHealth[] {
    return keyHealth(this.#state, this.#placed, now);
  }

  #choosePinned(request: ChoiceRequest<K>, now: number): Attempt<K> | Refusal<K> {
    const { id, name } = request.pin ?? {};
    const key = this.#placed.find((one) => (id === undefined ? one.key.name === name : one.key.id === id))?.key;
    if (key === undefined) return { kind: "refusal", reason: "unknown_pin" };
    const member = this.#membersFor(request.model).find((one) => one.key === key);
    if (member === undefined || !isAllowed(member, request)) return { kind: "refusal", reason: "unfit_pin", key };
    if (wasTried(member, request)) return { kind: "refusal", reason: "exhausted" };
    const is = availability(this.#state, member, tickOf(now));
    const isWell = is !== "credential" && is !== "cooling";
    const isAsked = request.lastResort === true && mayBeAsked(this.#state, member, tickOf(now));
    if (!isWell && !isAsked) return this.#refusal([member], request, now);
    return beginAttempt(this.#state, member, now, this.#sessionOf(request), "pinned");
  }

  /** The key of the session while it is fit and well; a session whose key is not loses it. */
  #boundTo(
    session: SessionBinding,
    members: readonly Member<K>[],
    request: ChoiceRequest<K>,
    now: number,
  ): Member<K> | undefined {
    const owner = this.#state.sessions.find(session.tag, now);
    if (owner === undefined) return undefined;
    for (const member of members) {
      if (ownerOf(member.slot, member.generation) !== owner || !isAllowed(member, request)) continue;
      if (wasTried(member, request)) return undefined;
      if (availability(this.#state, member, tickOf(now)) === "ready") return member;
    }
    this.#state.sessions.unbind(session.tag, now);
    return undefined;
  }

  #available(
    members: readonly Member<K>[],
    request: ChoiceRequest<K>,
    now: number,
    roll: number,
    session: SessionBinding | undefined,
  ): Attempt<K> | undefined {
    const ready = this.#ready;
    const spare = this.#spare;
    ready.length = 0;
    spare.length = 0;
    const tick = tickOf(now);
    let due: Member<K> | undefined;
    for (const member of members) {
      if (!isAllowed(member, request) || wasTried(member, request)) continue;
      const is = availability(this.#state, member, tick);
      if (is === "ready") (member.weight > 0 ? ready : spare).push(member);
      else if (is === "due" && (due === undefined || due.weight === 0)) due = member;
    }
    const none = ready.length === 0 && spare.length === 0;
    // What has failed once is not put at risk again, as long as there is a key that is known to work.
    const mayProbe = due !== undefined && due.weight > 0 && (request.tried?.length ?? 0) === 0;
    if (due !== undefined && (mayProbe || none)) {
      const probe = this.#state.circuit.takeProbe(due.slot, now);
      if (probe !== 0) return new Attempt(this.#state, due, probe, true, session, "probe");
    }
    // Keys of weight 0 serve when no other can.
    const candidates = ready.length > 0 ? ready : spare;
    const { strategy } = this.#options;
    const chosen = none
      ? this.#lastResort(members, request, now)
      : pick(strategy, candidates, this.#state.stats, now, roll);
    const choice = none ? "last_resort" : candidates.length === 1 ? "only" : strategy;
    return chosen && beginAttempt(this.#state, chosen, now, session, choice);
  }

  /** The key that is soonest well again, once for a request. */
  #lastResort(members: readonly Member<K>[], request: ChoiceRequest<K>, now: number): Member<K> | undefined {
    if (request.lastResort !== true || (request.tried?.length ?? 0) > 0) return undefined;
    const tick = tickOf(now);
    let best: Member<K> | undefined;
    let bestMs = Number.POSITIVE_INFINITY;
    for (const member of members) {
      if (!isAllowed(member, request) || !mayBeAsked(this.#state, member, tick)) continue;
      const left = untilAvailable(this.#state, member, now);
      if (left >= bestMs) continue;
      best = member;
      bestMs = left;
    }
    return best;
  }

  #refusal(members: readonly Member<K>[], request: ChoiceRequest<K>, now: number): Refusal<K> {
    const tick = tickOf(now);
    let fit = 0;
    let refused = 0;
    let cooling = 0;
    let waitMs = Number.POSITIVE_INFINITY;
    let refusedMs = Number.POSITIVE_INFINITY;
    for (const member of members) {
      if (!isAllowed(member, request)) continue;
      fit++;
      const is = availability(this.#state, member, tick);
      if (is === "ready") return { kind: "refusal", reason: "exhausted" };
      const left = untilAvailable(this.#state, member, now);
      if (is === "credential") {
        refused++;
        refusedMs = Math.min(refusedMs, left);
        continue;
      }
      if (is === "cooling") cooling++;
      waitMs = Math.min(waitMs, left);
    }
    if (fit === 0) return { kind: "refusal", reason: "no_key" };
    if (refused === fit) return { kind: "refusal", reason: "credentials", waitMs: refusedMs };
    return { kind: "refusal", reason: cooling > 0 ? "cooling" : "unhealthy", waitMs };
  }

  #sessionOf({ session }: ChoiceRequest<K>): SessionBinding | undefined {
    if (session === undefined) return undefined;
    const tag = this.#state.sessions.tagOf(this.#options.provider, session.scope, session.id);
    return { tag, ttlMs: session.ttlMs ?? defaultSessionMs };
  }

  #membersFor(model: string | undefined): readonly Member<K>[] {
    const name = model ?? "";
    const known = this.#fit.get(name);
    if (known !== undefined) return known;
    const members = this.#placed.filter(({ key }) => isFit(key, model)).map((placed) => this.#member(placed, model));
    if (name.length > rememberedLength) return members;
    if (this.#fit.size >= rememberedModels) this.#fit.clear();
    this.#fit.set(name, members);
    return members;
  }

  #member({ key, slot, generation }: PlacedKey<K>, model: string | undefined): Member<K> {
    const resolved = model === undefined ? "" : resolveAlias(key, model);
    const tag = hashNumber(ownerOf(slot, generation), hashText(resolved.toLowerCase(), this.#state.memory.seed));
    return { key, weight: key.weight, slot, generation, model: resolved, tag };
  }
}

function isAllowed<K extends Choosable>({ key }: Member<K>, { allowedIds }: ChoiceRequest<K>): boolean {
  return allowedIds === undefined || allowedIds.has(key.id);
}

function wasTried<K>({ key }: Member<K>, { tried }: ChoiceRequest<K>): boolean {
  return tried?.includes(key) ?? false;
}
