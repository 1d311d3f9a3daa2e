import { describe, expect, it } from "vitest";
import { attemptOf, key, kit, measured, ringOver, start } from "./ring-kit.ts";

const keys = [key("a"), key("b")];

function throttle(ring: ReturnType<typeof kit>["ring"], id: string, model: string, now: number, retryAfterMs?: number) {
  attemptOf(ring, { model, pin: { id } }, now).failure("throttled", now, retryAfterMs);
}

function canServe(ring: ReturnType<typeof kit>["ring"], id: string, model: string, now: number): boolean {
  const choice = ring.choose({ model, pin: { id } }, now, 0);
  if (choice.kind === "attempt") choice.failure("cancelled", now);
  return choice.kind === "attempt";
}

describe("a model that was throttled at a key", () => {
  it("cools down there alone, until Retry-After, for every thread", () => {
    const { ring, buffer } = kit(keys);
    const other = ringOver(buffer, keys).ring;
    throttle(ring, "a", "m", start, 7000);
    for (const one of [ring, other]) {
      expect(canServe(one, "a", "m", start + 6999)).toBe(false);
      expect(canServe(one, "a", "m", start + 7100)).toBe(true);
      expect(canServe(one, "a", "n", start)).toBe(true);
      expect(canServe(one, "b", "m", start)).toBe(true);
    }
  });

  it.each([undefined, 0, -5, Number.NaN])("cools down for a growing time when Retry-After is %s", (retryAfterMs) => {
    const { ring } = kit(keys);
    let now = start;
    for (const seconds of [1, 2, 4, 8, 16, 32, 60, 60]) {
      throttle(ring, "a", "m", now, retryAfterMs);
      expect(canServe(ring, "a", "m", now + seconds * 1000 - 1)).toBe(false);
      now += seconds * 1000 + 100;
      expect(canServe(ring, "a", "m", now)).toBe(true);
    }
  });

  it("begins with a second again after a success", () => {
    const { ring } = kit(keys);
    throttle(ring, "a", "m", start);
    throttle(ring, "a", "m", start + 2000);
    attemptOf(ring, { model: "m", pin: { id: "a" } }, start + 10_000).success(measured, start + 10_000);
    throttle(ring, "a", "m", start + 11_000);
    expect(canServe(ring, "a", "m", start + 12_100)).toBe(true);
  });

  it("goes on cooling when an attempt succeeds that was begun before", () => {
    const { ring } = kit(keys);
    const earlier = attemptOf(ring, { model: "m", pin: { id: "a" } });
    throttle(ring, "a", "m", start, 5000);
    earlier.success(measured, start + 100);
    expect(canServe(ring, "a", "m", start + 4000)).toBe(false);
  });

  it("cools down for an hour at most", () => {
    const { ring } = kit(keys);
    throttle(ring, "a", "m", start, 1e12);
    expect(canServe(ring, "a", "m", start + 3_599_000)).toBe(false);
    expect(canServe(ring, "a", "m", start + 3_600_100)).toBe(true);
  });

  it("is the same by its alias and in any case", () => {
    const { ring } = kit([key("a", { aliases: { nova: "Model-X" } })]);
    throttle(ring, "a", "nova", start, 5000);
    expect(canServe(ring, "a", "model-x", start)).toBe(false);
    expect(canServe(ring, "a", "NOVA", start)).toBe(false);
  });

  it("keeps the later of two ends", () => {
    const { ring } = kit(keys);
    const [one, other] = [attemptOf(ring, { model: "m" }), attemptOf(ring, { model: "m" })];
    one.failure("throttled", start, 9000);
    other.failure("throttled", start, 2000);
    expect(canServe(ring, "a", "m", start + 8900)).toBe(false);
  });
});

describe("the cooling models of a key", () => {
  it("are told by name with the time left", () => {
    const { ring } = kit(keys);
    throttle(ring, "a", "m", start, 5000);
    throttle(ring, "a", "größe", start, 1000);
    throttle(ring, "b", "o", start, 1000);
    const [a, b] = ring.health(start);
    expect(a?.coolingModels.toSorted((x, y) => (x.model < y.model ? -1 : 1))).toEqual([
      { model: "größe", remainingMs: 1050 },
      { model: "m", remainingMs: 5050 },
    ]);
    expect(b?.coolingModels.map(({ model }) => model)).toEqual(["o"]);
    expect(ring.health(start + 2000)[0]?.coolingModels.map(({ model }) => model)).toEqual(["m"]);
  });

  it("are told by their end when the name is long", () => {
    const { ring } = kit(keys);
    const arn = `arn:aws:bedrock:us-east-1:123456789012:${"x".repeat(200)}/the-end`;
    throttle(ring, "a", arn, start, 5000);
    expect(ring.health(start)[0]?.coolingModels[0]?.model).toBe(arn.slice(-108));
  });

  it("go on when there are more than the table has places for, without those that end first", () => {
    const { ring } = kit(keys, "weighted", { cooling: 8 });
    for (let index = 1; index <= 20; index++) throttle(ring, "a", `m${index}`, start, index * 1000);
    const models = ring.health(start)[0]?.coolingModels.map(({ model }) => model);
    expect(models?.toSorted()).toEqual([13, 14, 15, 16, 17, 18, 19, 20].map((index) => `m${index}`).toSorted());
    expect(canServe(ring, "a", "m1", start)).toBe(true);
    expect(canServe(ring, "a", "m20", start)).toBe(false);
  });
});
