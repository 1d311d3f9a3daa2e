/** What happens with every request must not fill the log: it is said once in a while. */

/**
 * @param tell is given a message, and how many others there were since the last one
 * @param everyMs the shortest time between two
 */
export function seldom(
  tell: (message: string, others: number) => void,
  everyMs = 10_000,
  now: () => number = Date.now,
): (message: string) => void {
  let last = Number.NEGATIVE_INFINITY;
  let others = 0;
  return (message) => {
    if (now() - last < everyMs) {
      others++;
      return;
    }
    tell(message, others);
    last = now();
    others = 0;
  };
}
