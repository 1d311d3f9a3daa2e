import { describe, expect, it } from "vitest";
import { attemptOf, key, kit, start } from "./ring-kit.ts";

const keys = ["well", "poor", "broken", "refused", "paid", "off"].map((id) => key(id, { enabled: id !== "off" }));

describe("the health of keys", () => {
  it("is told for each key, in the order of the configuration", () => {
    const { ring } = kit(keys);
    const at = (id: string) => attemptOf(ring, { pin: { id } });
    for (let count = 0; count < 30; count++) at("well").success({ ms: 1000, outputTokens: 80 }, start);
    for (let count = 0; count < 10; count++) at("poor").success({ ms: 2000, outputTokens: 80 }, start);
    for (let count = 0; count < 2; count++) at("poor").failure("server", start);
    for (let count = 0; count < 5; count++) at("broken").failure("timeout", start);
    at("refused").failure("credential", start);
    at("paid").failure("payment", start);
    at("well");
    expect(ring.health(start)).toEqual([
      {
        id: "well",
        name: "WELL",
        state: "healthy",
        why: undefined,
        inFlight: 1,
        errorRate: 0,
        msPerToken: 10,
        coolDownMs: 0,
        coolingModels: [],
        served: 30,
        share: 0.75,
      },
      expect.objectContaining({
        state: "degraded",
        why: "13 % of its late attempts failed.",
        errorRate: 2 / 16,
        msPerToken: 20,
        share: 0.25,
      }),
      expect.objectContaining({ state: "open", coolDownMs: 2050, msPerToken: undefined, share: 0 }),
      expect.objectContaining({ state: "refused", coolDownMs: 10_050 }),
      expect.objectContaining({ state: "cooling", coolDownMs: 600_050 }),
      expect.objectContaining({ state: "disabled", coolDownMs: 0 }),
    ]);
    attemptOf(ring, {}, start + 2100);
    expect(ring.health(start + 2100)[2]).toMatchObject({ state: "probing", inFlight: 1 });
  });

  it("is told of keys nobody has used", () => {
    expect(kit([key("a")]).ring.health(start)[0]).toMatchObject({ state: "healthy", share: 0, served: 0 });
  });
});
