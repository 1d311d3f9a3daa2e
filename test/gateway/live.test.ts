import { describe, expect, test } from "vitest";
import { ActiveRequest } from "../../src/gateway/active-request.ts";
import { LiveReaders } from "../../src/gateway/live.ts";
import type { Exchange, ReplyStream } from "../../src/http/exchange.ts";
import { until } from "../support/wait.ts";

/** A reader that is as fast as the test wants. */
function reader() {
  const written: string[] = [];
  let isBehind = false;
  let drained: (() => void) | undefined;
  let left: (() => void) | undefined;
  let ending: "open" | "ended" | "broken" = "open";
  let lent: string | undefined;
  const stream: ReplyStream = {
    write: (bytes, next) => {
      const text = Buffer.from(bytes).toString();
      // What was lent is the first byte of what comes now.
      if (lent !== undefined) expect(text.charAt(0)).toBe(lent);
      lent = next === undefined ? undefined : String.fromCharCode(next);
      written.push(text);
      return !isBehind;
    },
    onDrain: (listener) => {
      drained = listener;
    },
    end: () => {
      expect(lent).toBeUndefined();
      ending = "ended";
    },
    destroy: () => {
      ending = "broken";
    },
  };
  const exchange: Partial<Exchange> & Pick<Exchange, "headers"> = {
    headers: new Map(),
    aborted: false,
    onAbort: (listener) => {
      left = listener;
    },
    open: () => stream,
  };
  return {
    request: new ActiveRequest(exchange as Exchange),
    written,
    fallBehind: () => {
      isBehind = true;
    },
    catchUp: () => {
      isBehind = false;
      drained?.();
    },
    leave: () => left?.(),
    ending: () => ending,
  };
}

/** A feed of `page 1`, `page 2`, …, each when the test wants it. */
function feed() {
  const asked: (number | undefined)[] = [];
  const waiting: (() => void)[] = [];
  return {
    asked,
    next: () => waiting.shift()?.(),
    follow: ({ after }: { readonly after: number | undefined }) => {
      asked.push(after);
      const page = (after ?? 0) + 1;
      return new Promise<{ after: number; text: string }>((resolve) => {
        waiting.push(() => resolve({ after: page, text: `\npage ${page}\n` }));
      });
    },
  };
}

describe("an answer that goes on", () => {
  test("has one page after the other, and ends when the process drains", async () => {
    const [readers, one, pages] = [new LiveReaders(), reader(), feed()];
    const serving = readers.serve(one.request, [], {}, pages);
    for (let count = 1; count <= 3; count++) {
      pages.next();
      await until("the page", () => one.written.length === count);
    }
    readers.drain();
    await serving;
    expect(one.written).toEqual(["\npage 1\n", "\npage 2\n", "\npage 3\n", "\n: the end\n\n"]);
    expect([pages.asked, one.ending()]).toEqual([[undefined, 1, 2, 3], "ended"]);
  });

  test("does not ask for more while its reader is behind", async () => {
    const [readers, one, pages] = [new LiveReaders(), reader(), feed()];
    const serving = readers.serve(one.request, [], {}, pages);
    one.fallBehind();
    pages.next();
    await until("the page", () => one.written.length === 1);
    await new Promise((resolve) => setTimeout(resolve, 10));
    expect(pages.asked).toEqual([undefined]);
    one.catchUp();
    await until("the question", () => pages.asked.length === 2);
    one.leave();
    await serving;
  });

  test("ends when its reader leaves, also one that is behind", async () => {
    const [readers, one, pages] = [new LiveReaders(), reader(), feed()];
    const serving = readers.serve(one.request, [], {}, pages);
    one.fallBehind();
    pages.next();
    await until("the page", () => one.written.length === 1);
    one.leave();
    await serving;
    expect(pages.asked).toEqual([undefined]);
  });

  test("breaks off when its feed fails, so that the reader comes again", async () => {
    const [readers, one] = [new LiveReaders(), reader()];
    const failing = { follow: () => Promise.reject(new Error("gone")) };
    await expect(readers.serve(one.request, [], {}, failing)).rejects.toThrow("gone");
    expect(one.ending()).toBe("broken");
    expect(readers.isFull).toBe(false);
  });

  test("has a bounded number of readers, and none once it drains", async () => {
    const [readers, pages] = [new LiveReaders(), feed()];
    const all = Array.from({ length: 64 }, () => reader());
    const serving = all.map((one) => readers.serve(one.request, [], {}, pages));
    expect(readers.isFull).toBe(true);
    readers.drain();
    await Promise.all(serving);
    expect(readers.isFull).toBe(false);
    const late = reader();
    await readers.serve(late.request, [], {}, pages);
    expect(late.written).toEqual(["\n: the end\n\n"]);
  });
});
