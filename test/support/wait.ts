/** Waiting for something to become true, with an end. */

export function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

/**
 * Asks until there is an answer.
 *
 * @param what names what is waited for in the failure
 * @throws Error after `ms` milliseconds without one
 */
export async function until<T>(
  what: string,
  ask: () => T | undefined | false | Promise<T | undefined | false>,
  ms = 5000,
): Promise<T> {
  const end = Date.now() + ms;
  for (;;) {
    const answer = await ask();
    if (answer !== undefined && answer !== false) return answer;
    if (Date.now() > end) throw new Error(`waited ${ms} ms in vain for ${what}`);
    await sleep(10);
  }
}

/** Runs the tasks with at most `width` of them at a time. */
export async function inParallel<T>(
  tasks: readonly T[],
  width: number,
  run: (task: T, index: number) => Promise<void>,
): Promise<void> {
  const queue = tasks.entries();
  const lane = async () => {
    for (const [index, task] of queue) await run(task, index);
  };
  await Promise.all(Array.from({ length: width }, lane));
}

/** What a promise is rejected with. */
export async function rejection(promise: Promise<unknown>): Promise<unknown> {
  try {
    await promise;
  } catch (error) {
    return error;
  }
  throw new Error("it was expected to fail, and did not");
}

/** Everything an async iterable yields; nothing for one that is missing. */
export async function collect<T>(source: AsyncIterable<T> | undefined): Promise<T[]> {
  const all: T[] = [];
  for await (const one of source ?? []) all.push(one);
  return all;
}
