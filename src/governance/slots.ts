/** Which counter of the shared memory belongs to which limit. The supervisor decides; threads are told. */

/**
 * Gives every id a slot. Who had one keeps it, and with it what was counted. A slot that becomes free is not given away
 * in the same call as long as another is left, because threads that have not heard of the change yet still use it.
 *
 * @param previous the slots in force
 * @throws RangeError when there are more ids than slots
 */
export function assignCounters(
  previous: ReadonlyMap<string, number>,
  ids: readonly string[],
  capacity: number,
): Map<string, number> {
  const wanted = new Set(ids);
  if (wanted.size > capacity) throw new RangeError(`${wanted.size} limits and budgets, but room for ${capacity} only`);
  const next = new Map<string, number>();
  const occupied = new Set<number>();
  for (const [id, slot] of previous) {
    if (!wanted.has(id) || slot >= capacity || occupied.has(slot)) continue;
    next.set(id, slot);
    occupied.add(slot);
  }
  const homeless = [...wanted].filter((id) => !next.has(id));
  if (homeless.length === 0) return next;
  const justFreed = new Set([...previous.values()].filter((slot) => slot < capacity && !occupied.has(slot)));
  const free = freeSlots(capacity, occupied, justFreed);
  for (const id of homeless) {
    const slot = free.next();
    if (slot.done !== true) next.set(id, slot.value);
  }
  return next;
}

function* freeSlots(capacity: number, occupied: ReadonlySet<number>, last: ReadonlySet<number>): Generator<number> {
  for (let slot = 0; slot < capacity; slot++) if (!occupied.has(slot) && !last.has(slot)) yield slot;
  yield* last;
}

/** The slots that have a new owner: they are reset before the assignment goes to the threads. */
export function newlyAssigned(previous: ReadonlyMap<string, number>, next: ReadonlyMap<string, number>): number[] {
  return [...next].filter(([id, slot]) => previous.get(id) !== slot).map(([, slot]) => slot);
}
