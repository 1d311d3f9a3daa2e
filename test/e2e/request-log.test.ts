/** The request log of a running gateway: from a request on the road to its row, and what outlives the process. */
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { request as httpRequest } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { openDatabase } from "../../src/store/sqlite-driver.ts";
import { failure, stream } from "../support/answers.ts";
import { type FakeBedrock, fakeIdentity, startFakeBedrock } from "../support/fake-bedrock.ts";
import { converseFrames } from "../support/frames.ts";
import { type RunningGateway, relayConfig, startGateway } from "../support/gateway.ts";
import { answerUsd, governedConfig } from "../support/governed.ts";
import { ask, type Lane, openLanes, rewrite } from "../support/keys.ts";
import { send, userTurn } from "../support/raw-http.ts";
import { sleep, until } from "../support/wait.ts";

const model = "vendor.model-v1:0";
const token = "log-management-canary-token";
const virtualKey = { id: "vk_app", name: "app", value: "vk-value-canary-00", allow_all_providers: true };
const env = { BIFROST_ADMIN_TOKEN: token };
const rule = { id: "to-model", name: "r", cel_expression: "model == 'asked'", targets: [{ model }] };

// biome-ignore lint/suspicious/noExplicitAny: tests look into answers of every shape.
type Row = any;

let folder = "";
let fake: FakeBedrock;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "bifrost-log-"));
  fake = await startFakeBedrock();
}, 30_000);
beforeEach(() => fake.reset());
afterEach(() => expect(fake.violations).toEqual([]));
afterAll(async () => {
  await fake?.[Symbol.asyncDispose]();
  rmSync(folder, { recursive: true, force: true });
});

async function api(to: { readonly url: string }, method: string, path: string, body?: object): Promise<Row> {
  const given = body === undefined ? "" : JSON.stringify(body);
  const answer = await send(to.url, path, {
    method,
    // Node's client tells no length of a DELETE's body by itself.
    headers: { authorization: `Bearer ${token}`, "content-length": String(Buffer.byteLength(given)) },
    body: given,
  });
  const text = answer.body.toString();
  return { status: answer.status, text, body: text === "" ? undefined : JSON.parse(text) };
}

/** The row of a request, within the two seconds that are promised. */
function rowOf(to: { readonly url: string }, id: string): Promise<Row> {
  const find = async () => {
    const { status, body } = await api(to, "GET", `/api/logs/${encodeURIComponent(id)}`);
    return status === 200 && body;
  };
  return until(`the row of ${id}`, find, 2000);
}

describe("the request log", { timeout: 60_000 }, () => {
  let gateway: RunningGateway;
  let lanes: Lane[] = [];

  beforeAll(async () => {
    gateway = await startGateway({
      config: governedConfig(fake, { virtual_keys: [virtualKey], routing_rules: [rule] }),
      env: { ...env, BIFROST_FRONTENDS: "2" },
      withoutH2: true,
    });
    lanes = await openLanes(gateway, 2, 1);
  }, 60_000);
  afterAll(async () => {
    for (const lane of lanes) lane.close();
    await gateway?.stop();
  }, 30_000);

  test("has a request within two seconds of its end, with what is known of it", async () => {
    const headers = {
      "x-bf-vk": virtualKey.value,
      "x-request-id": "whole-1",
      "x-bf-env": "prod",
      "x-bf-dim-app": "chat",
    };
    expect((await ask(gateway, "asked", headers)).status).toBe(200);
    expect(await rowOf(gateway, "whole-1")).toMatchObject({
      request_id: "whole-1",
      operation: "Converse",
      outcome: "success",
      status: 200,
      asked_model: "asked",
      provider: "bedrock",
      model,
      key: { name: "main" },
      virtual_key: { id: "vk_app", name: "app" },
      input_tokens: 12,
      output_tokens: 6,
      total_tokens: 18,
      cost: answerUsd,
      stop_reason: "end_turn",
      routing_rules: ["to-model"],
      metadata: { env: "prod", app: "chat" },
      attempts: [{ provider: "bedrock", key: { name: "main" }, status: 200, outcome: "success" }],
      content: null,
      trail: expect.arrayContaining(["The routing rule to-model matched."]),
    });
  });

  test("A71 has a stream's usage and stop reason as the client received them", async () => {
    const headers = { "x-bf-vk": virtualKey.value, "x-request-id": "stream-1" };
    expect((await ask(gateway, model, headers, "converse-stream")).status).toBe(200);
    const row = await rowOf(gateway, "stream-1");
    expect(row).toMatchObject({ stream: true, outcome: "success", stop_reason: "end_turn", usage_estimated: false });
    expect(row.total_tokens).toBeGreaterThan(0);
    expect(row.first_event_latency).toBeLessThanOrEqual(row.latency);
  });

  test("has failures with their class, and clients that left", async () => {
    fake.when("broken", failure(500, "InternalServerException", "it broke"));
    await ask(gateway, "broken", { "x-bf-vk": virtualKey.value, "x-request-id": "failed-1" });
    expect(await rowOf(gateway, "failed-1")).toMatchObject({
      outcome: "error",
      status: 500,
      error_type: "InternalServerException",
      error_class: "provider_server_error",
      cost: null,
      attempts: [{ outcome: "error", status: 500 }],
    });
    await ask(gateway, model, { "x-bf-vk": "nobody's", "x-request-id": "refused-1" });
    const refused = await rowOf(gateway, "refused-1");
    expect(refused).toMatchObject({ outcome: "error", status: 403, error_class: "policy_access_denied", attempts: [] });
    expect(refused.trail).toContain("No provider was asked.");

    fake.when("slow", stream(slowly(converseFrames())));
    const leaving = new AbortController();
    const headers = { "x-bf-vk": virtualKey.value, "x-request-id": "left-1" };
    const path = "/bedrock/model/slow/converse-stream";
    const left = send(gateway.url, path, { body: userTurn("hi"), headers, signal: leaving.signal });
    await fake.seen("slow");
    await sleep(100);
    leaving.abort();
    await expect(left).rejects.toThrow();
    const row = await rowOf(gateway, "left-1");
    expect(row).toMatchObject({ outcome: "cancelled", status: 499, error_class: "caller_cancelled" });
    expect(row.trail.join(" ")).toContain("The client left after");
  });

  test("has the requests of all front ends, and finds them by their filters", async () => {
    const ids = lanes.map((lane, index) => `both-${index}-${lane.frontEnd}`);
    for (const [index, lane] of lanes.entries())
      await lane.ask(model, {
        "x-bf-vk": virtualKey.value,
        "x-request-id": ids[index] ?? "",
        "x-bf-session-id": "both",
      });
    for (const id of ids) await rowOf(gateway, id);
    const { body } = await api(gateway, "GET", "/api/logs/sessions/both?order=asc");
    expect(body.summary.requests).toBe(lanes.length);
    expect(body.logs.map((row: Row) => row.request_id)).toEqual(ids);
    const found = await api(gateway, "GET", "/api/logs?virtual_key_ids=vk_app&status=success&session_id=both&limit=1");
    expect(found.body.pagination.total_count).toBe(lanes.length);
    expect((await api(gateway, "GET", "/api/logs/stats")).body.requests).toBeGreaterThanOrEqual(lanes.length);
    expect((await api(gateway, "GET", "/api/logs/dropped")).body).toEqual({ dropped: 0, waiting: 0 });
    expect((await send(gateway.url, "/metrics", { method: "GET" })).body.toString()).toMatch(
      /^bifrost_log_rows_dropped_total 0$/m,
    );
    expect((await send(gateway.url, "/api/logs", { method: "GET" })).status).toBe(401);
  });

  test("finds the newest of those that share an id, and deletes rows by their own", async () => {
    const headers = { "x-bf-vk": virtualKey.value, "x-request-id": "shared-1" };
    await ask(gateway, model, headers);
    const older = await rowOf(gateway, "shared-1");
    await ask(gateway, model, headers);
    const newer = await until("the newer row", async () => {
      const row = await rowOf(gateway, "shared-1");
      return row.id !== older.id && row;
    });
    expect(newer.same_request_id).toEqual([older.id]);
    expect((await api(gateway, "DELETE", "/api/logs", { ids: [newer.id] })).body).toEqual({ deleted: 1 });
    expect((await rowOf(gateway, "shared-1")).id).toBe(older.id);
  });

  test("is followed live, by its filters, on any front end", async () => {
    const all = await follow(gateway, "");
    const errors = await follow(gateway, "?outcome=error&virtual_key=vk_app");
    try {
      for (const [index, lane] of lanes.entries())
        await lane.ask(model, { "x-bf-vk": virtualKey.value, "x-request-id": `live-${index}` });
      fake.when("broken", failure(500, "InternalServerException", "it broke"));
      await ask(gateway, "broken", { "x-bf-vk": virtualKey.value, "x-request-id": "live-failed" });
      const ids = [...lanes.map((_, index) => `live-${index}`), "live-failed"];
      await until("all rows", () => ids.every((id) => all.rows().some((row) => row.request_id === id)), 2000);
      await until("the failure", () => errors.rows().length > 0, 2000);
      expect(errors.rows().map((row) => row.request_id)).toEqual(["live-failed"]);
    } finally {
      all.leave();
      errors.leave();
    }
    const refused = await send(gateway.url, "/api/logs/live", { method: "GET" });
    expect(refused.status).toBe(401);
  });

  test("A56 has its costs corrected when a price is", async () => {
    await ask(gateway, model, { "x-bf-vk": virtualKey.value, "x-request-id": "priced-1" });
    expect((await rowOf(gateway, "priced-1")).cost).toBe(answerUsd);
    const override = { model, provider: "bedrock", input_cost_per_token: 0.002, output_cost_per_token: 0.002 };
    expect((await api(gateway, "POST", "/api/governance/pricing-overrides", override)).status).toBe(201);
    const { body } = await api(gateway, "POST", "/api/logs/recalculate-cost?request_id=priced-1");
    expect(body).toMatchObject({ rows: 1, changed: 1, cost_before: answerUsd, cost_after: 2 * answerUsd });
    expect((await rowOf(gateway, "priced-1")).cost).toBe(2 * answerUsd);
  });
});

describe("the request log's store", { timeout: 60_000 }, () => {
  const config = (more: object = {}) => relayConfig(fake.url, { more });
  const observed = (log: object, more: object = {}) => config({ observability: { request_log: log }, ...more });

  test("keeps rows over a restart, also those that had just been made", async () => {
    const dataDir = join(folder, "restart");
    const options = { config: config(), env: { ...env, BIFROST_DATA_DIR: dataDir }, withoutH2: true };
    const before = await startGateway(options);
    for (let n = 0; n < 20; n++) await ask(before, model, { "x-request-id": `kept-${n}` });
    expect(await before.stop()).toBe(0);
    await using after = await startGateway(options);
    const { body } = await api(after, "GET", "/api/logs");
    expect(body.pagination.total_count).toBe(20);
    expect((await rowOf(after, "kept-19")).outcome).toBe("success");
  });

  test("costs requests nothing while it is locked: their rows wait", async () => {
    const dataDir = join(folder, "locked");
    await using gateway = await startGateway({
      config: config({ storage: { on_failure: "refuse" } }),
      env: { ...env, BIFROST_DATA_DIR: dataDir },
      withoutH2: true,
    });
    await ask(gateway, model, { "x-request-id": "before" });
    await rowOf(gateway, "before");
    const database = await openDatabase(join(dataDir, "logs.db"));
    database.prepare("begin immediate").run([]);
    try {
      const begun = performance.now();
      for (let n = 0; n < 50; n++)
        expect((await ask(gateway, model, { "x-request-id": `locked-${n}` })).status).toBe(200);
      expect(performance.now() - begun).toBeLessThan(5000);
      await until("the log's complaint", () => gateway.output().includes("the request log cannot be written"));
      expect((await api(gateway, "GET", "/api/logs/dropped")).body).toEqual({ dropped: 0, waiting: 50 });
      // Not a matter of readiness, nor of what may be served.
      expect((await send(gateway.url, "/ready", { method: "GET" })).status).toBe(200);
      expect((await rowOf(gateway, "before")).outcome).toBe("success");
    } finally {
      database.prepare("rollback").run([]);
      database.close();
    }
    await until("the last row", async () => (await api(gateway, "GET", "/api/logs/locked-49")).status === 200, 10_000);
    expect((await api(gateway, "GET", "/api/logs?limit=1")).body.pagination.total_count).toBe(51);
    expect((await api(gateway, "GET", "/api/logs/dropped")).body).toEqual({ dropped: 0, waiting: 0 });
  });

  test("deletes the oldest rows beyond its number", async () => {
    await using gateway = await startGateway({ config: config(), env, withoutH2: true });
    for (let n = 0; n < 12; n++) await ask(gateway, model, { "x-request-id": `many-${n}` });
    await rowOf(gateway, "many-11");
    await rewrite(gateway, observed({ max_rows: 3 }));
    const left = async () => (await api(gateway, "GET", "/api/logs")).body.logs.map((row: Row) => row.request_id);
    await until("the deletion", async () => (await left()).length === 3);
    expect(await left()).toEqual(["many-11", "many-10", "many-9"]);
  });

  test("is off where the configuration says so, and in memory where there is no other", async () => {
    const memory = observed({ enabled: false }, { storage: { kind: "memory" } });
    await using gateway = await startGateway({ config: memory, env, withoutH2: true });
    await ask(gateway, model);
    await rewrite(gateway, observed({}, { storage: { kind: "memory" } }));
    await ask(gateway, model, { "x-request-id": "on" });
    await rowOf(gateway, "on");
    expect((await api(gateway, "GET", "/api/logs")).body.pagination.total_count).toBe(1);
  });

  test("ends its feeds when the gateway drains", async () => {
    const gateway = await startGateway({ config: config(), env, withoutH2: true });
    const feed = await follow(gateway, "");
    const stopped = gateway.stop();
    expect(await feed.ended).toBe("\n: the end\n\n");
    expect(await stopped).toBe(0);
  });

  const body = (text: string) => JSON.stringify({ messages: [{ role: "user", content: [{ text }] }] });
  const said = async (gateway: RunningGateway, id: string, text: string, headers = {}) => {
    const path = `/bedrock/model/${encodeURIComponent(model)}/converse`;
    await send(gateway.url, path, { body: body(text), headers: { "x-request-id": id, ...headers } });
    return (await rowOf(gateway, id)).content;
  };

  test("keeps content by configuration, virtual key and header", async () => {
    const key = (id: string, disable: boolean | null) => ({
      ...virtualKey,
      id,
      value: `vk-value-${id}`,
      disable_content_logging: disable,
    });
    const governance = { virtual_keys: [key("keeps", false), key("never", true), key("as-is", null)] };
    await using gateway = await startGateway({ config: observed({}, { governance }), env, withoutH2: true });
    const as = (id: string) => ({ "x-bf-vk": `vk-value-${id}` });
    const on = { "x-bf-disable-content-logging": "false" };
    const off = { "x-bf-disable-content-logging": "true" };
    expect(await said(gateway, "c1", "question", as("as-is"))).toBeNull();
    expect(await said(gateway, "c2", "question", { ...as("as-is"), ...on })).toBeNull();
    expect(await said(gateway, "c3", "question", as("never"))).toBeNull();
    const kept = await said(gateway, "c4", "question", as("keeps"));
    expect(kept).toMatchObject({ request: body("question"), sealed: false });
    expect(kept.answer).toContain("stopReason");
    expect(await said(gateway, "c5", "question", { ...as("keeps"), ...off })).toBeNull();
    const more = { content: true, allow_per_request_content_storage_override: true, max_content_bytes: 256 };
    await rewrite(gateway, observed(more, { governance }));
    expect((await said(gateway, "c6", "question", as("as-is"))).request).toBe(body("question"));
    expect(await said(gateway, "c7", "question", { ...as("as-is"), ...off })).toBeNull();
    expect((await said(gateway, "c8", "question", { ...as("never"), ...on })).request).toBe(body("question"));
    const cut = (await said(gateway, "c9", "many words ".repeat(1000), as("as-is"))).request;
    expect(cut.length).toBeLessThanOrEqual(257);
    expect(cut).toMatch(/many words $|many …$|words …$/);
  });

  test("never has a secret, wherever it was planted", async () => {
    const dataDir = join(folder, "secrets");
    const secrets = {
      ours: fakeIdentity.secretAccessKey,
      virtual: virtualKey.value,
      admin: token,
      openai: "sk-proj-4f9aKd83jfKw02mMxq81canary",
      aws: "AKIAIOSFODNN7CANARY0",
      bearer: "canary.bearer.0123456789abcdef",
    };
    // Which text is a token of a stranger's nobody can tell, unless it stands behind "Bearer".
    const planted = Object.entries(secrets)
      .map(([name, secret]) => (name === "bearer" ? `Bearer ${secret}` : `${name}: Bearer ${secret}\n${secret}`))
      .join("\n");
    await using gateway = await startGateway({
      config: observed({ content: true }, { governance: { virtual_keys: [virtualKey] } }),
      env: { ...env, BIFROST_DATA_DIR: dataDir },
      withoutH2: true,
    });
    const feed = await follow(gateway, "");
    const headers = {
      "x-bf-vk": virtualKey.value,
      "x-bf-session-id": secrets.openai,
      "x-bf-env": secrets.admin,
      "x-bf-dim-leak": secrets.ours,
      cookie: `session=${secrets.openai}`,
      "x-custom-header": secrets.aws,
    };
    const content = await said(gateway, "planted", planted, headers);
    expect(content.request).toContain("[redacted]");
    await send(gateway.url, `/bedrock/model/${encodeURIComponent(`no/${secrets.openai}`)}/converse`, {
      body: body(planted),
      headers: { "x-bf-vk": virtualKey.value, "x-request-id": "planted-model" },
    });
    await rowOf(gateway, "planted-model");
    await until("the feed", () => feed.rows().length >= 2);
    feed.leave();
    const shown = [
      (await api(gateway, "GET", "/api/logs/planted")).text,
      (await api(gateway, "GET", "/api/logs/planted-model")).text,
      (await api(gateway, "GET", "/api/logs")).text,
      (await api(gateway, "GET", "/api/logs/filterdata")).text,
      feed.text(),
    ];
    const output = gateway.output();
    await gateway.stop();
    const files = readdirSync(dataDir).filter((name) => name.startsWith("logs.db"));
    expect(files).toContain("logs.db");
    const stored = files.map((name) => readFileSync(join(dataDir, name)).toString("latin1"));
    for (const [name, secret] of Object.entries(secrets))
      for (const text of [...shown, ...stored]) expect(text.includes(secret), name).toBe(false);
    // The process's own log names models as clients do.
    for (const own of [secrets.ours, secrets.virtual, secrets.admin]) expect(output.includes(own)).toBe(false);
    expect(stored.some((text) => text.includes("planted"))).toBe(true);
  });

  test("encrypts content where there is a key for it", async () => {
    const dataDir = join(folder, "sealed");
    const options = {
      config: observed({ content: true }),
      env: { ...env, BIFROST_DATA_DIR: dataDir, BIFROST_ENCRYPTION_KEY: "a passphrase of this test" },
      withoutH2: true,
    };
    const gateway = await startGateway(options);
    expect((await said(gateway, "sealed", "a very private question")).request).toContain("a very private question");
    expect((await api(gateway, "GET", "/api/logs?content_search=private")).status).toBe(400);
    await gateway.stop();
    for (const name of readdirSync(dataDir))
      expect(readFileSync(join(dataDir, name)).includes("private question"), name).toBe(false);
    await using other = await startGateway({
      ...options,
      env: { ...options.env, BIFROST_ENCRYPTION_KEY: "quite another passphrase" },
    });
    expect((await rowOf(other, "sealed")).content).toEqual({ request: null, answer: null, sealed: true });
  });
});

/** The first frame, and the others when the client has long left. */
async function* slowly([first, ...others]: readonly Buffer[]) {
  if (first !== undefined) yield first;
  await sleep(3000);
  yield* others;
}

/** Follows the feed; resolves when it has begun. */
async function follow({ url }: { readonly url: string }, query: string) {
  const { hostname, port } = new URL(url);
  let text = "";
  const { ended, leave } = await new Promise<{ ended: Promise<string>; leave: () => void }>((resolve, reject) => {
    const headers = { authorization: `Bearer ${token}` };
    const outgoing = httpRequest({ hostname, port, path: `/api/logs/live${query}`, agent: false, headers });
    outgoing.on("error", reject);
    outgoing.on("response", (message) => {
      message.setEncoding("utf8");
      message.on("error", () => undefined);
      const end = new Promise<string>((done) => message.on("end", () => done(text.slice(text.lastIndexOf("\n: ")))));
      message.on("data", (part: string) => {
        text += part;
        resolve({ ended: end, leave: () => outgoing.destroy() });
      });
    });
    outgoing.end();
  });
  const rows = (): Row[] =>
    [...text.matchAll(/event: log\nid: \S+\ndata: (.*)\n/g)].map(([, json]) => JSON.parse(json ?? ""));
  return { rows, text: () => text, ended, leave };
}
