/**
 * The memory in which all threads keep one truth about keys. This file alone says what lies where.
 *
 *     ┌────────┬──────────────┬─────────────────┬──────────────────────┬──────────────────┐
 *     │ header │ key 0 … n-1  │ provider 0 … m-1│ cooling (key, model) │ sessions         │
 *     │ 64 B   │ 64 B each    │ 64 B each       │ 128 B each           │ 16 B each        │
 *     └────────┴──────────────┴─────────────────┴──────────────────────┴──────────────────┘
 *
 *     header    word 0 magic · 1 version · 2,3 seed of the hashes · 4…7 how many of each of the four
 *
 *     key       ┌─────────────┬─────────────┬─────────────┬─────────────┬─────────────┐
 *               │ 0,1 served  │ 2 occupied  │ 3 successes │ 4 failures  │ 5 throttles │
 *               ├─────────────┼─────────────┼─────────────┼─────────────┼─────────────┤
 *               │ 6 decayed   │ 7 unit time │ 8 … at      │ 9 run       │ 10 creden-  │
 *               │   at        │             │             │             │    tial wait│
 *               ├─────────────┼─────────────┼─────────────┼─────────────┼─────────────┤
 *               │ 11 payment  │ 12 throttle │ 13 circuit  │ 14 openings │ 15 unused   │
 *               │    wait     │    wait     │             │             │             │
 *               └─────────────┴─────────────┴─────────────┴─────────────┴─────────────┘
 *
 *     provider  word 0 debt · 1 paid at
 *     cooling   words 0,1 tag · 2 wait · 3 owner · 4 bytes of the name · 5…31 the model's name, UTF-8
 *     session   words 0,1 tag · 2 wait · 3 owner
 *
 * A word is an aligned `Int32`, so no read is ever torn. All writes are `Atomics`, in one of three ways, and none waits
 * for another thread:
 *
 * - *Add*, where the sum is all that counts (served, outcomes).
 * - *Compare and exchange, repeated*, where the new value depends on the old one (waits, averages, in-flight). What
 *   belongs together stands in one word: an owner is generation and slot, a wait is its end and its level. A failed
 *   exchange means that another thread got on, so the loops end.
 * - *Compare and exchange, once*, where only one thread may do something: take the probe of an open circuit, do the
 *   decay of this second, take over a place of a table. Who loses leaves it to the winner.
 *
 * Facts in different words may be seen between two writes of another thread, for instance a failure counted but not yet
 * in the run. Nothing decides on more than one word where that would matter.
 *
 * A slot is given to another key only after {@link resetKey}, which raises its *generation*. An attempt remembers the
 * generation it began in, so what still runs for the former key cannot touch the state of the next.
 */
import { randomBytes } from "node:crypto";

/** Words of a key's line. */
export const keyWord = {
  /** 64 bits, first for its alignment. */
  served: 0,
  /** Generation in the upper 12 bits, attempts in flight in the lower 20. */
  occupied: 2,
  successes: 3,
  failures: 4,
  throttles: 5,
  /** The second up to which the three above have been decayed. */
  decayedAt: 6,
  /** Microseconds per unit of work, averaged; 0 when unknown. */
  unitTime: 7,
  /** The tick of the last measurement. */
  unitTimeAt: 8,
  /** Successes in a row when positive, failures in a row when negative. */
  run: 9,
  credentialWait: 10,
  paymentWait: 11,
  /** Ends with the last cool-down of any model of the key: before that, the table has to be asked. */
  throttleWait: 12,
  /** 0 when closed, else the end of the phase and the phase. */
  circuit: 13,
  /** How often the circuit has opened since the key was last well. */
  openings: 14,
} as const;

/** Words of a provider's line. */
export const providerWord = { debt: 0, paidAt: 1 } as const;

/** Words of an entry of the tables; the first three are those of both. */
export const entryWord = { tag: 0, wait: 2, owner: 3, nameBytes: 4, name: 5 } as const;

export const coolingEntryWords = 32;
export const sessionEntryWords = 4;
const lineWords = 16;
const magic = 0x6b657973;
const version = 1;

/** How many of each there is room for. */
export interface KeyCapacities {
  readonly keys: number;
  readonly providers: number;
  /** A power of two, at least 8. */
  readonly cooling: number;
  /** A power of two, at least 8. */
  readonly sessions: number;
}

/** 1.3 MB: far more keys than a configuration has, so that freed slots rest long before they are used again. */
const defaults: KeyCapacities = { keys: 1024, providers: 128, cooling: 1024, sessions: 65_536 };

/** A slot has to fit into 16 bits of an owner. */
const maxKeys = 65_536;

/** The memory, opened by a thread. */
export interface KeyMemory {
  readonly words: Int32Array<SharedArrayBuffer>;
  /** The same memory in words of 64 bits, for what a word is too small for. */
  readonly wide: BigInt64Array<SharedArrayBuffer>;
  readonly capacities: KeyCapacities;
  /** Of the hashes, random, so that nobody outside can prepare two names that fall together. */
  readonly seed: { readonly lo: number; readonly hi: number };
  /** Index of the first word of each. */
  readonly coolingStart: number;
  readonly sessionsStart: number;
}

/**
 * Makes the memory; the supervisor does this once and gives it to every thread.
 *
 * @throws RangeError when a table's size is not a power of two from 8 on, or there are more than 65,536 keys
 */
export function createKeyMemory(wanted: Partial<KeyCapacities> = {}): SharedArrayBuffer {
  const capacities = { ...defaults, ...wanted };
  const { keys, providers, cooling, sessions } = capacities;
  if (!(keys >= 1 && keys <= maxKeys)) throw new RangeError(`there is room for 1 to ${maxKeys} keys, not ${keys}`);
  for (const size of [cooling, sessions])
    if (size < 8 || !Number.isInteger(Math.log2(size)))
      throw new RangeError(`a table's size must be a power of two from 8 on, not ${size}`);
  const buffer = new SharedArrayBuffer(4 * starts(capacities).end);
  const seed = randomBytes(8);
  new Int32Array(buffer).set([
    magic,
    version,
    seed.readInt32LE(0),
    seed.readInt32LE(4),
    keys,
    providers,
    cooling,
    sessions,
  ]);
  return buffer;
}

/**
 * @param buffer what {@link createKeyMemory} made, here or in another thread
 * @throws TypeError when it is something else
 */
export function openKeyMemory(buffer: SharedArrayBuffer): KeyMemory {
  const words = new Int32Array(buffer);
  const [mark, made, lo = 0, hi = 0, keys = 0, providers = 0, cooling = 0, sessions = 0] = words;
  const capacities = { keys, providers, cooling, sessions };
  const { coolingStart, sessionsStart, end } = starts(capacities);
  if (mark !== magic || made !== version || words.length !== end) throw new TypeError("this is not the memory of keys");
  return { words, wide: new BigInt64Array(buffer), capacities, seed: { lo, hi }, coolingStart, sessionsStart };
}

function starts({ keys, providers, cooling, sessions }: KeyCapacities) {
  const coolingStart = lineWords * (1 + keys + providers);
  const sessionsStart = coolingStart + coolingEntryWords * cooling;
  return { coolingStart, sessionsStart, end: sessionsStart + sessionEntryWords * sessions };
}

/** Index of the first word of a key's line. */
export function keyLine(slot: number): number {
  return lineWords * (1 + slot);
}

/** Index of the first word of a provider's line. */
export function providerLine(memory: KeyMemory, slot: number): number {
  return lineWords * (1 + memory.capacities.keys + slot);
}

const inFlightBits = 20;
const inFlightMask = (1 << inFlightBits) - 1;

export function inFlightOf(occupied: number): number {
  return occupied & inFlightMask;
}

export function generationOf(occupied: number): number {
  return occupied >>> inFlightBits;
}

/** A key in one word: its slot and the generation, so that a slot's next key is another owner. */
export function ownerOf(slot: number, generation: number): number {
  return (generation << 16) | slot;
}

/** Counts an attempt that began in this generation as ended. False, and nothing done, when the slot has a new key. */
export function leave(memory: KeyMemory, slot: number, generation: number): boolean {
  const index = keyLine(slot) + keyWord.occupied;
  for (;;) {
    const seen = Atomics.load(memory.words, index);
    if (generationOf(seen) !== generation) return false;
    if (Atomics.compareExchange(memory.words, index, seen, seen - 1) === seen) return true;
  }
}

/** Counts an attempt as in flight and answers the slot's generation. */
export function enter(memory: KeyMemory, slot: number): number {
  return generationOf(Atomics.add(memory.words, keyLine(slot) + keyWord.occupied, 1));
}

/** Forgets everything about a slot's key, before the slot goes to another one. */
export function resetKey(memory: KeyMemory, slot: number): void {
  const line = keyLine(slot);
  const occupied = line + keyWord.occupied;
  // First the generation, so that what still runs for the former key finds itself shut out.
  for (;;) {
    const seen = Atomics.load(memory.words, occupied);
    const next = (generationOf(seen) + 1) << inFlightBits;
    if (Atomics.compareExchange(memory.words, occupied, seen, next) === seen) break;
  }
  for (let index = line; index < line + lineWords; index++)
    if (index !== occupied) Atomics.store(memory.words, index, 0);
}

/** Forgets a provider's retries, before its slot goes to another one. */
export function resetProvider(memory: KeyMemory, slot: number): void {
  const line = providerLine(memory, slot);
  for (let index = line; index < line + lineWords; index++) Atomics.store(memory.words, index, 0);
}
