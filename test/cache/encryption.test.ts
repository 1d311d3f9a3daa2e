/** What the cache leaves on the disk when there is an encryption key. */
import { randomBytes } from "node:crypto";
import { readdirSync, readFileSync, renameSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { ask, Clock, facts, kit, optionsOf, remember, temporaryFolder } from "./kit.ts";

let folder = "";
let clean: () => void = () => undefined;
beforeEach(() => {
  [folder, clean] = temporaryFolder();
});
afterEach(() => clean());

const secret = "What did the canary say to the cat?";
const answer = "The canary said nothing.";
const [key, other] = [randomBytes(32), randomBytes(32)];

async function store(withKey: Uint8Array | null): Promise<void> {
  const one = kit({}, folder, new Clock(), withKey);
  await remember(one.front(), facts(secret), optionsOf(one.config), answer);
  await one.close();
}

async function find(withKey: Uint8Array | null): Promise<string> {
  const one = kit({}, folder, new Clock(), withKey);
  const found = await ask(one.front(), facts(secret), optionsOf(one.config));
  await one.close();
  return found;
}

/** Everything in the folder. */
function onDisk(): string {
  const at = join(folder, "cache");
  return readdirSync(at)
    .map((name) => readFileSync(join(at, name), "latin1"))
    .join("");
}

describe("entries on the disk", () => {
  test("are encrypted with a key, and found again with it", async () => {
    await store(key);
    expect(onDisk().length).toBeGreaterThan(200);
    for (const word of ["canary", "app", "claude"]) expect(onDisk()).not.toContain(word);
    expect(await find(key)).toBe(`direct: ${answer}`);
  });

  test("are put aside where the key is another one, and what comes then is kept", async () => {
    await store(key);
    expect(await find(other)).toBe("miss");
    await store(other);
    expect(await find(other)).toBe(`direct: ${answer}`);
  });

  test("do not stay in the clear when a key comes, nor are they read without one", async () => {
    await store(null);
    expect(onDisk()).toContain("canary");
    expect(await find(key)).toBe("miss");
    expect(onDisk()).not.toContain("canary");
    await store(key);
    expect(await find(null)).toBe("miss");
  });

  test("are not taken from one file into another", async () => {
    await store(key);
    const [first] = readdirSync(join(folder, "cache"));
    renameSync(join(folder, "cache", String(first)), join(folder, "cache", "cache-000000009.log"));
    expect(await find(key)).toBe("miss");
  });
});
