import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, onTestFinished, test } from "vitest";
import { credentialsOf } from "../../src/admin/merge.ts";
import { hashValue, Sealer } from "../../src/store/secrets.ts";
import { openSqlite } from "../../src/store/sqlite.ts";
import type { Store } from "../../src/store/store.ts";
import { temporaryFolder } from "../store/databases.ts";
import { at, type Kit, kit } from "./kit.ts";

const passphrase = "a passphrase of the operator";
const generated = /^sk-bf-[0-9A-Za-z]{32}$/;

/** The hashes that open a key in force, and until when. */
function doors({ applied }: Kit): Map<string, number> {
  const key = applied.at(-1)?.virtual_keys[0];
  return new Map(key === undefined ? [] : credentialsOf(key).map(({ sha256, validUntil }) => [sha256, validUntil]));
}

describe("a virtual key", () => {
  test("shows its value when it is made, and never again", async () => {
    const made = await kit();
    const created = await made.send("POST", at.keys, { id: "app", name: "app" });
    const { value } = created.body;
    expect(created.status).toBe(201);
    expect(value).toMatch(generated);
    const mask = `sk-bf-****${value.slice(-4)}`;
    const answers = [
      await made.send("GET", `${at.keys}/app`),
      await made.send("PATCH", `${at.keys}/app`, { name: "b" }),
      await made.send("PUT", `${at.keys}/app`, { name: "c" }),
    ];
    for (const answer of answers) {
      expect(answer.body.value).toBe(mask);
      expect(answer.text).not.toContain(value);
      expect(answer.text).not.toContain(hashValue(value));
    }
    expect((await made.send("GET", at.keys)).text).not.toContain(value);
    expect(doors(made)).toEqual(new Map([[hashValue(value), Number.POSITIVE_INFINITY]]));
  });

  test("keeps its value when its mask is written back", async () => {
    const made = await kit({ sealer: new Sealer(passphrase) });
    const { value } = (await made.send("POST", at.keys, { id: "app", name: "app" })).body;
    await made.send("POST", `${at.keys}/app/rotate`, { grace_period: "1h" });
    const before = doors(made);
    const read = await made.send("GET", `${at.keys}/app`);
    expect(read.body.previous_values).toEqual([
      { value: `sk-bf-****${value.slice(-4)}`, valid_until: "2027-01-01T01:00:00.000Z" },
    ]);
    for (const method of ["PUT", "PATCH"])
      expect((await made.send(method, `${at.keys}/app`, { ...read.body, version: undefined })).status).toBe(200);
    expect(doors(made)).toEqual(before);
    expect(before.size).toBe(2);
    for (const other of ["****", "sk-bf-****xxxx", "", null, value]) {
      const refused = await made.send("PUT", `${at.keys}/app`, { name: "app", value: other });
      expect(refused).toMatchObject({ status: 400, body: { error: { path: "value" } } });
      expect(refused.text).not.toContain(value);
    }
    expect(doors(made)).toEqual(before);
  });

  test("without an encryption key is found by its hash, and nobody has what it would sign with", async () => {
    const made = await kit();
    const { value } = (await made.send("POST", at.keys, { name: "app" })).body;
    const key = made.applied.at(-1)?.virtual_keys[0];
    expect(key?.hashed_values).toEqual([{ sha256: hashValue(value), valid_until: null }]);
    expect(key?.value).not.toBe(value);
    expect(credentialsOf(key ?? fail()).map(({ sha256 }) => sha256)).not.toContain(hashValue(key?.value ?? ""));
  });

  test("with an encryption key has its value again after a restart", async () => {
    const sealer = new Sealer(passphrase);
    const first = await kit({ sealer });
    const { value } = (await first.send("POST", at.keys, { id: "app", name: "app" })).body;
    const rotated = (await first.send("POST", `${at.keys}/app/rotate`, { grace_period: "1d" })).body;
    const again = await kit({ store: first.store, sealer: new Sealer(passphrase) });
    expect(again.book.inForce.virtual_keys).toMatchObject([
      {
        value: rotated.value,
        previous_values: [{ value, valid_until: "2027-01-02T00:00:00.000Z" }],
        hashed_values: [],
      },
    ]);
    for (const other of [undefined, new Sealer("another passphrase of somebody")]) {
      const { book } = await kit({ store: first.store, ...(other && { sealer: other }) });
      expect(book.inForce.virtual_keys).toMatchObject([
        {
          previous_values: [],
          hashed_values: [
            { sha256: hashValue(rotated.value), valid_until: null },
            { sha256: hashValue(value), valid_until: "2027-01-02T00:00:00.000Z" },
          ],
        },
      ]);
    }
  });

  test("whose sealed value is not the one that was given out is known by its hash only", async () => {
    const sealer = new Sealer(passphrase);
    const { send, store } = await kit({ sealer });
    const { value } = (await send("POST", at.keys, { id: "app", name: "app" })).body;
    const row = await store.getEntity("virtual_keys", "app");
    const secret = { ...row?.secret, sealed: sealer.seal("sk-bf-another", "virtual_keys/app") };
    await store.putEntity({ kind: "virtual_keys", id: "app", replaces: 1, document: { name: "app" }, secret, now: 0 });
    const { book } = await kit({ store, sealer });
    expect(book.inForce.virtual_keys).toMatchObject([
      { hashed_values: [{ sha256: hashValue(value), valid_until: null }] },
    ]);
    expect(book.inForce.virtual_keys[0]?.value).not.toBe("sk-bf-another");
  });

  test("has no value of any kind in the part of its row that is shown", async () => {
    const { send, store } = await kit();
    await send("POST", at.keys, { id: "app", name: "app" });
    const { document } = (await store.getEntity("virtual_keys", "app")) ?? fail();
    expect(Object.keys(document).filter((name) => /value|hash|^id$/.test(name))).toEqual([]);
  });

  test("whose sealed value was put into another row does not lend it", async () => {
    const sealer = new Sealer(passphrase);
    const { send, store } = await kit({ sealer });
    const { value } = (await send("POST", at.keys, { id: "rich", name: "rich" })).body;
    await send("POST", at.keys, { id: "poor", name: "poor" });
    const rich = await store.getEntity("virtual_keys", "rich");
    const poor = await store.getEntity("virtual_keys", "poor");
    const secret = { ...poor?.secret, sealed: rich?.secret?.sealed };
    await store.putEntity({
      kind: "virtual_keys",
      id: "poor",
      replaces: 1,
      document: { name: "poor" },
      secret,
      now: 0,
    });
    const { book } = await kit({ store, sealer });
    expect(book.inForce.virtual_keys.find(({ id }) => id === "poor")?.value).not.toBe(value);
  });
});

describe("a rotation", () => {
  test("gives another value, and lets the old one live as long as it says", async () => {
    const made = await kit();
    const { value: first } = (await made.send("POST", at.keys, { id: "app", name: "app" })).body;
    const rotated = await made.send("POST", `${at.keys}/app/rotate`, { grace_period: "5m" });
    expect(rotated).toMatchObject({
      status: 200,
      body: { id: "app", version: 2, value: expect.stringMatching(generated) },
    });
    expect(rotated.body.value).not.toBe(first);
    expect(doors(made)).toEqual(
      new Map([
        [hashValue(rotated.body.value), Number.POSITIVE_INFINITY],
        [hashValue(first), made.clock.now + 300_000],
      ]),
    );
    const quota = async (value: string) =>
      (await made.send("GET", `${at.keys}/quota`, undefined, { headers: new Map([["x-bf-vk", value]]) })).status;
    expect([await quota(first), await quota(rotated.body.value)]).toEqual([200, 200]);
    made.clock.now += 299_999;
    expect([await quota(first), await quota(rotated.body.value)]).toEqual([200, 200]);
    made.clock.now += 1;
    expect([await quota(first), await quota(rotated.body.value)]).toEqual([401, 200]);
    expect((await made.send("GET", `${at.keys}/app`)).body.previous_values).toEqual([]);
  });

  test.each([undefined, {}, { grace_period: "0s" }, { grace_period: null }])(
    "without grace (%o) ends all earlier values at once",
    async (body) => {
      const made = await kit();
      await made.send("POST", at.keys, { id: "app", name: "app" });
      await made.send("POST", `${at.keys}/app/rotate`, { grace_period: "1d" });
      const { value } = (await made.send("POST", `${at.keys}/app/rotate`, body)).body;
      expect(doors(made)).toEqual(new Map([[hashValue(value), Number.POSITIVE_INFINITY]]));
    },
  );

  test("keeps earlier graces, as many as there is room for", async () => {
    const made = await kit();
    await made.send("POST", at.keys, { id: "app", name: "app" });
    for (let count = 0; count < 8; count++)
      expect((await made.send("POST", `${at.keys}/app/rotate`, { grace_period: "1h" })).status).toBe(200);
    expect(doors(made).size).toBe(9);
    const refused = await made.send("POST", `${at.keys}/app/rotate`, { grace_period: "1h" });
    expect(refused).toMatchObject({ status: 409, body: { error: { path: "grace_period" } } });
    made.clock.now += 3_600_000;
    expect((await made.send("POST", `${at.keys}/app/rotate`, { grace_period: "1h" })).status).toBe(200);
    expect(doors(made).size).toBe(2);
  });

  test.each([
    [{ grace_period: "soon" }, "grace_period"],
    [{ grace_period: 60 }, "grace_period"],
    [{ grace: "1h" }, "grace"],
  ])("with %o is refused, and the value stays", async (body, path) => {
    const made = await kit();
    await made.send("POST", at.keys, { id: "app", name: "app" });
    const before = doors(made);
    expect(await made.send("POST", `${at.keys}/app/rotate`, body)).toMatchObject({
      status: 400,
      body: { error: { path } },
    });
    expect(doors(made)).toEqual(before);
  });

  test("is not for keys of the file, nor for those that are not there", async () => {
    const { send } = await kit({ file: { virtual_keys: [{ id: "app", name: "app", value: "sk-bf-from-the-file" }] } });
    expect((await send("POST", `${at.keys}/app/rotate`)).body.error.message).toContain(
      "comes from the configuration file",
    );
    expect((await send("POST", `${at.keys}/nobody/rotate`)).status).toBe(404);
  });
});

describe("the values of virtual keys", () => {
  test.each([undefined, new Sealer(passphrase)])(
    "stand in no answer and no byte of the store in clear text (%#)",
    async (sealer) => {
      const folder = temporaryFolder();
      const store: Store = await openSqlite(join(folder, "bifrost.db"));
      onTestFinished(() => store.close());
      const { send, faults } = await kit({ store, ...(sealer && { sealer }) });
      const values: string[] = [];
      const answers: string[] = [];
      for (let count = 0; count < 30; count++) {
        const path = `${at.keys}/k${count}`;
        values.push((await send("POST", at.keys, { id: `k${count}`, name: "a" })).body.value);
        values.push((await send("POST", `${path}/rotate`, { grace_period: "1h" })).body.value);
        for (const [method, target, body] of [
          ["GET", path, undefined],
          ["PATCH", path, { name: "b" }],
          ["PUT", path, { name: "c", colour: 1 }],
          ["POST", `${path}/rotate`, { grace_period: "x" }],
          ["GET", `${at.keys}?limit=1000`, undefined],
          ["GET", `${path}/usage`, undefined],
          ["DELETE", count % 3 === 0 ? path : "/api/config", undefined],
        ] as const)
          answers.push((await send(method, target, body)).text);
      }
      const bytes = Buffer.concat(readdirSync(folder).map((name) => readFileSync(join(folder, name))));
      // That it would be seen if it were there.
      expect(bytes.includes(`"sha256":"${hashValue(values[2] ?? "")}"`)).toBe(true);
      for (const value of values) {
        const bare = value.slice("sk-bf-".length);
        expect(answers.filter((text) => text.includes(bare))).toEqual([]);
        expect(bytes.includes(bare)).toBe(false);
        expect(bytes.includes(Buffer.from(bare).toString("base64url").slice(0, 20))).toBe(false);
      }
      expect(faults).toEqual([]);
    },
  );

  test("of the file are not shown either", async () => {
    const value = "sk-bf-0123456789ABCDEFGHIJKLMNOPQRSTUV";
    const previous_values = [{ value: "short-one", valid_until: "2030-01-01T00:00:00Z" }];
    const { send } = await kit({ file: { virtual_keys: [{ id: "app", name: "app", value, previous_values }] } });
    expect((await send("GET", `${at.keys}/app`)).body).toMatchObject({
      value: "sk-bf-****STUV",
      previous_values: [{ value: "****", valid_until: "2030-01-01T00:00:00Z" }],
    });
  });
});

function fail(): never {
  throw new Error("there is no key");
}
