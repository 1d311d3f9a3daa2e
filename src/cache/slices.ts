/** Work over many things, in turns that leave room for others on the thread. */

/** How long a turn is. Milliseconds. */
const turnMs = 2;

/** Does the work for each item in order; what the work changes meanwhile is the iterable's to bear. */
export async function inTurns<T>(items: Iterable<T>, work: (item: T) => void): Promise<void> {
  let until = performance.now() + turnMs;
  for (const item of items) {
    work(item);
    if (performance.now() < until) continue;
    await new Promise((resolve) => setImmediate(resolve));
    until = performance.now() + turnMs;
  }
}
