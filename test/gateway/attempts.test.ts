import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { BedrockError } from "../../src/bedrock/errors.ts";
import { matchOperation } from "../../src/bedrock/operations.ts";
import { ActiveRequest } from "../../src/gateway/active-request.ts";
import type { Attempted } from "../../src/gateway/attempt.ts";
import { backoffMs, walkKeys } from "../../src/gateway/attempts.ts";
import { configuredKeys, readPin } from "../../src/gateway/key-source.ts";
import type { BedrockKey, BedrockProvider, Retries } from "../../src/gateway/providers.ts";
import { relay } from "../../src/gateway/relay.ts";
import { readAnswerFacts } from "../../src/gateway/relay-facts.ts";
import { CredentialsError, type Resolved } from "../../src/upstream/credentials.ts";
import {
  type Sent,
  Upstream,
  type UpstreamAnswer,
  UpstreamError,
  type UpstreamRequest,
} from "../../src/upstream/dispatch.ts";
import { Secret } from "../../src/upstream/secret.ts";
import { FakeExchange } from "../support/fake-exchange.ts";
import { keyPool } from "../support/key-pool.ts";

/** What the upstream does with one call. */
type Deed = { readonly status: number; readonly type?: string; readonly body?: string } | UpstreamError | "hang";

function answerOf(deed: Exclude<Deed, UpstreamError | "hang">): UpstreamAnswer {
  const body = Buffer.from(deed.body ?? '{"message":"m"}');
  return {
    status: deed.status,
    headers: { "content-type": "application/json", ...(deed.type && { "x-amzn-errortype": deed.type }) },
    collect: () => Promise.resolve(body),
    read: () => undefined,
    pause: () => undefined,
    resume: () => undefined,
  };
}

/** An upstream without a network, which does with each call what the test says. */
class FakeUpstream extends Upstream {
  readonly seen: { readonly token: string; readonly request: UpstreamRequest }[] = [];
  cancelled = 0;
  readonly #deeds: Deed[];

  constructor(deeds: readonly Deed[]) {
    super();
    this.#deeds = [...deeds];
  }

  override send(request: UpstreamRequest): Sent {
    const authorization = request.headers.find(([name]) => name === "authorization")?.[1] ?? "";
    this.seen.push({ token: authorization.replace("Bearer ", ""), request });
    const deed = this.#deeds.shift();
    if (deed === undefined) throw new Error("one call too many");
    let cancel = (): void => undefined;
    const answer = new Promise<UpstreamAnswer>((resolve, reject) => {
      cancel = () => {
        this.cancelled++;
        reject(new UpstreamError("cancelled", "cancelled"));
      };
      if (deed instanceof UpstreamError) reject(deed);
      else if (deed !== "hang") resolve(answerOf(deed));
    });
    return { answer, cancel };
  }
}

const ok: Deed = { status: 200, body: '{"output":{}}' };
const throttled: Deed = { status: 429, type: "ThrottlingException" };
const refused: Deed = { status: 403, type: "UnrecognizedClientException" };
const down: Deed = { status: 503, type: "ServiceUnavailableException" };
const denied: Deed = { status: 403, type: "AccessDeniedException" };

function key(name: string, changes: Partial<BedrockKey> = {}): BedrockKey {
  const resolved: Resolved = { kind: "bearer", token: new Secret(name) };
  return {
    id: `${name}-id`,
    name,
    enabled: true,
    weight: 1,
    models: ["*"],
    blacklisted_models: [],
    aliases: {},
    region: "us-east-1",
    overrides: {},
    credentials: { current: () => resolved },
    signs: false,
    ...changes,
  };
}

interface Setup {
  readonly keys?: readonly BedrockKey[];
  readonly deeds?: readonly Deed[];
  readonly max?: number;
  readonly headers?: Readonly<Record<string, string>>;
  readonly model?: string;
  readonly isUntimed?: boolean;
}

function setUp(setup: Setup = {}) {
  const { keys = [key("a")], deeds = [ok], max = 2, headers = {}, model = "m", isUntimed = false } = setup;
  const upstream = new FakeUpstream(deeds);
  const provider: BedrockProvider = {
    kind: "bedrock",
    name: "bedrock",
    network: {
      max_conns_per_host: 1,
      default_request_timeout_in_seconds: 1,
      stream_idle_timeout_in_seconds: 1,
      allow_private_network: false,
      ca_cert_pem: null,
      insecure_skip_verify: false,
      proxy_url: null,
    },
    extraHeaders: [],
    retries: { max, initialBackoffMs: 100, maxBackoffMs: 1000 },
    streamStartMs: 1000,
    keys,
    secrets: [],
    pool: keyPool(keys),
  };
  const route = matchOperation("POST", `/model/${model}/converse`);
  if (route === undefined) throw new Error("no route");
  const body = Buffer.from("{}");
  const bodyHash = () => "0".repeat(64);
  const readers = { readFacts: readAnswerFacts, countImages: () => 0 };
  const call = { route, region: undefined, query: "", headers: [], body, bodyHash, ...readers };
  const exchange = new FakeExchange({ headers });
  const request = new ActiveRequest(exchange);
  const statuses = () => request.attempts.map(({ ended }) => ended?.status);
  const run = (): Promise<Attempted> =>
    walkKeys(request, {
      provider,
      asked: model,
      keys: configuredKeys(provider.pool, { model, pin: readPin(exchange.headers) }),
      pin: readPin(exchange.headers),
      own: false,
      isLast: true,
      isUntimed,
      attempt: (chosen, name, patienceMs) =>
        relay(request, { ...call, model: name, patienceMs }, provider, chosen, upstream),
    });
  const tokens = () => upstream.seen.map(({ token }) => token);
  const health = () => provider.pool.ring.health(Date.now());
  return { upstream, exchange, request, statuses, run, tokens, health };
}

beforeEach(() => vi.useFakeTimers());
afterEach(() => vi.useRealTimers());

async function settled<T>(promise: Promise<T>): Promise<T> {
  promise.catch(() => undefined);
  await vi.runAllTimersAsync();
  return promise;
}

describe("one key", () => {
  test("is timed by its answers, but not by those whose length says nothing of it", async () => {
    for (const isUntimed of [false, true]) {
      const { run, health } = setUp({ isUntimed });
      await settled(run());
      expect(health()).toMatchObject([{ served: 1 }]);
      expect(health()[0]?.msPerToken === undefined).toBe(isUntimed);
    }
  });

  test("that is pinned and refused upstream is told as such, and not as missing", async () => {
    const { run } = setUp({ keys: [key("a"), key("b")], deeds: [refused], headers: { "x-bf-api-key": "a" } });
    expect(await settled(run())).toMatchObject({
      kind: "failure",
      reply: { type: "ServiceUnavailableException", message: expect.stringContaining("was refused upstream") },
    });
  });

  test("that answers is asked once", async () => {
    const { run, request, statuses, tokens } = setUp();
    expect(await settled(run())).toMatchObject({ kind: "answer", status: 200 });
    expect(tokens()).toEqual(["a"]);
    expect(statuses()).toEqual([200]);
    expect(request).toMatchObject({ provider: "bedrock", key: { name: "a" }, model: "m", attempts: { length: 1 } });
  });

  test("is asked again after 5xx and network faults, as often as the configuration says, and no more", async () => {
    const broken = new UpstreamError("broken", "reset");
    const { run, request, statuses } = setUp({ deeds: [down, broken, { status: 500 }], max: 2 });
    expect(await settled(run())).toMatchObject({ kind: "failure", reply: { status: 500 } });
    expect(request.attempts).toHaveLength(3);
    expect(statuses()).toEqual([503, 503, 500]);
  });

  test("is not asked again when the configuration says so", async () => {
    const { run, request } = setUp({ deeds: [down], max: 0 });
    expect(await settled(run())).toMatchObject({ kind: "failure", reply: { status: 503 } });
    expect(request.attempts).toHaveLength(1);
  });

  test.each<readonly [string, Deed, number]>([
    ["the request's own fault", { status: 400, type: "ValidationException" }, 400],
    ["missing permission, which another key of the same account has not either", denied, 403],
    ["a model's error", { status: 424, type: "ModelErrorException" }, 424],
    ["a timeout: the model may have done its work", new UpstreamError("timeout", "too slow"), 408],
    ["an address that must not be called", new UpstreamError("refused_address", "metadata"), 503],
    ["a request that HTTP cannot carry", new UpstreamError("unsendable", "invalid header"), 400],
    ["an answer that is none", { status: 200, body: "<html>" }, 424],
  ])("is not asked again after %s", async (_what, deed, status) => {
    const { run, request } = setUp({ keys: [key("a"), key("b")], deeds: [deed] });
    expect(await settled(run())).toMatchObject({ kind: "failure", reply: { status } });
    expect(request.attempts).toHaveLength(1);
  });

  test("waits longer before each repetition", async () => {
    vi.spyOn(Math, "random").mockReturnValue(0.5);
    const { run, request } = setUp({ deeds: [down, down, ok], max: 5 });
    const done = run();
    await vi.advanceTimersByTimeAsync(99);
    expect(request.attempts).toHaveLength(1);
    await vi.advanceTimersByTimeAsync(1);
    expect(request.attempts).toHaveLength(2);
    await vi.advanceTimersByTimeAsync(199);
    expect(request.attempts).toHaveLength(2);
    await vi.advanceTimersByTimeAsync(1);
    expect(request.attempts).toHaveLength(3);
    expect(await done).toMatchObject({ kind: "answer" });
    vi.restoreAllMocks();
  });
});

describe("several keys", () => {
  const three = [key("a"), key("b"), key("c")];

  test("are each tried once after 429, at once, and the last answer is the client's", async () => {
    const { run, tokens } = setUp({ keys: three, deeds: [throttled, throttled, throttled] });
    const done = run();
    await vi.advanceTimersByTimeAsync(0);
    expect(await done).toMatchObject({ kind: "failure", reply: { status: 429, type: "ThrottlingException" } });
    expect(tokens().sort()).toEqual(["a", "b", "c"]);
  });

  test("end with the first that answers", async () => {
    const { run, request, tokens } = setUp({ keys: three, deeds: [throttled, ok] });
    expect(await settled(run())).toMatchObject({ kind: "answer" });
    expect(tokens()).toHaveLength(2);
    expect(request.key?.name).toBe(tokens()[1]);
  });

  test("A49 with refused credentials are walked without a pause, and end in a 503 that says so", async () => {
    const { run, tokens } = setUp({ keys: three, deeds: [refused, { status: 401 }, refused] });
    const done = run();
    await vi.advanceTimersByTimeAsync(0);
    const attempted = await done;
    expect(attempted).toMatchObject({ kind: "failure", reply: { type: "ServiceUnavailableException", status: 503 } });
    if (attempted.kind === "failure" && attempted.reply instanceof BedrockError)
      expect(attempted.reply.message).toMatch(/credential.*UnrecognizedClientException/);
    expect(tokens()).toHaveLength(3);
  });

  test("whose credentials cannot be had are passed over", async () => {
    const broken = key("broken", {
      weight: 1000,
      credentials: { current: () => Promise.reject(new CredentialsError("STS said no")) },
    });
    const never = key("never", { weight: 0 });
    const { run, tokens } = setUp({ keys: [broken, never], deeds: [ok] });
    expect(await settled(run())).toMatchObject({ kind: "answer" });
    expect(tokens()).toEqual(["never"]);
  });

  test("are asked by the name each of them has for the model", async () => {
    const named = [
      key("a", { aliases: { claude: "us.claude-a:0" } }),
      key("b", { weight: 0, aliases: { claude: "b/é" } }),
    ];
    const { run, request, upstream } = setUp({ keys: named, deeds: [throttled, ok], model: "claude" });
    await settled(run());
    expect(upstream.seen.map(({ request: { path } }) => path)).toEqual([
      "/model/us.claude-a%3A0/converse",
      "/model/b%2F%C3%A9/converse",
    ]);
    expect(request.model).toBe("b/é");
  });
});

describe("keys that are not fit", () => {
  test("are not asked, and without a fit one the model is not served", async () => {
    const keys = [
      key("off", { enabled: false }),
      key("other", { models: ["other"] }),
      key("black", { blacklisted_models: ["m"] }),
    ];
    const { run, tokens } = setUp({ keys });
    expect(await settled(run())).toMatchObject({ kind: "failure", reply: { type: "ResourceNotFoundException" } });
    expect(tokens()).toEqual([]);
  });
});

describe("a pin", () => {
  const keys = [key("a"), key("b", { weight: 0 })];

  test.each([
    { "x-bf-api-key": "b" },
    { "x-bf-api-key-id": "b-id" },
    { "x-bf-api-key-id": "b-id", "x-bf-api-key": "a" },
  ])("%j takes that key alone", async (headers) => {
    const { run, tokens } = setUp({ keys, headers, deeds: [throttled] });
    expect(await settled(run())).toMatchObject({ kind: "failure", reply: { status: 429 } });
    expect(tokens()).toEqual(["b"]);
  });

  test.each([
    [{ "x-bf-api-key": "nobody" }, "x-bf-api-key: "],
    [{ "x-bf-api-key-id": "a" }, "x-bf-api-key-id: "],
    [{ "x-bf-api-key": "" }, "x-bf-api-key: "],
  ])("%j on a key that there is not is refused by the header's name", async (headers, start) => {
    const { run } = setUp({ keys, headers });
    const reply = { type: "ValidationException", message: expect.stringContaining(start) };
    expect(await settled(run())).toMatchObject({ kind: "failure", elsewhere: false, reply });
  });

  test("on a key that is unfit says why", async () => {
    const off = setUp({ keys: [key("a", { enabled: false })], headers: { "x-bf-api-key": "a" } });
    expect(await settled(off.run())).toMatchObject({ reply: { message: expect.stringContaining("not enabled") } });
    const other = setUp({ keys: [key("a", { models: [] })], headers: { "x-bf-api-key": "a" } });
    expect(await settled(other.run())).toMatchObject({
      reply: { type: "ValidationException", message: expect.stringContaining("does not serve") },
    });
  });
});

describe("a request that ends early", () => {
  const late = new BedrockError("ModelTimeoutException", "x-bf-timeout-ms");

  test("has its upstream call cancelled, and no other is made", async () => {
    const { run, request, upstream, statuses } = setUp({ keys: [key("a"), key("b")], deeds: ["hang"] });
    const done = run();
    await vi.advanceTimersByTimeAsync(10);
    request.end(late);
    expect(await done).toMatchObject({ kind: "failure", retry: "nobody", reply: late });
    expect(upstream).toMatchObject({ cancelled: 1 });
    expect(statuses()).toEqual([408]);
  });

  test("because its client left counts as that", async () => {
    const { run, exchange, upstream, statuses } = setUp({ deeds: ["hang"] });
    const done = run();
    await vi.advanceTimersByTimeAsync(10);
    exchange.leave();
    expect(await done).toMatchObject({ kind: "failure", retry: "nobody" });
    expect(upstream.cancelled).toBe(1);
    expect(statuses()).toEqual([499]);
  });

  test("in the pause before a repetition waits no longer", async () => {
    const { run, request, exchange } = setUp({ deeds: [down] });
    const done = run();
    await vi.advanceTimersByTimeAsync(1);
    exchange.leave();
    expect(await done).toMatchObject({ kind: "failure" });
    expect(request.attempts).toHaveLength(1);
    expect(vi.getTimerCount()).toBe(0);
  });

  test("while credentials are fetched waits no longer for them, and sends nothing", async () => {
    const slow = key("slow", { credentials: { current: () => new Promise<Resolved>(() => undefined) } });
    const { run, request, tokens } = setUp({ keys: [slow] });
    const done = run();
    await vi.advanceTimersByTimeAsync(1);
    request.end(late);
    expect(await done).toMatchObject({ kind: "failure", reply: late });
    expect(tokens()).toEqual([]);
  });
});

describe("the pause before a repetition", () => {
  const retries: Retries = { max: 10, initialBackoffMs: 200, maxBackoffMs: 5000 };

  test("doubles, up to a limit", () => {
    const pauses = [0, 1, 2, 3, 4, 5, 6, 60].map((attempt) => backoffMs(retries, attempt, 0.5));
    expect(pauses).toEqual([200, 400, 800, 1600, 3200, 5000, 5000, 5000]);
  });

  test("is spread by a fifth in both directions", () => {
    expect(backoffMs(retries, 0, 0)).toBeCloseTo(160);
    expect(backoffMs(retries, 0, 1)).toBeCloseTo(240);
  });
});
