import { createHash } from "node:crypto";
import { SignatureV4 } from "@smithy/signature-v4";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  accessKeyIdOf,
  parseAuthorization,
  presignedParameter,
  type ReceivedRequest,
  type Verification,
  verifySignature,
} from "../../src/bedrock/signature.ts";
import { NodeSha256 } from "../support/verify-sigv4.ts";

const secret = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY";
const now = Date.UTC(2026, 0, 31, 23, 59, 58);
const sha256 = (body: Uint8Array | string) => createHash("sha256").update(body).digest("hex");
const encode = (text: string) =>
  encodeURIComponent(text).replace(/[!'()*]/g, (c) => `%${c.charCodeAt(0).toString(16).toUpperCase()}`);

/** How a client signs. */
interface Quirks {
  readonly host: "host" | ":authority";
  /** The client names the body's hash in a header. */
  readonly namesHash: boolean;
  /** Headers the client sends without signing them. */
  readonly unsigned: readonly string[];
  /** Spells a label of the path. */
  readonly label: (text: string) => string;
}

const clients: Readonly<Record<string, Quirks>> = {
  "the AWS SDK for JavaScript over HTTP/2": { host: ":authority", namesHash: true, unsigned: [], label: encode },
  "the AWS SDK for JavaScript over HTTP/1.1": { host: "host", namesHash: true, unsigned: [], label: encode },
  boto3: {
    host: "host",
    namesHash: false,
    unsigned: ["amz-sdk-invocation-id", "amz-sdk-request", "content-length"],
    label: encode,
  },
  "Anthropic's SDK": {
    host: "host",
    namesHash: true,
    unsigned: ["content-length"],
    label: (text) => encode(text).replaceAll("%3A", ":"),
  },
  "Vercel's AI SDK": {
    host: "host",
    namesHash: false,
    unsigned: ["content-type", "content-length", "accept", "amz-sdk-request", "x-amzn-bedrock-trace", "x-note"],
    label: encode,
  },
};

interface Given {
  readonly method: string;
  readonly path: string;
  readonly query: readonly (readonly [name: string, values: readonly string[]])[];
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Uint8Array;
  readonly region: string;
  readonly sessionToken?: string | undefined;
  readonly unsignedBody?: boolean;
}

/** A request as it arrives, signed by AWS's own signer in a client's way. */
interface Arrived extends Omit<ReceivedRequest, "bodyHash"> {
  readonly headers: Map<string, string>;
  readonly body: Uint8Array;
}

async function arrive(given: Given, quirks: Quirks, signedAt = now): Promise<Arrived> {
  const signer = new SignatureV4({
    credentials: {
      accessKeyId: "AKIDEXAMPLE",
      secretAccessKey: secret,
      ...(given.sessionToken !== undefined && { sessionToken: given.sessionToken }),
    },
    region: given.region,
    service: "bedrock",
    sha256: NodeSha256,
    applyChecksum: quirks.namesHash,
  });
  const signed = await signer.sign(
    {
      method: given.method,
      protocol: "http:",
      hostname: "unused",
      path: given.path,
      query: Object.fromEntries(given.query.map(([name, values]) => [name, [...values]])),
      headers: {
        ...given.headers,
        [quirks.host]: "localhost:8080",
        ...(given.unsignedBody === true && { "x-amz-content-sha256": "UNSIGNED-PAYLOAD" }),
      },
      body: given.body,
    },
    { signingDate: new Date(signedAt), unsignableHeaders: new Set(quirks.unsigned) },
  );
  const query = given.query.flatMap(([name, values]) => values.map((value) => `${encode(name)}=${encode(value)}`));
  return {
    method: given.method,
    path: given.path,
    query: query.join("&"),
    // HTTP takes the blanks around a value away.
    headers: new Map(
      Object.entries(signed.headers).map(([name, value]) => [
        name.toLowerCase(),
        value.replace(/^[ \t]+|[ \t]+$/g, ""),
      ]),
    ),
    body: given.body,
    now,
  };
}

const verify = ({ body, ...request }: Arrived, key = secret, expected = {}): Promise<Verification> =>
  verifySignature({ ...request, bodyHash: () => sha256(body) }, key, expected);

const plain: Given = {
  method: "POST",
  path: "/bedrock/model/vendor.model-v1%3A0/converse",
  query: [],
  headers: { "content-type": "application/json", "amz-sdk-request": "attempt=1; max=3" },
  body: Buffer.from('{"messages":[]}'),
  region: "us-west-2",
};
const js: Quirks = { host: "host", namesHash: true, unsigned: [], label: encode };

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
const headerValue = fc.oneof(
  fc.constantFrom("application/json", "  led", "trailed  ", "a  b\t c", "", " , ", "a, b", "a,b"),
  fc.string({ unit: fc.constantFrom("a", "Z", "9", " ", "\t", '"', ":", "\u007e"), maxLength: 20 }),
);

const request = fc.record({
  client: fc.constantFrom(...Object.keys(clients)),
  method: fc.constantFrom("POST", "GET", "PUT", "DELETE"),
  prefix: fc.constantFrom("/bedrock", "/bedrock/", "//bedrock", "/./bedrock", "/up/../bedrock", "/proxy%20a/bedrock"),
  labels: fc.array(label, { minLength: 1, maxLength: 3 }),
  slash: fc.boolean(),
  query: fc.uniqueArray(
    fc.tuple(
      // Smithy keeps parameters in a plain object, and so has no place for one of this name.
      fc.oneof(fc.constantFrom("maxResults", "nextToken", "a", "A", "a b", "é"), text).filter((n) => n !== "__proto__"),
      fc.array(fc.oneof(fc.constantFrom("", "1", "a=b", "x&y", "+ ", "%25"), text), { minLength: 1, maxLength: 3 }),
    ),
    { selector: ([name]) => name, maxLength: 4 },
  ),
  headers: fc.dictionary(
    fc.constantFrom("content-type", "accept", "amz-sdk-request", "x-amzn-bedrock-trace", "x-note", "x-amz-user-agent"),
    headerValue,
  ),
  body: fc.uint8Array({ maxLength: 200 }),
  region: fc.constantFrom("us-east-1", "us-gov-west-1", "cn-north-1"),
  sessionToken: fc.option(fc.base64String({ minLength: 4, maxLength: 200 }), { nil: undefined }),
  unsignedBody: fc.boolean(),
});

function build(random: typeof request extends fc.Arbitrary<infer R> ? R : never): [Given, Quirks] {
  const quirks = clients[random.client] ?? js;
  const path = `${random.prefix}/model/${random.labels.map(quirks.label).join("/")}${random.slash ? "/" : ""}`;
  return [{ ...random, path }, quirks];
}

describe("a signature", () => {
  test("is right when AWS's own signer made it, in the way of any client", async () => {
    await fc.assert(
      fc.asyncProperty(request, async (random) => {
        expect(await verify(await arrive(...build(random)))).toEqual({ ok: true });
      }),
      { numRuns: 300 },
    );
  });

  test("is wrong when one character of anything signed has changed on the way", async () => {
    const change = fc.constantFrom("method", "path", "query", "header", "body", "signature", "secret");
    await fc.assert(
      fc.asyncProperty(request, change, fc.nat(), async (random, what, at) => {
        const arrived = await arrive(...build(random));
        const tampered = tamper(arrived, what, at);
        fc.pre(tampered !== undefined);
        const key = what === "secret" ? flip(secret, at) : secret;
        expect(await verify(tampered ?? arrived, key)).toMatchObject({ ok: false, type: "InvalidSignatureException" });
      }),
      { numRuns: 500 },
    );
  });

  test.each(Object.entries(clients))("by %s is right over a plain request", async (_client, quirks) => {
    const arrived = await arrive({ ...plain, path: `/bedrock/model/${quirks.label("a/b:0")}/converse` }, quirks);
    expect(await verify(arrived)).toEqual({ ok: true });
    expect(arrived.headers.has("x-amz-content-sha256")).toBe(quirks.namesHash);
    expect(await verify(arrived, `${secret}x`)).toMatchObject({ ok: false, type: "InvalidSignatureException" });
    expect(await verify(arrived, "")).toMatchObject({ ok: false, type: "InvalidSignatureException" });
  });

  test("is right again and again, and for another day, region and secret after the first", async () => {
    for (const region of ["us-east-1", "eu-west-1", "us-east-1"]) {
      expect(await verify(await arrive({ ...plain, region }, js))).toEqual({ ok: true });
    }
    const tomorrow = now + 86_400_000;
    const arrived = await arrive(plain, js, tomorrow);
    expect(await verify({ ...arrived, now: tomorrow })).toEqual({ ok: true });
    expect(await verify({ ...arrived, now: tomorrow }, "another")).toMatchObject({ ok: false });
  });

  test("does not depend on headers that were added after signing", async () => {
    const arrived = await arrive(plain, js);
    arrived.headers.set("user-agent", "aws-sdk-js/3").set("amz-sdk-retry", "1").set("via", "1.1 proxy");
    expect(await verify(arrived)).toEqual({ ok: true });
  });

  test("covers a host that a proxy moved between HTTP/2's :authority and host", async () => {
    const overH2 = await arrive(plain, { ...js, host: ":authority" });
    overH2.headers.set("host", overH2.headers.get(":authority") ?? "").delete(":authority");
    overH2.headers.delete(":authority");
    expect(await verify(overH2)).toEqual({ ok: true });
    const overH1 = await arrive(plain, js);
    overH1.headers.set(":authority", "localhost:8080");
    overH1.headers.delete("host");
    expect(await verify(overH1)).toEqual({ ok: true });
    overH1.headers.set(":authority", "localhost:8081");
    expect(await verify(overH1)).toMatchObject({ ok: false });
  });

  test("covers a header that was sent twice, which its signer joins with a bare comma", async () => {
    const arrived = await arrive({ ...plain, headers: { "x-note": "a,b  c,d" } }, js);
    arrived.headers.set("x-note", "a, b  c, d");
    expect(await verify(arrived)).toEqual({ ok: true });
    arrived.headers.set("x-note", "a, b  c, e");
    expect(await verify(arrived)).toMatchObject({ ok: false });
  });

  test("needs no body where the client does not sign it", async () => {
    const { body: _unused, ...arrived } = await arrive({ ...plain, unsignedBody: true }, js);
    const bodyHash = () => Promise.reject(new Error("asked for the body's hash"));
    expect(await verifySignature({ ...arrived, bodyHash }, secret)).toEqual({ ok: true });
  });

  test("is looked at before the body is hashed, where the client named the hash", async () => {
    const { body: _unused, ...arrived } = await arrive(plain, js);
    let asked = 0;
    const bodyHash = () => {
      asked++;
      return Promise.resolve(sha256(plain.body));
    };
    expect(await verifySignature({ ...arrived, bodyHash }, "another")).toMatchObject({ ok: false });
    expect(asked).toBe(0);
    expect(await verifySignature({ ...arrived, bodyHash }, secret)).toEqual({ ok: true });
    expect(asked).toBe(1);
  });
});

/** Changes one character so that it means something else; undefined where there is none to change. */
function tamper(arrived: Arrived, what: string, at: number): Arrived | undefined {
  switch (what) {
    case "method":
      return { ...arrived, method: arrived.method === "PUT" ? "POST" : "PUT" };
    case "path":
      // What a dot segment takes away is not signed.
      if (/\/\.\.?(?:\/|$)/.test(arrived.path)) return undefined;
      return { ...arrived, path: `/bedrock/${flip(arrived.path.slice("/bedrock/".length), at)}` };
    case "query":
      return /[A-Za-z0-9]/.test(arrived.query) ? { ...arrived, query: flip(arrived.query, at) } : undefined;
    case "header": {
      const names = signedNames(arrived).filter((name) => /[A-Za-z0-9]/.test(arrived.headers.get(name) ?? ""));
      const name = names.filter((one) => one !== "x-amz-date" && one !== "x-amz-content-sha256")[at % 3];
      if (name === undefined) return undefined;
      return { ...arrived, headers: new Map(arrived.headers).set(name, flip(arrived.headers.get(name) ?? "", at)) };
    }
    case "body": {
      if (arrived.body.length === 0 || arrived.headers.get("x-amz-content-sha256") === "UNSIGNED-PAYLOAD")
        return undefined;
      const body = Uint8Array.from(arrived.body);
      const index = at % body.length;
      body[index] = (body[index] ?? 0) ^ 1;
      return { ...arrived, body };
    }
    case "signature": {
      const authorization = arrived.headers.get("authorization") ?? "";
      const start = authorization.length - 64;
      const digits = authorization.slice(start);
      const index = at % 64;
      const digit = (Number.parseInt(digits.charAt(index), 16) ^ 1).toString(16);
      const forged = `${authorization.slice(0, start + index)}${digit}${digits.slice(index + 1)}`;
      return { ...arrived, headers: new Map(arrived.headers).set("authorization", forged) };
    }
    default:
      return arrived;
  }
}

function signedNames(arrived: Arrived): readonly string[] {
  const parsed = parseAuthorization(arrived.headers.get("authorization") ?? "");
  return parsed.ok ? parsed.signedHeaders : [];
}

/** Puts another letter or digit in the place of one, somewhere at or after `at`. */
function flip(value: string, at: number): string {
  const places = [...value.matchAll(/[A-Za-z0-9]/g)].map((match) => match.index);
  const place = places[at % places.length] ?? 0;
  const next = value.charAt(place) === "7" ? "8" : "7";
  return `${value.slice(0, place)}${next}${value.slice(place + 1)}`;
}

describe("a request is refused", () => {
  const refusal = async (change: (arrived: Arrived) => void, given: Given = plain, signedAt = now) => {
    const arrived = await arrive(given, js, signedAt);
    change(arrived);
    const verification = await verify(arrived);
    if (verification.ok) throw new Error("it was verified");
    expect(verification.message).not.toContain(secret);
    return verification;
  };
  const authorize = (change: (header: string) => string) => (arrived: Arrived) => {
    arrived.headers.set("authorization", change(arrived.headers.get("authorization") ?? ""));
  };

  test("when its date is over 5 minutes off, in AWS's words", async () => {
    expect(await verify(await arrive(plain, js, now - 300_000))).toEqual({ ok: true });
    expect(await verify(await arrive(plain, js, now + 300_000))).toEqual({ ok: true });
    expect(await refusal(() => undefined, plain, now - 301_000)).toEqual({
      ok: false,
      type: "InvalidSignatureException",
      message: "Signature expired: 20260131T235457Z is now earlier than 20260131T235458Z (20260131T235958Z - 5 min.)",
    });
    expect(await refusal(() => undefined, plain, now + 301_000)).toEqual({
      ok: false,
      type: "InvalidSignatureException",
      message:
        "Signature not yet current: 20260201T000459Z is still later than 20260201T000458Z (20260131T235958Z + 5 min.)",
    });
  });

  test("when the scope's date is not that of x-amz-date", async () => {
    const { type, message } = await refusal(authorize((header) => header.replace("/20260131/", "/20260130/")));
    expect(type).toBe("InvalidSignatureException");
    expect(message).toContain("'20260130' != '20260131'");
  });

  test.each([
    ["/us-west-2/bedrock/", "/us-west-2/s3/", "correct service: 'bedrock'"],
    ["/us-west-2/bedrock/", "/us-west-2/bedrock-runtime/", "correct service: 'bedrock'"],
    ["/us-west-2/", "/us_west_2!/", "valid region"],
    ["/aws4_request", "/aws5_request", "valid terminator"],
  ])("when its scope is another: %s as %s", async (from, to, words) => {
    const { type, message } = await refusal(authorize((header) => header.replace(from, to)));
    expect(type).toBe("InvalidSignatureException");
    expect(message).toContain(words);
  });

  test("when it is signed for another region than the one expected", async () => {
    const arrived = await arrive(plain, js);
    expect(await verify(arrived, secret, { region: "us-west-2" })).toEqual({ ok: true });
    expect(await verify(arrived, secret, { region: "us-east-1" })).toMatchObject({
      ok: false,
      type: "InvalidSignatureException",
      message: expect.stringContaining("us-east-1"),
    });
  });

  test("when x-amz-date is missing, sent twice or no date", async () => {
    for (const date of [undefined, "", "20260131T235958Z, 20260131T235958Z", "20261331T235958Z", "Sat, 31 Jan 2026"]) {
      const { type, message } = await refusal(({ headers }) => {
        if (date === undefined) headers.delete("x-amz-date");
        else headers.set("x-amz-date", date);
      });
      expect(type).toBe("IncompleteSignatureException");
      expect(message).toContain("X-Amz-Date");
    }
  });

  test("when the host, the date or the session token is not among the signed headers", async () => {
    const without = (name: string) =>
      authorize((header) =>
        header.replace(/SignedHeaders=[^,]+/, (list) => list.replace(`${name};`, "").replace(`;${name}`, "")),
      );
    expect((await refusal(without("host"))).message).toContain("'Host'");
    expect((await refusal(without("x-amz-date"))).message).toContain("'X-Amz-Date'");
    const temporary = { ...plain, sessionToken: "token" };
    expect((await refusal(without("x-amz-security-token"), temporary)).message).toContain("'X-Amz-Security-Token'");
    const added = await refusal(({ headers }) => void headers.set("x-amz-security-token", "smuggled"));
    expect(added).toMatchObject({ type: "InvalidSignatureException" });
  });

  test("when a signed header did not arrive, which is named", async () => {
    const { type, message } = await refusal(({ headers }) => void headers.delete("content-type"));
    expect(type).toBe("InvalidSignatureException");
    expect(message).toContain("'content-type'");
  });

  test("when x-amz-content-sha256 is neither a hash nor UNSIGNED-PAYLOAD", async () => {
    for (const value of ["STREAMING-AWS4-HMAC-SHA256-EVENTS", "unsigned-payload", "", sha256("").toUpperCase()]) {
      const { type, message } = await refusal(({ headers }) => void headers.set("x-amz-content-sha256", value));
      expect(type).toBe("InvalidSignatureException");
      expect(message).toContain("x-amz-content-sha256");
    }
  });

  test("when UNSIGNED-PAYLOAD takes the place of a signed hash", async () => {
    const { type } = await refusal(({ headers }) => void headers.set("x-amz-content-sha256", "UNSIGNED-PAYLOAD"));
    expect(type).toBe("InvalidSignatureException");
  });

  test("when its path or query cannot be decoded or written in UTF-8, without a fault", async () => {
    for (const path of ["/bedrock/%", "/bedrock/%zz", "/\ud800", "", "bedrock", "/\u0000"]) {
      const arrived: Arrived = { ...(await arrive(plain, js)), path, query: "%=%zz&\udfff&==&&" };
      expect(await verify(arrived)).toMatchObject({ ok: false, type: "InvalidSignatureException" });
    }
  });

  const scope = "AKID/20260131/us-west-2/bedrock/aws4_request";
  const signature = "a".repeat(64);
  test.each([
    ["", "AWS4-HMAC-SHA256"],
    ["Bearer abc", "AWS4-HMAC-SHA256"],
    [`aws4-hmac-sha256 Credential=${scope}`, "AWS4-HMAC-SHA256"],
    [`AWS4-ECDSA-P256-SHA256 Credential=${scope}, SignedHeaders=host, Signature=${signature}`, "AWS4-HMAC-SHA256"],
    ["AWS4-HMAC-SHA256", "Name=value"],
    ["AWS4-HMAC-SHA256 ", "Name=value"],
    [`AWS4-HMAC-SHA256 Credential=${scope}, SignedHeaders=host,`, "Name=value"],
    [`AWS4-HMAC-SHA256 SignedHeaders=host, Signature=${signature}`, "'Credential'"],
    [`AWS4-HMAC-SHA256 Credential=${scope}, Signature=${signature}`, "'SignedHeaders'"],
    [`AWS4-HMAC-SHA256 Credential=${scope}, SignedHeaders=host`, "'Signature'"],
    [`AWS4-HMAC-SHA256 Credential=${scope}, Credential=${scope}, SignedHeaders=host`, "twice"],
    [`AWS4-HMAC-SHA256 Credential=AKID, SignedHeaders=host, Signature=${signature}`, "Credential must be"],
    [`AWS4-HMAC-SHA256 Credential=x/${scope}, SignedHeaders=host, Signature=${signature}`, "Credential must be"],
    [
      `AWS4-HMAC-SHA256 Credential=/${scope.slice(5)}, SignedHeaders=host, Signature=${signature}`,
      "Credential must be",
    ],
    [`AWS4-HMAC-SHA256 Credential=${scope}, SignedHeaders=, Signature=${signature}`, "SignedHeaders must be"],
    [`AWS4-HMAC-SHA256 Credential=${scope}, SignedHeaders=x;host, Signature=${signature}`, "SignedHeaders must be"],
    [`AWS4-HMAC-SHA256 Credential=${scope}, SignedHeaders=host;host, Signature=${signature}`, "SignedHeaders must be"],
    [`AWS4-HMAC-SHA256 Credential=${scope}, SignedHeaders=Host, Signature=${signature}`, "SignedHeaders must be"],
    [`AWS4-HMAC-SHA256 Credential=${scope}, SignedHeaders=host, Signature=00`, "Signature must be"],
    [`AWS4-HMAC-SHA256 Credential=${scope}, SignedHeaders=host, Signature=${"A".repeat(64)}`, "Signature must be"],
  ])("when its authorization is malformed: %s", async (header, words) => {
    expect(await refusal(authorize(() => header))).toMatchObject({
      type: "IncompleteSignatureException",
      message: expect.stringContaining(words),
    });
  });
});

describe("an authorization header", () => {
  test("is read with and without blanks between its parameters", () => {
    const parts = ["Credential=AKID/20260131/us-west-2/bedrock/aws4_request", "SignedHeaders=:authority;x-amz-date"];
    for (const separator of [",", ", ", " , "]) {
      const header = `AWS4-HMAC-SHA256 ${[...parts, `Signature=${"0f".repeat(32)}`].join(separator)}`;
      expect(parseAuthorization(header)).toEqual({
        ok: true,
        accessKeyId: "AKID",
        date: "20260131",
        region: "us-west-2",
        service: "bedrock",
        terminator: "aws4_request",
        signedHeaders: [":authority", "x-amz-date"],
        signature: "0f".repeat(32),
      });
      expect(accessKeyIdOf(header)).toBe("AKID");
    }
  });

  test("names its access key even where the rest is a dummy's", () => {
    expect(accessKeyIdOf("AWS4-HMAC-SHA256 Credential=bifrost-dummy-key")).toBe("bifrost-dummy-key");
    expect(accessKeyIdOf("AWS4-HMAC-SHA256 SignedHeaders=host,Credential=k/x, Signature=00")).toBe("k");
    expect(accessKeyIdOf("AWS4-HMAC-SHA256 dummy")).toBeUndefined();
    expect(accessKeyIdOf("AWS4-HMAC-SHA256 Credential=/x")).toBeUndefined();
    expect(accessKeyIdOf("Bearer Credential=AKID/x")).toBeUndefined();
    expect(accessKeyIdOf("")).toBeUndefined();
  });

  test("of any text is read or refused, never a fault, and both readings name the same access key", () => {
    const piece = fc.oneof(
      fc.constantFrom("Credential=", "SignedHeaders=", "Signature=", "AKID/20260131/r/bedrock/aws4_request", ", ", "/"),
      fc.constantFrom("host;x-amz-date", "0".repeat(64), "=", ";", " "),
      fc.string({ maxLength: 8 }),
    );
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 8 }), (pieces) => {
        const header = `AWS4-HMAC-SHA256 ${pieces.join("")}`;
        const parsed = parseAuthorization(header);
        if (parsed.ok && !/\s/.test(parsed.accessKeyId)) expect(accessKeyIdOf(header)).toBe(parsed.accessKeyId);
      }),
    );
  });
});

describe("a presigned query", () => {
  test("is told by the parameters that carry its signature", () => {
    expect(presignedParameter("X-Amz-Signature=abc")).toBe("X-Amz-Signature");
    expect(presignedParameter("maxResults=3&X%2DAmz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Signature=1")).toBe(
      "X-Amz-Algorithm",
    );
    expect(presignedParameter("x-amz-credential")).toBe("x-amz-credential");
    expect(presignedParameter("maxResults=3&nextToken=X-Amz-Signature")).toBeUndefined();
    expect(presignedParameter("%")).toBeUndefined();
    expect(presignedParameter("")).toBeUndefined();
  });
});
