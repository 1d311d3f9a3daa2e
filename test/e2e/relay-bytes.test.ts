import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { converseAnswer, failure, json, stream } from "../support/answers.ts";
import { type FakeBedrock, startFakeBedrock } from "../support/fake-bedrock.ts";
import { converseFrames, eventFrame } from "../support/frames.ts";
import { type RunningGateway, relayConfig, startGateway } from "../support/gateway.ts";
import { send, sendH2, userTurn } from "../support/raw-http.ts";

let fake: FakeBedrock;
let gateway: RunningGateway;

beforeAll(async () => {
  fake = await startFakeBedrock();
  gateway = await startGateway({ config: relayConfig(fake.url) });
}, 30_000);
beforeEach(() => fake.reset());
afterEach(() => expect(fake.violations).toEqual([]));
afterAll(async () => {
  await gateway?.stop();
  await fake?.[Symbol.asyncDispose]();
}, 30_000);

const path = (operation: string, model = "vendor.model-v1") => `/bedrock/model/${model}/${operation}`;

/** Both front doors. */
const doors = [
  ["http/1.1", (to: string, body: Uint8Array | string) => send(gateway.url, to, { body })],
  ["h2", (to: string, body: Uint8Array | string) => sendH2(gateway.h2url, to, { body })],
] as const;

/** Valid JSON that no serializer would write like this. */
const odd =
  '\r\n{ "messages" :\t[{"role":"user","content":[{"text":"caf\\u00e9 \\ud83d\\ude00 é 😀","future":[1.0,1e400,-0]}]} ] ,' +
  ' "notYetKnown": {"b":1,"a":2,"b":3}, "inferenceConfig":{"maxTokens":12345678901234567890} }  \n';

describe.each(doors)("request bodies over %s", (_protocol, post) => {
  test.each(["converse", "converse-stream", "invoke", "invoke-with-response-stream", "count-tokens"])(
    "A14 %s passes unknown fields, odd whitespace, duplicate names and big numbers byte for byte",
    async (operation) => {
      const answer = await post(path(operation), odd);
      expect(answer.status).toBe(200);
      expect(fake.requests.at(-1)?.body).toEqual(Buffer.from(odd));
    },
  );

  test.each([
    ["cut off", '{"messages":[{"role":"user"'],
    ["not JSON at all", "Hello, Bedrock"],
    ["empty", ""],
    ["bytes that are no UTF-8", Buffer.from([0x7b, 0xff, 0xfe, 0x00, 0x7d])],
  ])("malformed JSON (%s) is Bedrock's to refuse", async (_name, body) => {
    for (const operation of ["converse", "converse-stream", "invoke"]) {
      fake.queue(failure(400, "ValidationException", "Malformed input request, please reformat."));
      const answer = await post(path(operation), body);
      expect(answer.status).toBe(400);
      expect(answer.body.toString()).toBe('{"message":"Malformed input request, please reformat."}');
      expect(fake.requests.at(-1)?.body).toEqual(Buffer.from(body));
    }
  });

  test("a 20 MB body arrives whole", async () => {
    const body = Buffer.alloc(20 * 1024 * 1024, "0123456789abcdef");
    const answer = await post(path("invoke"), body);
    expect(answer.status).toBe(200);
    expect(fake.requests.at(-1)?.body.equals(body)).toBe(true);
  });
});

describe.each(doors)("response bodies over %s", (_protocol, post) => {
  test("unary answers come byte for byte, with unknown fields and odd spelling", async () => {
    const text =
      '{ "usage":{"totalTokens":18, "inputTokens" : 12,"outputTokens":6,"new":null},\n"output":{"message":' +
      '{"role":"assistant","content":[{"text":"\\u00e9 😀"},{"notYetKnown":{"z":1,"a":1.50}}]}},"stopReason":"newest"}\n';
    for (const operation of ["converse", "invoke", "count-tokens"]) {
      fake.queue(json(text));
      const answer = await post(path(operation), userTurn("hi"));
      expect(answer.body.toString()).toBe(text);
      expect(answer.headers["content-type"]).toBe("application/json");
    }
  });

  test("streams come byte for byte, with unknown events, members and padding", async () => {
    const frames = converseFrames();
    const bytes = Buffer.concat([
      ...frames.slice(0, 2),
      eventFrame("notYetKnown", { z: 1, a: [null] }),
      eventFrame("keepalive", {}),
      ...frames.slice(2),
    ]);
    fake.queue(stream([bytes]));
    const answer = await post(path("converse-stream"), userTurn("hi"));
    expect(answer.headers["content-type"]).toBe("application/vnd.amazon.eventstream");
    expect(answer.body.equals(bytes)).toBe(true);
  });

  test("InvokeModel's answer may be any bytes", async () => {
    const bytes = Buffer.from([0, 255, 10, 13, 0, 128]);
    fake.queue({ ...json(""), headers: { "content-type": "application/octet-stream" }, body: bytes });
    const answer = await post(path("invoke"), "{}");
    expect(answer.body.equals(bytes)).toBe(true);
    expect(answer.headers["content-type"]).toBe("application/octet-stream");
  });

  test("Bedrock's own headers come down, and a connection's own do not", async () => {
    fake.queue(
      json(converseAnswer, {
        "x-amzn-bedrock-input-token-count": "14",
        "x-amzn-bedrock-invocation-latency": "640",
        "x-amzn-bedrock-service-tier": "flex",
        "set-cookie": "a=b",
        "keep-alive": "timeout=77",
      }),
    );
    const { headers } = await post(path("invoke"), "{}");
    expect(headers).toMatchObject({
      "x-amzn-bedrock-input-token-count": "14",
      "x-amzn-bedrock-invocation-latency": "640",
      "x-amzn-bedrock-service-tier": "flex",
    });
    expect(headers).not.toHaveProperty("set-cookie");
    expect(headers["keep-alive"]).not.toBe("timeout=77");
    expect(headers).not.toHaveProperty("content-encoding");
  });

  test("the gateway says who served it", async () => {
    const { headers } = await post(path("converse"), userTurn("hi"));
    expect(headers).toMatchObject({
      "x-bifrost-provider": "bedrock",
      "x-bifrost-model": "vendor.model-v1",
      "x-bifrost-key": "main",
      "x-bifrost-attempts": "1",
      "x-bifrost-fallback-index": "0",
    });
    expect(headers["server-timing"]).toMatch(/^upstream;dur=[\d.]+, gateway;dur=[\d.]+$/);
  });
});

describe("A09 cache token counts", () => {
  const usage = {
    cacheDetails: [
      { inputTokens: 2000, ttl: "1h" },
      { inputTokens: 752, ttl: "5m" },
    ],
    cacheReadInputTokens: 1000,
    cacheWriteInputTokens: 2752,
    inputTokens: 433,
    outputTokens: 16,
    totalTokens: 4201,
  };

  test("arrive unchanged in answers and streams, and the gateway's own count is their sum", async () => {
    const input = await gateway.metric("bifrost_input_tokens_total", { provider: "bedrock" });
    const output = await gateway.metric("bifrost_output_tokens_total", { provider: "bedrock" });
    const text = JSON.stringify({ ...converseAnswer, usage });
    const frames = Buffer.concat(converseFrames({ usage }));
    fake.queue(json(text), stream([frames]));
    expect((await send(gateway.url, path("converse"), { body: userTurn("hi") })).body.toString()).toBe(text);
    expect((await send(gateway.url, path("converse-stream"), { body: userTurn("hi") })).body.equals(frames)).toBe(true);
    const read = () => gateway.metric("bifrost_input_tokens_total", { provider: "bedrock" });
    await expect.poll(read).toBe(input + 2 * (433 + 1000 + 2752));
    expect(await gateway.metric("bifrost_output_tokens_total", { provider: "bedrock" })).toBe(output + 2 * 16);
  });
});

describe("model ids", () => {
  const arn = "arn:aws:bedrock:us-east-1:123456789012:application-inference-profile/abc123";
  test.each([
    ["a colon as %3A", "anthropic.claude-3-haiku-20240307-v1%3A0", "anthropic.claude-3-haiku-20240307-v1:0"],
    ["a raw colon", "anthropic.claude-3-haiku-20240307-v1:0", "anthropic.claude-3-haiku-20240307-v1:0"],
    ["a lower-case escape", "us.amazon.nova-lite-v1%3a0", "us.amazon.nova-lite-v1:0"],
    ["an ARN, encoded", encodeURIComponent(arn), arn],
    ["an ARN, raw", arn, arn],
    ["an ARN with a raw colon and an encoded slash", arn.replace("/", "%2F"), arn],
    [
      "a prompt ARN",
      encodeURIComponent("arn:aws:bedrock:us-east-1:123456789012:prompt/ABCDEFGHIJ:2"),
      "arn:aws:bedrock:us-east-1:123456789012:prompt/ABCDEFGHIJ:2",
    ],
    ["an id with a raw slash", "imported-model/xyz", "imported-model/xyz"],
    ["letters that need escapes", "a%20b%2Bc%21%27%28%29%2A%C3%A9", "a b+c!'()*é"],
    ["the provider's own name in front, as %2F", "bedrock%2Fvendor.model", "vendor.model"],
    ["the provider's own name in front, raw", "bedrock/vendor.model", "vendor.model"],
    ["a segment that looks like an operation", "m/converse", "m/converse"],
  ])("%s reaches Bedrock encoded once", async (_name, written, meant) => {
    for (const operation of ["converse", "converse-stream", "invoke", "invoke-with-response-stream", "count-tokens"]) {
      const answer = await send(gateway.url, path(operation, written), { body: userTurn("hi") });
      expect(answer.status).toBe(200);
      expect(fake.requests.at(-1)?.label).toBe(meant);
    }
  });

  test("duplicate and trailing slashes in the path do not matter", async () => {
    for (const odd of ["//bedrock//model//m//converse", "/bedrock//model/m/converse", "/bedrock/model/m//converse"]) {
      expect((await send(gateway.url, odd, { body: userTurn("hi") })).status).toBe(200);
      expect(fake.requests.at(-1)?.path).toBe("/model/m/converse");
    }
  });

  test("A73 no model id climbs out of its place in the path", async () => {
    for (const id of ["..", "%2e%2e", "."]) {
      const answer = await send(gateway.url, path("converse", id), { body: userTurn("hi") });
      expect(answer.status).toBeGreaterThanOrEqual(400);
    }
    for (const id of ["..%2f..%2fguardrail", "%2e%2e%2fx", "@evil.example", "x%23y", "x%3Fy=1"]) {
      const answer = await send(gateway.url, path("converse", id), { body: userTurn("hi") });
      if (answer.status === 200) expect(fake.requests.at(-1)?.path).toMatch(/^\/model\/[^/]+\/converse$/);
      else expect(answer.status).toBeLessThan(500);
    }
  });
});

describe("headers", () => {
  test("of the gateway, of one connection and of the client's credential stay behind", async () => {
    const answer = await send(gateway.url, path("converse"), {
      body: userTurn("hi"),
      headers: {
        authorization:
          "AWS4-HMAC-SHA256 Credential=bifrost-dummy-key/20260101/us-west-2/bedrock/aws4_request, SignedHeaders=host;x-amz-date, Signature=00",
        "x-amz-date": "20200101T000000Z",
        "x-amz-security-token": "client-token",
        "x-amz-content-sha256": "0".repeat(64),
        "x-api-key": "client-api-key",
        cookie: "session=1",
        "x-bf-vk": "vk_12345",
        "x-bf-env": "production",
        "x-bf-dim-team": "search",
        "x-bf-cache-key": "k",
        "x-forwarded-for": "203.0.113.9",
        "proxy-authorization": "Basic eA==",
        te: "trailers",
        "content-type": "application/json",
        accept: "application/json",
      },
    });
    expect(answer.status).toBe(200);
    const raw = fake.requests.at(-1)?.rawHeaders.join("\n") ?? "";
    expect(raw).not.toMatch(/client-token|client-api-key|vk_12345|production|203\.0\.113\.9|bifrost-dummy-key/);
    expect(fake.requests.at(-1)?.headers).toMatchObject({
      "content-type": "application/json",
      accept: "application/json",
    });
  });

  test("x-bf-eh- sends an extra header upstream, but never a credential or a connection's own", async () => {
    await send(gateway.url, path("converse"), {
      body: userTurn("hi"),
      headers: {
        "x-bf-eh-x-amzn-bedrock-trace": "ENABLED",
        "x-bf-eh-x-custom": "yes",
        "x-bf-eh-authorization": "Bearer smuggled",
        "x-bf-eh-host": "evil.example",
        "x-bf-eh-transfer-encoding": "chunked",
        "x-bf-eh-x-bf-vk": "vk",
      },
    });
    expect(fake.requests.at(-1)?.headers).toMatchObject({ "x-amzn-bedrock-trace": "ENABLED", "x-custom": "yes" });
    expect(fake.requests.at(-1)?.rawHeaders.join("\n")).not.toMatch(/smuggled|evil/);
  });

  test("the client's x-request-id becomes x-amzn-requestid; without one it is Bedrock's", async () => {
    const own = await send(gateway.url, path("converse"), {
      body: userTurn("hi"),
      headers: { "x-request-id": "req-0815" },
    });
    expect(own.headers["x-amzn-requestid"]).toBe("req-0815");
    fake.queue(json(converseAnswer, { "x-amzn-requestid": "of-bedrock" }));
    const theirs = await send(gateway.url, path("converse"), { body: userTurn("hi") });
    expect(theirs.headers["x-amzn-requestid"]).toBe("of-bedrock");
  });
});
