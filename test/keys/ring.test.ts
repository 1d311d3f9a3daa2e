import { describe, expect, it } from "vitest";
import { resetKey } from "../../src/keys/layout.ts";
import { KeyRing } from "../../src/keys/ring.ts";
import { attemptOf, key, kit, measured, model, refusalOf, ringOver, start } from "./ring-kit.ts";

function ids(ring: ReturnType<typeof kit>["ring"], request = {}, now = start): string[] {
  const seen = new Set<string>();
  for (let roll = 0; roll < 1; roll += 0.01) {
    const choice = ring.choose({ model, ...request }, now, roll);
    if (choice.kind === "refusal") continue;
    seen.add(choice.key.id);
    choice.failure("cancelled", now);
  }
  return [...seen].toSorted();
}

function fail(ring: ReturnType<typeof kit>["ring"], id: string, times: number, now = start): void {
  for (let count = 0; count < times; count++) attemptOf(ring, { pin: { id } }, now).failure("server", now);
}

describe("fit keys", () => {
  it("are those that are enabled, may serve the model and are allowed", () => {
    const { ring } = kit([
      key("a"),
      key("b", { enabled: false }),
      key("c", { models: [] }),
      key("d", { blacklisted_models: [model] }),
      key("e", { models: ["other"], aliases: { other2: "x" } }),
      key("f", { models: [model.toUpperCase()] }),
    ]);
    expect(ids(ring)).toEqual(["a", "f"]);
    expect(ids(ring, { model: "OTHER2" })).toEqual(["a", "d", "e"]);
    expect(ids(ring, { model: undefined })).toEqual(["a", "c", "d", "e", "f"]);
    expect(ids(ring, { allowedIds: new Set(["f", "b", "zzz"]) })).toEqual(["f"]);
  });

  it("may be none", () => {
    expect(refusalOf(kit([]).ring)).toEqual({ kind: "refusal", reason: "no_key" });
    const { ring } = kit([key("a", { models: ["other"] })]);
    expect(refusalOf(ring)).toEqual({ kind: "refusal", reason: "no_key" });
    expect(refusalOf(ring, { model: "other", allowedIds: new Set<string>() })).toEqual({
      kind: "refusal",
      reason: "no_key",
    });
  });

  it("are found whatever models clients invent", () => {
    const { ring } = kit([key("a", { models: [model] })]);
    for (let index = 0; index < 2000; index++) refusalOf(ring, { model: `invented-${index}` });
    refusalOf(ring, { model: "x".repeat(100_000) });
    expect(attemptOf(ring).key.id).toBe("a");
  });

  it("need slots", () => {
    const { state } = kit([]);
    const options = { provider: "bedrock", strategy: "weighted" } as const;
    expect(() => new KeyRing(state, [key("a")], [], options)).toThrow("the key a has no slot");
    expect(() => new KeyRing(state, [key("a")], [1024], options)).toThrow(RangeError);
  });
});

describe("a pinned key", () => {
  const keys = [key("a"), key("b", { name: "a" }), key("c", { enabled: false }), key("d", { weight: 0 })];

  it("is taken by its id, which wins over the name", () => {
    const { ring } = kit(keys);
    expect(attemptOf(ring, { pin: { id: "b" } }).key.id).toBe("b");
    expect(attemptOf(ring, { pin: { name: "D" } }).key.id).toBe("d");
    expect(attemptOf(ring, { pin: { id: "d", name: "a" } }).key.id).toBe("d");
  });

  it("is refused when there is none of that name, or it is not fit", () => {
    const { ring } = kit(keys);
    expect(refusalOf(ring, { pin: { id: "zzz", name: "a" } })).toEqual({ kind: "refusal", reason: "unknown_pin" });
    expect(refusalOf(ring, { pin: { name: "" } })).toEqual({ kind: "refusal", reason: "unknown_pin" });
    expect(refusalOf(ring, { pin: { id: "c" } })).toEqual({ kind: "refusal", reason: "unfit_pin", key: keys[2] });
    const allowedIds = new Set(["b"]);
    expect(refusalOf(ring, { pin: { id: "a" }, allowedIds })).toMatchObject({ reason: "unfit_pin" });
  });

  it("is not replaced while it cools down", () => {
    const { ring } = kit(keys);
    attemptOf(ring, { pin: { id: "a" } }).failure("throttled", start, 3000);
    expect(refusalOf(ring, { pin: { id: "a" } })).toEqual({ kind: "refusal", reason: "cooling", waitMs: 3050 });
  });

  it("is taken although its circuit is open, and closes it when it succeeds", () => {
    const { ring } = kit(keys);
    fail(ring, "a", 5);
    expect(ring.health(start)[0]?.state).toBe("open");
    attemptOf(ring, { pin: { id: "a" } }).success(measured, start);
    expect(ring.health(start)[0]?.state).toBe("degraded");
  });

  it("is not tried twice by one request", () => {
    const { ring } = kit(keys);
    const first = attemptOf(ring, { pin: { id: "a" } });
    first.failure("server", start);
    expect(refusalOf(ring, { pin: { id: "a" }, tried: [first.key] })).toMatchObject({ reason: "exhausted" });
  });
});

describe("a request that walks the keys", () => {
  const keys = ["a", "b", "c"].map((id) => key(id));

  it("tries each once, and then learns that all have been", () => {
    const { ring } = kit(keys);
    const tried: (typeof keys)[number][] = [];
    for (let count = 0; count < 3; count++) {
      const attempt = attemptOf(ring, { tried });
      attempt.failure("server", start);
      tried.push(attempt.key);
    }
    expect(tried.map(({ id }) => id).toSorted()).toEqual(["a", "b", "c"]);
    expect(refusalOf(ring, { tried })).toEqual({ kind: "refusal", reason: "exhausted" });
  });

  it("learns the shortest wait when all cool down", () => {
    const { ring } = kit(keys);
    for (const [index, { id }] of keys.entries()) {
      attemptOf(ring, { pin: { id } }).failure("throttled", start, 9000 - 3000 * index);
    }
    for (const tried of [[], keys]) {
      expect(refusalOf(ring, { tried })).toEqual({ kind: "refusal", reason: "cooling", waitMs: 3050 });
    }
    expect(attemptOf(ring, {}, start + 3100).key.id).toBe("c");
  });

  it("learns that all credentials were refused", () => {
    const { ring } = kit(keys);
    for (const { id } of keys) attemptOf(ring, { pin: { id } }).failure("credential", start);
    expect(refusalOf(ring, { tried: keys })).toEqual({ kind: "refusal", reason: "credentials", waitMs: 10_050 });
    expect(refusalOf(ring)).toMatchObject({ reason: "credentials" });
  });

  it("is not told of refused credentials when another key only cools down, nor to wait for them", () => {
    const { ring } = kit(keys);
    for (const id of ["a", "b"]) attemptOf(ring, { pin: { id } }).failure("credential", start);
    attemptOf(ring, { pin: { id: "c" } }).failure("payment", start);
    expect(refusalOf(ring)).toEqual({ kind: "refusal", reason: "cooling", waitMs: 600_050 });
  });
});

describe("a key whose credential is refused", () => {
  const keys = [key("a"), key("b")];

  it("is out of service for all models, for a time that grows, and not with every attempt of one wave", () => {
    const { ring, buffer } = kit([key("a")]);
    let now = start;
    for (const seconds of [10, 20, 40, 80, 160, 320, 600, 600]) {
      const wave = [attemptOf(ring, {}, now), attemptOf(ring, { model: "other" }, now), attemptOf(ring, {}, now)];
      for (const attempt of wave) attempt.failure("credential", now);
      expect(refusalOf(ringOver(buffer, [key("a")]).ring, {}, now + seconds * 1000 - 1)).toMatchObject({
        reason: "credentials",
      });
      now += seconds * 1000 + 100;
    }
    attemptOf(ring, {}, now).success(measured, now);
    attemptOf(ring, {}, now).failure("credential", now);
    expect(attemptOf(ring, {}, now + 10_100).key.id).toBe("a");
  });

  it("leaves the others in service", () => {
    const { ring } = kit(keys);
    attemptOf(ring, { pin: { id: "a" } }).failure("credential", start);
    expect(ids(ring)).toEqual(["b"]);
  });
});

describe("an exhausted quota", () => {
  it("takes the key out of service for long, or for as long as the upstream says", () => {
    const { ring } = kit([key("a"), key("b")]);
    attemptOf(ring, { pin: { id: "a" } }).failure("payment", start);
    attemptOf(ring, { pin: { id: "b" } }).failure("payment", start, 5000);
    expect(ids(ring, {}, start + 5100)).toEqual(["b"]);
    expect(ids(ring, {}, start + 601_000)).toEqual(["a", "b"]);
  });
});

describe("an open circuit", () => {
  const keys = [key("a"), key("b")];

  it.each(["network", "server", "timeout"] as const)("comes from failures of the kind %s", (kind) => {
    const { ring } = kit(keys);
    for (let count = 0; count < 5; count++) attemptOf(ring, { pin: { id: "a" } }).failure(kind, start);
    expect(ids(ring)).toEqual(["b"]);
  });

  it.each(["client", "cancelled", "throttled", "credential", "payment"] as const)(
    "does not come from the kind %s",
    (kind) => {
      const { ring } = kit(keys);
      const wave = Array.from({ length: 20 }, () => attemptOf(ring, { pin: { id: "a" } }));
      for (const attempt of wave) attempt.failure(kind, start);
      expect(ring.health(start)[0]?.state).not.toBe("open");
      expect(ring.health(start)[0]?.errorRate).toBe(0);
    },
  );

  it("lets the next request probe when it is due, one at a time, and closes after its success", () => {
    const { ring } = kit(keys);
    fail(ring, "a", 5);
    const due = start + 2100;
    const probe = attemptOf(ring, {}, due, 0.9);
    expect(probe.key.id).toBe("a");
    expect(probe.isProbe).toBe(true);
    expect(ids(ring, {}, due)).toEqual(["b"]);
    probe.success(measured, due);
    expect(ids(ring, {}, due)).toEqual(["a", "b"]);
  });

  it("closes as soon as the answer to the probe begins", () => {
    const { ring } = kit(keys);
    fail(ring, "a", 5);
    const probe = attemptOf(ring, {}, start + 2100);
    probe.answering();
    expect(ids(ring, {}, start + 2100)).toEqual(["a", "b"]);
    probe.failure("server", start + 9000);
    expect(ring.health(start + 9000)[0]?.inFlight).toBe(0);
  });

  it.each(["cancelled", "client", "throttled"] as const)("is due again when its probe ends as %s", (kind) => {
    const { ring } = kit(keys);
    fail(ring, "a", 5);
    attemptOf(ring, { model: "m1" }, start + 2100).failure(kind, start + 2100);
    const next = attemptOf(ring, { model: "m2" }, start + 2100, 0.9);
    expect([next.key.id, next.isProbe]).toEqual(["a", true]);
  });

  it("does not put a request at risk that has failed already", () => {
    const three = [...keys, key("c")];
    const { ring } = kit(three);
    fail(ring, "a", 5);
    expect(attemptOf(ring, { tried: three.slice(2) }, start + 2100).key.id).toBe("b");
    expect(attemptOf(ring, { tried: three.slice(1) }, start + 2100).isProbe).toBe(true);
  });

  it("leaves a refusal with the time until the probe, or a key as a last resort", () => {
    const { ring } = kit(keys);
    fail(ring, "a", 5);
    fail(ring, "b", 5, start + 1000);
    expect(refusalOf(ring, {}, start + 1000)).toEqual({ kind: "refusal", reason: "unhealthy", waitMs: 1050 });
    expect(ids(ring, { lastResort: true }, start + 1000)).toEqual(["a"]);
    attemptOf(ring, { lastResort: true }, start + 1000).success(measured, start + 1000);
    expect(ids(ring, {}, start + 1000)).toEqual(["a"]);
  });

  it("is asked as a last resort once for a request", () => {
    const { ring } = kit(keys);
    fail(ring, "a", 5);
    fail(ring, "b", 5);
    const chosen = attemptOf(ring, { lastResort: true });
    chosen.failure("server", start);
    expect(refusalOf(ring, { lastResort: true, tried: [chosen.key] }).reason).not.toBe("no_key");
  });

  it("leaves a refusal with a second to wait while the only key is probed", () => {
    const { ring } = kit([key("a")]);
    fail(ring, "a", 5);
    expect(attemptOf(ring, {}, start + 2100).isProbe).toBe(true);
    expect(refusalOf(ring, {}, start + 2100)).toEqual({ kind: "refusal", reason: "unhealthy", waitMs: 1000 });
  });
});

describe("an attempt", () => {
  it("ends once, whatever is reported after", () => {
    const { ring } = kit([key("a")]);
    const attempt = attemptOf(ring);
    expect(ring.health(start)[0]?.inFlight).toBe(1);
    attempt.success(measured, start);
    attempt.success(measured, start);
    attempt.failure("credential", start);
    attempt.answering();
    expect(ring.health(start)[0]).toMatchObject({ inFlight: 0, served: 1, state: "healthy" });
  });

  it("can be repeated at the same key, however that is", () => {
    const { ring } = kit([key("a"), key("b")]);
    const attempt = attemptOf(ring, { pin: { id: "b" } });
    attempt.failure("network", start);
    fail(ring, "b", 5);
    const again = attempt.again(start);
    expect(again.key.id).toBe("b");
    again.success(measured, start);
    expect(ring.health(start)[1]).toMatchObject({ inFlight: 0, served: 1, state: "degraded" });
  });

  it("has no say over the next key of its slot", () => {
    const { ring, buffer, state } = kit([key("a")]);
    const old = [attemptOf(ring), attemptOf(ring), attemptOf(ring)];
    attemptOf(ring).failure("throttled", start, 60_000);
    resetKey(state.memory, 0);
    const next = ringOver(buffer, [key("a")]).ring;
    const own = attemptOf(next);
    old[0]?.failure("credential", start);
    old[1]?.success(measured, start);
    old[2]?.failure("throttled", start, 60_000);
    expect(next.health(start)[0]).toMatchObject({ inFlight: 1, served: 0, state: "healthy", coolingModels: [] });
    own.success(measured, start);
    expect(next.health(start)[0]).toMatchObject({ inFlight: 0, served: 1 });
  });
});

describe("a key that is out of service, as the last resort", () => {
  const only = [key("a")];

  it.each([
    ["its credential was refused", "credential", undefined],
    ["it was throttled without a time", "throttled", undefined],
    ["its quota is used up, nobody says until when", "payment", undefined],
  ] as const)("is asked when %s", (_why, kind, retryAfterMs) => {
    const { ring } = kit(only);
    attemptOf(ring).failure(kind, start, retryAfterMs);
    expect(refusalOf(ring, {}, start + 10).kind).toBe("refusal");
    expect(attemptOf(ring, { lastResort: true }, start + 10).key.id).toBe("a");
    expect(attemptOf(ring, { lastResort: true, pin: { id: "a" } }, start + 10).key.id).toBe("a");
  });

  it.each(["throttled", "payment"] as const)("is not asked before the time the upstream has told (%s)", (kind) => {
    const { ring } = kit(only);
    attemptOf(ring).failure(kind, start, 30_000);
    const refusal = refusalOf(ring, { lastResort: true }, start + 10_000);
    expect(refusal).toMatchObject({ reason: "cooling" });
    expect("waitMs" in refusal && Math.abs(refusal.waitMs - 20_000)).toBeLessThanOrEqual(100);
    expect(refusalOf(ring, { lastResort: true, pin: { id: "a" } }, start + 10_000)).toMatchObject({
      reason: "cooling",
    });
    expect(attemptOf(ring, {}, start + 30_200).key.id).toBe("a");
  });
});

describe("an attempt says why it is made with its key", () => {
  const session = { id: "s", scope: "" };

  it("because the client wants it, the strategy chose it, or there was no other", () => {
    const { ring } = kit([key("a"), key("b")]);
    expect(attemptOf(ring, { pin: { id: "a" } }).choice).toBe("pinned");
    const chosen = attemptOf(ring);
    expect(chosen.choice).toBe("weighted");
    expect(attemptOf(ring, { tried: [chosen.key] }).choice).toBe("only");
    expect(chosen.again(start).choice).toBe("again");
  });

  it("because its session has it", () => {
    const { ring } = kit([key("a"), key("b")]);
    attemptOf(ring, { session }).success(measured, start);
    expect(attemptOf(ring, { session }).choice).toBe("session");
  });

  it("to see whether it works again, or because nothing else is left", () => {
    const { ring } = kit([key("a")]);
    fail(ring, "a", 20);
    expect(attemptOf(ring, { lastResort: true }).choice).toBe("last_resort");
    expect(attemptOf(ring, {}, start + 3_600_000).choice).toBe("probe");
  });
});
