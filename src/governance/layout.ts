/**
 * The memory in which all threads count together. This file alone says what lies where.
 *
 *     ┌────────┬──────────────────┬─────────────────────────┐
 *     │ header │ changed          │ counter 0 … n-1         │
 *     │ 64 B   │ a bit a counter  │ 64 B each               │
 *     └────────┴──────────────────┴─────────────────────────┘
 *
 *     header    Int32: 0 magic · 1 version · 2 number of counters
 *     changed   Int32, bit b of word w: what counter 32·w + b has spent differs from what was saved
 *
 *     counter   ┌──────────────────────────────────────────────────┐
 *     (Int64)   │ 0 window   begin in ms since 1970 ⟨43⟩ number⟨20⟩│
 *               ├────────────────┬─────────────┬───────────────────┤
 *               │ 1 used         │ number ⟨11⟩ │ overdrawn⟨1⟩ amount ⟨51⟩
 *               ├────────────────┼─────────────┼───────────────────┤
 *               │ 2 spent        │ number ⟨11⟩ │ -        ⟨1⟩ amount ⟨51⟩
 *               └────────────────┴─────────────┴───────────────────┘
 *               3…7 unused: a line of its own, so that threads do not wait for each other's counters
 *
 * An amount is micro-dollars, tokens, requests, or requests in flight. *used* is what was spent and what is reserved,
 * *spent* only what was settled. Both name the window they belong to by the low bits of its number; an amount of another
 * window counts as nothing. So a window is left behind by one exchange of one word, and whatever was charged to it then,
 * or still is by a thread that has not noticed, stays there: no thread waits for another, and one that dies in between
 * leaves nothing half done.
 *
 * A number is used again after 2,048 windows. Who begins a window, or finds amounts of another one, writes them anew, so
 * none gets that old.
 *
 * All writes are compare and exchange, repeated. A failed exchange means that another thread got on, so the loops end.
 * A counter is given to another holder only after {@link resetCounter}, which begins another window: what still runs
 * for the former holder finds its own window gone, and does nothing.
 */

/** Words of a counter's line. */
export const counterWord = { window: 0, used: 1, spent: 2 } as const;

const headerBytes = 64;
const lineWords = 8;
const magic = 0x676f7665;
const version = 1;

/** 4 MB: some ten thousand virtual keys with several limits each. */
const defaultCounters = 65_536;

/** The memory, opened by a thread. */
export interface GovernanceMemory {
  readonly words: BigInt64Array<SharedArrayBuffer>;
  readonly counters: number;
  readonly changed: Int32Array<SharedArrayBuffer>;
  /** Index of the first counter's first word. */
  readonly start: number;
}

/**
 * Makes the memory; the supervisor does this once and gives it to every thread.
 *
 * @param counters how many limits there is room for: a multiple of 512 up to 1,048,576
 * @throws RangeError when it is not
 */
export function createGovernanceMemory(counters = defaultCounters): SharedArrayBuffer {
  if (!(counters >= 512 && counters <= 1_048_576 && counters % 512 === 0))
    throw new RangeError(`the number of counters must be a multiple of 512 up to 1,048,576, not ${counters}`);
  const buffer = new SharedArrayBuffer(sizeFor(counters));
  new Int32Array(buffer).set([magic, version, counters]);
  return buffer;
}

/**
 * @param buffer what {@link createGovernanceMemory} made, here or in another thread
 * @throws TypeError when it is something else
 */
export function openGovernanceMemory(buffer: SharedArrayBuffer): GovernanceMemory {
  const [mark, made, counters = 0] = new Int32Array(buffer);
  if (mark !== magic || made !== version || buffer.byteLength !== sizeFor(counters))
    throw new TypeError("this is not the memory of governance");
  const changed = new Int32Array(buffer, headerBytes, counters / 32);
  return { words: new BigInt64Array(buffer), counters, changed, start: (headerBytes + counters / 8) / 8 };
}

function sizeFor(counters: number): number {
  return headerBytes + counters / 8 + 8 * lineWords * counters;
}

/** Index of the first word of a counter's line. */
export function counterLine(memory: GovernanceMemory, slot: number): number {
  return memory.start + lineWords * slot;
}

/**
 * A word taken apart into two numbers and put together again: sums and shifts of bigints cost a heap object each, and
 * admission does a dozen of them for every limit.
 */
const whole = new BigInt64Array(1);
const halves = new Uint32Array(whole.buffer);
const [low, high] = new Uint8Array(new Uint16Array([1]).buffer)[0] === 1 ? ([0, 1] as const) : ([1, 0] as const);

const half = 2 ** 32;
/** Of the low half of a window: its number; of what is above it there are 12 bits more there. */
const numberMask = 0xfffff;
const numberBits = 20;
const startUnit = 2 ** 12;
/** Of the high half of an amount. */
const tagShift = 20;
const overdrawnBit = 1 << 19;
const amountMask = overdrawnBit - 1;
const tagMask = 0x7ff;

/** The largest amount a counter can hold: 2,251 million dollars. */
export const largestAmount = 2 ** 51 - 1;

/** The begin of a window; 0 when the counter has never been used. */
export function windowStart(window: bigint): number {
  whole[0] = window;
  return (halves[high] ?? 0) * startUnit + ((halves[low] ?? 0) >>> numberBits);
}

/** The word of the window that follows another one. */
export function windowAfter(window: bigint, start: number): bigint {
  whole[0] = window;
  const number = ((halves[low] ?? 0) + 1) & numberMask;
  halves[high] = Math.floor(start / startUnit);
  halves[low] = ((start % startUnit) << numberBits) | number;
  return whole[0];
}

/** What amounts of this window bear. */
export function tagOf(window: bigint): number {
  whole[0] = window;
  return (halves[low] ?? 0) & tagMask;
}

export function isTagged(amount: bigint, tag: number): boolean {
  whole[0] = amount;
  return (halves[high] ?? 0) >>> tagShift === tag;
}

export function amountOf(word: bigint): number {
  whole[0] = word;
  return ((halves[high] ?? 0) & amountMask) * half + (halves[low] ?? 0);
}

export function isOverdrawn(word: bigint): boolean {
  whole[0] = word;
  return ((halves[high] ?? 0) & overdrawnBit) !== 0;
}

/** Amounts below zero and above what fits are cut off there. */
export function amountWord(tag: number, amount: number, overdrawn: boolean): bigint {
  const kept = Math.min(Math.max(amount, 0), largestAmount);
  halves[high] = (tag << tagShift) | (overdrawn ? overdrawnBit : 0) | Math.floor(kept / half);
  halves[low] = kept % half;
  return whole[0] ?? 0n;
}

/** Writes the amounts of a window that has begun, unless another thread has done so. */
export function clearAmounts(words: BigInt64Array<SharedArrayBuffer>, line: number, window: bigint): void {
  const tag = tagOf(window);
  for (const index of [line + counterWord.used, line + counterWord.spent]) {
    const seen = Atomics.load(words, index);
    if (isTagged(seen, tag) || Atomics.load(words, line + counterWord.window) !== window) continue;
    // Where this fails, another thread has written what belongs there.
    Atomics.compareExchange(words, index, seen, amountWord(tag, 0, false));
  }
}

/** Forgets a counter, before it goes to another holder. */
export function resetCounter(memory: GovernanceMemory, slot: number): void {
  const { words, changed } = memory;
  const line = counterLine(memory, slot);
  for (;;) {
    const seen = Atomics.load(words, line + counterWord.window);
    const next = windowAfter(seen, 0);
    if (Atomics.compareExchange(words, line + counterWord.window, seen, next) !== seen) continue;
    clearAmounts(words, line, next);
    break;
  }
  Atomics.and(changed, slot >> 5, ~(1 << (slot & 31)));
}

/** Notes that what a counter has spent has to be saved. */
export function markChanged(memory: GovernanceMemory, slot: number): void {
  const bit = 1 << (slot & 31);
  // Most of the time it is noted already, and reading does not take the line away from other threads.
  if ((Atomics.load(memory.changed, slot >> 5) & bit) === 0) Atomics.or(memory.changed, slot >> 5, bit);
}

/** The counters noted since the last call, which are no longer noted then. */
export function takeChanged(memory: GovernanceMemory): number[] {
  const slots: number[] = [];
  for (let index = 0; index < memory.changed.length; index++) {
    if (Atomics.load(memory.changed, index) === 0) continue;
    let bits = Atomics.exchange(memory.changed, index, 0);
    while (bits !== 0) {
      const low = 31 - Math.clz32(bits & -bits);
      slots.push(index * 32 + low);
      bits &= bits - 1;
    }
  }
  return slots;
}
