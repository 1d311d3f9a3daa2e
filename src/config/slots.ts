/** Which place in shared memory belongs to which configured thing. The supervisor decides; threads are told. */

/**
 * Gives every id a slot. Who had one keeps it, and with it the state. A slot that becomes free is not given away in the
 * same call as long as another is left, because threads that have not heard of the change yet still use it.
 *
 * What is to have no state in common must have different ids: of keys, for instance, the provider's name, the key's id
 * and a digest of its credential, so that a renewed credential begins without the cool-down of the old one.
 *
 * @param what the ids are, in the plural, for the message
 * @throws RangeError when there are more ids than slots; `previous` stays in force
 */
export function assignSlots(
  previous: ReadonlyMap<string, number>,
  ids: readonly string[],
  capacity: number,
  what: string,
): Map<string, number> {
  const wanted = new Set(ids);
  if (wanted.size > capacity) throw new RangeError(`${wanted.size} ${what}, but room for ${capacity} only`);
  const next = new Map<string, number>();
  const used = new Set<number>();
  for (const [id, slot] of previous) {
    if (!wanted.has(id) || slot >= capacity || used.has(slot)) continue;
    next.set(id, slot);
    used.add(slot);
  }
  const homeless = [...wanted].filter((id) => !next.has(id));
  if (homeless.length === 0) return next;
  const justFreed = new Set([...previous.values()].filter((slot) => slot < capacity && !used.has(slot)));
  const free = freeSlots(capacity, used, justFreed);
  for (const id of homeless) {
    const slot = free.next();
    if (slot.done !== true) next.set(id, slot.value);
  }
  return next;
}

/** One after the other: there may be many thousands, and few are asked for. */
function* freeSlots(capacity: number, used: ReadonlySet<number>, last: ReadonlySet<number>): Generator<number> {
  for (let slot = 0; slot < capacity; slot++) if (!used.has(slot) && !last.has(slot)) yield slot;
  yield* [...last].sort((a, b) => a - b);
}

/** The slots that have a new owner: they are reset before the assignment goes to the threads. */
export function newlyOwned(previous: ReadonlyMap<string, number>, next: ReadonlyMap<string, number>): number[] {
  return [...next].filter(([id, slot]) => previous.get(id) !== slot).map(([, slot]) => slot);
}
