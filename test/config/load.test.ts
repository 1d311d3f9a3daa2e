import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { afterAll, describe, expect, test } from "vitest";
import { loadConfig, readConfig } from "../../src/config/load.ts";
import { ConfigError } from "../../src/config/problems.ts";

const catalogue = {
  openai: { baseUrl: "https://api.openai.com", keyOptional: false, environment: "OPENAI_API_KEY" },
  vllm: { baseUrl: undefined, keyOptional: true, environment: undefined },
  azure: { baseUrl: undefined, keyOptional: false, environment: "AZURE_OPENAI_API_KEY" },
  vertex: { baseUrl: undefined, keyOptional: false, environment: undefined },
};
const folder = mkdtempSync(join(tmpdir(), "bifrost-config-"));
afterAll(() => rmSync(folder, { recursive: true }));

function problemsOf(json: unknown, environment: NodeJS.ProcessEnv = {}): readonly string[] {
  try {
    readConfig(json, environment, catalogue);
  } catch (error) {
    if (error instanceof ConfigError) return error.problems;
    throw error;
  }
  return [];
}

const key = { name: "main", value: "token" };
const bedrock = (keys: readonly object[], more: object = {}) => ({ providers: { bedrock: { keys, ...more } } });

describe("a configuration", () => {
  test("has the documented defaults", () => {
    const { client, providers } = readConfig(bedrock([key]), {}, catalogue);
    expect(client).toEqual({
      allow_direct_keys: false,
      enforce_auth_on_inference: false,
      required_headers: [],
      max_request_body_size_mb: 100,
      allowed_origins: [],
      header_filter: { allow: [], deny: [] },
    });
    expect(providers.bedrock).toMatchObject({
      kind: "bedrock",
      keys: [
        { id: "main", name: "main", enabled: true, weight: 1, models: ["*"], blacklisted_models: [], aliases: {} },
      ],
      network_config: {
        base_url: null,
        default_request_timeout_in_seconds: 300,
        stream_idle_timeout_in_seconds: 300,
        max_retries: 2,
        retry_backoff_initial: 200,
        retry_backoff_max: 5000,
        max_conns_per_host: 512,
        extra_headers: {},
        allow_private_network: false,
        ca_cert_pem: null,
        insecure_skip_verify: false,
        proxy_url: null,
      },
    });
  });

  test("takes the neutral form of sections whose feature it lacks, and null where a value may be missing", () => {
    const config = {
      $schema: "./config.schema.json",
      governance: {
        customers: [],
        teams: [],
        virtual_keys: [],
        routing_rules: [],
        model_limits: [],
        pricing_overrides: [],
      },
      semantic_cache: { enabled: false },
      observability: {},
      storage: { kind: "sqlite" },
      ...bedrock([
        {
          name: "us-main",
          models: ["*"],
          bedrock_key_config: {
            access_key: "AK",
            secret_key: "SK",
            session_token: null,
            region: "us-east-1",
            profile: null,
            role_arn: null,
            external_id: null,
            session_name: null,
            endpoints: { runtime: null, control: null, agent_runtime: null, s3: null },
          },
        },
      ]),
    };
    expect(problemsOf(config)).toEqual([]);
  });

  test.each<[string, unknown, string]>([
    ["an unknown section", { clinet: {} }, "clinet: is not a known field"],
    [
      "an unknown field deep inside",
      bedrock([{ ...key, wieght: 1 }]),
      "providers.bedrock.keys[0].wieght: is not a known field",
    ],
    ["a wrong type", bedrock([{ ...key, weight: "heavy" }]), "providers.bedrock.keys[0].weight: "],
    ["a missing name", bedrock([{ value: "x" }]), "providers.bedrock.keys[0].name: "],
    ["no keys", bedrock([]), "providers.bedrock.keys: "],
    [
      "a region that is none",
      bedrock([{ ...key, bedrock_key_config: { region: "evil.example/" } }]),
      "bedrock_key_config.region: must be the name of an AWS region",
    ],
    [
      "half of an access key",
      bedrock([{ name: "x", bedrock_key_config: { access_key: "AK" } }]),
      "bedrock_key_config.secret_key: half of an access key",
    ],
    [
      "a base URL with a user",
      bedrock([key], { network_config: { base_url: "http://u:p@h/" } }),
      "network_config.base_url: must be an http",
    ],
    [
      "a header name that is none",
      bedrock([key], { network_config: { extra_headers: { "a b": "c" } } }),
      "network_config.extra_headers",
    ],
    [
      "a header value with a line break",
      bedrock([key], { network_config: { extra_headers: { a: "b\r\nc: d" } } }),
      "network_config.extra_headers.a",
    ],
    ["two keys of one name", bedrock([key, key]), "providers.bedrock.keys[1].name: another key has the same name"],
    [
      "two keys of one id",
      bedrock([key, { ...key, name: "MAIN" }]),
      "providers.bedrock.keys[1].id: another key has the same id",
    ],
    ["a provider nobody knows", { providers: { acme: { keys: [key] } } }, "providers.acme: is not a known provider"],
    [
      "a custom provider of an unknown kind",
      { providers: { acme: { custom_provider_config: { base_provider_type: "smtp" } } } },
      "providers.acme.custom_provider_config.base_provider_type",
    ],
    ["a provider name that would break a path", { providers: { "a/b": { keys: [key] } } }, 'providers["a/b"]: '],
    [
      "a regular expression that is none",
      { client: { required_headers: { "x-a": "regex:(" } } },
      "client.required_headers",
    ],
    ["a wrong time to live", { semantic_cache: { ttl: "soon" } }, "semantic_cache.ttl: must be seconds"],
    ["no object", [], "the file: "],
  ])("with %s is refused by its path", (_what, json, problem) => {
    expect(problemsOf(json).join("\n")).toContain(problem);
  });

  test("with several faults names them all at once", () => {
    const problems = problemsOf({ clinet: {}, ...bedrock([{ ...key, weight: -1, models: "all" }]) });
    expect(problems).toHaveLength(3);
  });

  test("allows a second Bedrock under a name of its own", () => {
    const config = readConfig(
      { providers: { "my-bedrock": { custom_provider_config: { base_provider_type: "bedrock" }, keys: [key] } } },
      {},
      catalogue,
    );
    expect(config.providers["my-bedrock"]?.kind).toBe("bedrock");
  });

  test("allows a server that speaks OpenAI's API under a name of its own, with or without a key", () => {
    const server = {
      custom_provider_config: { base_provider_type: "openai" },
      network_config: { base_url: "http://127.0.0.1:8000" },
      keys: [{ name: "local", value: "none" }],
    };
    const { providers } = readConfig({ providers: { "my-vllm": server } }, {}, catalogue);
    expect(providers["my-vllm"]).toMatchObject({ kind: "translated", type: "openai", keys: [{ id: "local" }] });
  });

  test("never throws anything but a ConfigError, whatever the JSON", () => {
    fc.assert(
      fc.property(fc.jsonValue(), (json) => {
        problemsOf(json);
        problemsOf({ providers: json, client: json, governance: json });
        problemsOf({ providers: { bedrock: json, mock: json, other: json } });
      }),
    );
  });
});

describe("references to the environment", () => {
  test("stand for the variable's value in any string", () => {
    const config = readConfig(
      bedrock([{ name: "env.KEY_NAME", value: "env.TOKEN", aliases: { fast: "env.MODEL" } }]),
      {
        KEY_NAME: "prod",
        TOKEN: "s3cret",
        MODEL: "vendor.model",
      },
      catalogue,
    );
    expect(config.providers.bedrock).toMatchObject({
      keys: [{ name: "prod", value: "s3cret", aliases: { fast: "vendor.model" } }],
    });
  });

  test("to a variable that is not set are refused by path and name", () => {
    expect(problemsOf(bedrock([{ name: "x", value: "env.MISSING" }]))).toEqual([
      "providers.bedrock.keys[0].value: the environment variable MISSING is not set",
    ]);
  });

  test("never show their value in a problem", () => {
    const secret = "canary-0123456789";
    const problems = problemsOf(
      bedrock(
        [{ name: "x", weight: "env.S", models: "env.S", bedrock_key_config: { region: "env.S", access_key: "env.S" } }],
        {
          network_config: { base_url: "env.S", max_retries: "env.S" },
        },
      ),
      { S: secret },
    );
    expect(problems.length).toBeGreaterThan(4);
    expect(problems.join("\n")).not.toContain(secret);
  });
});

describe("loading", () => {
  const file = (text: string): string => {
    const path = join(folder, "config.json");
    writeFileSync(path, text);
    return path;
  };

  test("names the file and the place of broken JSON, without its text", async () => {
    const path = file('{"providers": {"bedrock": "canary-secret" oops}}');
    await expect(loadConfig({ configPath: path }, {}, catalogue)).rejects.toThrow(/is not JSON/);
    await expect(loadConfig({ configPath: path }, {}, catalogue)).rejects.not.toThrow(/canary/);
  });

  test("accepts a byte order mark", async () => {
    await expect(loadConfig({ configPath: file('\uFEFF{"providers": {}}') }, {}, catalogue)).resolves.toMatchObject({
      source: "none",
    });
  });

  test("with a file that names no provider serves with the mock", async () => {
    const { config, source } = await loadConfig({ configPath: file("{}") }, { AWS_REGION: "eu-west-1" }, catalogue);
    expect(source).toBe("none");
    expect(config.providers).toEqual({ mock: { kind: "mock", rules: [] } });
  });

  test.each([
    [{}, "none", "mock"],
    [{ AWS_REGION: "eu-west-1" }, "environment", "bedrock"],
    [{ AWS_PROFILE: "work" }, "environment", "bedrock"],
    [{ AWS_BEARER_TOKEN_BEDROCK: "token" }, "environment", "bedrock"],
    [{ OPENAI_API_KEY: "sk" }, "environment", "openai"],
    [{ AZURE_OPENAI_API_KEY: "key-without-an-endpoint" }, "none", "mock"],
  ])("without a file finds in %o: %s", async (environment, source, provider) => {
    const loaded = await loadConfig({ configPath: undefined }, environment, catalogue);
    expect(loaded.source).toBe(source);
    expect(Object.keys(loaded.config.providers)).toEqual([provider]);
  });

  test("says which file cannot be read", async () => {
    await expect(loadConfig({ configPath: folder }, {}, catalogue)).rejects.toThrow(/cannot be read \(EISDIR\)/);
  });
});
