import { expect, test, vi } from "vitest";
import { CredentialsError, Identities, LoadFailure } from "../../src/upstream/renewed.ts";

const minute = 60_000;
let unique = 0;

test("equal ids share what is fetched, others do not", async () => {
  const identities = new Identities<{ n: number }>(minute);
  let loads = 0;
  const load = async () => ({ value: { n: ++loads }, expiresAt: undefined });
  const [one, same, other] = ["a", "a", "b"].map((id) => identities.source(id, "x", load, {}));
  expect(await one?.current()).toEqual({ n: 1 });
  expect(same?.current()).toBe(one?.current());
  expect(await other?.current()).toEqual({ n: 2 });
});

test("renewal begins as long before the end as the kind of credentials wants, behind the call", async () => {
  let now = 0;
  let loads = 0;
  const identities = new Identities<{ n: number }>(10 * minute);
  const load = async () => ({ value: { n: ++loads }, expiresAt: now + 60 * minute });
  const source = identities.source("a", "x", load, { now: () => now });
  const first = await source.current();
  now = 50 * minute - 1;
  expect(source.current()).toBe(first);
  expect(loads).toBe(1);
  now += 1;
  expect(source.current()).toBe(first);
  await vi.waitFor(() => expect(source.current()).toEqual({ n: 2 }));
});

test("a value that expires sooner than that is not fetched with every call", async () => {
  let now = 0;
  let loads = 0;
  const identities = new Identities<{ n: number }>(10 * minute);
  const load = async () => ({ value: { n: ++loads }, expiresAt: now + 5 * minute });
  const source = identities.source("a", "x", load, { now: () => now });
  await source.current();
  for (; now < 29_000; now += 1000) expect(source.current()).toEqual({ n: 1 });
  expect(loads).toBe(1);
});

test("a failure shows its own words, and of others no more than a name", async () => {
  const identities = new Identities<object>(minute);
  const failing = (cause: unknown) =>
    identities.source(String(++unique), 'key "k": it failed', () => Promise.reject(cause), {}).current();
  await expect(failing(new LoadFailure("said so"))).rejects.toThrow(CredentialsError);
  await expect(failing(new LoadFailure("said so"))).rejects.toThrow(/^key "k": it failed \(said so\)$/);
  await expect(failing(new TypeError("very secret"))).rejects.toThrow(/^key "k": it failed \(TypeError\)$/);
  await expect(failing(Object.assign(new Error("secret"), { code: "very secret" }))).rejects.toThrow(
    /\(unknown reason\)$/,
  );
  await expect(failing("secret")).rejects.toThrow(/\(unknown reason\)$/);
});
