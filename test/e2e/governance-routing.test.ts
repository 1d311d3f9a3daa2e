/** Where a request goes: rules, and the weights of a virtual key. */
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { type FakeBedrock, startFakeBedrock } from "../support/fake-bedrock.ts";
import { type RunningGateway, startGateway } from "../support/gateway.ts";
import { governedConfig, thousandth } from "../support/governed.ts";
import { ask, down, keyOf, pool, startKeyedBedrock } from "../support/keys.ts";
import { send, userTurn } from "../support/raw-http.ts";

const fakeModel = "vendor.model-v1:0";
const key = { id: "vk-app", name: "app", value: "sk-bf-app", allow_all_providers: true };
const rules = [
  {
    id: "by-header",
    name: "Production goes west",
    priority: 1,
    cel_expression: 'dimensions["env"] == "production"',
    targets: [{ provider: "west", model: "vendor.large" }],
    fallbacks: [`east/${fakeModel}`],
  },
  {
    id: "by-size",
    name: "Long ones go west",
    priority: 0,
    cel_expression: "request_size > 10000",
    targets: [{ provider: "west", model: "vendor.long" }],
  },
  {
    id: "by-key",
    name: "One key for tests",
    priority: 2,
    cel_expression: 'model == "vendor.tested"',
    targets: [{ provider: "east", key_id: "second" }],
  },
];

describe("routing", { timeout: 30_000 }, () => {
  let fake: FakeBedrock;
  let keyed: FakeBedrock;
  let gateway: RunningGateway;

  beforeAll(async () => {
    [fake, keyed] = await Promise.all([startFakeBedrock(), startKeyedBedrock(["first", "second", "westerly"])]);
    const governance = {
      virtual_keys: [
        key,
        {
          id: "vk-weights",
          name: "weights",
          value: "sk-bf-weights",
          provider_configs: [
            { provider: "west", weight: 1, allowed_models: ["vendor.small"] },
            { provider: "east", weight: 0, allowed_models: ["vendor.small"] },
          ],
        },
      ],
      routing_rules: rules,
      pricing_overrides: [thousandth],
    };
    const more = {
      providers: {
        east: pool(keyed.url, { first: { weight: 1_000_000 }, second: { weight: 0.000001 } }),
        west: pool(keyed.url, { westerly: {} }),
      },
    };
    gateway = await startGateway({ config: governedConfig(fake, governance, { more }), withoutH2: true });
  }, 60_000);
  beforeEach(() => keyed.reset());
  afterEach(() => expect(keyed.violations).toEqual([]));
  afterAll(async () => {
    await gateway?.stop();
    await Promise.all([fake?.[Symbol.asyncDispose](), keyed?.[Symbol.asyncDispose]()]);
  }, 30_000);

  const asked = () => keyed.requests.map((request) => [keyOf(request), request.label]);

  test("by a rule sends a request elsewhere, with the rule's fallbacks behind it", async () => {
    const production = { "x-bf-env": "production" };
    const answer = await ask(gateway, "east/vendor.small", production);
    expect([answer.status, answer.headers["x-bifrost-provider"]]).toEqual([200, "west"]);
    expect(asked()).toEqual([["westerly", "vendor.large"]]);
    keyed.reset();
    keyed.when("vendor.large", down());
    const second = await ask(gateway, "east/vendor.small", production);
    expect([second.status, second.headers["x-bifrost-provider"]]).toEqual([200, "east"]);
    expect(asked().map(([, label]) => label)).toEqual(["vendor.large", fakeModel]);
    expect((await ask(gateway, "east/vendor.small")).headers["x-bifrost-provider"]).toBe("east");
  });

  test("by a rule may ask for the size of the request", async () => {
    const body = userTurn("x".repeat(20_000));
    const answer = await send(gateway.url, "/bedrock/model/east%2Fvendor.small/converse", { body });
    expect([answer.status, answer.headers["x-bifrost-model"]]).toEqual([200, "vendor.long"]);
  });

  test("by a rule may name the key", async () => {
    expect((await ask(gateway, "east/vendor.tested")).status).toBe(200);
    expect(asked()).toEqual([["second", "vendor.tested"]]);
  });

  test("by the weights of a virtual key finds the provider of a bare model, and falls back to the others", async () => {
    const weights = { "x-bf-vk": "sk-bf-weights" };
    expect((await ask(gateway, "vendor.small", weights)).headers["x-bifrost-provider"]).toBe("west");
    keyed.queue(down());
    expect((await ask(gateway, "vendor.small", weights)).headers["x-bifrost-provider"]).toBe("east");
    expect((await ask(gateway, "vendor.large", weights)).status).toBe(403);
  });
});
