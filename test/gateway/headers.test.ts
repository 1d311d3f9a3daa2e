import { describe, expect, test } from "vitest";
import { type HeaderFilter, headersForClient, headersForUpstream } from "../../src/gateway/headers.ts";

const open: HeaderFilter = { allow: [], deny: [] };

function up(headers: Readonly<Record<string, string>>, filter: HeaderFilter = open): Record<string, string> {
  const pairs = headersForUpstream(new Map(Object.entries(headers)), filter, "relay");
  expect(new Set(pairs.map(([name]) => name)).size).toBe(pairs.length);
  return Object.fromEntries(pairs);
}

test("a provider that is not Bedrock gets nothing but what the filter allows", () => {
  const headers = { accept: "a/b", "content-type": "c/d", "x-amzn-bedrock-trace": "ENABLED", "x-bf-eh-x-team": "blue" };
  expect(headersForUpstream(new Map(Object.entries(headers)), open, "translate")).toEqual([["x-team", "blue"]]);
});

test("S3 gets the members of its operations, and nothing of how the upload was framed or signed", () => {
  const members = {
    "content-type": "a/b",
    "content-md5": "x",
    "cache-control": "no-store",
    "content-encoding": "gzip",
    range: "bytes=0-1",
    "if-match": '"e"',
    "if-none-match": "*",
    expires: "0",
    "x-amz-meta-team": "blue",
    "x-amz-server-side-encryption": "aws:kms",
    "x-amz-checksum-crc32": "AA==",
    "x-amz-expected-bucket-owner": "123456789012",
  };
  const own = {
    "x-amz-content-sha256": "a",
    "x-amz-date": "b",
    "x-amz-security-token": "c",
    "x-amz-trailer": "d",
    "x-amz-decoded-content-length": "3",
    "x-amz-user-agent": "e",
    "amz-sdk-request": "f",
    "x-bf-vk": "g",
    "x-model-provider": "h",
    expect: "100-continue",
    origin: "i",
  };
  const all = new Map(Object.entries({ ...members, ...own }));
  expect(Object.fromEntries(headersForUpstream(all, open, "files"))).toEqual(members);
  expect(headersForUpstream(all, { allow: [], deny: ["x-amz-meta-*"] }, "files").map(([name]) => name)).not.toContain(
    "x-amz-meta-team",
  );
  expect(Object.keys(up(members))).toEqual(["content-type"]);
});

/** What no client can send upstream under any name or filter. */
const never = [
  "accept-encoding",
  "authorization",
  "api-key",
  "amz-sdk-request",
  "connection",
  "content-length",
  "cookie",
  "expect",
  "host",
  "keep-alive",
  "proxy-authorization",
  "te",
  "trailer",
  "transfer-encoding",
  "upgrade",
  "user-agent",
  "x-amz-content-sha256",
  "x-amz-date",
  "x-amz-security-token",
  "x-api-key",
  "x-bf-vk",
  "traceparent",
  "tracestate",
  "x-goog-api-key",
  "x-model-provider",
];

describe("upstream", () => {
  test("goes what Bedrock reads, and nothing else", () => {
    const bedrock = {
      "content-type": "application/json",
      accept: "*/*",
      "x-amzn-bedrock-trace": "ENABLED",
      "x-amzn-bedrock-guardrailidentifier": "g",
    };
    expect(up({ ...bedrock, origin: "http://a", traceparent: "00", "x-other": "1", ":authority": "h" })).toEqual(
      bedrock,
    );
  });

  test("goes a header that was given for it by x-bf-eh-, instead of the client's own", () => {
    expect(up({ "x-bf-eh-x-tenant": "t", "x-bf-eh-accept": "a/b", accept: "c/d" })).toEqual({
      "x-tenant": "t",
      accept: "a/b",
    });
    expect(up({ accept: "c/d", "x-bf-eh-accept": "a/b" })).toEqual({ accept: "a/b" });
  });

  test.each(never)("never goes %s, neither by its own name nor by x-bf-eh-", (name) => {
    for (const filter of [open, { allow: ["*"], deny: [] }, { allow: [name], deny: [] }]) {
      expect(up({ [name]: "x", [`x-bf-eh-${name}`]: "x" }, filter)).toEqual({});
    }
  });

  test.each(["", "x bad", ":path", "x-bf-eh-x", "ünder", "x\r\ny"])("never goes the name %j", (name) => {
    expect(up({ [`x-bf-eh-${name}`]: "x" }, { allow: ["*"], deny: [] })).toEqual({});
  });

  test("goes what the filter allows, by name or by beginning, whatever the case of its patterns", () => {
    const filter = { allow: ["TraceLevel", "X-Org-*"], deny: [] };
    expect(up({ tracelevel: "00", "x-org-team": "t", "x-other": "1", "x-bf-eh-x-other": "2" }, filter)).toEqual({
      tracelevel: "00",
      "x-org-team": "t",
    });
    expect(up({ "x-bf-eh-x-org-team": "t" }, filter)).toEqual({ "x-org-team": "t" });
  });

  test("never goes what the filter denies, even what Bedrock reads", () => {
    const filter = { allow: ["*"], deny: ["accept", "x-amzn-bedrock-*", "x-secret"] };
    expect(
      up({ accept: "a", "x-amzn-bedrock-trace": "b", "x-secret": "c", "x-bf-eh-x-secret": "d", "x-fine": "e" }, filter),
    ).toEqual({ "x-fine": "e" });
  });
});

describe("to the client", () => {
  test("goes the answer's own, in order, with repeated headers apart", () => {
    expect(
      headersForClient({
        "content-type": "application/json",
        "x-amzn-bedrock-input-token-count": "14",
        link: ["a", "b"],
        nothing: undefined,
      }),
    ).toEqual([
      ["content-type", "application/json"],
      ["x-amzn-bedrock-input-token-count", "14"],
      ["link", "a"],
      ["link", "b"],
    ]);
  });

  test.each([
    "connection",
    "content-length",
    "date",
    "http2-settings",
    "keep-alive",
    "proxy-connection",
    "server",
    "set-cookie",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "x-amzn-requestid",
    "access-control-allow-origin",
    "x-bifrost-key",
  ])("never goes %s, which belongs to a connection, to the server, or to the gateway", (name) => {
    expect(headersForClient({ [name]: "x" })).toEqual([]);
  });
});
