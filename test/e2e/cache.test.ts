/** Answers from the semantic cache in both lanes: found, given in the caller's form, and free. */
import { describe, expect, test } from "vitest";
import { converseAnswer, failure, json, stream } from "../support/answers.ts";
import {
  cachedConfig,
  findableMs,
  freshTurn,
  inFrontOfFakes,
  member,
  outcome,
  post,
  said,
  teach,
} from "../support/cached.ts";
import { converseFrames, decodeFrames, payloadOf } from "../support/frames.ts";
import { startGateway } from "../support/gateway.ts";
import { userTurn } from "../support/raw-http.ts";
import { sleep } from "../support/wait.ts";

const model = "vendor.model-v1:0";

describe("a request that names a cache key", { timeout: 60_000 }, () => {
  const on = inFrontOfFakes((fakes) =>
    startGateway({
      config: cachedConfig(fakes),
      env: { BIFROST_FRONTENDS: "2", BIFROST_LOG_LEVEL: "debug" },
      withoutH2: true,
    }),
  );

  /** How often the models behind the gateway were asked. */
  const asked = () => on.fake.requests.length + on.fakes.all.reduce((sum, one) => sum + one.requests.length, 0);

  const targets = [
    ["Bedrock", model],
    ["OpenAI", "openai/gpt-4o"],
    ["Anthropic", "anthropic/claude-sonnet-4-5"],
  ] as const;

  describe.each(targets)("for %s", (_name, target) => {
    test("A64 is asked once, whoever of Converse and ConverseStream comes first, and each gets its own form", async () => {
      for (const [first, second] of [
        ["converse", "converse-stream"],
        ["converse-stream", "converse"],
      ] as const) {
        const body = freshTurn();
        const before = asked();
        const original = await teach(on.gateway, target, body, { action: first });
        for (const action of [first, second, second]) {
          const answer = await post(on.gateway, target, body, { action });
          expect(answer.status).toBe(200);
          expect(outcome(answer)).toBe("direct");
          expect(answer.headers["x-bifrost-usage"]).toBe("cached");
          expect(said(answer)).toBe(said(original));
          expect(said(answer)).not.toBe("");
          expect(answer.headers["content-type"]).toBe(
            action === "converse" ? "application/json" : "application/vnd.amazon.eventstream",
          );
        }
        expect(asked() - before).toBe(1);
      }
    });

    test("A60 is found whatever the order of its members, at any front end", async () => {
      const messages = [{ role: "user", content: [{ text: `Order ${target} ${Math.random()}` }] }];
      const inferenceConfig = { temperature: 0.5, maxTokens: 20 };
      await teach(on.gateway, target, JSON.stringify({ messages, inferenceConfig }));
      const before = asked();
      const permuted =
        `{"inferenceConfig":{"maxTokens":20,"temperature":5e-1},` +
        `"messages":[{"content":${JSON.stringify(messages[0]?.content)},"role":"user"}]}`;
      const answers = await Promise.all(Array.from({ length: 20 }, () => post(on.gateway, target, permuted)));
      expect(answers.map(outcome)).toEqual(answers.map(() => "direct"));
      expect(asked()).toBe(before);
    });

    test("is found by what it means, when nothing that matters differs", async () => {
      const topic = `zebra${Math.floor(Math.random() * 1e9)}`;
      await teach(on.gateway, target, userTurn(`What is the capital of ${topic}?`));
      const same = await post(on.gateway, target, userTurn(`what is the capital of ${topic}`));
      expect(outcome(same)).toBe("semantic");
      const exact = { headers: { "x-bf-cache-type": "direct" } };
      expect(outcome(await post(on.gateway, target, userTurn(`What is the capital of ${topic} ?`), exact))).toBe(
        "miss",
      );
    });
  });

  test("a stream from the cache comes in pieces, with the frames of any other", async () => {
    const text = "Once upon a time there was a turtle. ".repeat(20);
    on.fake.queue(json({ ...converseAnswer, output: { message: { role: "assistant", content: [{ text }] } } }));
    const body = freshTurn();
    await teach(on.gateway, model, body);
    const answer = await post(on.gateway, model, body, { action: "converse-stream" });
    const frames = decodeFrames(answer.body);
    const types = frames.map(({ type }) => type);
    expect(types[0]).toBe("messageStart");
    expect(types.slice(-3)).toEqual(["contentBlockStop", "messageStop", "metadata"]);
    expect(types.filter((type) => type === "contentBlockDelta").length).toBeGreaterThan(5);
    expect(said(answer)).toBe(text);
    expect(member(payloadOf(frames.at(-1)), "usage")).toMatchObject({ inputTokens: 12, outputTokens: 6 });
    expect(answer.reads).toBeGreaterThan(3);
  });

  test("with a guardrail around another provider's model a hit asks neither, and what it has stopped is not kept", async () => {
    const guardrailConfig = { guardrailIdentifier: "g1", guardrailVersion: "1" };
    const passed = { action: "NONE", outputs: [], assessments: [], usage: {} };
    const body = freshTurn({ guardrailConfig });
    on.fake.when("g1", json(passed));
    await teach(on.gateway, "openai/gpt-4o", body);
    const before = asked();
    for (const action of ["converse", "converse-stream"] as const)
      expect(outcome(await post(on.gateway, "openai/gpt-4o", body, { action }))).toBe("direct");
    expect(asked()).toBe(before);
    on.fake.when("g1", json({ ...passed, action: "GUARDRAIL_INTERVENED", outputs: [{ text: "No." }] }));
    const stopped = freshTurn({ guardrailConfig });
    const answer = await teach(on.gateway, "openai/gpt-4o", stopped);
    expect(member(JSON.parse(answer.body.toString()), "stopReason")).toBe("guardrail_intervened");
    expect(outcome(await post(on.gateway, "openai/gpt-4o", stopped))).toBe("miss");
  });

  test("without a cache key nothing is looked for, and the answer says so", async () => {
    const body = freshTurn();
    for (let time = 0; time < 2; time++) {
      expect(outcome(await post(on.gateway, model, body, { key: null }))).toBe("bypass");
    }
    expect(on.fake.requests).toHaveLength(2);
  });

  test("answers that are errors, filtered, cut off or calls of tools are never kept", async () => {
    const say = (change: object) => json({ ...converseAnswer, ...change });
    const call = { toolUse: { toolUseId: "t1", name: "look", input: {} } };
    for (const answer of [
      failure(500, "InternalServerException", "no"),
      say({ stopReason: "guardrail_intervened" }),
      say({ stopReason: "content_filtered" }),
      say({ stopReason: "max_tokens" }),
      say({ stopReason: "tool_use", output: { message: { role: "assistant", content: [call] } } }),
      say({ output: { message: { role: "assistant", content: [] } } }),
    ]) {
      const body = freshTurn();
      on.fake.queue(answer);
      await teach(on.gateway, model, body);
      expect(outcome(await post(on.gateway, model, body))).toBe("miss");
    }
    for (const frames of [converseFrames({ stopReason: "max_tokens" }), converseFrames().slice(0, -2)]) {
      const body = freshTurn();
      on.fake.queue(stream(frames));
      await teach(on.gateway, model, body, { action: "converse-stream" });
      expect(outcome(await post(on.gateway, model, body))).toBe("miss");
    }
  });

  test("a stream whose client has left is never kept", async () => {
    const body = freshTurn();
    on.fake.queue(stream([...converseFrames().slice(0, 2), 300, ...converseFrames().slice(2)]));
    const leaving = new AbortController();
    setTimeout(() => leaving.abort(), 150);
    await expect(
      post(on.gateway, model, body, { action: "converse-stream", signal: leaving.signal }),
    ).rejects.toThrow();
    await sleep(findableMs + 300);
    expect(outcome(await post(on.gateway, model, body))).toBe("miss");
  });

  test("an answer with what only one form has is relayed as it came, and not kept", async () => {
    const strange = { ...converseAnswer, somethingNew: { kind: "of today" } };
    const body = freshTurn();
    on.fake.queue(json(strange));
    expect(JSON.parse((await teach(on.gateway, model, body)).body.toString())).toEqual(strange);
    expect(outcome(await post(on.gateway, model, body))).toBe("miss");
  });

  test("the headers steer it: no-store, time to live, threshold, and a wrong one is refused by its name", async () => {
    const body = freshTurn();
    const headers = { "x-bf-cache-no-store": "true" };
    await teach(on.gateway, model, body, { headers });
    expect(outcome(await post(on.gateway, model, body, { headers: { "x-bf-cache-ttl": "1s" } }))).toBe("miss");
    await sleep(findableMs);
    expect(outcome(await post(on.gateway, model, body, { headers }))).toBe("direct");
    await sleep(1000);
    expect(outcome(await post(on.gateway, model, body, { headers }))).toBe("miss");
    const refused = await post(on.gateway, model, body, { headers: { "x-bf-cache-ttl": "soon" } });
    expect(refused.status).toBe(400);
    expect(refused.headers["x-amzn-errortype"]).toBe("ValidationException");
    expect(outcome(refused)).toBe("bypass");
    expect(refused.body.toString()).toContain("x-bf-cache-ttl");
    expect((await post(on.gateway, model, body, { headers: { "x-bf-cache-threshold": "much" } })).status).toBe(400);
  });

  test("hits are counted, and the log tells which entry answered", async () => {
    const body = freshTurn();
    await teach(on.gateway, model, body);
    const before = await on.gateway.metric("bifrost_cache_hits_total", { cache_type: "direct" });
    const tokens = await on.gateway.metric("bifrost_input_tokens_total");
    const answer = await post(on.gateway, model, body, { headers: { "x-request-id": "the-hit" } });
    expect(answer.headers["x-bifrost-attempts"]).toBeUndefined();
    expect(await on.gateway.metric("bifrost_cache_hits_total", { cache_type: "direct" })).toBe(before + 1);
    expect(await on.gateway.metric("bifrost_input_tokens_total")).toBe(tokens);
    const line = on.gateway.logs.find(({ requestId }) => requestId === "the-hit");
    expect(line).toMatchObject({ cache: { kind: "direct", entryId: expect.stringMatching(/^[0-9a-f]{64}$/) } });
    expect(line?.costUsd).toBe(0);
  });
});
