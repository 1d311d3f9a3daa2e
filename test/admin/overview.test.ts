import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { mask } from "../../src/admin/mask.ts";
import { readConfig } from "../../src/config/load.ts";
import { kit } from "./kit.ts";

const secrets = {
  apiKey: "sk-secret-of-openai",
  token: "secret-bedrock-token",
  access: "AKIASECRETSECRETSECR",
  secret: "secret-secret-key",
  session: "secret-session-token",
  external: "secret-external-id",
  header: "secret-header-value",
  proxy: "http://secret-proxy.example:3128",
  required: "secret-required-value",
  google: '{"private_key":"secret-of-google"}',
};

const config = readConfig(
  {
    client: { required_headers: { "x-team": secrets.required }, allowed_origins: ["https://app.example"] },
    providers: {
      openai: {
        keys: [
          { name: "main", value: secrets.apiKey, weight: 2, models: ["gpt-4o"], aliases: { fast: "gpt-4o-mini" } },
        ],
        network_config: { extra_headers: { "x-extra": secrets.header }, proxy_url: secrets.proxy },
      },
      bedrock: {
        keys: [
          { name: "token", value: secrets.token },
          {
            name: "pair",
            bedrock_key_config: {
              access_key: secrets.access,
              secret_key: secrets.secret,
              session_token: secrets.session,
              external_id: secrets.external,
              region: "eu-central-1",
              role_arn: "arn:aws:iam::1:role/r",
            },
          },
        ],
      },
      vertex: { keys: [{ name: "g", vertex_key_config: { region: "us-central1", auth_credentials: secrets.google } }] },
    },
  },
  {},
  {
    openai: { baseUrl: "https://api.openai.com", keyOptional: false, environment: undefined },
    vertex: { baseUrl: undefined, keyOptional: false, environment: undefined },
  },
);

describe("the configuration in force", () => {
  test.each(["/api/config", "/api/providers", "/api/keys"])("%s has no secret", async (path) => {
    const { send } = await kit({ config });
    const { status, text } = await send("GET", path);
    expect(status).toBe(200);
    for (const secret of Object.values(secrets)) expect(text).not.toContain(JSON.stringify(secret).slice(1, -1));
    expect(text).not.toContain("secret-");
  });

  test("is shown with what is no secret", async () => {
    const { send } = await kit({ config });
    expect((await send("GET", "/api/providers")).body.providers).toMatchObject([
      {
        name: "openai",
        type: "openai",
        keys: 1,
        network_config: { extra_headers: { "x-extra": "****" }, max_retries: 2 },
      },
      { name: "bedrock", type: "bedrock", keys: 2, load_balancing: "weighted" },
      { name: "vertex", type: "vertex", keys: 1 },
    ]);
    const keys = (await send("GET", "/api/keys")).body.keys;
    expect(keys[0]).toMatchObject({
      provider: "openai",
      id: "main",
      name: "main",
      weight: 2,
      enabled: true,
      models: ["gpt-4o"],
      aliases: { fast: "gpt-4o-mini" },
      value: "****",
    });
    expect(keys[2].bedrock_key_config).toMatchObject({
      access_key: "****",
      region: "eu-central-1",
      role_arn: "arn:aws:iam::1:role/r",
    });
    const { body } = await send("GET", "/api/config");
    expect(body.client).toMatchObject({
      required_headers: { "x-team": "****" },
      allowed_origins: ["https://app.example"],
    });
  });

  test("of a gateway without providers has the mock", async () => {
    const mock = readConfig({ providers: { mock: { rules: [{ answer: "x", match: { model: "*" } }] } } }, {}, {});
    const { send } = await kit({ config: mock });
    expect((await send("GET", "/api/providers")).body.providers).toEqual([{ name: "mock", type: "mock", keys: 0 }]);
    expect((await send("GET", "/api/keys")).body.keys).toEqual([]);
  });
});

describe("a mask", () => {
  test("hides text under every name that is not known to be harmless", () => {
    fc.assert(
      fc.property(
        fc.object({
          values: [fc.constant("SECRET"), fc.integer(), fc.boolean()],
          key: fc.constantFrom("value", "secret_key", "new_field", "headers", "extra_headers", "auth_credentials", "0"),
        }),
        (value) => {
          expect(JSON.stringify(mask(value))).not.toContain("SECRET");
        },
      ),
    );
  });

  test("hides what an operator's own names for headers seem to show", () => {
    expect(mask({ extra_headers: { name: "SECRET", id: "SECRET" } })).toEqual({
      extra_headers: { name: "****", id: "****" },
    });
  });

  test("keeps numbers, switches, null, empty text and names", () => {
    const value = { a: 1, b: true, c: null, value: "", name: "n", models: ["*"] };
    expect(mask(value)).toEqual(value);
  });
});
