/** The semantic cache over time: restarts, damaged files, reloads, deletion, and its limits. */
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, describe, expect, test } from "vitest";
import { converseAnswer, json } from "../support/answers.ts";
import { findableMs, freshTurn, outcome, ownGateways, post, said, teach, withCache } from "../support/cached.ts";
import { type RunningGateway, relayConfig, startGateway } from "../support/gateway.ts";
import { type Lane, openLanes, rewrite } from "../support/keys.ts";
import { send, userTurn } from "../support/raw-http.ts";
import { sleep, until } from "../support/wait.ts";

const model = "vendor.model-v1:0";

describe("the semantic cache", { timeout: 60_000 }, () => {
  const on = ownGateways("cache-life");
  const { start } = on;
  const configOf = (section: object = {}) => withCache(on.fake, section);
  const lanes: Lane[] = [];
  // Before the gateways end: hooks are run from the last to the first.
  afterEach(() => {
    for (const lane of lanes.splice(0)) lane.close();
  });

  const journals = () => readdirSync(join(on.folder, "cache")).filter((name) => name.endsWith(".log"));
  const api = async (gateway: RunningGateway, method: string, path: string) => {
    const { status, body } = await send(gateway.url, `/api/cache${path}`, { method });
    const parsed: Record<string, unknown> = body.length === 0 ? {} : JSON.parse(body.toString());
    return { status, body: parsed };
  };

  test("A60 what was answered is found after a restart, equal or alike, and not what was deleted", async () => {
    const first = await start();
    const [kept, deleted] = [freshTurn(), freshTurn()];
    await teach(first, model, userTurn("What is the capital of France?"));
    await teach(first, model, kept, { action: "converse-stream" });
    await teach(first, model, deleted, { key: "short-lived" });
    expect((await api(first, "DELETE", "/clear-by-key/short-lived")).body).toEqual({ deleted: 1 });
    await first.stop();
    const second = await start();
    expect(outcome(await post(second, model, kept))).toBe("direct");
    expect(outcome(await post(second, model, userTurn("what's the capital of France")))).toBe("semantic");
    expect(outcome(await post(second, model, deleted, { key: "short-lived" }))).toBe("miss");
  });

  test("A67 a file that is damaged or another program's is set aside, and the gateway serves", async () => {
    const first = await start();
    const body = freshTurn();
    await teach(first, model, body);
    await first.stop();
    const [name = ""] = journals();
    const path = join(on.folder, "cache", name);
    const bytes = readFileSync(path);
    bytes[bytes.length - 20] = (bytes[bytes.length - 20] ?? 0) ^ 0xff;
    writeFileSync(path, bytes);
    writeFileSync(join(on.folder, "cache", "cache-000000000.log"), "SQLite format 3\0 and so on");
    const second = await start();
    expect(outcome(await post(second, model, body))).toBe("miss");
    expect(readdirSync(join(on.folder, "cache")).filter((one) => one.endsWith(".damaged"))).toHaveLength(2);
    await sleep(findableMs);
    expect((await api(second, "GET", "")).body).toMatchObject({
      entries: 1,
      problem: expect.stringContaining("renamed"),
    });
    expect(outcome(await post(second, model, body))).toBe("direct");
  });

  test("entries are encrypted on the disk when there is an encryption key", async () => {
    const env = { BIFROST_ENCRYPTION_KEY: "a passphrase of this test" };
    const first = await start({}, env);
    const body = userTurn("What does the canary sing?");
    await teach(first, model, body);
    await first.stop();
    const written = journals()
      .map((name) => readFileSync(join(on.folder, "cache", name), "latin1"))
      .join("");
    expect(written.length).toBeGreaterThan(300);
    for (const word of ["canary", "Hello", model]) expect(written).not.toContain(word);
    expect(outcome(await post(await start({}, env), model, body))).toBe("direct");
  });

  test("a folder that cannot be written costs no request", async () => {
    writeFileSync(join(on.folder, "cache"), "a file where the folder should be");
    const gateway = await start();
    const body = freshTurn();
    await teach(gateway, model, body);
    expect(outcome(await post(gateway, model, body))).toBe("direct");
    expect((await api(gateway, "GET", "")).body.problem).toContain("disk");
  });

  test("is turned on and off by a reload, and requests do not notice", async () => {
    const gateway = await start({ enabled: false });
    const body = freshTurn();
    const ask = async () => outcome(await post(gateway, model, body));
    expect(await ask()).toBeUndefined();
    expect((await api(gateway, "GET", "")).body).toEqual({ enabled: false });
    await rewrite(gateway, configOf());
    expect([await ask(), await ask()]).toEqual(["miss", "direct"]);
    await rewrite(gateway, configOf({ enabled: false }));
    expect(await ask()).toBeUndefined();
    await rewrite(gateway, configOf({ default_cache_key: "all" }));
    expect(outcome(await post(gateway, model, freshTurn(), { key: null }))).toBe("miss");
    expect(on.fake.requests).toHaveLength(4);
  });

  test("a wrong change leaves the running one in force", async () => {
    const gateway = await start();
    const wrong = configOf({ embedding: { provider: "acme", embedding_model: "m" } });
    writeFileSync(gateway.configPath ?? "", JSON.stringify(wrong));
    await until("a word in the log", () =>
      gateway.logs.find(({ problems }) => JSON.stringify(problems)?.includes("acme")),
    );
    const body = freshTurn();
    await teach(gateway, model, body);
    expect(outcome(await post(gateway, model, body))).toBe("direct");
  });

  test("both front ends find an entry, and neither after it was deleted", async () => {
    const gateway = await start({}, { BIFROST_FRONTENDS: "2", BIFROST_LOG_LEVEL: "info" });
    lanes.push(...(await openLanes(gateway, 2, 1)));
    const path = `/bedrock/model/${encodeURIComponent(model)}/converse`;
    const ask = (body: string) =>
      Promise.all(
        [...new Map(lanes.map((lane) => [lane.frontEnd, lane])).values()].map(async (lane) =>
          outcome(await lane.send(path, { body, headers: { "x-bf-cache-key": "app", "x-bf-cache-no-store": "true" } })),
        ),
      );
    for (const way of ["clear", "entries"]) {
      const body = freshTurn();
      await teach(gateway, model, body);
      expect(await ask(body)).toEqual(["direct", "direct"]);
      const { body: listed } = await api(gateway, "GET", "/entries?cache_key=app");
      const [entry] = Array.isArray(listed.entries) ? listed.entries : [];
      expect(entry).toMatchObject({ cache_key: "app", provider: "bedrock", model, input_tokens: 12, output_tokens: 6 });
      expect((await api(gateway, "DELETE", `/${way}/${String(Object(entry).id)}`)).status).toBeLessThan(300);
      expect(await ask(body)).toEqual(["miss", "miss"]);
      expect((await api(gateway, "DELETE", "/entries?all=true")).status).toBe(200);
    }
    // The overview tells what was saved.
    const { body: overview } = await api(gateway, "GET", "");
    expect(overview).toMatchObject({
      enabled: true,
      saved_output_tokens: expect.any(Number),
      misses: expect.any(Number),
    });
  });

  test("an entry's content is shown where the log may have it, and not where the client forbids it", async () => {
    const more = { semantic_cache: { enabled: true }, observability: { request_log: { content: true } } };
    const gateway = on.keep(await startGateway({ config: relayConfig(on.fake.url, { more }), withoutH2: true }));
    const shown = async () => {
      const { body } = await api(gateway, "GET", "/entries");
      const [entry] = Array.isArray(body.entries) ? body.entries : [];
      const one = await api(gateway, "GET", `/entries/${String(Object(entry).id)}?content=true`);
      await api(gateway, "DELETE", "/entries?all=true");
      return one;
    };
    await teach(gateway, model, userTurn("What does the canary sing?"));
    expect((await shown()).body).toMatchObject({ question: "What does the canary sing?", answer: converseAnswer });
    await teach(gateway, model, userTurn("What does the canary hide?"), {
      headers: { "x-bf-disable-content-logging": "true" },
    });
    const hidden = await shown();
    expect(hidden.status).toBe(200);
    expect(JSON.stringify(hidden.body)).not.toContain("canary");
    expect(hidden.body).not.toHaveProperty("answer");
  });

  test("A68 entries beyond the limit go and do not come back, also after a restart", async () => {
    const section = { max_entries: 10 };
    const first = await start(section);
    const bodies = Array.from({ length: 100 }, () => freshTurn());
    const kinds = async (gateway: RunningGateway) => {
      const found: string[] = [];
      const headers = { "x-bf-cache-no-store": "true", "x-bf-cache-type": "direct" };
      for (const body of bodies) found.push(String(outcome(await post(gateway, model, body, { headers }))));
      return found;
    };
    for (const body of bodies) await post(first, model, body);
    await sleep(findableMs);
    const expected = bodies.map((_body, at) => (at < 90 ? "miss" : "direct"));
    expect(await kinds(first)).toEqual(expected);
    expect((await api(first, "GET", "")).body).toMatchObject({ entries: 10, max_entries: 10, evicted: 90 });
    await first.stop();
    expect(await kinds(await start(section))).toEqual(expected);
  });

  test("identical requests at the same time are one, where that is wanted", async () => {
    const gateway = await start({ coalesce: true });
    const body = freshTurn();
    on.fake.queue(async () => {
      await sleep(400);
      return json(converseAnswer);
    });
    const answers = await Promise.all(Array.from({ length: 20 }, () => post(gateway, model, body)));
    expect(on.fake.requests).toHaveLength(1);
    expect(answers.filter((answer) => outcome(answer) === "direct")).toHaveLength(19);
    for (const answer of answers) expect(said(answer)).toBe("Hello from the fake.");
  });

  test("whoever waits for an identical request that fails or is left asks for itself", async () => {
    const gateway = await start({ coalesce: true });
    const failing = freshTurn();
    on.fake.queue(async () => {
      await sleep(300);
      return { kind: "unary", status: 500, headers: {}, body: Buffer.from("{}") };
    });
    const answers = await Promise.all([1, 2, 3].map(() => post(gateway, model, failing)));
    expect(answers.filter(({ status }) => status === 200)).toHaveLength(2);

    const left = freshTurn();
    on.fake.queue(async () => {
      await sleep(5000);
      return json(converseAnswer);
    });
    const leaving = new AbortController();
    const first = post(gateway, model, left, { signal: leaving.signal });
    await on.fake.seen(model);
    await sleep(50);
    const second = post(gateway, model, left);
    await sleep(100);
    leaving.abort();
    await expect(first).rejects.toThrow();
    expect((await second).status).toBe(200);
  });

  test("one word in the configuration turns it on, with the embedded mock too", async () => {
    const gateway = on.keep(await startGateway({ config: { semantic_cache: { enabled: true } }, withoutH2: true }));
    const claude = "anthropic.claude-3-haiku-20240307-v1:0";
    const messages = [{ role: "user", content: "What is it that you say?" }];
    const body = { anthropic_version: "bedrock-2023-05-31", max_tokens: 9, messages };
    for (const [asked, actions] of [
      [freshTurn(), ["converse", "converse-stream"]],
      [body, ["invoke", "invoke-with-response-stream"]],
    ] as const) {
      await teach(gateway, claude, asked, { action: actions[0] });
      for (const action of actions) expect(outcome(await post(gateway, claude, asked, { action }))).toBe("direct");
    }
  });

  test("an answer of another model will do where the configuration says so, and the hit says whose it is", async () => {
    const gateway = await start({ cache_by_model: false });
    const body = freshTurn();
    await teach(gateway, model, body);
    const answer = await post(gateway, "vendor.model-v2:0", body);
    expect([outcome(answer), answer.headers["x-bifrost-model"]]).toEqual(["direct", model]);
  });

  test("a body that is too large, or that two readers may read differently, passes as it came", async () => {
    const gateway = await start();
    const image = { image: { format: "png", source: { bytes: "A".repeat(4 * 1024 * 1024) } } };
    const large = JSON.stringify({ messages: [{ role: "user", content: [{ text: "hi" }, image] }] });
    const twice = freshTurn().replace("{", '{"messages":[],');
    for (const body of [large, twice, "no JSON"]) {
      for (let time = 0; time < 2; time++) expect(outcome(await post(gateway, model, body))).toBe("bypass");
      expect(on.fake.requests.slice(-2).map((request) => request.body.toString())).toEqual([body, body]);
    }
  });

  test("without it each asks for itself", async () => {
    const gateway = await start();
    const body = freshTurn();
    on.fake.when(model, async () => {
      await sleep(300);
      return json(converseAnswer);
    });
    await Promise.all(Array.from({ length: 5 }, () => post(gateway, model, body)));
    expect(on.fake.requests).toHaveLength(5);
  });
});
