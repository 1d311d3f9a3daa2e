import { describe, expect, test } from "vitest";
import type { ClientAuth } from "../../src/gateway/client-auth.ts";
import { bedrockKeys, filesKeys, translatedKeys } from "../../src/gateway/client-keys.ts";
import type { BedrockKey, BedrockProvider, TranslatedKey, TranslatedProvider } from "../../src/gateway/providers.ts";
import type { Choosable } from "../../src/keys/choose.ts";
import { Secret } from "../../src/upstream/secret.ts";
import { keyPool } from "../support/key-pool.ts";

const common = {
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
  secrets: [],
} as const;

const choosable = (name: string): Choosable => ({
  id: `${name}-id`,
  name,
  enabled: true,
  weight: 1,
  models: ["only-this"],
  blacklisted_models: ["not-this"],
  aliases: { nickname: "real" },
});

const bedrockKey = (name: string, region: string): BedrockKey => ({
  ...choosable(name),
  region,
  overrides: { base_url: "http://127.0.0.1:1", endpoints: { runtime: `http://${name}` } },
  credentials: { current: () => ({ kind: "bearer", token: new Secret(name) }) },
  signs: false,
});
const bedrockKeyList = [bedrockKey("a", "eu-west-1"), bedrockKey("b", "us-east-1")];
const bedrock: BedrockProvider = {
  kind: "bedrock",
  name: "bedrock",
  ...common,
  keys: bedrockKeyList,
  pool: keyPool(bedrockKeyList),
};

function translated(keys: readonly TranslatedKey[]): TranslatedProvider {
  return { kind: "translated", type: "openai", name: "openai", ...common, keys, pool: keyPool(keys) };
}
const translatedKey = (name: string, open = false): TranslatedKey => ({
  ...choosable(name),
  origin: "http://127.0.0.1:2",
  pathPrefix: "/v1",
  credential: open ? undefined : { scheme: "x-api-key", current: () => new Secret(name) },
  azure: undefined,
  vertex: undefined,
});

const wish = { model: "only-this" };
const none: ClientAuth = { kind: "none" };
const direct = (
  changes: { readonly region?: string; readonly other?: string; readonly header?: string } = {},
): ClientAuth => ({
  kind: "direct",
  signer: undefined,
  bedrock: {
    credential: { kind: "bearer", token: new Secret("own") },
    region: changes.region,
    header: changes.header ?? "authorization",
  },
  other: changes.other === undefined ? undefined : new Secret(changes.other),
});

function chosenOf<Key>(source: { choose(tried: readonly Key[]): { readonly kind: string; readonly key?: Key } }): Key {
  const { key } = source.choose([]);
  if (key === undefined) throw new Error("no key was chosen");
  return key;
}

describe("the keys at Bedrock", () => {
  test("are the configured ones for a client without credentials of its own", () => {
    const { source, own } = bedrockKeys(bedrock, none, wish);
    expect(own).toBe(false);
    expect(bedrockKeyList).toContain(chosenOf(source));
  });

  test("are the client's own, with its region or else the provider's first, for any model", async () => {
    for (const [auth, region] of [
      [direct({ region: "ap-south-1" }), "ap-south-1"],
      [direct(), "eu-west-1"],
    ] as const) {
      const { source, own } = bedrockKeys(bedrock, auth, wish);
      expect(own).toBe(true);
      const key = chosenOf(source);
      expect(key).toMatchObject({ name: "direct", region, models: ["*"], blacklisted_models: [], aliases: {} });
      // The runtime endpoint of a key is that key's business; the provider's base_url is everybody's.
      expect(key.overrides).toEqual({ base_url: "http://127.0.0.1:1", endpoints: {} });
      const resolved = await key.credentials.current();
      expect(resolved.kind === "bearer" && resolved.token.reveal()).toBe("own");
    }
  });

  test("reach the other services where the configured ones do: those of the region, else the first", () => {
    const at = (name: string, region: string): BedrockKey => ({
      ...bedrockKey(name, region),
      overrides: {
        endpoints: { runtime: `http://${name}`, control: `http://control.${name}`, s3: `http://s3.${name}` },
      },
    });
    const keys = [at("a", "eu-west-1"), at("b", "us-east-1")];
    const provider = { ...bedrock, keys, pool: keyPool(keys) };
    for (const [region, name] of [
      ["us-east-1", "b"],
      ["ap-south-1", "a"],
    ] as const) {
      const { source } = bedrockKeys(provider, direct({ region }), wish);
      expect(chosenOf(source).overrides.endpoints).toEqual({
        control: `http://control.${name}`,
        s3: `http://s3.${name}`,
      });
    }
  });

  test("for S3 are those with AWS credentials, within what the client may use", () => {
    const signer = { ...bedrockKey("c", "us-east-1"), signs: true };
    const keys = [...bedrockKeyList, signer];
    const provider = { ...bedrock, keys, pool: keyPool(keys) };
    for (let round = 0; round < 20; round++) expect(chosenOf(filesKeys(provider, none, wish).source)).toBe(signer);
    const others = { ...wish, allowedIds: new Set(["a-id"]) };
    expect(filesKeys(provider, none, others).source.choose([])).toEqual({ kind: "refusal", reason: "no_key" });
  });

  test("for S3 are refused by name where there are only Bedrock API keys", () => {
    const thrown = (auth: ClientAuth) => {
      try {
        return filesKeys(bedrock, auth, wish);
      } catch (error) {
        return error;
      }
    };
    const refused = { type: "ValidationException", status: 400 };
    expect(thrown(none)).toMatchObject({ ...refused, message: expect.stringContaining("The provider bedrock has no") });
    const header = "x-bf-bedrock-api-key";
    expect(thrown(direct({ header }))).toMatchObject({ ...refused, message: expect.stringContaining(`${header}: is`) });
  });

  test("are the one that signed, at its provider; elsewhere all", () => {
    const signer = { kind: "key", secret: new Secret("s"), keys: [] } as const;
    const signedBy = (provider: string): ClientAuth => ({
      kind: "signed",
      signer,
      pinned: [{ provider, id: "b-id" }],
    });
    const names = (auth: ClientAuth) =>
      new Set(Array.from({ length: 60 }, () => chosenOf(bedrockKeys(bedrock, auth, wish).source).name));
    expect(names(signedBy("bedrock"))).toEqual(new Set(["b"]));
    expect(names(signedBy("elsewhere"))).toEqual(new Set(["a", "b"]));
    expect(names({ kind: "signed", signer, pinned: undefined })).toEqual(new Set(["a", "b"]));
    const refusal = bedrockKeys(bedrock, signedBy("bedrock"), { ...wish, pin: { name: "a" } }).source.choose([]);
    expect(refusal).toMatchObject({ kind: "refusal", reason: "unfit_pin" });
  });
});

describe("the keys at another provider", () => {
  test("are the configured ones for a client without credentials for it", () => {
    const provider = translated([translatedKey("a")]);
    for (const auth of [none, direct()]) {
      const { source, own } = translatedKeys(provider, auth, wish);
      expect(own).toBe(false);
      expect(chosenOf(source)).toBe(provider.keys[0]);
    }
  });

  test("are the client's own, sent where and how the configured ones are", async () => {
    const provider = translated([translatedKey("open", true), translatedKey("a")]);
    const { source, own } = translatedKeys(provider, direct({ other: "own-key" }), { model: "not-this" });
    expect(own).toBe(true);
    const key = chosenOf(source);
    expect(key).toMatchObject({ name: "direct", origin: "http://127.0.0.1:2", pathPrefix: "/v1", models: ["*"] });
    expect(key.credential?.scheme).toBe("x-api-key");
    expect((await key.credential?.current())?.reveal()).toBe("own-key");
  });

  test("are refused by the header's name where the provider takes none, or credentials are Bedrock's", () => {
    const open = translated([translatedKey("open", true)]);
    expect(() => translatedKeys(open, direct({ other: "own-key" }), wish)).toThrow(/^x-bf-direct-key: .*takes no key/);
    const header = "x-bf-bedrock-access-key";
    expect(() => translatedKeys(translated([translatedKey("a")]), direct({ header }), wish)).toThrow(
      /^x-bf-bedrock-access-key: is for Bedrock/,
    );
  });
});
