import { SignatureV4 } from "@smithy/signature-v4";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { awsCredentials } from "../../src/upstream/credentials.ts";
import { type AwsCredentials, type SignableRequest, sha256Hex, sign } from "../../src/upstream/sigv4.ts";
import { NodeSha256, verifySigV4 } from "../support/verify-sigv4.ts";

const encode = (text: string) =>
  encodeURIComponent(text).replace(/[!'()*]/g, (c) => `%${c.charCodeAt(0).toString(16).toUpperCase()}`);

/** Well-formed: a lone surrogate has no percent-encoding. */
const text = fc.string({ unit: "binary", maxLength: 12 });

const label = fc.oneof(
  fc.constantFrom(
    "us.anthropic.claude-sonnet-4-20250514-v1:0",
    "openai/gpt-4o",
    "arn:aws:bedrock:us-east-1:123456789012:application-inference-profile/a1b2c3",
    "my model (final)!*'~",
    "modèle-日本-🦌",
    "100%",
    "..",
  ),
  text,
);

/** Each label encoded as the SDKs do, as `encodeURIComponent` does, or not at all where that is a legal path. */
const segment = fc
  .tuple(
    label,
    fc.constantFrom(encode, encodeURIComponent, (value: string) => encode(value).replaceAll("%3A", ":")),
  )
  .map(([value, spell]) => spell(value));

const path = fc
  .record({
    prefix: fc.constantFrom("", "/proxy", "/a%20b/c", "//twice", "/./dot", "/up/.."),
    segments: fc.array(segment, { maxLength: 4 }),
    slash: fc.boolean(),
  })
  .map(({ prefix, segments, slash }) => `${prefix}/${segments.join("/")}${slash ? "/" : ""}`);

const query = fc.uniqueArray(
  fc.record({
    // Smithy keeps parameters in a plain object, and so has no place for one of this name.
    name: fc
      .oneof(fc.constantFrom("maxResults", "nextToken", "a", "A", "a b", "é", "a+b", "a%b", "10", "2"), text)
      .filter((name) => name !== "__proto__"),
    values: fc.array(fc.oneof(fc.constantFrom("", "1", "a=b", "x&y", "+ ", "é", "%25", "/:,"), text), {
      minLength: 1,
      maxLength: 3,
    }),
  }),
  { selector: ({ name }) => name, maxLength: 5 },
);

/** What may stand in a header: visible ASCII and blanks, in odd numbers. */
const headerValue = fc.oneof(
  fc.constantFrom("application/json", "  led", "trailed  ", "a  b\t c", "\t", "", " , ", "a,b"),
  fc.string({ unit: fc.constantFrom("a", "Z", "9", " ", "\t", '"', ":", "\u007e"), maxLength: 20 }),
);

const headers = fc.uniqueArray(
  fc.tuple(
    fc.constantFrom(
      "content-type",
      "Accept",
      "x-amzn-bedrock-guardrailidentifier",
      "X-Amzn-Bedrock-Trace",
      "x-amz-target",
      "User-Agent",
      "connection",
      "Proxy-Authorization",
      "sec-fetch-mode",
      "transfer-encoding",
      "x-amzn-trace-id",
      "expect",
      "cache-control",
      "content-length",
      "a",
      "zz-last",
      "x-amz-",
      "host-like",
      "Date",
      "authorization",
    ),
    headerValue,
  ),
  { selector: ([name]) => name, maxLength: 8 },
);

const credentials: fc.Arbitrary<AwsCredentials> = fc
  .record({
    accessKeyId: fc.constantFrom("AKIDEXAMPLE", "ASIAEXAMPLE"),
    secretAccessKey: fc.string({ minLength: 1, maxLength: 40 }),
    sessionToken: fc.option(fc.base64String({ minLength: 4, maxLength: 400 }), { nil: undefined }),
  })
  .map(({ accessKeyId, secretAccessKey, sessionToken }) =>
    sessionToken === undefined ? { accessKeyId, secretAccessKey } : { accessKeyId, secretAccessKey, sessionToken },
  );

describe("a signature", () => {
  test("equals that of @smithy/signature-v4 for any request, identity, region and date", async () => {
    const everything = fc.record({
      method: fc.constantFrom("POST", "GET", "PUT", "DELETE", "HEAD"),
      host: fc.constantFrom("bedrock-runtime.us-east-1.amazonaws.com", "127.0.0.1:4567", "localhost:80"),
      path,
      query,
      headers,
      body: fc.uint8Array({ maxLength: 200 }),
      unsignedBody: fc.boolean(),
      credentials,
      region: fc.constantFrom("us-east-1", "us-gov-west-1", "cn-north-1"),
      service: fc.constantFrom("bedrock", "sts", "s3"),
      now: fc.date({ min: new Date("2000-01-01"), max: new Date("2099-12-31"), noInvalidDate: true }),
    });
    await fc.assert(
      fc.asyncProperty(everything, async (given) => {
        const bodyHash = given.unsignedBody ? "UNSIGNED-PAYLOAD" : sha256Hex(given.body);
        const request: SignableRequest = {
          method: given.method,
          host: given.host,
          path: given.path,
          query: given.query
            .flatMap(({ name, values }) => values.map((value) => `${encodeURIComponent(name)}=${encode(value)}`))
            .join("&"),
          headers: given.headers,
          bodyHash,
        };
        const ours = sign(request, given.credentials, given.region, given.service, given.now);

        const smithy = new SignatureV4({
          credentials: given.credentials,
          region: given.region,
          service: given.service,
          sha256: NodeSha256,
          // S3's path is signed as it is.
          uriEscapePath: given.service !== "s3",
        });
        const theirs = await smithy.sign(
          {
            method: given.method,
            protocol: "https:",
            hostname: "unused",
            path: given.path,
            query: Object.fromEntries(given.query.map(({ name, values }) => [name, values])),
            headers: {
              ...Object.fromEntries(given.headers),
              host: given.host,
              ...(given.unsignedBody ? { "x-amz-content-sha256": "UNSIGNED-PAYLOAD" } : {}),
            },
            body: given.body,
          },
          { signingDate: given.now },
        );
        for (const [name, value] of ours) expect(value, name).toBe(theirs.headers[name]);
        expect(ours.map(([name]) => name)).toEqual([
          "x-amz-date",
          "x-amz-content-sha256",
          ...(given.credentials.sessionToken === undefined ? [] : ["x-amz-security-token"]),
          "authorization",
        ]);
      }),
      { numRuns: 1000 },
    );
  });

  const request: SignableRequest = {
    method: "POST",
    host: "bedrock-runtime.us-east-1.amazonaws.com",
    path: "/model/a%3A0/converse",
    query: "",
    headers: [["content-type", "application/json"]],
    bodyHash: sha256Hex("{}"),
  };
  const permanent = { accessKeyId: "AKIDEXAMPLE", secretAccessKey: "secret" };
  const noon = new Date("2025-06-01T12:00:00.999Z");
  const headerOf = (headers: [string, string][], name: string) => headers.find(([other]) => other === name)?.[1];

  test("is the same for a date and for its milliseconds, and names the second that has begun", () => {
    const byDate = sign(request, permanent, "us-east-1", "bedrock", noon);
    expect(sign(request, permanent, "us-east-1", "bedrock", noon.getTime())).toEqual(byDate);
    expect(headerOf(byDate, "x-amz-date")).toBe("20250601T120000Z");
  });

  test("changes with the day, the region and the secret, although signing keys are kept", () => {
    const later = new Date("2025-06-02T12:00:00Z");
    const signatures = [
      sign(request, permanent, "us-east-1", "bedrock", noon),
      sign(request, permanent, "us-east-1", "bedrock", later),
      sign(request, permanent, "us-west-2", "bedrock", noon),
      sign(request, { ...permanent, secretAccessKey: "other" }, "us-east-1", "bedrock", noon),
    ].map((headers) => headerOf(headers, "authorization")?.replace(/^.*Signature=/, ""));
    expect(new Set(signatures).size).toBe(4);
    expect(headerOf(sign(request, permanent, "us-east-1", "bedrock", noon), "authorization")).toContain(signatures[0]);
  });

  test("takes only the request's own host and its own new headers, whatever the given headers say", () => {
    const forged: SignableRequest["headers"] = [
      ...request.headers,
      ["Host", "evil.example"],
      ["X-Amz-Date", "19990101T000000Z"],
      ["x-amz-content-sha256", "0"],
      ["X-Amz-Security-Token", "stale"],
      ["Authorization", "Bearer client"],
    ];
    const plain = sign(request, permanent, "us-east-1", "bedrock", noon);
    expect(sign({ ...request, headers: forged }, permanent, "us-east-1", "bedrock", noon)).toEqual(plain);
  });

  test("joins a repeated header with a comma, as a server that receives both does", async () => {
    const repeated: SignableRequest["headers"] = [
      ["x-amzn-bedrock-a", " one "],
      ["accept", "*/*"],
      ["X-Amzn-Bedrock-A", "two  three"],
    ];
    const added = sign({ ...request, headers: repeated }, permanent, "us-east-1", "bedrock", noon);
    const received = {
      method: request.method,
      url: request.path,
      headers: {
        host: request.host,
        accept: "*/*",
        "x-amzn-bedrock-a": "one,two three",
        ...Object.fromEntries(added),
      },
      body: Buffer.from("{}"),
    };
    expect(await verifySigV4(received, { credentials: permanent, now: noon })).toEqual({ ok: true });
  });

  test("reads a parameter without a value as an empty one, and one that is not percent-encoding as it stands", () => {
    const signed = (query: string) => sign({ ...request, query }, permanent, "us-east-1", "bedrock", noon);
    expect(signed("b&a=1")).toEqual(signed("a=1&b="));
    expect(signed("&a=100%&")).toEqual(signed("a=100%25"));
    expect(signed("a=2&a=1")).toEqual(signed("a=1&a=2"));
    expect(signed("a=1&b=2")).not.toEqual(signed("a=1&b=3"));
  });

  test("reads an absent path as the root", () => {
    const signed = (path: string) => sign({ ...request, path }, permanent, "us-east-1", "bedrock", noon);
    expect(signed("")).toEqual(signed("/"));
  });

  test("works with credentials whose secrets do not show", () => {
    const held = awsCredentials("AKIDEXAMPLE", "secret", "token");
    const open = { ...permanent, sessionToken: "token" };
    expect(sign(request, held, "us-east-1", "bedrock", noon)).toEqual(
      sign(request, open, "us-east-1", "bedrock", noon),
    );
  });
});

test("sha256Hex is SHA-256 in lower-case hexadecimal", () => {
  expect(sha256Hex(new Uint8Array())).toBe("e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  expect(sha256Hex("abc")).toBe("ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
});
