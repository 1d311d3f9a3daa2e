import { describe, expect, test } from "vitest";
import { cacheKit, hidden } from "./cache-kit.ts";
import { kit } from "./kit.ts";

const questions = ["Who is the king of France?", "How tall is the tower of Pisa?", "What colour is the sky?"];

async function cached(virtualKey: string | null = null) {
  const { control, ids, forgotten } = await cacheKit(questions, virtualKey);
  const { send } = await kit({ cache: control });
  const left = async () => (await send("GET", "/api/cache")).body.entries;
  return { send, ids, forgotten, left };
}

describe("the cache in the management API", () => {
  test("tells sizes, hit rates and savings, of all and of each partition", async () => {
    const { send } = await cached();
    const { status, body } = await send("GET", "/api/cache");
    expect(status).toBe(200);
    const counts = {
      direct_hits: 2,
      semantic_hits: 0,
      misses: 3,
      hit_rate: 0.4,
      saved_input_tokens: 6,
      saved_output_tokens: 10,
    };
    expect(body).toMatchObject({ enabled: true, entries: 3, problem: null, partition_count: 1, ...counts });
    expect(body.bytes).toBeGreaterThan(1000);
    expect(body.partitions).toHaveLength(1);
    const labels = { virtual_key: null, cache_key: "app", provider: "bedrock", model: "claude" };
    expect(body.partitions[0]).toMatchObject({ ...labels, ...counts, entries: 3, saved_usd: 16 / 1e6 });
  });

  test("lists entries and shows one, never what was asked or answered", async () => {
    const { send, ids } = await cached();
    const listed = await send("GET", "/api/cache/entries?limit=2&offset=1&cache_key=app");
    expect(listed.body).toMatchObject({ count: 2, total_count: 3, limit: 2, offset: 1 });
    const one = await send("GET", `/api/cache/entries/${ids[0]}`);
    expect(one.body).toMatchObject({ id: ids[0], hits: 2, semantic: true, input_tokens: 3, output_tokens: 5 });
    expect(Date.parse(one.body.expires_at) - Date.parse(one.body.created_at)).toBe(300_000);
    for (const text of [listed.text, one.text])
      for (const word of ["king", "tower", "answer"]) expect(text).not.toContain(word);
    expect((await send("GET", "/api/cache/entries?cache_key=other")).body.total_count).toBe(0);
    expect((await send("GET", `/api/cache/entries/${"0".repeat(64)}`)).status).toBe(404);
  });

  test.each([
    ["an entry", (id: string) => `entries/${id}`, 204, 2],
    ["an entry as the original does", (id: string) => `clear/${id}`, 200, 2],
    ["an entry by the beginning of its id", (id: string) => `clear/${id.slice(0, 16)}`, 200, 2],
    ["a cache key", () => "clear-by-key/app", 200, 0],
    ["another cache key", () => "clear-by-key/other", 200, 3],
    ["a virtual key", () => "entries?virtual_key=vk_1", 200, 0],
    ["those without a virtual key", () => "entries?virtual_key=", 200, 3],
    ["a model of a provider", () => "entries?model=claude&provider=bedrock", 200, 0],
    ["a model of another provider", () => "entries?model=claude&provider=openai", 200, 3],
    ["all", () => "entries?all=true", 200, 0],
  ] as const)("deletes %s", async (_what, path, status, rest) => {
    const { send, ids, left } = await cached("vk_1");
    const answer = await send("DELETE", `/api/cache/${path(ids[1] ?? "")}`);
    expect(answer.status).toBe(status);
    if (status === 200) expect(answer.body).toEqual({ deleted: 3 - rest });
    expect(await left()).toBe(rest);
  });

  test.each([
    ["without a word of what", "DELETE", "/api/cache/entries"],
    ["with a parameter that is not known", "DELETE", "/api/cache/entries?modle=x"],
    ["with all and one more", "DELETE", "/api/cache/entries?all=true&model=claude"],
    ["with all that is not true", "DELETE", "/api/cache/entries?all=false"],
    ["with an id that is too short", "DELETE", "/api/cache/clear/0123456"],
    ["with an id that is none", "DELETE", "/api/cache/entries/sixteen-letters-and-more"],
    ["a list with a parameter that is not known", "GET", "/api/cache/entries?all=true"],
  ])("refuses, and deletes nothing, %s", async (_what, method, path) => {
    const { send, forgotten, left } = await cached();
    expect((await send(method, path)).status).toBe(400);
    expect(forgotten).toEqual([]);
    expect(await left()).toBe(3);
  });

  test("shows what was asked and answered only where that is allowed", async () => {
    const { send, ids } = await cached();
    expect((await send("GET", `/api/cache/entries/${ids[0]}?content=true`)).status).toBe(403);
    expect((await send("GET", `/api/cache/entries/${ids[0]}?content=maybe`)).status).toBe(400);
    const { control, ids: shown } = await cacheKit([...questions, hidden], null, true);
    const { send: allowed } = await kit({ cache: control });
    const { status, body } = await allowed("GET", `/api/cache/entries/${shown[0]}?content=true`);
    expect(status).toBe(200);
    expect(body.question).toBe(questions[0]);
    expect(body.answer.output.message.content).toEqual([{ text: `answer to ${questions[0]}` }]);
    expect((await allowed("GET", `/api/cache/entries/${shown[0]}`)).text).not.toContain("king");
    const { status: found, text } = await allowed("GET", `/api/cache/entries/${shown[3]}?content=true`);
    expect(found).toBe(200);
    for (const word of ["nobody", "question", '"answer"']) expect(text).not.toContain(word);
  });

  test("says that the cache is off", async () => {
    const { send } = await kit();
    expect((await send("GET", "/api/cache")).body).toEqual({ enabled: false });
    expect((await send("GET", "/api/cache/entries")).status).toBe(404);
    expect((await send("DELETE", "/api/cache/clear-by-key/app")).status).toBe(404);
    expect((await send("GET", "/api/cache/clear/0123456789abcdef")).status).toBe(405);
    expect((await send("GET", "/api/cache/what")).status).toBe(404);
  });

  test("needs the operator's token", async () => {
    const { control } = await cacheKit(questions);
    const { send } = await kit({ cache: control, adminToken: "secret-token" });
    expect((await send("DELETE", "/api/cache/clear-by-key/app")).status).toBe(401);
    expect((await control.stats()).entries).toBe(3);
  });
});
