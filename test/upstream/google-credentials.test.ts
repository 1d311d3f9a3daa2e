import { generateKeyPairSync } from "node:crypto";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { inspect } from "node:util";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { googleTokenSource } from "../../src/upstream/google-credentials.ts";
import { CredentialsError } from "../../src/upstream/renewed.ts";
import { type FakeGoogleOptions, fakeGoogle } from "../support/fake-google.ts";
import { serve } from "../support/loopback.ts";

const minute = 60_000;
const rsa = generateKeyPairSync("rsa", { modulusLength: 2048 });
const privateKey = rsa.privateKey.export({ type: "pkcs8", format: "pem" }).toString();

let folder: string;
let unique = 0;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "bifrost-google-"));
  vi.stubEnv("GOOGLE_APPLICATION_CREDENTIALS", undefined);
  vi.stubEnv("CLOUDSDK_CONFIG", join(folder, "gcloud"));
});

afterEach(async () => {
  vi.unstubAllEnvs();
  await rm(folder, { recursive: true });
});

const google = (options: Partial<FakeGoogleOptions> = {}) => fakeGoogle({ publicKey: rsa.publicKey, ...options });

/** Each is an identity of its own, since identities are shared. */
function serviceAccount(tokenUri: string, changes: Record<string, unknown> = {}) {
  return JSON.stringify({
    type: "service_account",
    project_id: `project-${++unique}`,
    private_key_id: "key-id",
    private_key: privateKey,
    client_email: "robot@project.iam.gserviceaccount.com",
    token_uri: tokenUri,
    ...changes,
  });
}

function userLogin(tokenUri: string) {
  return JSON.stringify({
    type: "authorized_user",
    client_id: "client",
    client_secret: "client-secret",
    refresh_token: "refresh-secret",
    token_uri: tokenUri,
  });
}

const sourceOf = (auth_credentials: string, options = {}) =>
  googleTokenSource({ name: "vertex-main", auth_credentials }, options);

describe("a service account", () => {
  test("as JSON asks with a signed assertion, and is given a token", async () => {
    await using server = await google();
    const source = sourceOf(serviceAccount(server.tokenUrl));
    const token = await source.current();
    expect(token.reveal()).toBe("token-1");
    expect(source.current()).toBe(token);
    expect(server.calls).toHaveLength(1);
  });

  test("as a file is read when it is first needed", async () => {
    await using server = await google();
    const file = join(folder, "account.json");
    const source = sourceOf(file);
    await writeFile(file, serviceAccount(server.tokenUrl));
    expect((await source.current()).reveal()).toBe("token-1");
  });

  test("with the wrong key is refused: the failure has Google's word and no more", async () => {
    await using server = await google();
    const other = generateKeyPairSync("rsa", { modulusLength: 2048 }).privateKey.export({
      type: "pkcs8",
      format: "pem",
    });
    const source = sourceOf(serviceAccount(server.tokenUrl, { private_key: other }));
    const failure = Promise.resolve(source.current());
    await expect(failure).rejects.toThrow(CredentialsError);
    await expect(failure).rejects.toThrow(
      /^key "vertex-main": its Google account gave no token \(status 400, invalid_grant\)$/,
    );
  });

  test("shares its token with keys of the same account, and asks once for many calls", async () => {
    await using server = await google();
    const json = serviceAccount(server.tokenUrl);
    const sources = ["a", "b"].map((name) => googleTokenSource({ name, auth_credentials: json }));
    const tokens = await Promise.all(Array.from({ length: 20 }, async (_, index) => sources[index % 2]?.current()));
    expect(new Set(tokens).size).toBe(1);
    expect(server.calls).toHaveLength(1);
  });

  test.each<[string, Record<string, unknown>, string]>([
    ["no email", { client_email: undefined }, "it has no client_email"],
    ["no key", { private_key: "" }, "it has no private_key"],
    [
      "a key that is none",
      { private_key: "-----BEGIN PRIVATE KEY-----\nc2VjcmV0LWtleQ==\n-----END PRIVATE KEY-----" },
      "not a private key in PEM",
    ],
    ["another kind of account", { type: "external_account" }, "others are not supported"],
    ["another server", { token_uri: "https://oauth2.googleapis.com.evil.example/token" }, "token_uri"],
    ["a server without TLS", { token_uri: "http://oauth2.googleapis.com/token" }, "token_uri"],
    ["another port", { token_uri: "https://oauth2.googleapis.com:8443/token" }, "token_uri"],
    ["a user in the address", { token_uri: "https://me:secret-key@oauth2.googleapis.com/token" }, "token_uri"],
    ["the metadata server", { token_uri: "http://metadata.google.internal/token" }, "token_uri"],
    ["the metadata server's address", { token_uri: "http://169.254.169.254/token" }, "token_uri"],
    ["no address", { token_uri: 7 }, "token_uri"],
  ])("with %s is refused by name when it is made", (_case, changes, reason) => {
    const attempt = () => sourceOf(serviceAccount("https://oauth2.googleapis.com/token", changes));
    expect(attempt).toThrow(CredentialsError);
    expect(attempt).toThrow(/^key "vertex-main": auth_credentials: /);
    expect(attempt).toThrow(reason);
    expect(attempt).not.toThrow(/secret-key|c2VjcmV0/);
  });

  test("of another algorithm's key is refused", () => {
    const pem = generateKeyPairSync("ec", { namedCurve: "P-256" }).privateKey.export({ type: "pkcs8", format: "pem" });
    const attempt = () => sourceOf(serviceAccount("https://oauth2.googleapis.com/token", { private_key: pem }));
    expect(attempt).toThrow("not an RSA key");
  });

  test("in broken JSON is refused without showing it", () => {
    const attempt = () => sourceOf('{"private_key": "very-secret');
    expect(attempt).toThrow("it is not a JSON object");
    expect(attempt).not.toThrow("very-secret");
  });

  test("of Google's own addresses is taken", () => {
    for (const uri of [
      "https://oauth2.googleapis.com/token",
      "https://www.googleapis.com/oauth2/v4/token",
      undefined,
    ]) {
      expect(() => sourceOf(serviceAccount("", { token_uri: uri }))).not.toThrow();
    }
  });
});

describe("a user's login", () => {
  test("trades its refresh token for an access token", async () => {
    await using server = await google();
    const file = join(folder, "login.json");
    await writeFile(file, userLogin(server.tokenUrl));
    expect((await sourceOf(file).current()).reveal()).toBe("token-1");
    expect(server.calls[0]?.get("grant_type")).toBe("refresh_token");
  });

  test("that was revoked fails without a secret in the message", async () => {
    await using server = await google({
      fails: () => ({
        status: 400,
        body: '{"error":"invalid_grant","error_description":"refresh-secret was revoked"}',
      }),
    });
    const file = join(folder, "login.json");
    await writeFile(file, userLogin(server.tokenUrl));
    const failure = Promise.resolve(sourceOf(file).current());
    await expect(failure).rejects.toThrow(/gave no token \(status 400, invalid_grant\)$/);
    await expect(failure).rejects.not.toThrow("refresh-secret");
  });
});

describe("the default credentials", () => {
  /** They are one identity for all keys: so each test takes the module anew. */
  const freshSource = async () => {
    vi.resetModules();
    const module = await import("../../src/upstream/google-credentials.ts");
    return module.googleTokenSource({ name: "default" });
  };

  test("are the file that the environment names", async () => {
    await using server = await google();
    const file = join(folder, "named.json");
    await writeFile(file, serviceAccount(server.tokenUrl));
    vi.stubEnv("GOOGLE_APPLICATION_CREDENTIALS", file);
    expect((await (await freshSource()).current()).reveal()).toBe("token-1");
  });

  test("else are gcloud's login", async () => {
    await using server = await google();
    await mkdir(join(folder, "gcloud"));
    await writeFile(join(folder, "gcloud", "application_default_credentials.json"), userLogin(server.tokenUrl));
    expect((await (await freshSource()).current()).reveal()).toBe("token-1");
  });

  test("that are not there fail, and say that the metadata server is not asked", async () => {
    await expect((await freshSource()).current()).rejects.toThrow(
      /^key "default": Google's default credentials gave no token \(neither .* the metadata server is not asked: set vertex_key_config\.auth_credentials\)$/,
    );
  });

  test("that the environment names and that are missing fail by their own name", async () => {
    vi.stubEnv("GOOGLE_APPLICATION_CREDENTIALS", join(folder, "missing.json"));
    await expect((await freshSource()).current()).rejects.toThrow(/gave no token \(ENOENT\)$/);
  });
});

describe("a token", () => {
  test("is renewed ten minutes before it expires, while the old one serves", async () => {
    let now = Date.now();
    await using server = await google({ now: () => now });
    const source = sourceOf(serviceAccount(server.tokenUrl), { now: () => now });
    const first = await source.current();
    now += 49 * minute;
    expect(source.current()).toBe(first);
    expect(server.calls).toHaveLength(1);

    now += 2 * minute;
    const burst = Array.from({ length: 20 }, () => source.current());
    expect(burst.every((token) => token === first)).toBe(true);
    await vi.waitFor(async () => expect((await source.current()).reveal()).toBe("token-2"));
    expect(server.calls).toHaveLength(2);
  });

  test("that cannot be renewed serves to its end, and the problem is told", async () => {
    let now = Date.now();
    let down = false;
    await using server = await google({
      now: () => now,
      fails: () => (down ? { status: 503, body: "<html>very-secret</html>" } : undefined),
    });
    const problems: string[] = [];
    const source = sourceOf(serviceAccount(server.tokenUrl), {
      now: () => now,
      onProblem: (message: string) => problems.push(message),
    });
    const first = await source.current();
    down = true;
    now += 55 * minute;
    expect(source.current()).toBe(first);
    await vi.waitFor(() => expect(problems).toHaveLength(1));
    expect(problems[0]).toBe(
      'key "vertex-main": its Google account gave no token (status 503); the ones in use serve until they expire',
    );
    now += 5 * minute;
    await expect(source.current()).rejects.toThrow(/gave no token \(status 503\)$/);
  });

  test("shows in no log", async () => {
    await using server = await google();
    const token = await sourceOf(serviceAccount(server.tokenUrl)).current();
    expect(`${inspect(token)}${JSON.stringify(token)}${String(token)}`).not.toContain("token-1");
  });

  test.each<[string, unknown]>([
    ["without an expiry", undefined],
    ["that has expired", 0],
    ["with an expiry that is no number", "soon"],
  ])("%s is none", async (_case, expiresIn) => {
    await using server = await google({ expiresIn: () => expiresIn });
    await expect(sourceOf(serviceAccount(server.tokenUrl)).current()).rejects.toThrow("the answer has no token");
  });

  test("is not taken from an answer without end, or from elsewhere by a redirect", async () => {
    await using endless = await google({ fails: () => ({ status: 200, body: "x".repeat(100_000) }) });
    await expect(sourceOf(serviceAccount(endless.tokenUrl)).current()).rejects.toThrow("the answer is too large");

    await using elsewhere = await google();
    await using moved = await serve((_request, response) => {
      response.writeHead(307, { location: elsewhere.tokenUrl }).end();
    });
    await expect(sourceOf(serviceAccount(`${moved.origin}/token`)).current()).rejects.toThrow("status 307");
    expect(elsewhere.calls).toEqual([]);
  });

  test("of a server that is not there fails with the system's word", async () => {
    const server = await google();
    const json = serviceAccount(server.tokenUrl);
    await server[Symbol.asyncDispose]();
    await expect(sourceOf(json).current()).rejects.toThrow(/gave no token \(ECONNREFUSED\)$/);
  });
});
