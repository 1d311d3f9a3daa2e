/**
 * A wait in one word of shared memory: its end in the upper 29 bits, counted in ticks of 100 ms, and in the lower three a
 * level: how often it has grown, 0 when the upstream has told its length, or the phase of a circuit. A word of 0 is no wait.
 *
 * The time, `now`, is the callers' `Date.now()`: the one clock that all threads read alike. It counts modulo 2^29 ticks
 * (621 days) and only differences are looked at, so it needs no beginning. The clock may jump. Forward, waits end too
 * early, which costs an attempt. Backward, a wait could last as much longer, so what lies further ahead than a wait is
 * ever set counts as over.
 */

/** Ends of waits are rounded up to it. */
export const tickMs = 100;
const levelBits = 3;
const levelMask = (1 << levelBits) - 1;

/** No wait of a key is set for longer. Milliseconds. */
export const longestWaitMs = 3_600_000;

/** How a wait grows when nobody has said how long it is to be. Milliseconds. */
export interface Growth {
  readonly firstMs: number;
  readonly longestMs: number;
}

/** The tick a time falls into, modulo 2^32. */
export function tickOf(now: number): number {
  return Math.floor(now / tickMs) | 0;
}

/** The level of a wait whose length the upstream has told. One that was guessed has grown at least once. */
const toldLevel = 0;

/** Whether nobody has said how long the wait is to be. */
export function isGuess(word: number): boolean {
  return levelOf(word) !== toldLevel;
}

/** A wait that ends `ms` after `now`, or up to a tick later. */
export function packWait(now: number, ms: number, level: number): number {
  const word = (Math.ceil((now + ms) / tickMs) << levelBits) | level;
  return word === 0 ? 1 << levelBits : word;
}

export function levelOf(word: number): number {
  return word & levelMask;
}

/** Whether a wait still runs. Fast path: asked of every key at every choice. */
export function isRunning(word: number, tick: number, longestMs = longestWaitMs): boolean {
  if (word === 0) return false;
  const left = ticksLeft(word, tick);
  return left > 0 && left <= longestMs / tickMs + 1;
}

/** What is left of a wait, in milliseconds; 0 when it is over. */
export function waitLeft(word: number, now: number): number {
  const tick = tickOf(now);
  return isRunning(word, tick) ? ticksLeft(word, tick) * tickMs - (now - Math.floor(now / tickMs) * tickMs) : 0;
}

/** Whether the first of two waits ends later than the second; both may be over. */
export function endsLater(word: number, other: number): boolean {
  if (word === 0 || other === 0) return word !== 0;
  return (((word & ~levelMask) - (other & ~levelMask)) | 0) > 0;
}

/**
 * The wait after a failure.
 *
 * While one runs, a further failure is of the same wave: it does not make the wait grow, and prolongs it only when it
 * brings a later end itself. A wait that begins after another is twice as long, until {@link forgive} or until the upstream
 * has told one.
 *
 * @param seen the wait before
 * @param ms how long, when the upstream has said so
 */
export function nextWait(seen: number, now: number, growth: Growth, ms: number | undefined): number {
  const level = levelOf(seen);
  const running = isRunning(seen, tickOf(now));
  if (ms !== undefined) {
    const told = packWait(now, Math.min(ms, longestWaitMs), toldLevel);
    return running && !endsLater(told, seen) ? seen : told;
  }
  if (running) return seen;
  const length = Math.min(growth.firstMs * 2 ** level, growth.longestMs);
  return packWait(now, length, Math.min(level + 1, levelMask));
}

/** Begins or prolongs the wait in a word; see {@link nextWait}. */
export function prolong(words: Int32Array, index: number, now: number, growth: Growth, ms?: number): void {
  for (;;) {
    const seen = Atomics.load(words, index);
    const next = nextWait(seen, now, growth, ms);
    if (next === seen || Atomics.compareExchange(words, index, seen, next) === seen) return;
  }
}

/** After a success: the next wait begins small again. A running one stays, since the success was begun before it. */
export function forgive(words: Int32Array, index: number, now: number): void {
  const seen = Atomics.load(words, index);
  if (seen !== 0 && !isRunning(seen, tickOf(now))) Atomics.compareExchange(words, index, seen, 0);
}

function ticksLeft(word: number, tick: number): number {
  return (((word >>> levelBits) - tick) << levelBits) >> levelBits;
}
