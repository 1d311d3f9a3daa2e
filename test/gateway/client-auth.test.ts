import { inspect } from "node:util";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { BedrockError } from "../../src/bedrock/errors.ts";
import { readConfig } from "../../src/config/load.ts";
import {
  type ClientAuth,
  checkSignature,
  configuredCredentials,
  directForOther,
  type KnownCredentials,
  readClientAuth,
  type Signer,
} from "../../src/gateway/client-auth.ts";
import { Secret } from "../../src/upstream/secret.ts";
import { sha256Hex, sign } from "../../src/upstream/sigv4.ts";

type Headers = Readonly<Record<string, string>>;

const configuredKey = "AKIACONFIGUREDKEY001";
const strangerKey = "AKIASTRANGERSKEY0001";
const secretKey = "canarySecretKey/0123456789+abcdefghijklmnop";
const token = "canarySessionToken0123456789==";
const apiKey = "ABSKcanaryApiKey0123456789";
const virtualKey = "sk-bf-canaryVirtualKey";

const signers: Readonly<Record<string, Signer>> = {
  [configuredKey]: { kind: "key", secret: new Secret(secretKey), keys: [{ provider: "bedrock", id: "main" }] },
  "your-aws-access-key": { kind: "key", secret: new Secret("other"), keys: [{ provider: "lab", id: "lab" }] },
  vk_app: { kind: "virtual_key", secret: new Secret(virtualKey), id: "vk_app" },
};
const known: KnownCredentials = {
  secretOf: (accessKeyId) => (Object.hasOwn(signers, accessKeyId) ? signers[accessKeyId] : undefined),
  isVirtualKey: (value) => value === "vk_12345",
};

const read = (headers: Headers, allowDirectKeys = true, query = ""): ClientAuth =>
  readClientAuth({ headers: new Map(Object.entries(headers)), query }, { allowDirectKeys }, known);

function refusal(action: () => unknown): BedrockError {
  try {
    action();
  } catch (error) {
    if (error instanceof BedrockError) {
      for (const canary of [secretKey, token, apiKey, virtualKey]) expect(error.message).not.toContain(canary);
      return error;
    }
    throw error;
  }
  throw new Error("it was not refused");
}

/** As an SDK sends it; the signature itself is not looked at here. */
const signedBy = (accessKeyId: string): Headers => ({
  authorization:
    `AWS4-HMAC-SHA256 Credential=${accessKeyId}/20260131/us-west-2/bedrock/aws4_request, ` +
    `SignedHeaders=host;x-amz-date, Signature=${"0".repeat(64)}`,
  "x-amz-date": "20260131T235958Z",
});
const bearer = (value: string): Headers => ({ authorization: `Bearer ${value}` });
const own: Headers = {
  "x-bf-bedrock-access-key": strangerKey,
  "x-bf-bedrock-secret-key": secretKey,
  "x-bf-bedrock-region": "eu-west-1",
};
const without = (name: string): Headers =>
  Object.fromEntries(Object.entries(own).filter(([header]) => header !== name));

/** What would be used upstream, with its secrets in the open. */
function shown(auth: ClientAuth): object {
  if (auth.kind !== "direct") return { kind: auth.kind };
  const { credential, region } = auth.bedrock;
  const other = auth.other?.reveal();
  if (credential.kind === "bearer") return { bearer: credential.token.reveal(), region, other };
  const { accessKeyId, secretAccessKey, sessionToken } = credential.credentials;
  return { accessKeyId, secretAccessKey, sessionToken, region, other };
}

describe.each([false, true])("with allow_direct_keys: %s", (allowed) => {
  test.each<[string, Headers]>([
    ["no credentials", {}],
    ["the documented dummy", signedBy("bifrost-dummy-key")],
    ["any other words for a dummy", signedBy("test")],
    ["a dummy whose signature is none", { authorization: "AWS4-HMAC-SHA256 Credential=bifrost-dummy-key" }],
    ["almost an AWS key: too short", signedBy(strangerKey.slice(0, -1))],
    ["almost an AWS key: too long", signedBy(`${strangerKey}0`)],
    ["almost an AWS key: lower case", signedBy(strangerKey.toLowerCase())],
    ["a name of Object.prototype", signedBy("constructor")],
    ["a dummy as bearer token", bearer("bifrost-dummy-key")],
    ["a virtual key as bearer token", bearer(virtualKey)],
    ["a virtual key in capitals", bearer("SK-BF-X")],
    ["a virtual key without the prefix", bearer("vk_12345")],
    ["an x-api-key that is not called direct", { "x-api-key": apiKey }],
    ["a flag that is off", { "x-api-key": apiKey, "x-bf-direct-key": "false" }],
    ["another scheme", { authorization: "Basic dXNlcjpwYXNz" }],
    ["a bearer token without a value", { authorization: "Bearer" }],
    ["direct headers without a value", { "x-bf-bedrock-access-key": "", "x-bf-bedrock-region": "" }],
  ])("%s means the configured keys", (_what, headers) => {
    expect(read(headers, allowed)).toEqual({ kind: "none" });
  });

  test("a signature by a known identity has to be verified", () => {
    for (const id of [configuredKey, "vk_app"]) {
      expect(read(signedBy(id), allowed)).toMatchObject({ kind: "signed", signer: signers[id] });
    }
    // However broken the rest: it must not pass for a dummy's.
    const broken = { authorization: `AWS4-HMAC-SHA256 Credential=${configuredKey}` };
    expect(read(broken, allowed)).toMatchObject({ kind: "signed", signer: signers[configuredKey] });
    const otherAlgorithm = { authorization: `AWS4-ECDSA-P256-SHA256 Credential=${configuredKey}/x` };
    expect(read(otherAlgorithm, allowed)).toMatchObject({ kind: "signed" });
  });

  test("a signature that names nobody is incomplete", () => {
    for (const authorization of [
      "AWS4-HMAC-SHA256",
      "AWS4-HMAC-SHA256 Signature=00",
      "AWS4-HMAC-SHA256 Credential=/x",
    ]) {
      expect(refusal(() => read({ authorization }, allowed))).toMatchObject({
        type: "IncompleteSignatureException",
        status: 400,
      });
    }
  });

  test("a presigned query is refused by name", () => {
    const query = "X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Signature=00";
    const { type, message } = refusal(() => read({}, allowed, query));
    expect(type).toBe("ValidationException");
    expect(message).toMatch(/^X-Amz-Algorithm: presigned/);
    expect(read({}, allowed, "maxResults=3")).toEqual({ kind: "none" });
  });

  test("a flag that is neither true nor false is refused", () => {
    const { type, message } = refusal(() => read({ "x-bf-direct-key": "yes" }, allowed));
    expect([type, message]).toEqual(["ValidationException", "x-bf-direct-key: must be true or false."]);
  });
});

describe("without allow_direct_keys", () => {
  test("a real key that is not configured is a dummy as well", () => {
    expect(read(signedBy(strangerKey), false)).toEqual({ kind: "none" });
    expect(read(bearer(apiKey), false)).toEqual({ kind: "none" });
  });

  test("a configured key's signature leaves load balancing as it is", () => {
    expect(read(signedBy(configuredKey), false)).toMatchObject({ pinned: undefined });
  });

  test.each([...Object.keys(own), "x-bf-bedrock-api-key", "x-bf-bedrock-session-token", "x-bf-direct-key"])(
    "%s is refused: the operator's keys must not pay instead",
    (header) => {
      const value = header === "x-bf-direct-key" ? "True" : apiKey;
      for (const headers of [{ [header]: value }, { ...signedBy("bifrost-dummy-key"), [header]: value }]) {
        const error = refusal(() => read(headers, false));
        expect([error.type, error.status]).toEqual(["AccessDeniedException", 403]);
        expect(error.message).toContain(`${header}: `);
        expect(error.message).toContain("client.allow_direct_keys");
      }
    },
  );
});

describe("with allow_direct_keys", () => {
  test("AWS credentials in headers are used, with and without a session token", () => {
    const plain = { accessKeyId: strangerKey, secretAccessKey: secretKey, region: "eu-west-1" };
    expect(shown(read(own))).toEqual({ ...plain, sessionToken: undefined, other: undefined });
    const temporary = { ...own, "x-bf-bedrock-session-token": token };
    expect(shown(read(temporary))).toEqual({ ...plain, sessionToken: token, other: undefined });
  });

  test("credentials in headers come before what authorization holds", () => {
    for (const headers of [signedBy("bifrost-dummy-key"), signedBy(strangerKey), bearer(apiKey), bearer(virtualKey)]) {
      expect(shown(read({ ...headers, ...own }))).toMatchObject({ accessKeyId: strangerKey });
    }
    expect(shown(read({ ...bearer("another"), "x-bf-bedrock-api-key": apiKey }))).toMatchObject({ bearer: apiKey });
  });

  test("a known signer is verified even when the request brings credentials", () => {
    expect(read({ ...signedBy(configuredKey), ...own })).toMatchObject({
      kind: "direct",
      signer: signers[configuredKey],
    });
    expect(read({ ...signedBy("vk_app"), ...own })).toMatchObject({ kind: "direct", signer: signers.vk_app });
    expect(read({ ...signedBy("test"), ...own })).toMatchObject({ kind: "direct", signer: undefined });
  });

  test.each([
    ["x-bf-bedrock-secret-key", without("x-bf-bedrock-secret-key")],
    ["x-bf-bedrock-region", without("x-bf-bedrock-region")],
    ["x-bf-bedrock-access-key", without("x-bf-bedrock-access-key")],
    ["x-bf-bedrock-access-key", { "x-bf-bedrock-session-token": token }],
    ["x-bf-bedrock-secret-key", { ...own, "x-bf-bedrock-secret-key": "" }],
  ] satisfies [string, Headers][])("half of AWS credentials: %s is named as missing", (header, headers) => {
    const { type, message } = refusal(() => read(headers));
    expect(type).toBe("ValidationException");
    expect(message).toMatch(new RegExp(`^${header}: is missing`));
  });

  test.each([
    ["x-bf-bedrock-access-key", { ...own, "x-bf-bedrock-access-key": "AKIA/us-east-1" }],
    ["x-bf-bedrock-access-key", { ...own, "x-bf-bedrock-access-key": "AKIA, Signature=x" }],
    ["x-bf-bedrock-secret-key", { ...own, "x-bf-bedrock-secret-key": "one, two" }],
    ["x-bf-bedrock-session-token", { ...own, "x-bf-bedrock-session-token": `${token}\u00e9` }],
    ["x-bf-bedrock-api-key", { "x-bf-bedrock-api-key": `${apiKey} ${apiKey}` }],
    ["x-bf-bedrock-api-key", { "x-bf-bedrock-api-key": virtualKey }],
    ["x-bf-bedrock-api-key", { "x-bf-bedrock-api-key": apiKey, ...own }],
    ["x-bf-bedrock-region", { "x-bf-bedrock-region": "eu-west-1" }],
    ["x-bf-bedrock-region", { ...signedBy(configuredKey), "x-bf-bedrock-region": "eu-west-1" }],
    ["authorization", bearer("one, Bearer two")],
    ["x-api-key", { "x-api-key": "a b", "x-bf-direct-key": "true" }],
  ] satisfies [string, Headers][])("what cannot be carried is refused by name: %s %#", (header, headers) => {
    const { type, message } = refusal(() => read(headers));
    expect(type).toBe("ValidationException");
    expect(message).toMatch(new RegExp(`^${header}: `));
  });

  test("A73 a region that could move the upstream's host is refused, whatever it brings", () => {
    const hostile = fc.oneof(
      fc.constantFrom("evil.example/", "us-east-1.evil.example", "x@evil", "..", "us-east-1/../x", "us-east-1#", "%2f"),
      fc.constantFrom("169.254.169.254", "2852039166", "[::ffff:169.254.169.254]", "us-east-1:443", "US-EAST-1", "a b"),
      fc.string({ minLength: 1 }).filter((text) => !/^[a-z]{2,4}(-[a-z]+){1,2}-\d{1,2}$/.test(text)),
    );
    fc.assert(
      fc.property(
        hostile,
        fc.constantFrom(own, bearer(apiKey), { "x-bf-bedrock-api-key": apiKey }),
        (region, brought) => {
          const { type, message } = refusal(() => read({ ...brought, "x-bf-bedrock-region": region }));
          expect(type).toBe("ValidationException");
          expect(message).toBe("x-bf-bedrock-region: is not the name of an AWS region, such as us-east-1.");
        },
      ),
    );
  });

  test("an API key is the bearer token or a header of its own, with a region or without", () => {
    const shortTerm = `bedrock-api-key-${Buffer.from("bedrock.amazonaws.com/?Action=CallWithBearerToken").toString("base64")}`;
    for (const key of [apiKey, shortTerm, "anything-else"]) {
      expect(shown(read(bearer(key)))).toEqual({ bearer: key, region: undefined, other: undefined });
      expect(shown(read({ ...bearer(key), "x-bf-bedrock-region": "ap-south-1" }))).toMatchObject({
        region: "ap-south-1",
      });
      const header = { ...signedBy("bifrost-dummy-key"), "x-bf-bedrock-api-key": key };
      expect(shown(read(header))).toEqual({ bearer: key, region: undefined, other: undefined });
    }
    expect(shown(read({ authorization: `bearer   ${apiKey}` }))).toMatchObject({ bearer: apiKey });
  });

  test("a configured key that signed serves alone; a virtual key that signed leaves the choice", () => {
    expect(read(signedBy(configuredKey))).toMatchObject({ pinned: [{ provider: "bedrock", id: "main" }] });
    expect(read(signedBy("vk_app"))).toMatchObject({ kind: "signed", pinned: undefined });
  });

  test.each([strangerKey, "ASIASTRANGERSKEY0001", "AKIAIOSFODNN7EXAMPLE"])(
    "%s looks real and is not configured: a 403 that explains why and names both ways",
    (id) => {
      for (const headers of [signedBy(id), { ...signedBy(id), "x-bf-vk": virtualKey, "x-api-key": apiKey }]) {
        const { type, status, message } = refusal(() => read(headers));
        expect([type, status]).toEqual(["UnrecognizedClientException", 403]);
        expect(message).toContain("does not carry the secret");
        for (const way of ["x-bf-bedrock-access-key", "x-bf-bedrock-secret-key", "x-bf-bedrock-region"]) {
          expect(message).toContain(way);
        }
        expect(message).toContain("AWS_BEARER_TOKEN_BEDROCK");
      }
    },
  );

  test("dummies in the direct headers mean the configured keys too", () => {
    for (const headers of [
      { ...own, "x-bf-bedrock-access-key": "bifrost-dummy-key" },
      { "x-bf-bedrock-api-key": "bifrost-dummy-key", "x-bf-bedrock-region": "eu-west-1" },
      { ...bearer("bifrost-dummy-key"), "x-bf-direct-key": "true" },
      { ...signedBy("bifrost-dummy-key"), "x-bf-direct-key": "true" },
    ]) {
      expect(read(headers)).toEqual({ kind: "none" });
    }
  });
});

describe("a key for another provider", () => {
  const flag = { "x-bf-direct-key": "true" };

  test("is the bearer token, else x-api-key", () => {
    const both = { ...bearer("sk-proj-1"), "x-api-key": "sk-ant-2", ...flag };
    expect(directForOther(read(both), "openai")?.reveal()).toBe("sk-proj-1");
    expect(directForOther(read({ "x-api-key": "sk-ant-2", ...flag }), "anthropic")?.reveal()).toBe("sk-ant-2");
    const beside = { ...signedBy("bifrost-dummy-key"), "x-api-key": "sk-ant-2", ...flag };
    expect(directForOther(read(beside), "anthropic")?.reveal()).toBe("sk-ant-2");
  });

  test("is for Bedrock when the model is", () => {
    expect(shown(read({ "x-api-key": apiKey, ...flag }))).toEqual({ bearer: apiKey, region: undefined, other: apiKey });
  });

  test("is never a virtual key", () => {
    const withKey = { ...bearer(virtualKey), "x-api-key": "sk-ant-2", ...flag };
    expect(directForOther(read(withKey), "anthropic")?.reveal()).toBe("sk-ant-2");
    for (const headers of [bearer(virtualKey), bearer("vk_12345"), { "x-api-key": virtualKey }, {}]) {
      const { type, message } = refusal(() => read({ ...headers, ...flag }));
      expect(type).toBe("ValidationException");
      expect(message).toMatch(/^x-bf-direct-key: the request brings no key/);
    }
  });

  test("is not taken from a bearer token that is not called direct", () => {
    expect(directForOther(read(bearer("sk-proj-1")), "openai")).toBeUndefined();
    expect(directForOther(read({}), "openai")).toBeUndefined();
    expect(directForOther(read(signedBy(configuredKey)), "openai")).toBeUndefined();
  });

  test("stands beside credentials for Bedrock, which alone are refused there", () => {
    expect(directForOther(read({ ...own, ...bearer("sk-proj-1"), ...flag }), "openai")?.reveal()).toBe("sk-proj-1");
    for (const headers of [own, { "x-bf-bedrock-api-key": apiKey }, { ...own, ...bearer("sk-proj-1") }]) {
      const { type, message } = refusal(() => directForOther(read(headers), "openai"));
      expect(type).toBe("ValidationException");
      expect(message).toMatch(/^x-bf-bedrock-(access|api)-key: is for Bedrock, but the model is served by openai/);
    }
  });
});

describe("secrets", () => {
  test("show in no log of what was read", () => {
    const temporary = { ...own, "x-bf-bedrock-session-token": token, "x-bf-direct-key": "true", ...bearer(apiKey) };
    const all = [read(temporary), read(bearer(apiKey)), read(signedBy(configuredKey)), read(signedBy("vk_app"))];
    for (const auth of all) {
      const text = `${inspect(auth, { depth: 10, showHidden: true })} ${JSON.stringify(auth)}`;
      for (const canary of [secretKey, token, apiKey, virtualKey]) expect(text).not.toContain(canary);
    }
  });
});

describe("a configuration's credentials", () => {
  const aws = (name: string, accessKey: string, secret: string, region = "us-east-1") => ({
    name,
    bedrock_key_config: { access_key: accessKey, secret_key: secret, region },
  });
  const { providers } = readConfig(
    {
      providers: {
        bedrock: {
          keys: [
            aws("east", "AKIAONE", "s1"),
            aws("west", "AKIAONE", "s1", "us-west-2"),
            aws("wrong", "AKIAONE", "s2"),
            aws("two", "AKIATWO", "s3"),
            { name: "bearer", value: apiKey },
            { name: "chain" },
          ],
        },
        lab: { custom_provider_config: { base_provider_type: "bedrock" }, keys: [aws("lab", "AKIAONE", "s1")] },
        mock: { rules: [] },
      },
    },
    {},
    {},
  );
  const configured = configuredCredentials(providers);

  test("are found by their access key, with every key that is this identity", () => {
    const one = configured.secretOf("AKIAONE");
    expect(one?.secret.reveal()).toBe("s1");
    expect(one).toMatchObject({
      kind: "key",
      keys: [
        { provider: "bedrock", id: "east" },
        { provider: "bedrock", id: "west" },
        { provider: "lab", id: "lab" },
      ],
    });
    expect(configured.secretOf("AKIATWO")).toMatchObject({ keys: [{ provider: "bedrock", id: "two" }] });
  });

  test("are those of AWS, and no other", () => {
    for (const id of [apiKey, "chain", "", "toString", "AKIAON"]) expect(configured.secretOf(id)).toBeUndefined();
  });
});

describe("checking a signature", () => {
  const now = Date.UTC(2026, 0, 31);
  const body = '{"messages":[]}';
  const path = "/bedrock/model/m/converse";
  const signer: Signer = { kind: "key", secret: new Secret(secretKey), keys: [] };
  const request = () => {
    const credentials = { accessKeyId: configuredKey, secretAccessKey: secretKey };
    const signable = {
      method: "POST",
      host: "localhost:8080",
      path,
      query: "",
      headers: [],
      bodyHash: sha256Hex(body),
    };
    const headers = new Map([["host", "localhost:8080"], ...sign(signable, credentials, "us-west-2", "bedrock", now)]);
    return { method: "POST", path, query: "", headers };
  };

  test("passes over a request that its signer signed", async () => {
    await expect(checkSignature(request(), { bodyHash: () => sha256Hex(body) }, signer, now)).resolves.toBeUndefined();
  });

  test("throws what the client is told otherwise", async () => {
    const outcome = (change: object, hash = sha256Hex(body), by = signer) =>
      checkSignature({ ...request(), ...change }, { bodyHash: () => hash }, by, now).catch((error: unknown) => error);
    const refused = { name: "BedrockError", type: "InvalidSignatureException", status: 403 };
    expect(await outcome({ path: `${path}-stream` })).toMatchObject(refused);
    expect(await outcome({}, sha256Hex(`${body} `))).toMatchObject(refused);
    expect(await outcome({}, sha256Hex(body), { ...signer, secret: new Secret("other") })).toMatchObject(refused);
    const none = { headers: new Map([["authorization", "AWS4-HMAC-SHA256 Credential=x"]]) };
    expect(await outcome(none)).toMatchObject({ type: "IncompleteSignatureException", status: 400 });
  });
});
