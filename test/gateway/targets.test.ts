import { createHash } from "node:crypto";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { BedrockError } from "../../src/bedrock/errors.ts";
import { matchOperation } from "../../src/bedrock/operations.ts";
import { observabilitySchema } from "../../src/config/observability.ts";
import { ActiveRequest } from "../../src/gateway/active-request.ts";
import { compilePolicy } from "../../src/gateway/client-policy.ts";
import type { BedrockKey, BedrockProvider, Provider } from "../../src/gateway/providers.ts";
import { attemptTargets } from "../../src/gateway/targets.ts";
import { awsCredentials } from "../../src/upstream/credentials.ts";
import { type Sent, Upstream, UpstreamError, type UpstreamRequest } from "../../src/upstream/dispatch.ts";
import { kit } from "../governance/kit.ts";
import { FakeExchange } from "../support/fake-exchange.ts";
import { keyPool } from "../support/key-pool.ts";
import { inlineOffThread } from "../support/off-thread.ts";

/** What an upstream does, by the name of its provider. */
type Deed = { readonly status: number; readonly type?: string } | "unreachable" | "hang";

const requestIds: Readonly<Record<string, string>> = { one: "id-of-one", two: "id-of-two", three: "id-of-three" };

class FakeUpstream extends Upstream {
  readonly seen: UpstreamRequest[] = [];
  readonly #deeds: Readonly<Record<string, Deed>>;

  constructor(deeds: Readonly<Record<string, Deed>>) {
    super();
    this.#deeds = deeds;
  }

  get asked(): string[] {
    return this.seen.map(({ origin }) => new URL(origin).hostname.replace(".test", ""));
  }

  override send(request: UpstreamRequest): Sent {
    this.seen.push(request);
    const name = this.asked.at(-1) ?? "";
    const deed = this.#deeds[name] ?? { status: 200 };
    if (deed === "unreachable") {
      const error = new UpstreamError("connect", `the upstream could not be reached (${name.toUpperCase()})`);
      return { answer: Promise.reject(error), cancel: () => undefined };
    }
    if (deed === "hang") {
      let cancel = (): void => undefined;
      const answer = new Promise<never>((_, reject) => {
        cancel = () => reject(new UpstreamError("cancelled", "cancelled"));
      });
      return { answer, cancel: () => cancel() };
    }
    const body = Buffer.from(deed.status === 200 ? '{"output":{}}' : '{"message":"said by it"}');
    const headers = {
      "x-amzn-requestid": requestIds[name] ?? "",
      ...(deed.type !== undefined && { "x-amzn-errortype": deed.type }),
    };
    const silent = () => undefined;
    const answer = {
      status: deed.status,
      headers,
      collect: () => Promise.resolve(body),
      read: silent,
      pause: silent,
      resume: silent,
    };
    return { answer: Promise.resolve(answer), cancel: silent };
  }
}

function bedrock(name: string, changes: Partial<BedrockKey> = {}): BedrockProvider {
  const keys: BedrockKey[] = [
    {
      id: `${name}-id`,
      name: `key-of-${name}`,
      enabled: true,
      weight: 1,
      models: ["*"],
      blacklisted_models: [],
      aliases: {},
      region: "us-east-1",
      overrides: { base_url: `http://${name}.test`, endpoints: { agent_runtime: `http://${name}.test` } },
      credentials: { current: () => ({ kind: "sigv4", credentials: awsCredentials("AKID", "secret", undefined) }) },
      signs: true,
      ...changes,
    },
  ];
  return {
    kind: "bedrock",
    name,
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
    retries: { max: 0, initialBackoffMs: 0, maxBackoffMs: 0 },
    streamStartMs: 1000,
    keys,
    pool: keyPool(keys),
    secrets: [],
  };
}

const mock: Provider = { kind: "mock", name: "mock", rules: [] };

interface Setup {
  readonly deeds?: Readonly<Record<string, Deed>>;
  readonly headers?: Readonly<Record<string, string>>;
  readonly path?: string;
  readonly body?: string;
  readonly providers?: readonly Provider[];
}

function setUp(setup: Setup = {}) {
  const { deeds = {}, headers = {}, path = "/model/one%2Fm/converse", body = "{}" } = setup;
  const { providers = [bedrock("one"), bedrock("two"), bedrock("three"), mock] } = setup;
  const upstream = new FakeUpstream(deeds);
  const exchange = new FakeExchange({ headers, body });
  const request = new ActiveRequest(exchange);
  const route = matchOperation("POST", path);
  if (route === undefined) throw new Error(`${path} is no operation's`);
  const hashes: string[] = [];
  const run = () =>
    attemptTargets({
      request,
      route,
      body: Buffer.from(body),
      snapshot: {
        providers,
        policy: compilePolicy({
          allow_direct_keys: true,
          enforce_auth_on_inference: false,
          required_headers: [],
          max_request_body_size_mb: 1,
          allowed_origins: [],
          header_filter: { allow: [], deny: [] },
        }),
        allowDirectKeys: true,
        known: { secretOf: () => undefined },
        governance: kit({}).governance,
        enforceAuth: false,
        observability: observabilitySchema.parse({}),
        recall: undefined,
      },
      services: {
        upstream,
        onProblem: () => undefined,
        offThread: inlineOffThread(),
        hash: (bytes) => {
          hashes.push(bytes.toString());
          return createHash("sha256").update(bytes).digest("hex");
        },
      },
    });
  return { run, request, upstream, hashes };
}

const down: Deed = { status: 503, type: "ServiceUnavailableException" };
const chain = { "x-bf-fallbacks": "two/m2, three/m3" };

beforeEach(() => vi.useFakeTimers());
afterEach(() => vi.useRealTimers());

describe("targets", () => {
  test("are asked until one answers, and the request says which", async () => {
    const { run, request, upstream } = setUp({ deeds: { one: down, two: "unreachable" }, headers: chain });
    expect(await run()).toMatchObject({ kind: "answer", status: 200 });
    expect(upstream.asked).toEqual(["one", "two", "three"]);
    expect(upstream.seen.map(({ path }) => path)).toEqual([
      "/model/m/converse",
      "/model/m2/converse",
      "/model/m3/converse",
    ]);
    expect(request).toMatchObject({
      provider: "three",
      model: "m3",
      key: { name: "key-of-three" },
      attempts: { length: 3 },
      fallbackIndex: 2,
    });
    expect(request.id).toBe("id-of-three");
    expect(request.attempts.map(({ provider, ended }) => [provider, ended?.status, ended?.outcome])).toEqual([
      ["one", 503, "error"],
      ["two", 503, "error"],
      ["three", 200, "success"],
    ]);
  });

  test("that have all failed leave the first one's error, and who gave it", async () => {
    const deeds = { one: down, two: { status: 429, type: "ThrottlingException" }, three: down };
    const { run, request } = setUp({ deeds, headers: chain });
    expect(await run()).toMatchObject({ kind: "failure", reply: { status: 503, type: "ServiceUnavailableException" } });
    expect(request).toMatchObject({
      provider: "one",
      model: "m",
      key: { name: "key-of-one" },
      attempts: { length: 3 },
      fallbackIndex: 0,
    });
    expect(request.id).toBe("id-of-one");
  });

  test("A42 that have all failed are told in the gateway's own words: first cause, last cause, request id", async () => {
    const headers = { ...chain, "x-request-id": "asked-by-the-client" };
    const { run } = setUp({
      deeds: { one: "unreachable", two: down, three: { status: 500, type: "InternalServerException" } },
      headers,
    });
    const { reply } = { reply: undefined, ...(await run()) };
    if (!(reply instanceof BedrockError)) throw new Error("it is not the gateway's error");
    expect(reply).toMatchObject({ type: "ServiceUnavailableException", status: 503 });
    expect(reply.message).toBe(
      "The upstream could not be reached (ONE). No other target answered; the last one, three, failed with " +
        "InternalServerException. Request id: asked-by-the-client.",
    );
  });

  test("behind one whose failure is the request's own are not asked", async () => {
    const { run, upstream } = setUp({
      deeds: { one: down, two: { status: 400, type: "ValidationException" } },
      headers: chain,
    });
    expect(await run()).toMatchObject({ kind: "failure", reply: { status: 503 } });
    expect(upstream.asked).toEqual(["one", "two"]);
  });

  test("that cannot carry the request have failed like any others", async () => {
    const path = "/guardrail-checks/invoke";
    const alone = setUp({ path, providers: [mock] });
    expect(await alone.run()).toMatchObject({ kind: "failure", reply: { type: "ValidationException" } });
    const body = JSON.stringify({ messages: "none" });
    const fallback = setUp({ deeds: { one: down }, headers: { "x-bf-fallbacks": "mock/m" }, body });
    expect(await fallback.run()).toMatchObject({ kind: "failure", reply: { status: 503 } });
    const first = setUp({ path: "/model/mock%2Fm/converse", headers: { "x-bf-fallbacks": "two/m" }, body });
    expect(await first.run()).toMatchObject({ kind: "answer" });
    expect(first.upstream.seen[0]?.body?.toString()).toBe(body);
  });

  test("are not asked once the request is over: what ended it is the answer", async () => {
    const { run, request, upstream } = setUp({ deeds: { one: down, two: "hang" }, headers: chain });
    const late = new BedrockError("ModelTimeoutException", "too late");
    const done = run();
    await vi.waitFor(() => expect(upstream.asked).toEqual(["one", "two"]));
    request.end(late);
    expect(await done).toMatchObject({ kind: "failure", reply: late });
    expect(upstream.asked).toEqual(["one", "two"]);
  });
});

describe("what a client asks of keys", () => {
  test("is for the first target: its own credentials and its pin do not go to fallbacks", async () => {
    const own = { "x-bf-bedrock-api-key": "own-key" };
    const direct = setUp({ deeds: { one: down }, headers: { ...own, "x-bf-fallbacks": "two/m" } });
    expect(await direct.run()).toMatchObject({ kind: "answer" });
    const credentials = direct.upstream.seen.map(({ headers }) => new Map(headers).get("authorization"));
    expect(credentials[0]).toBe("Bearer own-key");
    expect(credentials[1]).toMatch(/^AWS4-HMAC-SHA256 Credential=AKID/);

    const pin = { "x-bf-api-key": "key-of-one", "x-bf-fallbacks": "two/m" };
    const pinned = setUp({ deeds: { one: down }, headers: pin });
    expect(await pinned.run()).toMatchObject({ kind: "answer" });
    expect(pinned.upstream.asked).toEqual(["one", "two"]);
  });

  test("and cannot have is refused, and no fallback takes its place", async () => {
    const { run, upstream } = setUp({ headers: { "x-bf-api-key": "nobody", ...chain } });
    expect(await run()).toMatchObject({ kind: "failure", reply: { type: "ValidationException" } });
    const session = setUp({ headers: { "x-bf-session-id": "", ...chain } });
    await expect(session.run()).rejects.toThrow("x-bf-session-id");
    expect([...upstream.seen, ...session.upstream.seen]).toEqual([]);
  });
});

describe("a body that names the model", () => {
  const body = '{"modelId":"one/film", "n":1e0}';
  const path = "/async-invoke";

  test("gets the key's own name for it, and is hashed as it goes out", async () => {
    const providers = [bedrock("one", { aliases: { Film: "amazon.reel" } })];
    const { run, upstream, hashes } = setUp({ path, body, providers });
    expect(await run()).toMatchObject({ kind: "answer" });
    const sent = upstream.seen[0]?.body?.toString() ?? "";
    expect(sent).toBe('{"modelId":"amazon.reel", "n":1e0}');
    expect(hashes).toEqual([sent]);
  });

  test("that goes out as it came is hashed once, however many keys it takes", async () => {
    const plain = '{"messages":[]}';
    const { run, hashes, upstream } = setUp({ body: plain, deeds: { one: down, two: down }, headers: chain });
    await run();
    expect(upstream.seen).toHaveLength(3);
    expect(hashes).toEqual([plain]);
  });
});
