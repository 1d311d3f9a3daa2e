import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import {
  type BedrockIdentity,
  CredentialsError,
  credentialSource,
  type Resolved,
} from "../../src/upstream/credentials.ts";
import { type Loopback, serve } from "../support/loopback.ts";
import { verifySigV4 } from "../support/verify-sigv4.ts";

const hour = 3_600_000;
const minute = 60_000;

let folder: string;
let unique = 0;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "bifrost-credentials-"));
  for (const name of Object.keys(process.env)) if (name.startsWith("AWS_")) vi.stubEnv(name, undefined);
  vi.stubEnv("AWS_EC2_METADATA_DISABLED", "true");
  vi.stubEnv("AWS_SHARED_CREDENTIALS_FILE", join(folder, "credentials"));
  vi.stubEnv("AWS_CONFIG_FILE", join(folder, "config"));
});

afterEach(async () => {
  vi.unstubAllEnvs();
  await rm(folder, { recursive: true });
});

type Config = NonNullable<BedrockIdentity["bedrock_key_config"]>;

const keyWith = (config: Config): BedrockIdentity => ({ name: "us-main", bedrock_key_config: config });
const staticKey = { access_key: "AKIDSTATIC", secret_key: "static-secret", region: "eu-west-1" };

/** Identities are shared by equal keys; a role of its own keeps a test alone. */
const newRole = () => `arn:aws:iam::123456789012:role/role-${++unique}`;

const writeProfile = (name: string, accessKeyId: string) =>
  writeFile(
    join(folder, "credentials"),
    `[${name}]\naws_access_key_id = ${accessKeyId}\naws_secret_access_key = profile-secret\n`,
  );

function signed(resolved: Resolved) {
  if (resolved.kind !== "sigv4") throw new Error("not AWS credentials");
  const { accessKeyId, secretAccessKey, sessionToken } = resolved.credentials;
  return { accessKeyId, secretAccessKey, sessionToken };
}

interface FakeSts extends Loopback {
  readonly calls: URLSearchParams[];
  /** Verdicts on the signatures received. */
  readonly verdicts: unknown[];
}

/** Signs nobody in but the holder of `credentials`; the n-th answer is `ASIAROLE<n>`. */
async function fakeSts(
  credentials: Parameters<typeof verifySigV4>[1]["credentials"],
  {
    expiresIn = () => hour,
    fails = () => false,
    waits = () => undefined,
  }: { expiresIn?: () => number; fails?: () => boolean; waits?: () => Promise<void> | undefined } = {},
): Promise<FakeSts> {
  const calls: URLSearchParams[] = [];
  const verdicts: unknown[] = [];
  const server = await serve(async (request, response) => {
    calls.push(new URLSearchParams(Buffer.from(request.body).toString()));
    verdicts.push(await verifySigV4(request, { credentials, service: "sts", region: "eu-west-1" }));
    await waits();
    response.setHeader("content-type", "text/xml");
    if (fails()) {
      response.statusCode = 403;
      response.end(
        "<ErrorResponse><Error><Type>Sender</Type><Code>AccessDenied</Code>" +
          "<Message>x-amz-security-token:token-in-message</Message></Error></ErrorResponse>",
      );
      return;
    }
    const expiration = new Date(Date.now() + expiresIn()).toISOString();
    response.end(
      '<AssumeRoleResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><AssumeRoleResult><Credentials>' +
        `<AccessKeyId>ASIAROLE${calls.length}</AccessKeyId><SecretAccessKey>role-secret</SecretAccessKey>` +
        `<SessionToken>role-token</SessionToken><Expiration>${expiration}</Expiration>` +
        "</Credentials></AssumeRoleResult></AssumeRoleResponse>",
    );
  });
  vi.stubEnv("AWS_ENDPOINT_URL_STS", server.origin);
  return { ...server, calls, verdicts, [Symbol.asyncDispose]: () => server[Symbol.asyncDispose]() };
}

const staticIdentity = { accessKeyId: "AKIDSTATIC", secretAccessKey: "static-secret" };

describe("a key with fixed credentials", () => {
  test("answers an access key without a promise", () => {
    const source = credentialSource(keyWith(staticKey));
    const resolved = source.current();
    if (resolved instanceof Promise) throw new Error("a promise");
    expect(signed(resolved)).toEqual({ ...staticIdentity, sessionToken: undefined });
    expect(source.current()).toBe(resolved);
  });

  test("carries its session token", async () => {
    const source = credentialSource(keyWith({ ...staticKey, session_token: "token" }));
    expect(signed(await source.current()).sessionToken).toBe("token");
  });

  test("answers a Bedrock API key, which comes before an access key", () => {
    const source = credentialSource({ name: "api", value: "ABSK-secret", bedrock_key_config: staticKey });
    const resolved = source.current();
    if (resolved instanceof Promise || resolved.kind !== "bearer") throw new Error("no bearer token");
    expect(resolved.token.reveal()).toBe("ABSK-secret");
    expect(JSON.stringify(resolved)).toBe('{"kind":"bearer","token":"[secret]"}');
  });

  test.each<[Config, string]>([
    [{ access_key: "AKID" }, "secret_key is missing"],
    [{ secret_key: "very-secret" }, "access_key is missing"],
    [{ session_token: "very-secret" }, "access_key is missing"],
    [{ access_key: "AKID", secret_key: "", role_arn: "arn:aws:iam::1:role/x" }, "secret_key is missing"],
  ])("is refused by name when half of it is missing: %j", (config, reason) => {
    const attempt = () => credentialSource(keyWith(config));
    expect(attempt).toThrow(CredentialsError);
    expect(attempt).toThrow(reason);
    expect(attempt).toThrow('key "us-main"');
    expect(attempt).not.toThrow("very-secret");
  });
});

describe("a key with a profile", () => {
  test("reads the shared credentials file, once for all calls and keys", async () => {
    await writeProfile("shared", "AKIDPROFILE");
    const source = credentialSource(keyWith({ profile: "shared" }));
    const [first, second] = await Promise.all([source.current(), source.current()]);
    expect(signed(first)).toEqual({
      accessKeyId: "AKIDPROFILE",
      secretAccessKey: "profile-secret",
      sessionToken: undefined,
    });
    expect(second).toBe(first);
    const other = credentialSource({ name: "other", bedrock_key_config: { profile: "shared", region: "us-west-2" } });
    expect(other.current()).toBe(first);
  });

  test("that does not say when it expires is read again after five minutes, behind the calls", async () => {
    let now = Date.now();
    await writeProfile("rotated", "AKIDOLD");
    const source = credentialSource(keyWith({ profile: "rotated" }), { now: () => now });
    const old = await source.current();
    await writeProfile("rotated", "AKIDNEW");
    now += 4 * minute;
    expect(source.current()).toBe(old);
    now += 2 * minute;
    expect(source.current()).toBe(old);
    await vi.waitFor(async () => expect(signed(await source.current()).accessKeyId).toBe("AKIDNEW"));
  });

  test("that does not exist fails with the names of the key and the profile", async () => {
    const source = credentialSource(keyWith({ profile: "missing" }));
    const failure = Promise.resolve(source.current());
    await expect(failure).rejects.toThrow(CredentialsError);
    await expect(failure).rejects.toThrow(
      'key "us-main": the AWS profile "missing" gave no AWS credentials (CredentialsProviderError)',
    );
  });

  test("whose process fails does not show the process's command line", async () => {
    await writeFile(
      join(folder, "config"),
      "[profile broken]\ncredential_process = /bin/false --password very-secret\n",
    );
    const failure = Promise.resolve(credentialSource(keyWith({ profile: "broken" })).current());
    await expect(failure).rejects.toThrow('the AWS profile "broken"');
    await expect(failure).rejects.not.toThrow("very-secret");
  });
});

describe("a key with a role", () => {
  test("assumes it with the access key: signed, with external id and session name", async () => {
    await using sts = await fakeSts(staticIdentity);
    const role_arn = newRole();
    const source = credentialSource(
      keyWith({ ...staticKey, role_arn, external_id: "tenant-7", session_name: "gateway" }),
    );
    expect(signed(await source.current())).toEqual({
      accessKeyId: "ASIAROLE1",
      secretAccessKey: "role-secret",
      sessionToken: "role-token",
    });
    expect(Object.fromEntries(sts.calls[0] ?? [])).toMatchObject({
      Action: "AssumeRole",
      RoleArn: role_arn,
      ExternalId: "tenant-7",
      RoleSessionName: "gateway",
    });
    expect(sts.verdicts).toEqual([{ ok: true }]);
  });

  test("names its session bifrost-session, and sends no external id, unless it is told to", async () => {
    await using sts = await fakeSts({ ...staticIdentity, sessionToken: "token" });
    await credentialSource(keyWith({ ...staticKey, session_token: "token", role_arn: newRole() })).current();
    expect(sts.calls[0]?.get("RoleSessionName")).toBe("bifrost-session");
    expect(sts.calls[0]?.has("ExternalId")).toBe(false);
    expect(sts.verdicts).toEqual([{ ok: true }]);
  });

  test("assumes it with a profile's credentials", async () => {
    await writeProfile("base", "AKIDBASE");
    await using sts = await fakeSts({ accessKeyId: "AKIDBASE", secretAccessKey: "profile-secret" });
    const key = keyWith({ profile: "base", role_arn: newRole(), region: "eu-west-1" });
    expect(signed(await credentialSource(key).current()).accessKeyId).toBe("ASIAROLE1");
    expect(sts.verdicts).toEqual([{ ok: true }]);
  });

  test("assumes it with what the default chain finds, in the region of the environment", async () => {
    vi.stubEnv("AWS_ACCESS_KEY_ID", "AKIDENV");
    vi.stubEnv("AWS_SECRET_ACCESS_KEY", "env-secret");
    vi.stubEnv("AWS_REGION", "eu-west-1");
    await using sts = await fakeSts({ accessKeyId: "AKIDENV", secretAccessKey: "env-secret" });
    expect(signed(await credentialSource(keyWith({ role_arn: newRole() })).current()).accessKeyId).toBe("ASIAROLE1");
    expect(sts.verdicts).toEqual([{ ok: true }]);
  });

  test("honours AWS_ENDPOINT_URL for STS too", async () => {
    await using sts = await fakeSts(staticIdentity);
    vi.stubEnv("AWS_ENDPOINT_URL_STS", undefined);
    vi.stubEnv("AWS_ENDPOINT_URL", sts.origin);
    await credentialSource(keyWith({ ...staticKey, role_arn: newRole() })).current();
    expect(sts.verdicts).toEqual([{ ok: true }]);
  });

  test("asks STS once for many calls, and for keys that are the same identity", async () => {
    await using sts = await fakeSts(staticIdentity);
    const config = { ...staticKey, role_arn: newRole() };
    const sources = ["a", "b"].map((name) => credentialSource({ name, bedrock_key_config: config }));
    const resolved = await Promise.all(Array.from({ length: 20 }, async (_, i) => sources[i % 2]?.current()));
    expect(new Set(resolved).size).toBe(1);
    expect(sts.calls).toHaveLength(1);
  });

  test("keeps roles, external ids and session names apart", async () => {
    await using sts = await fakeSts(staticIdentity);
    const config = { ...staticKey, role_arn: newRole() };
    for (const key of [config, { ...config, external_id: "a" }, { ...config, external_id: "b" }]) {
      await credentialSource(keyWith(key)).current();
      await credentialSource(keyWith({ ...key, session_name: "other" })).current();
    }
    expect(sts.calls).toHaveLength(6);
  });
});

describe("temporary credentials", () => {
  test("are renewed five minutes before they expire, while the old ones serve", async () => {
    let now = Date.now();
    await using sts = await fakeSts(staticIdentity, { expiresIn: () => now + hour - Date.now() });
    const source = credentialSource(keyWith({ ...staticKey, role_arn: newRole() }), { now: () => now });
    const first = await source.current();
    now += hour - 6 * minute;
    expect(source.current()).toBe(first);
    expect(sts.calls).toHaveLength(1);

    now += 2 * minute;
    const burst = Array.from({ length: 20 }, () => source.current());
    expect(burst.every((resolved) => resolved === first)).toBe(true);
    await vi.waitFor(async () => expect(signed(await source.current()).accessKeyId).toBe("ASIAROLE2"));
    expect(sts.calls).toHaveLength(2);
  });

  test("are renewed by one call at a time, however long it takes", async () => {
    let now = Date.now();
    let release = () => {};
    let gate: Promise<void> | undefined;
    await using sts = await fakeSts(staticIdentity, {
      waits: () => gate,
      expiresIn: () => now + hour - Date.now(),
    });
    const source = credentialSource(keyWith({ ...staticKey, role_arn: newRole() }), { now: () => now });
    const first = await source.current();
    gate = new Promise((resolve) => {
      release = resolve;
    });
    now += hour - 4 * minute;
    expect(source.current()).toBe(first);
    await vi.waitFor(() => expect(sts.calls).toHaveLength(2));
    now += minute;
    expect(source.current()).toBe(first);
    now += 3 * minute;
    const current = async () => source.current();
    const waiting = [current(), current()];
    release();
    const [one, two] = await Promise.all(waiting);
    expect(one).toBe(two);
    expect(signed(await source.current()).accessKeyId).toBe("ASIAROLE2");
    expect(sts.calls).toHaveLength(2);
  });

  test("that cannot be renewed serve to their end; the attempts are 30 seconds apart and each is reported", async () => {
    let now = Date.now();
    let down = false;
    await using sts = await fakeSts(staticIdentity, { fails: () => down, expiresIn: () => now + hour - Date.now() });
    const problems: string[] = [];
    const source = credentialSource(keyWith({ ...staticKey, role_arn: newRole() }), {
      now: () => now,
      onProblem: (message) => problems.push(message),
    });
    const first = await source.current();

    down = true;
    now += hour - 4 * minute;
    for (let failure = 1; failure <= 3; failure++) {
      expect(source.current()).toBe(first);
      await vi.waitFor(() => expect(problems).toHaveLength(failure));
      now += 29_000;
      expect(source.current()).toBe(first);
      expect(sts.calls).toHaveLength(1 + failure);
      now += 1000;
    }
    expect(problems[0]).toMatch(/^key "us-main": the role arn:aws:iam::.* gave no AWS credentials \(AccessDenied\)/);
    expect(problems.join()).not.toContain("token-in-message");

    down = false;
    void source.current();
    await vi.waitFor(async () => expect(signed(await source.current()).accessKeyId).toBe("ASIAROLE5"));
    expect(problems).toHaveLength(3);
  });

  test("that have expired are not used: the call waits for new ones, or fails", async () => {
    let now = Date.now();
    let down = false;
    await using sts = await fakeSts(staticIdentity, { fails: () => down, expiresIn: () => now + hour - Date.now() });
    const source = credentialSource(keyWith({ ...staticKey, role_arn: newRole() }), { now: () => now });
    await source.current();
    now += hour;
    expect(signed(await source.current()).accessKeyId).toBe("ASIAROLE2");

    down = true;
    now += hour;
    const failure = Promise.resolve(source.current());
    await expect(failure).rejects.toThrow(CredentialsError);
    await expect(failure).rejects.toThrow(/key "us-main": the role .* gave no AWS credentials \(AccessDenied\)$/);
    await expect(failure).rejects.not.toThrow("token-in-message");

    // A burst on a source that has just failed is not a burst on STS.
    const calls = sts.calls.length;
    await Promise.all(Array.from({ length: 10 }, () => expect(source.current()).rejects.toThrow(CredentialsError)));
    expect(sts.calls).toHaveLength(calls);
    down = false;
    now += 3000;
    expect(signed(await source.current()).accessKeyId).toBe(`ASIAROLE${calls + 1}`);
  });

  test("that arrive expired are refused with a word on the clock", async () => {
    await using _sts = await fakeSts(staticIdentity, { expiresIn: () => -minute });
    const source = credentialSource(keyWith({ ...staticKey, role_arn: newRole() }));
    await expect(source.current()).rejects.toThrow("expired already: is the clock right?");
  });

  test("whose source does not answer fail after half a minute", async () => {
    let asked = () => {};
    const arrived = new Promise<void>((resolve) => {
      asked = resolve;
    });
    await using silent = await serve(() => asked());
    vi.stubEnv("AWS_ENDPOINT_URL_STS", silent.origin);
    vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
    try {
      const source = credentialSource(keyWith({ ...staticKey, role_arn: newRole() }));
      const failure = expect(source.current()).rejects.toThrow(/gave no AWS credentials \(no answer in 30 seconds\)$/);
      await arrived;
      await vi.advanceTimersByTimeAsync(30_000);
      await failure;
    } finally {
      vi.useRealTimers();
    }
  });

  test("name each key that asks in its own failure", async () => {
    await using _sts = await fakeSts(staticIdentity, { fails: () => true });
    const config = { ...staticKey, role_arn: newRole() };
    const failures = ["one", "two"].map((name) => credentialSource({ name, bedrock_key_config: config }).current());
    await Promise.all([
      expect(failures[0]).rejects.toThrow('key "one"'),
      expect(failures[1]).rejects.toThrow('key "two"'),
    ]);
  });
});

describe("a key with nothing but a region", () => {
  /** All such keys are one identity: the default chain's. So each test takes the module anew. */
  const freshSource = async (name: string) => {
    vi.resetModules();
    const module = await import("../../src/upstream/credentials.ts");
    return module.credentialSource({ name, bedrock_key_config: { region: "us-east-1" } });
  };

  test("uses the environment's credentials", async () => {
    vi.stubEnv("AWS_ACCESS_KEY_ID", "AKIDENV");
    vi.stubEnv("AWS_SECRET_ACCESS_KEY", "env-secret");
    vi.stubEnv("AWS_SESSION_TOKEN", "env-token");
    expect(signed(await (await freshSource("env")).current())).toEqual({
      accessKeyId: "AKIDENV",
      secretAccessKey: "env-secret",
      sessionToken: "env-token",
    });
  });

  test("uses a container's credentials, with the container's authorization", async () => {
    const seen: unknown[] = [];
    await using container = await serve((request, response) => {
      seen.push([request.url, request.headers.authorization]);
      response.setHeader("content-type", "application/json");
      response.end(
        JSON.stringify({
          AccessKeyId: "ASIATASK",
          SecretAccessKey: "task-secret",
          Token: "task-token",
          Expiration: new Date(Date.now() + hour).toISOString(),
        }),
      );
    });
    vi.stubEnv("AWS_CONTAINER_CREDENTIALS_FULL_URI", `${container.origin}/task`);
    vi.stubEnv("AWS_CONTAINER_AUTHORIZATION_TOKEN", "container-token");
    const source = await freshSource("task");
    expect(signed(await source.current())).toEqual({
      accessKeyId: "ASIATASK",
      secretAccessKey: "task-secret",
      sessionToken: "task-token",
    });
    expect(source.current()).not.toBeInstanceOf(Promise);
    expect(seen).toEqual([["/task", "container-token"]]);
  });

  test("fails with the name of the chain when it finds nothing", async () => {
    await expect((await freshSource("bare")).current()).rejects.toThrow(
      'key "bare": the default AWS credential chain gave no AWS credentials (CredentialsProviderError)',
    );
  });

  test("is the same without any bedrock_key_config", async () => {
    vi.stubEnv("AWS_ACCESS_KEY_ID", "AKIDENV");
    vi.stubEnv("AWS_SECRET_ACCESS_KEY", "env-secret");
    vi.resetModules();
    const module = await import("../../src/upstream/credentials.ts");
    const source = module.credentialSource({ name: "none", value: null });
    expect(signed(await source.current()).accessKeyId).toBe("AKIDENV");
  });
});
