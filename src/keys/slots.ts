/** Which line of the shared memory belongs to which key or provider. The supervisor decides; threads are told. */

/**
 * Gives every id a slot. Who had one keeps it, and with it the state. A slot that becomes free is not given away in the
 * same call as long as another is left, because threads that have not heard of the change yet still use it.
 *
 * What is to have no state in common must have different ids: of keys, for instance, the provider's name, the key's id
 * and a digest of its credential, so that a renewed credential begins without the cool-down of the old one.
 *
 * @param previous the slots in force
 * @throws RangeError when there are more ids than slots
 */
export function assignSlots(
  previous: ReadonlyMap<string, number>,
  ids: readonly string[],
  capacity: number,
): Map<string, number> {
  const wanted = new Set(ids);
  if (wanted.size > capacity) throw new RangeError(`${wanted.size} keys or providers, but room for ${capacity} only`);
  const next = new Map<string, number>();
  const used = new Set<number>();
  for (const [id, slot] of previous) {
    if (!wanted.has(id) || slot >= capacity || used.has(slot)) continue;
    next.set(id, slot);
    used.add(slot);
  }
  const justFreed = new Set(previous.values());
  const free = Array.from({ length: capacity }, (_, slot) => slot)
    .filter((slot) => !used.has(slot))
    .sort((a, b) => Number(justFreed.has(a)) - Number(justFreed.has(b)));
  let taken = 0;
  for (const id of wanted) {
    if (next.has(id)) continue;
    const slot = free[taken++];
    if (slot !== undefined) next.set(id, slot);
  }
  return next;
}

/** The slots that have a new owner: they are reset before the assignment goes to the threads. */
export function newlyOwned(previous: ReadonlyMap<string, number>, next: ReadonlyMap<string, number>): number[] {
  return [...next].filter(([id, slot]) => previous.get(id) !== slot).map(([, slot]) => slot);
}
