import { describe, expect, test } from "vitest";
import { answerPage, type PageFacts } from "../../src/gateway/pages.ts";
import { FakeExchange } from "../support/fake-exchange.ts";

const facts: PageFacts = {
  ready: true,
  metricsPage: () => Promise.resolve({ type: "text/plain; version=0.0.4", text: "up 1\n" }),
};

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

  test.each(["/", "/healthz", "/api/keys", "/api/keys/health", "/bedrock/model/m/converse"])(
    "are not at %s",
    (path) => {
      expect(answerPage(new FakeExchange({ method: "GET", path }), facts)).toBeUndefined();
    },
  );

  test.each(["POST", "PUT", "DELETE", "OPTIONS"])("are not for %s", (method) => {
    for (const path of ["/health", "/metrics"]) {
      expect(answerPage(new FakeExchange({ method, path }), facts)).toBeUndefined();
    }
  });
});
