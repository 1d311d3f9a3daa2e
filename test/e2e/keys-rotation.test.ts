import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { failure, stream } from "../support/answers.ts";
import type { FakeBedrock } from "../support/fake-bedrock.ts";
import { converseFrames, decodeFrames } from "../support/frames.ts";
import { type RunningGateway, startGateway } from "../support/gateway.ts";
import {
  ask,
  badKey,
  byKey,
  down,
  errorOf,
  fine,
  healthOf,
  keyOf,
  pool,
  startKeyedBedrock,
  throttled,
} from "../support/keys.ts";
import { sleep } from "../support/wait.ts";

// A test has a provider of its own: what one does to its keys is none of the others' business.
const names = ["a", "b", "c"].flatMap((letter) => Array.from({ length: 9 }, (_, index) => `${letter}${index + 1}`));
/** Longer than any test may take: whoever sleeps it is noticed. */
const longBackoff = { max_retries: 2, retry_backoff_initial: 60_000, retry_backoff_max: 60_000 };

let fake: FakeBedrock;
let gateway: RunningGateway;

beforeAll(async () => {
  fake = await startKeyedBedrock(names);
  const { url } = fake;
  gateway = await startGateway({
    config: {
      providers: {
        p1: pool(url, { a1: { weight: 1000 }, b1: { weight: 0 } }, longBackoff),
        p2: pool(url, { a2: {}, b2: {}, c2: {} }, longBackoff),
        p3: pool(url, { a3: {}, b3: {}, c3: {} }, longBackoff),
        p4: pool(url, { a4: {} }),
        p5: pool(url, { a5: { weight: 1000 }, b5: { weight: 0 } }, { max_retries: 2, retry_backoff_initial: 1 }),
        p6: pool(url, { a6: { weight: 1000 }, b6: { weight: 0 } }, { stream_start_timeout_in_seconds: 0.3 }),
        p8: pool(url, { a8: { weight: 1000 }, b8: { weight: 0 } }, { stream_start_timeout_in_seconds: 0.3 }),
        p9: pool(url, { a9: { weight: 1000 }, b9: { weight: 0 } }, longBackoff),
      },
    },
    env: { BIFROST_LOG_LEVEL: "debug" },
    withoutH2: true,
  });
}, 60_000);
beforeEach(() => fake.reset());
afterEach(() => expect(fake.violations).toEqual([]));
afterAll(async () => {
  await gateway?.stop();
  await fake?.[Symbol.asyncDispose]();
}, 30_000);

const askedKeys = () => fake.requests.map(keyOf);
const types = (body: Buffer) => decodeFrames(body).map(({ type }) => type);

describe("a key that is throttled", () => {
  test("A38 is left for the next one at once, and rests for as long as Retry-After says", async () => {
    fake.when("m", byKey({ a1: () => throttled("2") }));
    const before = Date.now();
    const answer = await ask(gateway, "p1/m");
    expect(answer).toMatchObject({ status: 200, headers: { "x-bifrost-key": "b1", "x-bifrost-attempts": "2" } });
    expect(askedKeys()).toEqual(["a1", "b1"]);
    fake.when("m", fine);
    for (let round = 0; round < 3; round++) expect((await ask(gateway, "p1/m")).headers["x-bifrost-key"]).toBe("b1");
    // Its other models go on.
    expect((await ask(gateway, "p1/other")).headers["x-bifrost-key"]).toBe("a1");
    await expect
      .poll(async () => (await ask(gateway, "p1/m")).headers["x-bifrost-key"], { timeout: 5000, interval: 50 })
      .toBe("a1");
    expect(Math.abs(Date.now() - before - 2000)).toBeLessThan(1000);
  });

  test("A38 as the only one is not asked before its Retry-After is over, and that is an hour at most", async () => {
    fake.when("soon", () => throttled("1"));
    fake.when("late", () => throttled("86400"));
    fake.when("date", () => throttled(new Date(Date.now() + 30_000).toUTCString()));
    for (const [model, from, to] of [
      ["soon", 1, 1],
      ["late", 3599, 3600],
      ["date", 28, 30],
    ] as const) {
      expect(errorOf(await ask(gateway, `p4/${model}`))).toMatchObject({ status: 429, type: "ThrottlingException" });
      const refusal = await ask(gateway, `p4/${model}`);
      expect(errorOf(refusal)).toMatchObject({ status: 429, type: "ThrottlingException" });
      const wait = Number(refusal.headers["retry-after"]);
      expect(wait, model).toBeGreaterThanOrEqual(from);
      expect(wait, model).toBeLessThanOrEqual(to);
      expect(fake.all(model), model).toHaveLength(1);
    }
    fake.when("soon", fine);
    await sleep(1000);
    expect((await ask(gateway, "p4/soon")).status).toBe(200);
  });

  test("as the only one, without Retry-After, is asked each time: how long it rests is a guess", async () => {
    fake.when("guess", () => throttled());
    for (let round = 0; round < 3; round++) expect((await ask(gateway, "p4/guess")).status).toBe(429);
    expect(fake.all("guess")).toHaveLength(3);
    fake.when("guess", fine);
    expect((await ask(gateway, "p4/guess")).status).toBe(200);
  });

  test("A48 with all the others means a ThrottlingException with the shortest wait, from the first answer on", async () => {
    fake.when("m", byKey({ a2: () => throttled("40"), b2: () => throttled("9"), c2: () => throttled("30") }));
    const first = await ask(gateway, "p2/m");
    expect(errorOf(first)).toMatchObject({ status: 429, type: "ThrottlingException" });
    expect(askedKeys().sort()).toEqual(["a2", "b2", "c2"]);
    fake.reset();
    const second = await ask(gateway, "p2/m");
    expect(errorOf(second)).toMatchObject({ status: 429, type: "ThrottlingException" });
    expect(errorOf(second).message).toContain("cooling down");
    for (const answer of [first, second]) {
      expect(Number(answer.headers["retry-after"])).toBeLessThanOrEqual(9);
      expect(Number(answer.headers["retry-after"])).toBeGreaterThanOrEqual(7);
    }
    expect(fake.requests).toEqual([]);
    // A model that nobody has throttled is served by the same keys.
    expect((await ask(gateway, "p2/other")).status).toBe(200);
  });
});

describe("a credential that is refused", () => {
  test("A49 in all keys is a 503 that says so, without a pause between them", async () => {
    fake.when("m", badKey);
    const answer = await ask(gateway, "p3/m");
    expect(errorOf(answer)).toMatchObject({ status: 503, type: "ServiceUnavailableException" });
    expect(errorOf(answer).message).toMatch(/^Every configured credential of the provider p3 was refused/);
    expect(errorOf(answer).message).toContain(String(answer.headers["x-amzn-requestid"]));
    expect(askedKeys().sort()).toEqual(["a3", "b3", "c3"]);
    const health = await healthOf(gateway);
    for (const key of ["a3", "b3", "c3"]) expect(health.get(key)).toMatchObject({ state: "refused" });
    // One of them is asked each time: it may have been renewed.
    fake.reset();
    fake.when("m", badKey);
    expect(errorOf(await ask(gateway, "p3/m"))).toMatchObject({ status: 503, type: "ServiceUnavailableException" });
    expect(fake.requests).toHaveLength(1);
    fake.when("m", fine);
    expect((await ask(gateway, "p3/m")).status).toBe(200);
  });

  test("in one key is the next one's turn, and says nothing of a key that was throttled", async () => {
    fake.when("m", byKey({ a9: () => throttled("20"), b9: badKey }));
    expect(errorOf(await ask(gateway, "p9/m"))).toMatchObject({ status: 429, type: "ThrottlingException" });
    expect(askedKeys()).toEqual(["a9", "b9"]);
    // The one that was refused is asked again as long as no other can be; still it is not "every credential".
    expect(errorOf(await ask(gateway, "p9/m"))).toMatchObject({ status: 429, type: "ThrottlingException" });
    expect(askedKeys()).toEqual(["a9", "b9", "b9"]);
  });
});

describe("a failure", () => {
  test.each([
    [400, "ValidationException"],
    [403, "AccessDeniedException"],
    [404, "ResourceNotFoundException"],
    [424, "ModelErrorException"],
  ])("A38 %d %s is never repeated, with no key", async (status, type) => {
    for (const action of ["converse", "converse-stream"]) {
      fake.reset();
      fake.when("m", failure(status, type, "No."));
      expect(errorOf(await ask(gateway, "p5/m", {}, action))).toMatchObject({ status, type, message: "No." });
      expect(askedKeys()).toEqual(["a5"]);
    }
  });

  test("5xx is repeated with the same key as often as max_retries says, then once with each other", async () => {
    fake.when("m", down);
    const answer = await ask(gateway, "p5/m");
    expect(errorOf(answer)).toMatchObject({ status: 503, type: "ServiceUnavailableException", message: "Try later." });
    expect(answer.headers["x-bifrost-attempts"]).toBe("4");
    expect(askedKeys()).toEqual(["a5", "a5", "a5", "b5"]);
  });

  test.each(["converse-stream", "invoke-with-response-stream"])(
    "A40 of %s that has begun is not repeated: the stream ends with an exception",
    async (action) => {
      fake.when("m", stream(converseFrames().slice(0, 3), "destroy"));
      const answer = await ask(gateway, "p5/m", { "x-bf-fallbacks": "p4/m" }, action);
      expect(answer.status).toBe(200);
      expect(decodeFrames(answer.body).at(-1)).toMatchObject({ kind: "exception", type: "modelStreamErrorException" });
      expect(fake.requests).toHaveLength(1);
    },
  );
});

describe("a stream that opens and then is silent", () => {
  const silent = (frames: number) => stream([...converseFrames().slice(0, frames), 20_000]);

  test.each([0, 1])("A19 after %d events is left for another key, and nothing of it leaks", async (frames) => {
    const model = `silent-${frames}`;
    fake.when(model, byKey({ a6: () => silent(frames), b6: () => stream(converseFrames()) }));
    const answer = await ask(gateway, `p6/${model}`, {}, "converse-stream");
    expect(answer).toMatchObject({ status: 200, headers: { "x-bifrost-key": "b6", "x-bifrost-attempts": "2" } });
    expect(types(answer.body).filter((type) => type === "messageStart")).toHaveLength(1);
    expect(types(answer.body).at(-1)).toBe("metadata");
    await expect.poll(() => fake.requests[0]?.aborted, { timeout: 1000 }).toBe(true);
  });

  test("A19 also when not even its headers come", async () => {
    const mute = () => ({ ...stream(converseFrames()), delayMs: 5000 });
    fake.when("mute", byKey({ a6: mute, b6: () => stream(converseFrames()) }));
    const answer = await ask(gateway, "p6/mute", {}, "converse-stream");
    expect(answer).toMatchObject({ status: 200, headers: { "x-bifrost-key": "b6", "x-bifrost-attempts": "2" } });
  });

  test("A19 is waited for where no other key can be asked: disabled, cooling and pinned ones are none", async () => {
    const late = () => stream([900, ...converseFrames()]);
    fake.when("late", byKey({ b8: () => throttled("60") }));
    // The second key rests: it is asked for this model with a pin.
    expect((await ask(gateway, "p8/late", { "x-bf-api-key": "b8" })).status).toBe(429);
    fake.when("late", late);
    fake.when("pinned", late);
    const answers = await Promise.all([
      ask(gateway, "p8/late", {}, "converse-stream"),
      ask(gateway, "p8/pinned", { "x-bf-api-key": "b8" }, "converse-stream"),
    ]);
    for (const answer of answers) {
      expect(answer.status).toBe(200);
      expect(answer.headers["x-bifrost-attempts"]).toBe("1");
      expect(types(answer.body).at(-1)).toBe("metadata");
    }
  });
});
