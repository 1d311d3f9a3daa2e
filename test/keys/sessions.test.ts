import { describe, expect, it } from "vitest";
import { resetKey } from "../../src/keys/layout.ts";
import { KeyRing } from "../../src/keys/ring.ts";
import { attemptOf, key, kit, measured, model, ringOver, start } from "./ring-kit.ts";

const keys = ["a", "b", "c", "d"].map((id) => key(id));
const session = { id: "s1", scope: "vk_app" };
const hour = 3_600_000;

/** The key that a choice with this roll takes; by weight, 0.8 is d and 0 is a. */
function keyFor(ring: ReturnType<typeof kit>["ring"], roll: number, now = start, with_ = session): string {
  const attempt = attemptOf(ring, { session: with_ }, now, roll);
  attempt.failure("cancelled", now);
  return attempt.key.id;
}

function bindTo(ring: ReturnType<typeof kit>["ring"], roll: number, now = start, ttlMs?: number): void {
  attemptOf(ring, { session: { ...session, ttlMs } }, now, roll).success(measured, now);
}

describe("a session", () => {
  it("stays with the key that served it, on every thread", () => {
    const { ring, buffer } = kit(keys);
    bindTo(ring, 0.8);
    expect(keyFor(ring, 0)).toBe("d");
    expect(keyFor(ringOver(buffer, keys).ring, 0)).toBe("d");
  });

  it.each(["cancelled", "client", "network", "throttled"] as const)(
    "is not bound by an attempt that ends as %s",
    (kind) => {
      const { ring } = kit(keys);
      attemptOf(ring, { session }, start, 0.8).failure(kind, start);
      expect(keyFor(ring, 0)).toBe("a");
    },
  );

  it("is another one with another id, scope or provider", () => {
    const { ring, state } = kit(keys);
    bindTo(ring, 0.8);
    expect(keyFor(ring, 0, start, { id: "s2", scope: "vk_app" })).toBe("a");
    expect(keyFor(ring, 0, start, { id: "s1", scope: "vk_other" })).toBe("a");
    const foreign = new KeyRing(state, keys, [0, 1, 2, 3], { provider: "other", strategy: "weighted" });
    expect(keyFor(foreign, 0)).toBe("a");
  });

  it("lasts an hour after its last success, or as long as it asks for", () => {
    const { ring } = kit(keys);
    bindTo(ring, 0.8);
    bindTo(ring, 0, start + hour - 1000);
    expect(keyFor(ring, 0, start + 2 * hour - 2000)).toBe("d");
    expect(keyFor(ring, 0, start + 2 * hour)).toBe("a");
    bindTo(ring, 0.8, start + 3 * hour, 5000);
    expect(keyFor(ring, 0, start + 3 * hour + 4900)).toBe("d");
    expect(keyFor(ring, 0, start + 3 * hour + 5100)).toBe("a");
  });

  it("lasts a week at most", () => {
    const { ring } = kit(keys);
    bindTo(ring, 0.8, start, 1e15);
    expect(keyFor(ring, 0, start + 7 * 24 * hour - 1000)).toBe("d");
    expect(keyFor(ring, 0, start + 7 * 24 * hour + 1000)).toBe("a");
  });

  it.each([
    [
      "cools down",
      (ring: ReturnType<typeof kit>["ring"]) => attemptOf(ring, { pin: { id: "d" } }).failure("throttled", start),
    ],
    [
      "is refused",
      (ring: ReturnType<typeof kit>["ring"]) => attemptOf(ring, { pin: { id: "d" } }).failure("credential", start),
    ],
    [
      "fails again and again",
      (ring: ReturnType<typeof kit>["ring"]) => {
        for (let count = 0; count < 5; count++) attemptOf(ring, { pin: { id: "d" } }).failure("network", start);
      },
    ],
  ] as const)("loses a key that %s, and does not come back to it by itself", (_, spoil) => {
    const { ring } = kit(keys);
    bindTo(ring, 0.8);
    spoil(ring);
    expect(keyFor(ring, 0)).toBe("a");
    bindTo(ring, 0.5);
    expect(keyFor(ring, 0, start + 3 * 60_000)).toBe("b");
  });

  it("stays with a key that failed once", () => {
    const { ring } = kit(keys);
    bindTo(ring, 0.8);
    attemptOf(ring, { session }).failure("server", start);
    expect(keyFor(ring, 0)).toBe("d");
  });

  it("goes to another key within a request that has tried its own", () => {
    const { ring } = kit(keys);
    bindTo(ring, 0.8);
    const first = attemptOf(ring, { session });
    first.failure("server", start);
    const second = attemptOf(ring, { session, tried: [first.key] }, start, 0);
    expect(second.key.id).toBe("a");
    second.success(measured, start);
    expect(keyFor(ring, 0.8)).toBe("a");
  });

  it("loses a key it may not use any more", () => {
    const { ring } = kit(keys);
    bindTo(ring, 0.8);
    expect(attemptOf(ring, { session, allowedIds: new Set(["b"]) }).key.id).toBe("b");
  });

  it("loses a key whose slot was given to another", () => {
    const { ring, buffer, state } = kit(keys);
    bindTo(ring, 0.8);
    resetKey(state.memory, 3);
    expect(keyFor(ringOver(buffer, keys).ring, 0)).toBe("a");
  });

  it("stays bound through the repetition of an attempt", () => {
    const { ring } = kit(keys);
    const first = attemptOf(ring, { session }, start, 0.8);
    first.failure("network", start);
    first.again(start).success(measured, start);
    expect(keyFor(ring, 0)).toBe("d");
  });

  it("is kept though thousands of others are, and is given up rather than that anything fails", () => {
    const { ring } = kit(keys, "weighted", { sessions: 64 });
    for (let index = 0; index < 5000; index++) {
      attemptOf(ring, { model, session: { id: `s${index}`, scope: "" } }, start + index, 0.8).success(
        measured,
        start + index,
      );
    }
    expect(keyFor(ring, 0, start + 5000, { id: "s4999", scope: "" })).toBe("d");
    expect(keyFor(ring, 0, start + 5000, { id: "s0", scope: "" })).toBe("a");
  });
});
