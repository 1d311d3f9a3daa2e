import { describe, expect, test } from "vitest";
import { answerPage, type PageFacts } from "../../src/gateway/pages.ts";
import { FakeExchange } from "../support/fake-exchange.ts";

const facts: PageFacts = {
  ready: true,
  adminToken: undefined,
  metricsPage: () => Promise.resolve({ type: "text/plain; version=0.0.4", text: "up 1\n" }),
  providers: [{ kind: "mock", name: "mock", rules: [] }],
};

class From extends FakeExchange {
  readonly #address: string;
  constructor(address: string, authorization?: string) {
    super({ method: "GET", path: "/api/keys/health", headers: authorization === undefined ? {} : { authorization } });
    this.#address = address;
  }
  override remoteAddress(): string {
    return this.#address;
  }
}

async function get(path: string, changes: Partial<PageFacts> = {}, method = "GET") {
  const exchange = new FakeExchange({ method, path });
  await answerPage(exchange, { ...facts, ...changes });
  return exchange.answer;
}

describe("pages", () => {
  test("say that the process lives, and whether it takes requests", async () => {
    expect(await get("/health")).toMatchObject({ status: 200, body: '{"status":"ok"}' });
    expect(await get("/ready")).toMatchObject({ status: 200, body: '{"status":"ready"}' });
    expect(await get("/ready", { ready: false })).toMatchObject({ status: 503, body: '{"status":"draining"}' });
    expect(await get("/health", { ready: false }, "HEAD")).toMatchObject({ status: 200 });
  });

  test("hold the metrics in their own type", async () => {
    expect(await get("/metrics")).toEqual({
      status: 200,
      headers: [["content-type", "text/plain; version=0.0.4"]],
      body: "up 1\n",
    });
  });

  test.each(["/", "/healthz", "/api/keys", "/api/keys/health/", "/bedrock/model/m/converse"])(
    "are not at %s",
    (path) => {
      expect(answerPage(new FakeExchange({ method: "GET", path }), facts)).toBeUndefined();
    },
  );

  test.each(["POST", "PUT", "DELETE", "OPTIONS"])("are not for %s", (method) => {
    for (const path of ["/health", "/metrics", "/api/keys/health"]) {
      expect(answerPage(new FakeExchange({ method, path }), facts)).toBeUndefined();
    }
  });
});

describe("the health of keys", () => {
  const health = async (exchange: FakeExchange, adminToken?: string) => {
    await answerPage(exchange, { ...facts, adminToken });
    return exchange.answer;
  };
  const refused = { type: "AccessDeniedException", status: 403 };

  test.each([
    "127.0.0.1",
    "127.8.8.8",
    "::1",
    "::ffff:127.0.0.1",
    "0000:0000:0000:0000:0000:0000:0000:0001",
    "0000:0000:0000:0000:0000:ffff:7f00:0001",
  ])("is there for %s without a token", async (address) => {
    expect(await health(new From(address))).toMatchObject({ status: 200, body: '{"keys":[]}' });
  });

  test.each([
    "10.0.0.1",
    "128.0.0.1",
    "::ffff:10.0.0.1",
    "2001:db8::1",
    "0000:0000:0000:0000:0000:ffff:0a7f:0001",
    "127x",
    "",
  ])("is not there for %j without a token", async (address) => {
    await expect(health(new From(address))).rejects.toMatchObject(refused);
  });

  test("is there for whoever has the token, and for nobody else", async () => {
    expect(await health(new From("10.0.0.1", "Bearer secret"), "secret")).toMatchObject({ status: 200 });
    for (const given of [undefined, "", "Bearer ", "Bearer secre", "Bearer secrett", "Basic secret", "secret"]) {
      await expect(health(new From("127.0.0.1", given), "secret"), String(given)).rejects.toMatchObject(refused);
    }
  });
});
