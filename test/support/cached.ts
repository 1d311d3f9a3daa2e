/** Requests that take part in the semantic cache, at a gateway in front of fakes that count. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, beforeEach, expect } from "vitest";
import { type FakeBedrock, startFakeBedrock } from "./fake-bedrock.ts";
import { type FakeProviders, startFakeProviders } from "./fake-providers.ts";
import { decodeFrames, payloadOf } from "./frames.ts";
import { type GatewayOptions, type RunningGateway, relayConfig, startGateway } from "./gateway.ts";
import { type RawAnswer, type RawRequest, send, userTurn } from "./raw-http.ts";
import { sleep } from "./wait.ts";

/** An entry can be found by everybody this long after its answer. Milliseconds. */
export const findableMs = 500;

export type Headers = Readonly<Record<string, string>>;

export interface Asking {
  readonly action?: "converse" | "converse-stream" | "invoke" | "invoke-with-response-stream";
  /** By default `app`; null sends none. */
  readonly key?: string | null;
  readonly headers?: Headers;
  readonly signal?: AbortSignal;
}

export function post(
  gateway: Pick<RunningGateway, "url">,
  model: string,
  body: string | object,
  { action = "converse", key = "app", headers = {}, signal }: Asking = {},
): Promise<RawAnswer> {
  const request: RawRequest = {
    body: typeof body === "string" ? body : JSON.stringify(body),
    headers: { ...(key !== null && { "x-bf-cache-key": key }), ...headers },
    ...(signal !== undefined && { signal }),
  };
  return send(gateway.url, `/bedrock/model/${encodeURIComponent(model)}/${action}`, request);
}

/** How the cache had part in an answer. */
export function outcome({ headers }: RawAnswer): unknown {
  return headers["x-bifrost-cache"];
}

/** Asks, and waits until everybody can find what was answered. */
export async function teach(
  gateway: Pick<RunningGateway, "url">,
  model: string,
  body: string | object,
  asking: Asking = {},
): Promise<RawAnswer> {
  const answer = await post(gateway, model, body, asking);
  if (outcome(answer) !== "miss") throw new Error(`it was no miss but ${String(outcome(answer))}`);
  await sleep(findableMs);
  return answer;
}

/** A body that nobody has asked before. */
export function freshTurn(more: object = {}): string {
  count++;
  return userTurn(`Tell me about item ${process.pid}-${count}.`, more);
}

let count = 0;

/** What a Converse answer or the frames of a ConverseStream say. */
export function said(answer: RawAnswer): string {
  if (answer.headers["content-type"] === "application/json") return saidWhole(JSON.parse(answer.body.toString()));
  return decodeFrames(answer.body)
    .filter(({ type }) => type === "contentBlockDelta")
    .map((frame) => String(member(member(payloadOf(frame), "delta"), "text")))
    .join("");
}

function saidWhole(body: unknown): string {
  const content = member(member(member(body, "output"), "message"), "content");
  return Array.isArray(content) ? content.map((block) => String(member(block, "text"))).join("") : "";
}

export function member(value: unknown, name: string): unknown {
  return typeof value === "object" && value !== null ? new Map(Object.entries(value)).get(name) : undefined;
}

/** What {@link inFrontOfFakes} gives to the tests: valid within them. */
export interface CachedStage {
  readonly fake: FakeBedrock;
  readonly fakes: FakeProviders;
  readonly gateway: RunningGateway;
}

/**
 * Registers hooks for the tests of a file or a `describe`: one gateway in front of both fakes, which forget between tests
 * what they were asked and must have been asked as they should.
 */
export function inFrontOfFakes(
  start: (fakes: Omit<CachedStage, "gateway">) => Promise<RunningGateway>,
  options: Parameters<typeof startFakeBedrock>[0] = {},
): CachedStage {
  let fake: FakeBedrock | undefined;
  let fakes: FakeProviders | undefined;
  let gateway: RunningGateway | undefined;
  beforeAll(async () => {
    fake = await startFakeBedrock(options);
    fakes = await startFakeProviders();
    gateway = await start({ fake, fakes });
  }, 60_000);
  beforeEach(() => {
    fake?.reset();
    fakes?.reset();
  });
  afterEach(() => {
    expect(fake?.violations).toEqual([]);
    expect(fakes?.violations()).toEqual([]);
  });
  afterAll(async () => {
    await gateway?.stop();
    await fake?.[Symbol.asyncDispose]();
    await fakes?.[Symbol.asyncDispose]();
  }, 30_000);
  const started = <T>(one: T | undefined): T => {
    if (one === undefined) throw new Error("the tests have not begun");
    return one;
  };
  return {
    get fake() {
      return started(fake);
    },
    get fakes() {
      return started(fakes);
    },
    get gateway() {
      return started(gateway);
    },
  };
}

/** What {@link ownGateways} gives to the tests: valid within them. */
export interface OwnGateways {
  readonly fake: FakeBedrock;
  /** The test's own, and empty when it begins. Gateways have their data there unless told otherwise. */
  readonly folder: string;
  /** Starts a gateway in front of the fake, with that section for its cache. It ends with the test. */
  readonly start: (section?: object, env?: NonNullable<GatewayOptions["env"]>) => Promise<RunningGateway>;
  /** Ends another gateway with the test. */
  readonly keep: (gateway: RunningGateway) => RunningGateway;
}

/** Registers hooks for tests that each start their own gateways. @param name of the folders */
export function ownGateways(name: string): OwnGateways {
  let fake: FakeBedrock | undefined;
  let folder = "";
  const running: RunningGateway[] = [];
  beforeAll(async () => {
    fake = await startFakeBedrock();
  });
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), `bifrost-${name}-`));
  });
  afterEach(async () => {
    for (const gateway of running.splice(0)) await gateway.stop();
    rmSync(folder, { recursive: true, force: true });
    expect(fake?.violations).toEqual([]);
    fake?.reset();
  });
  afterAll(async () => {
    await fake?.[Symbol.asyncDispose]();
  });
  const started = (): FakeBedrock => {
    if (fake === undefined) throw new Error("the tests have not begun");
    return fake;
  };
  const keep = (gateway: RunningGateway): RunningGateway => {
    running.push(gateway);
    return gateway;
  };
  return {
    get fake() {
      return started();
    },
    get folder() {
      return folder;
    },
    start: async (section = {}, env = {}) =>
      keep(
        await startGateway({
          config: withCache(started(), section),
          env: { BIFROST_FRONTENDS: "1", BIFROST_DATA_DIR: folder, ...env },
          withoutH2: true,
        }),
      ),
    keep,
  };
}

/** The fake, and a cache. */
export function withCache(fake: FakeBedrock, section: object = {}): object {
  return relayConfig(fake.url, { more: { semantic_cache: { enabled: true, ...section } } });
}

/** Providers of both fakes, and a cache. */
export function cachedConfig({ fake, fakes }: Omit<CachedStage, "gateway">, section: object = {}): object {
  const relayed = withCache(fake, section);
  return { ...relayed, providers: { ...fakes.config(), ...Object(member(relayed, "providers")) } };
}
