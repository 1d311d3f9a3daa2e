import { describe, expect, it } from "vitest";
import { VirtualKeys } from "../../src/governance/identity.ts";
import { configured, start, type Written } from "./kit.ts";

const at = (ms: number) => new Date(ms).toISOString();

function keys(...virtual_keys: NonNullable<Written["virtual_keys"]>): VirtualKeys {
  return new VirtualKeys(
    configured({
      customers: [
        { id: "acme", name: "Acme" },
        { id: "other", name: "Other" },
      ],
      teams: [
        { id: "search", name: "Search", customer_id: "acme" },
        { id: "free", name: "Free" },
      ],
      virtual_keys,
    }),
    "salt",
  );
}

const app = { id: "vk_app", name: "app", value: "sk-bf-app" };

describe("a virtual key", () => {
  it("is known by its value and by its id", () => {
    const known = keys(app, { id: "vk_b", name: "b", value: "b" });
    for (const found of [known.byValue("sk-bf-app", start), known.byId("vk_app", start)])
      expect(found).toMatchObject({ kind: "identity", identity: { id: "vk_app", name: "app" } });
  });

  it.each(["", "sk-bf-ap", "sk-bf-app ", "SK-BF-APP", "vk_app", "constructor", "__proto__"])(
    "is not known by %j",
    (value) => {
      expect(keys(app).byValue(value, start)).toEqual({ kind: "refused", reason: "unknown" });
    },
  );

  it("is refused when it is not active, before it is told that it has expired", () => {
    const known = keys({ ...app, is_active: false, expires_at: at(start) });
    expect(known.byValue(app.value, start + 1)).toEqual({ kind: "refused", reason: "inactive" });
  });

  it("ends at its time, to the millisecond", () => {
    const known = keys({ ...app, expires_at: at(start) });
    expect(known.byValue(app.value, start - 1).kind).toBe("identity");
    expect(known.byValue(app.value, start)).toEqual({ kind: "refused", reason: "expired" });
    expect(known.byId(app.id, start)).toEqual({ kind: "refused", reason: "expired" });
  });

  it("reads times in any zone", () => {
    const known = keys({ ...app, expires_at: "2026-11-22T13:00:00+01:00" });
    expect(known.byValue(app.value, Date.UTC(2026, 10, 22, 11, 59)).kind).toBe("identity");
    expect(known.byValue(app.value, Date.UTC(2026, 10, 22, 12)).kind).toBe("refused");
  });

  it("A58: is known by a value that was rotated away until its grace ends, and not a millisecond longer", () => {
    const known = keys({ ...app, previous_values: [{ value: "old", valid_until: at(start + 1000) }] });
    expect(known.byValue("old", start + 999).kind).toBe("identity");
    expect(known.byValue("old", start + 1000)).toEqual({ kind: "refused", reason: "unknown" });
    expect(known.byValue(app.value, start + 1000).kind).toBe("identity");
    expect(known.valuesOf(app.id, start + 999)).toEqual([app.value, "old"]);
    expect(known.valuesOf(app.id, start + 1000)).toEqual([app.value]);
    // Whatever became of it, it is no provider's credential.
    expect(known.hasValue("old")).toBe(true);
  });

  it("belongs to its team and that one's customer, or to a customer, or to nobody", () => {
    const known = keys(
      { ...app, team_id: "search" },
      { id: "b", name: "b", value: "b", customer_id: "other" },
      { id: "c", name: "c", value: "c" },
      { id: "d", name: "d", value: "d", team_id: "free" },
    );
    const chain = ["vk_app", "b", "c", "d"].map((id) => {
      const found = known.byId(id, start);
      if (found.kind === "refused") throw new Error(found.reason);
      const { team, customer, holders } = found.identity;
      return [team?.id, customer?.name, holders.map(({ kind }) => kind).join()];
    });
    expect(chain).toEqual([
      ["search", "Acme", "virtual_key,team,customer"],
      [undefined, "Other", "virtual_key,customer"],
      [undefined, undefined, "virtual_key"],
      ["free", undefined, "virtual_key,team"],
    ]);
  });

  it("does not tell its value when it is printed", () => {
    const known = keys({ ...app, previous_values: [{ value: "old-secret", valid_until: at(start + 1000) }] });
    const found = known.byValue(app.value, start);
    expect(JSON.stringify(found)).not.toContain(app.value);
    expect(JSON.stringify(known)).not.toMatch(/sk-bf-app|old-secret/);
  });
});

describe("an id that is none", () => {
  it("has no secrets", () => {
    expect(keys(app).valuesOf("nobody", start)).toEqual([]);
    expect(keys(app).byId("nobody", start)).toEqual({ kind: "refused", reason: "unknown" });
  });
});
