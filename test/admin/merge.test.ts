import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { credentialsOf, mergeEntities } from "../../src/admin/merge.ts";
import { readRow, type StoredEntity, saveValue } from "../../src/admin/stored.ts";
import { checkGovernance } from "../../src/governance/check.ts";
import { hashValue, Sealer } from "../../src/store/secrets.ts";
import { type Document, type EntityKind, type EntityRecord, entityKinds } from "../../src/store/store.ts";
import { section } from "./kit.ts";

function row(kind: EntityKind, id: string, document: Document, more: Partial<EntityRecord> = {}): EntityRecord {
  const secret = kind === "virtual_keys" ? { ...saveValue(id, `sk-bf-of-${id}`, undefined), previous: [] } : null;
  return { kind, id, version: 1, document, secret, createdAt: 0, updatedAt: 0, ...more };
}

function stored(kind: EntityKind, id: string, document: Document, more: Partial<EntityRecord> = {}): StoredEntity {
  const read = readRow(row(kind, id, document, more), undefined);
  if (!read.ok) throw new Error(JSON.stringify(read.faults));
  return read.stored;
}

describe("what is in force", () => {
  test("is the file's and the store's, the file's first", () => {
    const file = section({ teams: [{ id: "b", name: "file" }] });
    const { inForce, problems } = mergeEntities(file, [stored("teams", "a", { name: "stored" })]);
    expect(inForce.teams.map(({ id }) => id)).toEqual(["b", "a"]);
    expect(problems).toEqual([]);
  });

  test("has the file's of two with one id, and says so", () => {
    const file = section({ teams: [{ id: "a", name: "file" }] });
    const { inForce, problems } = mergeEntities(file, [stored("teams", "a", { name: "stored" })]);
    expect(inForce.teams).toMatchObject([{ id: "a", name: "file" }]);
    expect(problems).toEqual([
      { kind: "teams", id: "a", path: "id", message: "the configuration file has a team with the id a too, and wins" },
    ]);
  });

  test("has the file's of two with one value", () => {
    const file = section({ virtual_keys: [{ id: "mine", name: "n", value: "sk-bf-of-a" }] });
    const { inForce, problems } = mergeEntities(file, [stored("virtual_keys", "a", { name: "stored" })]);
    expect(inForce.virtual_keys.map(({ id }) => id)).toEqual(["mine"]);
    expect(problems).toMatchObject([{ kind: "virtual_keys", id: "a", path: "value" }]);
    expect(JSON.stringify(problems)).not.toContain("sk-bf-of-a");
  });

  test("leaves out what names something that is not there, and then what names that", () => {
    const chain = [
      stored("teams", "t", { name: "t", customer_id: "gone" }),
      stored("virtual_keys", "k", { name: "k", team_id: "t" }),
      stored("routing_rules", "r", { name: "r", scope: "virtual_key", scope_id: "k", targets: [{ provider: "x" }] }),
      stored("virtual_keys", "free", { name: "free" }),
    ];
    const { inForce, problems } = mergeEntities(section(), chain);
    expect(problems.map(({ kind, id, path }) => `${kind} ${id} ${path}`)).toEqual([
      "teams t customer_id",
      "virtual_keys k team_id",
      "routing_rules r scope_id",
    ]);
    expect(inForce.virtual_keys.map(({ id }) => id)).toEqual(["free"]);
    const mended = mergeEntities(section({ customers: [{ id: "gone", name: "back" }] }), chain);
    expect(mended.problems).toEqual([]);
    expect(mended.inForce.routing_rules).toHaveLength(1);
  });

  test("keeps the older of two stored ones that clash, whatever the order of the rows", () => {
    const rows = [
      stored("model_limits", "a", { model_name: "M" }, { createdAt: 2 }),
      stored("model_limits", "b", { model_name: "m" }, { createdAt: 1 }),
    ];
    for (const order of [rows, [...rows].reverse()]) {
      const { inForce, problems } = mergeEntities(section(), order);
      expect(inForce.model_limits.map(({ id }) => id)).toEqual(["b"]);
      expect(problems).toMatchObject([{ id: "a", path: "model_name" }]);
    }
  });

  test("gives ids to the file's limits and prices, the same each time, and none twice", () => {
    const model_limits = [
      { model_name: "meta/llama", provider: "x" },
      { model_name: "meta-llama", provider: "x" },
      { id: "any:m", model_name: "other" },
      { model_name: "m" },
    ];
    const merge = () => mergeEntities(section({ model_limits }), []);
    expect(merge().inForce.model_limits.map(({ id }) => id)).toEqual([
      "x:meta-llama",
      "x:meta-llama-2",
      "any:m",
      "any:m-2",
    ]);
    expect([...merge().file.model_limits.keys()]).toEqual([...merge().file.model_limits.keys()]);
    expect(merge().problems).toEqual([]);
  });

  test("finds a key's values by their hashes, sealed, hashed or written in the file", () => {
    const sealer = new Sealer("a passphrase of the operator");
    const secret = {
      ...saveValue("k", "present", sealer),
      previous: [{ ...saveValue("k", "earlier", undefined), valid_until: "2027-01-01T00:00:00.000Z" }],
    };
    const read = readRow(row("virtual_keys", "k", { name: "k" }, { secret }), sealer);
    const written = {
      id: "f",
      name: "f",
      value: "plain",
      previous_values: [{ value: "old", valid_until: "2027-01-01T00:00:00Z" }],
    };
    const { inForce } = mergeEntities(section({ virtual_keys: [written] }), read.ok ? [read.stored] : []);
    const until = Date.parse("2027-01-01T00:00:00Z");
    expect(inForce.virtual_keys.map(credentialsOf)).toEqual([
      [
        { sha256: hashValue("plain"), validUntil: Number.POSITIVE_INFINITY },
        { sha256: hashValue("old"), validUntil: until },
      ],
      [
        { sha256: hashValue("present"), validUntil: Number.POSITIVE_INFINITY },
        { sha256: hashValue("earlier"), validUntil: until },
      ],
    ]);
  });
});

describe("a row that is not understood", () => {
  test.each<[string, EntityRecord, string]>([
    ["of a version that has another field", row("teams", "a", { name: "a", mascot: "owl" }), "mascot"],
    ["without what is needed", row("teams", "a", {}), "name"],
    ["of a virtual key without its hash", row("virtual_keys", "a", { name: "a" }, { secret: null }), "value"],
    [
      "of a virtual key with half a hash",
      row("virtual_keys", "a", { name: "a" }, { secret: { sha256: "12", sealed: null, mask: "", previous: [] } }),
      "value",
    ],
  ])("%s says what is wrong", (_, record, path) => {
    expect(readRow(record, undefined)).toMatchObject({ ok: false, faults: [{ path }] });
  });
});

const ids = fc.constantFrom("a", "b", "c");
const reference = fc.constantFrom(null, "a", "b", "c", "gone");

/** Entities of every kind, with references that may lead nowhere. */
const documents: { readonly [Kind in EntityKind]: fc.Arbitrary<Document> } = {
  customers: fc.record({ name: fc.constantFrom("x", "y") }),
  teams: fc.record({ name: fc.constant("t"), customer_id: reference }),
  virtual_keys: fc.record({ name: fc.constant("k"), team_id: reference, customer_id: reference }),
  model_limits: fc.record({ model_name: fc.constantFrom("m", "M", "n"), provider: fc.constantFrom(null, "p") }),
  routing_rules: fc.record({
    name: fc.constant("r"),
    scope: fc.constantFrom("global", "team", "virtual_key"),
    scope_id: reference,
    targets: fc.constant([{ provider: "p" }]),
  }),
  pricing_overrides: fc.record({
    model: fc.constantFrom("m", "n"),
    input_cost_per_token: fc.constant(0),
    output_cost_per_token: fc.constant(0),
  }),
};

const entity = fc
  .constantFrom(...entityKinds)
  .chain((kind) => fc.record({ kind: fc.constant(kind), id: ids, document: documents[kind], createdAt: fc.nat(3) }));
const entities = fc.uniqueArray(entity, { selector: ({ kind, id }) => `${kind}/${id}`, maxLength: 14 });

/** A file of these entities, without those that no file could have. */
function fileOf(all: readonly { kind: EntityKind; id: string; document: Document }[]) {
  const written: { [Kind in EntityKind]?: object[] } = {};
  const build = () => section(written);
  for (const { kind, id, document } of all) {
    const before = written[kind] ?? [];
    written[kind] = [...before, { ...document, id, ...(kind === "virtual_keys" && { value: `file-${id}` }) }];
    if (checkGovernance(build()).length > 0) written[kind] = before;
  }
  return build();
}

describe("whatever the file and the store hold", () => {
  const property = (check: (file: ReturnType<typeof fileOf>, rows: readonly StoredEntity[]) => void) =>
    fc.assert(
      fc.property(entities, entities, (inFile, inStore) => {
        const rows = inStore.map(({ kind, id, document, createdAt }) => stored(kind, id, document, { createdAt }));
        check(fileOf(inFile), rows);
      }),
      { numRuns: 300 },
    );

  test("what is in force has no fault", () => {
    property((file, rows) => {
      const { inForce, faults } = mergeEntities(file, rows);
      expect(checkGovernance(inForce)).toEqual([]);
      expect(faults).toEqual([]);
    });
  });

  test("all of the file is in force as it is written", () => {
    property((file, rows) => {
      const { inForce } = mergeEntities(file, rows);
      for (const kind of entityKinds)
        expect(inForce[kind].slice(0, file[kind].length)).toMatchObject(structuredClone(file[kind]));
    });
  });

  test("every stored entity is in force or has its problem, and never both", () => {
    property((file, rows) => {
      const { inForce, problems } = mergeEntities(file, rows);
      for (const { kind, record, entity: own } of rows) {
        const isInForce = inForce[kind].some((one) => one === own);
        const count = problems.filter((one) => one.kind === kind && one.id === record.id).length;
        expect(count).toBe(isInForce ? 0 : 1);
      }
    });
  });

  test("the order of rows does not matter, nor does merging twice", () => {
    property((file, rows) => {
      const { inForce } = mergeEntities(file, rows);
      expect(mergeEntities(file, [...rows].reverse()).inForce).toEqual(inForce);
      const left = rows.filter(({ kind, entity: own }) => inForce[kind].some((one) => one === own));
      expect(mergeEntities(file, left)).toMatchObject({ inForce, problems: [] });
    });
  });
});
