/** All that a thread needs to read and write the state of keys: the shared memory, opened, and who knows its parts. */
import { Circuit } from "./circuit.ts";
import { Cooling, type CoolingName } from "./cooling.ts";
import { type KeyMemory, keyLine, keyWord, openKeyMemory } from "./layout.ts";
import { Sessions } from "./sessions.ts";
import { KeyStats } from "./stats.ts";
import { forgive, type Growth, isGuess, isRunning, prolong, waitLeft } from "./waits.ts";

export interface KeyState {
  readonly memory: KeyMemory;
  readonly stats: KeyStats;
  readonly circuit: Circuit;
  readonly cooling: Cooling;
  readonly sessions: Sessions;
}

/**
 * What stands between a key and an attempt: nothing; a refused credential; an exhausted quota or 429; a circuit that is
 * open, or whose probe is due or under way.
 */
export type Availability = "ready" | "credential" | "cooling" | "open" | "due" | "probing";

/** A credential may be renewed at any time, so it is soon tried again, and then less and less. */
const credentialGrowth: Growth = { firstMs: 10_000, longestMs: 600_000 };
const paymentGrowth: Growth = { firstMs: 600_000, longestMs: 3_600_000 };
/** While another attempt probes, nobody knows for how long: a second is worth waiting. */
const probingMs = 1000;

/** @throws TypeError when the buffer is not the memory of keys */
export function openKeyState(buffer: SharedArrayBuffer): KeyState {
  const memory = openKeyMemory(buffer);
  const stats = new KeyStats(memory);
  return {
    memory,
    stats,
    circuit: new Circuit(memory, stats),
    cooling: new Cooling(memory),
    sessions: new Sessions(memory),
  };
}

/** Fast path: asked of every key at every choice. */
export function availability(state: KeyState, name: CoolingName, tick: number): Availability {
  const { words } = state.memory;
  const line = keyLine(name.slot);
  if (isRunning(Atomics.load(words, line + keyWord.credentialWait), tick)) return "credential";
  if (isRunning(Atomics.load(words, line + keyWord.paymentWait), tick)) return "cooling";
  if (state.cooling.isCooling(name, tick)) return "cooling";
  const phase = state.circuit.phase(name.slot, tick);
  return phase === "closed" ? "ready" : phase;
}

/**
 * Whether a key that is not ready may be asked all the same when there is no other: its circuit is open, its credential
 * was refused, or it cools down for a time that is our own guess. What the upstream has told is kept.
 */
export function mayBeAsked(state: KeyState, name: CoolingName, tick: number): boolean {
  // An end is rounded up by a tick at most: who comes back when he was told to is not too early.
  const then = tick + 1;
  const payment = Atomics.load(state.memory.words, keyLine(name.slot) + keyWord.paymentWait);
  if (isRunning(payment, then) && !isGuess(payment)) return false;
  return !state.cooling.isCooling(name, then) || state.cooling.isGuess(name);
}

/** Milliseconds until the key may be available again; 0 when nothing is known to be in the way. */
export function untilAvailable(state: KeyState, name: CoolingName, now: number): number {
  const { credential, payment } = keyWaits(state, name.slot, now);
  const circuit = state.circuit.untilProbe(name.slot, now) ?? probingMs;
  return Math.max(credential, payment, state.cooling.left(name, now), circuit);
}

/** Milliseconds for which the whole key is out of service, by reason. */
export function keyWaits(state: KeyState, slot: number, now: number): { credential: number; payment: number } {
  const { words } = state.memory;
  const line = keyLine(slot);
  return {
    credential: waitLeft(Atomics.load(words, line + keyWord.credentialWait), now),
    payment: waitLeft(Atomics.load(words, line + keyWord.paymentWait), now),
  };
}

/** The upstream refused the key's credential (401, 403, a bad signature). */
export function refuseCredential(state: KeyState, slot: number, now: number): void {
  prolong(state.memory.words, keyLine(slot) + keyWord.credentialWait, now, credentialGrowth);
}

/** The key's account has nothing left (402, quota exhausted). @param retryAfterMs what the upstream asks for */
export function refusePayment(state: KeyState, slot: number, now: number, retryAfterMs: number | undefined): void {
  prolong(state.memory.words, keyLine(slot) + keyWord.paymentWait, now, paymentGrowth, retryAfterMs);
}

/** After a success: the next refusal counts as the first. */
export function forgiveRefusals(state: KeyState, slot: number, now: number): void {
  const line = keyLine(slot);
  forgive(state.memory.words, line + keyWord.credentialWait, now);
  forgive(state.memory.words, line + keyWord.paymentWait, now);
}
