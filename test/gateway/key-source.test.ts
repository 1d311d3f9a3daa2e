import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { configuredKeys, ownKey, readPin, readSession } from "../../src/gateway/key-source.ts";
import type { Choosable } from "../../src/keys/choose.ts";
import { createKeyMemory } from "../../src/keys/layout.ts";
import { RetryBudget } from "../../src/keys/retry-budget.ts";
import { openKeyState } from "../../src/keys/state.ts";
import { keyPool } from "../support/key-pool.ts";

const key = (name: string, changes: Partial<Choosable> = {}): Choosable => ({
  id: `${name}-id`,
  name,
  enabled: true,
  weight: 1,
  models: ["*"],
  blacklisted_models: [],
  aliases: {},
  ...changes,
});
const headers = (fields: Readonly<Record<string, string>>) => new Map(Object.entries(fields));
const budget = () =>
  new RetryBudget(openKeyState(createKeyMemory({ keys: 1, providers: 1, cooling: 8, sessions: 8 })).memory, 0);

describe("the configured keys", () => {
  const two = [key("a"), key("b")];

  test("are chosen one after the other, as long as there is another", () => {
    const keys = configuredKeys(keyPool(two), { model: "m" });
    const tried: Choosable[] = [];
    for (const left of [true, false]) {
      const turn = keys.choose(tried);
      if (turn.kind !== "attempt") throw new Error("no key was chosen");
      turn.failure("throttled", Date.now());
      tried.push(turn.key);
      expect(keys.hasOther(tried)).toBe(left);
    }
    expect(keys.choose(tried)).toMatchObject({ kind: "refusal" });
    expect(new Set(tried)).toEqual(new Set(two));
  });

  test.each([
    ["disabled", [key("a"), key("b", { enabled: false })], {}],
    ["not for the model", [key("a"), key("b", { models: ["other"] })], {}],
    ["not allowed", two, { allowedIds: new Set(["a-id"]) }],
    ["beside the pinned one", two, { pin: { name: "a" } }],
  ] as const)("are no other ones when they are %s", (_what, keys, wish) => {
    const source = configuredKeys(keyPool(keys), { model: "m", ...wish });
    expect(source.hasOther(keys.slice(0, 1))).toBe(false);
  });

  test("that cool down or whose credential was refused are no other ones", () => {
    for (const trouble of ["throttled", "credential"] as const) {
      const pool = keyPool(two);
      const turn = configuredKeys(pool, { model: "m", pin: { name: "b" } }).choose([]);
      if (turn.kind !== "attempt") throw new Error("no key was chosen");
      turn.failure(trouble, Date.now(), 60_000);
      expect(configuredKeys(pool, { model: "m" }).hasOther(two.slice(0, 1))).toBe(false);
      expect(configuredKeys(pool, { model: "m" }).hasOther(two.slice(1))).toBe(true);
    }
  });

  test("may be repeated within the provider's budget, to which each request adds", () => {
    const pool = keyPool(two);
    const source = configuredKeys(pool, { model: "m" });
    let taken = 0;
    while (taken < 1000 && source.mayRepeat()) taken++;
    expect(taken).toBeGreaterThanOrEqual(100);
    expect(taken).toBeLessThan(200);
    for (let request = 0; request < 10; request++) configuredKeys(pool, { model: "m" });
    expect(source.mayRepeat()).toBe(true);
  });
});

describe("a key of the client's own", () => {
  test("is chosen once, has no other beside it, and keeps no state", () => {
    const mine = key("direct");
    const source = ownKey(mine, budget());
    const turn = source.choose([]);
    if (turn.kind !== "attempt") throw new Error("it was not chosen");
    expect(turn.key).toBe(mine);
    turn.answering();
    turn.success({ ms: 1, outputTokens: 1 }, Date.now());
    for (let count = 0; count < 20; count++) turn.failure("credential", Date.now());
    expect(turn.again(Date.now()).key).toBe(mine);
    expect(source.hasOther([])).toBe(false);
    expect(source.choose([mine])).toEqual({ kind: "refusal", reason: "exhausted" });
    expect(ownKey(mine, budget()).choose([])).toMatchObject({ kind: "attempt", key: mine });
  });
});

describe("a session", () => {
  const session = (ttl: string) => readSession(headers({ "x-bf-session-id": "s", "x-bf-session-ttl": ttl }), "vk");

  test("is the client's header, within what keeps clients apart", () => {
    expect(readSession(headers({}), "vk")).toBeUndefined();
    expect(readSession(headers({ "x-bf-session-ttl": "nonsense" }), "vk")).toBeUndefined();
    expect(readSession(headers({ "x-bf-session-id": "s" }), "vk")).toEqual({ id: "s", scope: "vk" });
  });

  test.each([
    ["90", 90],
    [" 90s ", 90],
    ["30m", 1800],
    ["2h", 7200],
    ["1h30m", 5400],
    ["1h0m0s", 3600],
    ["1d12h", 129_600],
    ["7d", 604_800],
  ])("may last %j", (ttl, seconds) => {
    expect(session(ttl)?.ttlMs).toBe(seconds * 1000);
  });

  test.each([
    "",
    "0",
    "0s",
    "-1",
    "1.5h",
    "soon",
    "s",
    "1h30",
    "30m1h",
    "604801",
    "8d",
    "1w",
    "99999999999999999999",
    "9".repeat(1e5),
  ])("may not last %j", (ttl) => {
    expect(() => session(ttl)).toThrow(
      expect.objectContaining({ type: "ValidationException", message: expect.stringContaining("x-bf-session-ttl") }),
    );
  });

  test("lasts from a second to seven days, or is refused by name, whatever stands there", () => {
    const likely = fc.stringMatching(/^[0-9dhms ]{0,12}$/);
    fc.assert(
      fc.property(fc.oneof(likely, fc.string()), (ttl) => {
        try {
          const { ttlMs = 0 } = session(ttl) ?? {};
          return ttlMs >= 1000 && ttlMs <= 7 * 86_400_000 && Number.isInteger(ttlMs);
        } catch (error) {
          return String(error).includes("x-bf-session-ttl");
        }
      }),
    );
  });

  test.each(["", "x".repeat(256)])("cannot be called that: %#", (id) => {
    expect(() => readSession(headers({ "x-bf-session-id": id }), "")).toThrow("x-bf-session-id");
  });
});

test("a pin is the header of an id, of a name, or both", () => {
  expect(readPin(headers({}))).toBeUndefined();
  expect(readPin(headers({ "x-bf-api-key": "n" }))).toEqual({ id: undefined, name: "n" });
  expect(readPin(headers({ "x-bf-api-key-id": "" }))).toEqual({ id: "", name: undefined });
  expect(readPin(headers({ "x-bf-api-key-id": "i", "x-bf-api-key": "n" }))).toEqual({ id: "i", name: "n" });
});
