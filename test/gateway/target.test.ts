import { describe, expect, test } from "vitest";
import { matchOperation, type Route } from "../../src/bedrock/operations.ts";
import type { Provider } from "../../src/gateway/providers.ts";
import { findTarget, notServed } from "../../src/gateway/target.ts";
import { keyPool } from "../support/key-pool.ts";

function remote(name: string) {
  const network = {
    max_conns_per_host: 1,
    default_request_timeout_in_seconds: 1,
    stream_idle_timeout_in_seconds: 1,
    allow_private_network: false,
    ca_cert_pem: null,
    insecure_skip_verify: false,
    proxy_url: null,
  };
  const retries = { max: 0, initialBackoffMs: 0, maxBackoffMs: 0 };
  return { name, network, extraHeaders: [], retries, streamStartMs: 1000, keys: [], secrets: [] };
}

const bedrock = (name: string): Provider => ({ kind: "bedrock", ...remote(name), pool: keyPool([]) });

const mock = (name: string): Provider => ({ kind: "mock", name, rules: [] });

function route(method: string, path: string): Route {
  const found = matchOperation(method, path);
  if (found === undefined) throw new Error(`${path} is no operation's`);
  return found;
}

const converse = (id: string) => route("POST", `/model/${encodeURIComponent(id)}/converse`);
const empty = Buffer.alloc(0);
const both = [mock("pretend"), bedrock("lab"), bedrock("bedrock")];
const arn = "arn:aws:bedrock:eu-west-1:123456789012:inference-profile/eu.anthropic.claude";

describe("the provider", () => {
  test.each([
    ["of an id without a prefix is Bedrock", "us.anthropic.claude-v1:0", "bedrock", "us.anthropic.claude-v1:0"],
    ["is the one that the id begins with", "lab/some.model", "lab", "some.model"],
    ["may be the mock", "pretend/gpt-4o", "pretend", "gpt-4o"],
    ["is found by the first slash alone", "pretend/openai/gpt-4o", "pretend", "openai/gpt-4o"],
    ["of an unknown prefix is Bedrock, which gets the whole id", "unknown/model", "bedrock", "unknown/model"],
    ["is not found by another case", "Lab/model", "bedrock", "Lab/model"],
    ["of an ARN is Bedrock, whatever stands before its slash", arn, "bedrock", arn],
  ])("%s", (_what, id, name, model) => {
    const target = findTarget(both, converse(id), empty);
    expect(target.provider.name).toBe(name);
    expect(target.model).toBe(model);
    expect(target.body).toBe(empty);
  });

  test("without a prefix is the one called bedrock, else the first of Bedrock's kind, else the mock", () => {
    const name = (providers: readonly Provider[]) => findTarget(providers, converse("m"), empty).provider.name;
    expect(name([bedrock("other"), bedrock("bedrock")])).toBe("bedrock");
    expect(name([mock("pretend"), bedrock("other"), bedrock("another")])).toBe("other");
    expect(name([mock("pretend")])).toBe("pretend");
  });

  test("is missed with a 404 that names the model and what is configured", () => {
    expect(() => findTarget([], converse("some.model"), empty)).toThrow(
      expect.objectContaining({ type: "ResourceNotFoundException", status: 404 }),
    );
    expect(notServed("some.model", both).message).toMatch(/"some\.model".*pretend, lab, bedrock/);
    expect(notServed(undefined, []).message).toMatch(/none/);
    expect(() => findTarget(both, converse("lab/"), empty)).toThrow('"lab/"');
  });
});

describe("a region in the model id", () => {
  test("is read, and taken out of the id", () => {
    expect(findTarget(both, converse("eu-north-1/anthropic.claude"), empty)).toMatchObject({
      region: "eu-north-1",
      model: "anthropic.claude",
    });
    expect(findTarget(both, converse("lab/eu-north-1/anthropic.claude"), empty)).toMatchObject({
      region: "eu-north-1",
      model: "anthropic.claude",
    });
  });

  test("is read in an ARN, which stays whole", () => {
    expect(findTarget(both, converse(arn), empty)).toMatchObject({ region: "eu-west-1", model: arn });
  });

  test("that is none is refused: it would become part of a host", () => {
    const evil = "arn:aws:bedrock:evil.example/x:123456789012:inference-profile/x";
    expect(() => findTarget(both, converse(evil), empty)).toThrow(
      expect.objectContaining({ type: "ValidationException" }),
    );
  });
});

describe("a model named in the body", () => {
  const start = route("POST", "/async-invoke");
  const rerank = route("POST", "/rerank");

  test("is found at the top for StartAsyncInvoke, and deep down for Rerank", () => {
    expect(findTarget(both, start, Buffer.from('{"modelId":"m"}')).model).toBe("m");
    const modelConfiguration = { modelArn: arn };
    const body = JSON.stringify({
      rerankingConfiguration: { bedrockRerankingConfiguration: { modelConfiguration } },
    });
    expect(findTarget(both, rerank, Buffer.from(body))).toMatchObject({ model: arn, region: "eu-west-1" });
  });

  test("is written without its provider, and every other byte stays", () => {
    const body = Buffer.from('{ "a":1e3,\n"modelId" : "lab/m",  "b":"é" }');
    const target = findTarget(both, start, body);
    expect(target).toMatchObject({ model: "m", provider: { name: "lab" } });
    expect(target.body.toString()).toBe('{ "a":1e3,\n"modelId" : "m",  "b":"é" }');
  });

  test("that holds a $ is not taken for a pattern", () => {
    const { body } = findTarget(both, start, Buffer.from('{"modelId":"lab/$&$1"}'));
    expect(body.toString()).toBe('{"modelId":"$&$1"}');
  });

  test.each(['{"modelId":"lab/m","copy":"lab/m"}', '{"modelId":"\\u006cab/m"}'])(
    "in %s cannot be rewritten for certain, and is refused with what to write",
    (body) => {
      expect(() => findTarget(both, start, Buffer.from(body))).toThrow(/modelId: write "m"/);
    },
  );

  test.each(["", "{", "null", "7", "[]", '"x"', '{"modelId":7}', '{"modelId":null}', '{"__proto__":{"modelId":"m"}}'])(
    "is missing in %j, which is left to whoever serves it",
    (text) => {
      const body = Buffer.from(text);
      expect(findTarget(both, start, body)).toMatchObject({ model: undefined, provider: { name: "bedrock" } });
      expect(findTarget(both, start, body).body).toBe(body);
    },
  );

  test("of operations without a model is not looked for", () => {
    const apply = route("POST", "/guardrail/g/version/1/apply");
    expect(findTarget(both, apply, Buffer.from('{"modelId":"lab/m"}'))).toMatchObject({
      model: undefined,
      provider: { name: "bedrock" },
    });
  });
});

describe("of batch inference and its files", () => {
  const openai: Provider = { kind: "translated", type: "openai", ...remote("openai"), pool: keyPool([]) };
  const all = [...both, openai];
  const list = route("GET", "/files/bucket");
  const create = route("POST", "/model-invocation-job");
  const body = (modelId: string) => Buffer.from(JSON.stringify({ modelId }));

  test("the provider is the one of the header, else the one of the model id, else the default one", () => {
    expect(findTarget(all, list, empty).provider.name).toBe("bedrock");
    expect(findTarget(all, list, empty, "lab").provider.name).toBe("lab");
    expect(findTarget(all, create, body("lab/m"))).toMatchObject({ provider: { name: "lab" }, model: "m" });
    expect(findTarget(all, create, body("m"), "lab")).toMatchObject({ provider: { name: "lab" }, model: "m" });
    expect(findTarget(all, create, body("lab/m"), "lab").body.toString()).toBe('{"modelId":"m"}');
  });

  test("another provider's header is none of other operations", () => {
    expect(findTarget(all, converse("m"), empty, "lab").provider.name).toBe("bedrock");
  });

  test.each([
    ["nobody", "m", "ResourceNotFoundException", 'x-model-provider: there is no provider "nobody"'],
    ["openai", "m", "ValidationException", "x-model-provider: openai is not Bedrock"],
    ["bedrock", "lab/m", "ValidationException", "modelId: names the provider lab"],
    [undefined, "openai/gpt-4o", "ValidationException", "modelId: openai is not Bedrock"],
  ])("the provider %s with the model %s is refused: %s", (named, model, type, message) => {
    expect(() => findTarget(all, create, body(model), named)).toThrow(
      expect.objectContaining({ type, message: expect.stringContaining(message) }),
    );
  });

  test("the region of a job is that of its ARN, and a key of S3 has none", () => {
    const job = "arn:aws:bedrock:eu-west-1:123456789012:model-invocation-job/x";
    const get = route("GET", `/model-invocation-job/${encodeURIComponent(job)}`);
    expect(findTarget(all, get, empty)).toMatchObject({ region: "eu-west-1", model: undefined });
    expect(findTarget(all, route("GET", "/model-invocation-job/abc"), empty).region).toBeUndefined();
    const object = route("GET", "/files/us-east-1/arn:aws:s3:nowhere:x");
    expect(findTarget(all, object, empty).region).toBeUndefined();
  });
});
