/** Looking at a file for changes. */
import { statSync } from "node:fs";
import { stat } from "node:fs/promises";

/** What of a file changes when it is written or replaced. */
interface Look {
  readonly ino: number;
  readonly size: number;
  readonly mtimeMs: number;
}

const gone = "gone";

/** How a file looks now, for {@link watch}. */
export function lookAt(path: string): string {
  try {
    return nameOf(statSync(path));
  } catch {
    // A file that is not there looks like that, and may come.
    return gone;
  }
}

/**
 * Looks at a file every now and then, and does not keep the process alive for it. By asking again and not by
 * notifications, which network and overlay file systems do not have.
 *
 * @param since how it looked when it was read: a change between the two is noticed as well
 * @returns ends the watch
 */
export function watch(path: string, since: string, everyMs: number, onChange: () => void): () => void {
  let last = since;
  const timer = setInterval(() => {
    const look = stat(path).then(nameOf, () => gone);
    void look.then((now) => {
      if (now === last) return;
      last = now;
      onChange();
    });
  }, everyMs).unref();
  return () => clearInterval(timer);
}

function nameOf({ ino, size, mtimeMs }: Look): string {
  return `${ino} ${size} ${mtimeMs}`;
}
