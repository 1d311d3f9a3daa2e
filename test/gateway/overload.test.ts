import { describe, expect, test } from "vitest";
import { Overload, type OverloadReason } from "../../src/gateway/overload.ts";

const mib = 1024 * 1024;

function start(limits: { delayMs?: number; memoryBytes?: number; bodyBytes?: number } = {}) {
  const changes: (OverloadReason | undefined)[] = [];
  let collected = 0;
  const overload = new Overload(
    { delayMs: 200, memoryBytes: 100 * mib, bodyBytes: 10 * mib, ...limits },
    {
      onChange: (reason) => changes.push(reason),
      collect: () => {
        collected++;
      },
    },
  );
  let now = 0;
  const look = (lateMs: number, memoryMib = 10, times = 1) => {
    for (let count = 0; count < times; count++) {
      now += 100;
      overload.look(lateMs, memoryMib * mib, now);
    }
  };
  return { overload, changes, look, collected: () => collected };
}

describe("a late event loop", () => {
  test("refuses new work only when it stays late, and takes it again once it is well on time", () => {
    const { overload, changes, look } = start();
    look(700);
    expect(overload.reason).toBeUndefined();
    look(300, 10, 10);
    expect(overload.reason).toBe("delay");
    look(150, 10, 100);
    expect(overload.reason, "in between it stays as it was").toBe("delay");
    look(0, 10, 20);
    expect(overload.reason).toBeUndefined();
    look(150, 10, 100);
    expect(overload.reason).toBeUndefined();
    expect(changes).toEqual(["delay", undefined]);
  });

  test("means nothing where the limit is 0", () => {
    const { overload, look } = start({ delayMs: 0 });
    look(10_000, 10, 100);
    expect(overload.reason).toBeUndefined();
  });

  test("that comes early, as after a clock's correction, is not late", () => {
    const { overload, look } = start();
    look(-5000, 10, 10);
    expect(overload.delayMs).toBe(0);
  });
});

describe("memory that is nearly used up", () => {
  test("refuses new work from nine tenths on, until a fifth is free again", () => {
    const { overload, changes, look } = start();
    look(0, 89);
    expect(overload.reason).toBeUndefined();
    look(0, 91);
    expect(overload.reason).toBe("memory");
    look(0, 85);
    expect(overload.reason).toBe("memory");
    look(0, 79);
    expect(overload.reason).toBeUndefined();
    expect(changes).toEqual(["memory", undefined]);
  });

  test("is collected, but not all the time", () => {
    const { look, collected } = start();
    look(0, 95, 40);
    expect(collected()).toBe(1);
    look(0, 95, 20);
    expect(collected()).toBe(2);
    look(0, 50, 100);
    expect(collected()).toBe(2);
  });
});

describe("bodies in flight", () => {
  test("have so much room in all, and give it back", () => {
    const { overload } = start();
    expect(overload.take(6 * mib)).toBe(true);
    expect(overload.take(5 * mib)).toBe(false);
    expect(overload.take(4 * mib)).toBe(true);
    overload.give(6 * mib);
    expect(overload.take(5 * mib)).toBe(true);
  });

  test("may be larger than the room when they are alone", () => {
    const { overload } = start();
    expect(overload.take(50 * mib)).toBe(true);
    expect(overload.take(1)).toBe(false);
    overload.give(50 * mib);
    expect(overload.take(1)).toBe(true);
  });

  test("have none during an overload", () => {
    const { overload, look } = start();
    look(0, 95);
    expect(overload.take(1)).toBe(false);
  });
});

test.each(["delay", "memory", "bodies"] as const)(
  "the refusal for %s is one that SDKs retry, and is counted",
  (reason) => {
    const { overload } = start();
    expect(overload.refuse(reason)).toMatchObject({ type: "ThrottlingException", status: 429, retryAfterSeconds: 2 });
    expect(overload.readings()).toContainEqual(
      expect.objectContaining({ name: "bifrost_overload_refusals_total", labels: { reason }, value: 1 }),
    );
  },
);
