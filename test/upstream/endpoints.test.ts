import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { EndpointError, endpointFor, splitModelId } from "../../src/upstream/endpoints.ts";

/** Spellings that would move a host, a path or a log line if they became part of one. */
const hostile = [
  "us-east-1.evil.com/",
  "us-east-1@evil.com",
  "us-east-1/../..",
  "../",
  "us-east-1#",
  "us-east-1?x=1",
  "us-east-1%2f",
  "us-east-1:8080",
  "us-east-1\\evil",
  " us-east-1",
  "us-east-1\n",
  "us-east-1\r\nhost: x",
  "x",
  "",
  "us_east_1",
  "US-EAST-1",
  "us-east",
  "us-east-1-",
  "-us-east-1",
  "us-eаst-1",
  "us-east-１",
  "169.254.169.254",
  "us-east-1.",
  ".us-east-1",
  "us-east-111",
  `us-${"a".repeat(70)}-1`,
  "localhost",
  "[::1]",
  "us-east-1\0",
];

describe("the endpoint of a region", () => {
  test.each([
    ["runtime", "us-east-1", "bedrock-runtime.us-east-1.amazonaws.com"],
    ["control", "eu-west-3", "bedrock.eu-west-3.amazonaws.com"],
    ["agent_runtime", "ap-southeast-2", "bedrock-agent-runtime.ap-southeast-2.amazonaws.com"],
    ["runtime", "us-gov-west-1", "bedrock-runtime.us-gov-west-1.amazonaws.com"],
    ["runtime", "cn-northwest-1", "bedrock-runtime.cn-northwest-1.amazonaws.com.cn"],
    ["runtime", "us-iso-east-1", "bedrock-runtime.us-iso-east-1.c2s.ic.gov"],
    ["runtime", "us-isob-east-1", "bedrock-runtime.us-isob-east-1.sc2s.sgov.gov"],
    ["runtime", "eu-isoe-west-1", "bedrock-runtime.eu-isoe-west-1.cloud.adc-e.uk"],
    ["runtime", "us-isof-south-1", "bedrock-runtime.us-isof-south-1.csp.hci.ic.gov"],
    ["runtime", "eusc-de-east-1", "bedrock-runtime.eusc-de-east-1.amazonaws.eu"],
    ["s3", "eu-central-1", "s3.eu-central-1.amazonaws.com"],
    ["s3", "cn-north-1", "s3.cn-north-1.amazonaws.com.cn"],
    ["runtime", "nz-central-1", "bedrock-runtime.nz-central-1.amazonaws.com"],
  ] as const)("is AWS's own: %s in %s is %s", (service, region, host) => {
    expect(endpointFor(service, region)).toEqual({ origin: `https://${host}`, host, pathPrefix: "" });
  });

  test.each(hostile)("A73 is refused for %j, with and without an override", (region) => {
    expect(() => endpointFor("runtime", region)).toThrow(EndpointError);
    expect(() => endpointFor("runtime", region, { base_url: "http://127.0.0.1:1" })).toThrow(EndpointError);
  });

  test("A73 stays below AWS's domain, whatever is tried for a region", () => {
    const pieces = fc.constantFrom("us", "-", "east", "1", "/", "@", "..", "%2f", ":", ".", "evil.com", "\\", "#", "?");
    const region = fc.oneof(
      fc.string({ unit: "binary" }),
      fc.array(pieces).map((parts) => parts.join("")),
    );
    fc.assert(
      fc.property(region, (name) => {
        let origin: string;
        try {
          ({ origin } = endpointFor("runtime", name));
        } catch (error) {
          expect(error).toBeInstanceOf(EndpointError);
          return;
        }
        expect(new URL(origin).origin).toBe(origin);
        expect(new URL(origin).hostname).toBe(
          `bedrock-runtime.${name}.amazonaws.com${name.startsWith("cn-") ? ".cn" : ""}`,
        );
      }),
    );
  });

  test("says what is wrong on one line, and not at any length", () => {
    const name = `us-east-1\n${"x".repeat(10_000)}`;
    const attempt = () => endpointFor("runtime", name);
    expect(attempt).toThrow(/^region: "us-east-1\\nx+" is not the name of an AWS region$/);
    expect(attempt).toThrow(expect.objectContaining({ field: "region" }));
  });
});

describe("an override", () => {
  const endpoints = { runtime: "http://127.0.0.1:4000/aws/", control: null, agent_runtime: null };

  test("of the key comes before the provider's base_url", () => {
    expect(endpointFor("runtime", "us-east-1", { endpoints, base_url: "https://other.example" })).toEqual({
      origin: "http://127.0.0.1:4000",
      host: "127.0.0.1:4000",
      pathPrefix: "/aws",
    });
  });

  test("by base_url is the runtime's alone", () => {
    const overrides = { endpoints: { control: null }, base_url: "https://gateway.example:443/a%20b//" };
    expect(endpointFor("runtime", "us-east-1", overrides)).toEqual({
      origin: "https://gateway.example",
      host: "gateway.example",
      pathPrefix: "/a%20b",
    });
    expect(endpointFor("control", "us-east-1", overrides).host).toBe("bedrock.us-east-1.amazonaws.com");
    expect(endpointFor("agent_runtime", "us-east-1", overrides).host).toBe(
      "bedrock-agent-runtime.us-east-1.amazonaws.com",
    );
  });

  test("that is null or empty is none", () => {
    const overrides = { endpoints: { runtime: "" }, base_url: null };
    expect(endpointFor("runtime", "us-east-1", overrides).host).toBe("bedrock-runtime.us-east-1.amazonaws.com");
    expect(endpointFor("runtime", "us-east-1", { endpoints: null }).pathPrefix).toBe("");
  });

  test.each([
    ["not a url", "is not a URL"],
    ["ftp://host.example", "http or https"],
    ["file:///etc/passwd", "http or https"],
    ["https://user:pass@host.example", "user or a password"],
    ["https://host.example/?a=1", "query or a fragment"],
    ["https://host.example/#a", "query or a fragment"],
  ])("is refused by name: %s", (base_url, reason) => {
    expect(() => endpointFor("runtime", "us-east-1", { base_url })).toThrow(reason);
    const attempt = () => endpointFor("control", "us-east-1", { endpoints: { control: base_url } });
    expect(attempt).toThrow(expect.objectContaining({ field: "endpoints.control" }));
    expect(attempt).not.toThrow("pass@");
  });

  test("normalizes a host's spelling before it is used or signed", () => {
    expect(endpointFor("runtime", "us-east-1", { base_url: "http://2130706433:80/x/../y" })).toEqual({
      origin: "http://127.0.0.1",
      host: "127.0.0.1",
      pathPrefix: "/y",
    });
  });
});

describe("a model id", () => {
  test.each([
    ["eu-north-1/anthropic.claude-3-haiku-20240307-v1:0", "eu-north-1", "anthropic.claude-3-haiku-20240307-v1:0"],
    ["us-gov-west-1/amazon.titan-text-express-v1", "us-gov-west-1", "amazon.titan-text-express-v1"],
    ["us-east-1/1-month-commitment/anthropic.claude-v2", "us-east-1", "1-month-commitment/anthropic.claude-v2"],
  ])("with a region before it is split: %s", (id, region, modelId) => {
    expect(splitModelId(id)).toEqual({ region, modelId });
  });

  test.each([
    "anthropic.claude-3-haiku-20240307-v1:0",
    "us.anthropic.claude-sonnet-4-20250514-v1:0",
    "1-month-commitment/anthropic.claude-v2",
    "openai/gpt-4o",
    "my-lab-1/model",
    "us-east-1",
    "us-east-1/",
    "/us-east-1/model",
    "US-EAST-1/model",
    "arn:aws:bedrock",
    "arn:aws:bedrock:::foundation-model/x",
    "",
  ])("without one is answered as it came: %j", (modelId) => {
    expect(splitModelId(modelId)).toEqual({ modelId });
  });

  test.each([
    ["arn:aws:bedrock:us-west-2:123456789012:application-inference-profile/abc", "us-west-2"],
    ["arn:aws-us-gov:bedrock:us-gov-west-1::foundation-model/anthropic.x-v1:0", "us-gov-west-1"],
    ["arn:aws:sagemaker:eu-west-1:123456789012:endpoint/eu-north-1/x", "eu-west-1"],
  ])("that is an ARN stays whole and gives its region: %s", (modelId, region) => {
    expect(splitModelId(modelId)).toEqual({ region, modelId });
  });

  test("A73 that is an ARN with something else for a region is refused", () => {
    const attempt = () => splitModelId("arn:aws:bedrock:us-east-1.evil.com/:1:inference-profile/x");
    expect(attempt).toThrow(EndpointError);
    expect(attempt).toThrow(expect.objectContaining({ field: "modelId" }));
  });
});
