import { describe, expect, test } from "vitest";
import { matchOperation } from "../../src/bedrock/operations.ts";
import { checkFilesRequest, readUpload } from "../../src/gateway/files.ts";

function check(method: string, path: string, query = "", up: readonly (readonly [string, string])[] = []): unknown {
  const route = matchOperation(method, `/files${path}`);
  if (route === undefined) throw new Error(`${path} is no operation's`);
  try {
    return checkFilesRequest(route, query, up);
  } catch (error) {
    return error;
  }
}

const refused = (field: string) =>
  expect.objectContaining({ type: "ValidationException", message: expect.stringMatching(new RegExp(`^${field}: `)) });

describe("a bucket", () => {
  test.each(["bucket", "my.bucket-1", "123", "Legacy_Bucket", "a".repeat(255)])("may be called %s", (bucket) => {
    expect(check("GET", `/${bucket}/k`)).toBeUndefined();
  });

  test.each(["%2F", "a%2Fb", "a%40b", "a%3Ab", "a%5Cb", ".hidden", "-a", "%C3%A9", "a%20b", "a%3F", "a".repeat(256)])(
    "may not be called %s",
    (bucket) => {
      expect(check("GET", `/${bucket}/k`)).toEqual(refused("bucket"));
    },
  );
});

describe("a key", () => {
  test.each(["a/../b", "a//../b", "a/b/../../c", "...", "..a/b", "a/..b", "./a", "a/."])("may be %s", (key) => {
    expect(check("GET", `/bucket/${key}`)).toBeUndefined();
  });

  test.each(["../a", "a/../../b", "./../a", "%2e%2e%2fa", "a//../../b", "/../a"])("may not be %s", (key) => {
    expect(check("GET", `/bucket/${key}`)).toEqual(refused("key"));
  });
});

describe("a parameter", () => {
  test.each([
    ["GET", "/b/k", "x-id=GetObject&versionId=1&partNumber=2&response-content-type=a%2Fb"],
    ["HEAD", "/b/k", "versionId=1"],
    ["PUT", "/b/k", "x-id=PutObject"],
    ["DELETE", "/b/k", "versionId=1"],
    ["GET", "/b", "list-type=2&prefix=a&delimiter=%2F&max-keys=1&continuation-token=x&start-after=a&fetch-owner=true"],
  ])("of the operation goes up: %s %s?%s", (method, path, query) => {
    expect(check(method, path, query)).toBeUndefined();
  });

  test.each([
    ["PUT", "/b/k", "acl", "acl"],
    ["PUT", "/b/k", "partNumber=1&uploadId=x", "partNumber"],
    ["GET", "/b/k", "%74agging", "tagging"],
    ["DELETE", "/b/k", "uploadId=1", "uploadId"],
    ["GET", "/b", "versions", "versions"],
    ["GET", "/b", "policy=", "policy"],
  ])("of another operation is refused: %s %s?%s", (method, path, query, name) => {
    expect(check(method, path, query)).toEqual(refused(name));
  });
});

test("a copy is refused", () => {
  expect(check("PUT", "/b/k", "", [["x-amz-copy-source", "/other/key"]])).toEqual(refused("x-amz-copy-source"));
});

describe("an upload", () => {
  const up = [
    ["content-type", "a/b"],
    ["content-encoding", "gzip,aws-chunked"],
  ] as const;

  test("that is not framed goes up as it is", () => {
    const body = Buffer.from("3\r\nabc\r\n0\r\n\r\n");
    const plain = [["content-encoding", "gzip"]] as const;
    expect(readUpload(new Map(plain), plain, body)).toEqual({ headers: plain, body });
  });

  test("that is framed goes up without its frame, with its checksum as a header", () => {
    const headers = new Map([...up, ["x-amz-trailer", "x-amz-checksum-sha256"] as const]);
    const body = Buffer.from("3\r\nabc\r\n0\r\nx-amz-checksum-sha256:AA==\r\n\r\n");
    expect(readUpload(headers, up, body)).toEqual({
      headers: [
        ["content-type", "a/b"],
        ["content-encoding", "gzip"],
        ["x-amz-checksum-sha256", "AA=="],
      ],
      body: Buffer.from("abc"),
    });
  });

  test("that is framed and empty is empty", () => {
    expect(readUpload(new Map(up), up, Buffer.from("0\r\n\r\n")).body).toHaveLength(0);
  });
});
