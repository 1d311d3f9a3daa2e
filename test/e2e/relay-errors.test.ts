import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { type Answer, converseAnswer, failure, json, modelledErrors, stream } from "../support/answers.ts";
import { type FakeBedrock, fakeIdentity, startFakeBedrock } from "../support/fake-bedrock.ts";
import { converseFrames, decodeFrames, exceptionFrame, payloadOf } from "../support/frames.ts";
import { freePort, type RunningGateway, relayConfig, startGateway } from "../support/gateway.ts";
import { type RawAnswer, send, sendH2, userTurn } from "../support/raw-http.ts";

let fake: FakeBedrock;
let gateway: RunningGateway;
/** In front of a port where nobody listens. */
let lonely: RunningGateway;

beforeAll(async () => {
  fake = await startFakeBedrock();
  gateway = await startGateway({ config: relayConfig(fake.url) });
  lonely = await startGateway({ config: relayConfig(`http://127.0.0.1:${await freePort()}`), withoutH2: true });
}, 60_000);
beforeEach(() => fake.reset());
afterEach(() => expect(fake.violations).toEqual([]));
afterAll(async () => {
  await Promise.all([gateway?.stop(), lonely?.stop()]);
  await fake?.[Symbol.asyncDispose]();
}, 30_000);

const actions = ["converse", "converse-stream", "invoke", "invoke-with-response-stream", "count-tokens"] as const;
const path = (action: string) => `/bedrock/model/vendor.model/${action}`;
const post = (action: string, headers: Readonly<Record<string, string>> = {}, body = userTurn("hi")) =>
  send(gateway.url, path(action), { body, headers });

const errorType = (answer: RawAnswer) => String(answer.headers["x-amzn-errortype"] ?? "").split(":")[0];

function messageOf(answer: RawAnswer): string {
  const parsed: unknown = JSON.parse(answer.body.toString("utf8"));
  if (typeof parsed !== "object" || parsed === null || !("message" in parsed)) throw new Error("no message");
  return String(parsed.message);
}

/** What every error of the gateway's own has. */
function expectAwsShape(answer: RawAnswer, status: number, type: string): void {
  expect(answer.status).toBe(status);
  expect(errorType(answer)).toBe(type);
  expect(answer.headers["content-type"]).toMatch(/^application\/json/);
  expect(answer.headers["x-amzn-requestid"]).toMatch(/^\S{8,}$/);
  expect(messageOf(answer).length).toBeGreaterThan(10);
}

describe("errors that Bedrock answers", () => {
  test.each(actions)("A05 every modelled error of %s comes with its status, type, id and bytes", async (action) => {
    for (const [type, status] of modelledErrors) {
      const answer = failure(status, type, `Tailored "${type}" – verbatim.`, { extra: [1] });
      fake.queue({ ...answer, headers: { ...answer.headers, "x-amzn-requestid": `id-${type}` } });
      const got = await post(action);
      expect(got.status).toBe(status);
      expect(errorType(got)).toBe(type);
      expect(got.body.equals(answer.body)).toBe(true);
      expect(got.headers["content-type"]).toBe("application/json");
      expect(got.headers["x-amzn-requestid"]).toBe(`id-${type}`);
    }
    expect(fake.requests).toHaveLength(modelledErrors.length);
  });

  test("A05 the HTTP/2 port relays them the same", async () => {
    for (const [type, status] of modelledErrors) {
      const answer = failure(status, type, "The same.");
      fake.queue(answer);
      const got = await sendH2(gateway.h2url, path("converse-stream"), { body: userTurn("hi") });
      expect([got.status, errorType(got), got.body.toString()]).toEqual([status, type, answer.body.toString()]);
    }
  });

  test("A28 tool blocks without toolConfig: Bedrock's own ValidationException comes verbatim", async () => {
    const answer = failure(
      400,
      "ValidationException",
      "The toolConfig field must be defined when using toolUse and toolResult content blocks.",
    );
    const body = JSON.stringify({
      messages: [
        { role: "user", content: [{ text: "Weather?" }] },
        { role: "assistant", content: [{ toolUse: { toolUseId: "t1", name: "weather", input: {} } }] },
        { role: "user", content: [{ toolResult: { toolUseId: "t1", content: [{ text: "cold" }] } }] },
      ],
    });
    for (const action of ["converse", "converse-stream"]) {
      fake.queue(answer);
      const got = await post(action, {}, body);
      expect(got.status).toBe(400);
      expect(got.body.equals(answer.body)).toBe(true);
      expect(fake.requests.at(-1)?.body.toString()).toBe(body);
    }
  });

  test.each(["UnrecognizedClientException", "ExpiredTokenException", "InvalidSignatureException"])(
    "%s means that the configured credential was refused: 503, and not the client's fault",
    async (type) => {
      for (const action of ["converse", "converse-stream"]) {
        fake.queue(failure(403, type, "The security token included in the request is invalid."));
        expectAwsShape(await post(action), 503, "ServiceUnavailableException");
      }
    },
  );

  test("a 401 means the same", async () => {
    fake.queue({ kind: "unary", status: 401, headers: {}, body: Buffer.from("Unauthorized") });
    expectAwsShape(await post("converse"), 503, "ServiceUnavailableException");
  });

  test("an upstream message that repeats a credential is redacted", async () => {
    const { accessKeyId, secretAccessKey } = fakeIdentity;
    const message = `The key ${accessKeyId} with ${secretAccessKey} may not do this.`;
    fake.queue(
      failure(403, "AccessDeniedException", message),
      stream([exceptionFrame("validationException", message)]),
    );
    for (const action of ["converse", "converse-stream"]) {
      const got = await post(action);
      expect(got.body.toString()).toContain("may not do this");
      expect(got.body.toString()).not.toContain(accessKeyId);
      expect(got.body.toString()).not.toContain(secretAccessKey);
    }
    const broken = [...converseFrames().slice(0, 2), exceptionFrame("validationException", message)];
    fake.queue(stream(broken));
    const got = await post("converse-stream");
    expect(got.body.includes(secretAccessKey)).toBe(false);
    expect(decodeFrames(got.body).at(-1)?.type).toBe("validationException");
  });
});

describe("an exception as the first frame of a stream", () => {
  test.each([
    ["internalServerException", 500, "InternalServerException"],
    ["modelStreamErrorException", 424, "ModelStreamErrorException"],
    ["validationException", 400, "ValidationException"],
    ["throttlingException", 429, "ThrottlingException"],
    ["serviceUnavailableException", 503, "ServiceUnavailableException"],
    ["modelTimeoutException", 408, "ModelTimeoutException"],
  ])("%s becomes HTTP status %i", async (frame, status, type) => {
    for (const action of ["converse-stream", "invoke-with-response-stream"]) {
      fake.queue(stream([exceptionFrame(frame, "It broke off at once.")]));
      const got = await post(action);
      expectAwsShape(got, status, type);
      expect(messageOf(got)).toBe("It broke off at once.");
    }
  });
});

const nonsense: readonly (readonly [name: string, answer: Answer])[] = [
  ["an empty body", json("")],
  ["HTML", { ...json("<html>Service</html>"), headers: { "content-type": "text/html" } }],
  ["JSON that is cut off", json(JSON.stringify(converseAnswer).slice(0, -10))],
  ["JSON without output", json({ message: "ok" })],
  ["a JSON array", json("[]")],
  ["JSON null", json("null")],
];

describe("a 200 that is nonsense", () => {
  test.each(nonsense)("%s to Converse is a 424 ModelErrorException", async (_name, answer) => {
    fake.queue(answer);
    expectAwsShape(await post("converse"), 424, "ModelErrorException");
  });

  test("a JSON answer to ConverseStream is an error before anything was committed", async () => {
    fake.queue(json(converseAnswer));
    expectAwsShape(await post("converse-stream"), 424, "ModelErrorException");
  });

  test.each([
    ["nothing", []],
    ["bytes that are no frames", [Buffer.from("data: {}\n\ndata: [DONE]\n\n")]],
    ["half a frame", [(converseFrames()[0] ?? Buffer.alloc(0)).subarray(0, 20)]],
  ])("an event stream of %s is an HTTP error", async (_name, parts) => {
    for (const action of ["converse-stream", "invoke-with-response-stream"]) {
      for (const ending of ["end", "destroy"] as const) {
        fake.queue(stream(parts, ending));
        const got = await post(action);
        expect(got.status).toBeGreaterThanOrEqual(424);
        expectAwsShape(got, got.status, errorType(got) ?? "");
      }
    }
  });

  test.each([
    ["garbage", Buffer.from("this is not a frame at all, is it?")],
    ["a frame with a wrong checksum", corrupted()],
    ["half a frame", (converseFrames()[3] ?? Buffer.alloc(0)).subarray(0, 30)],
  ])("%s in the middle of a stream ends it with an exception frame behind whole frames", async (_name, bytes) => {
    const good = Buffer.concat(converseFrames().slice(0, 3));
    fake.queue(stream([good, 20, bytes]));
    const got = await post("converse-stream");
    expect(got.status).toBe(200);
    const frames = decodeFrames(got.body);
    expect(got.body.subarray(0, good.length).equals(good)).toBe(true);
    expect(frames.at(-1)).toMatchObject({ kind: "exception", type: "modelStreamErrorException" });
  });
});

function corrupted(): Buffer {
  const frame = Buffer.from(converseFrames()[2] ?? Buffer.alloc(0));
  frame.writeUInt8(frame.readUInt8(8) ^ 0xff, 8);
  return frame;
}

describe("A16 a stream without its terminal event", () => {
  test.each(["converse-stream", "invoke-with-response-stream"])(
    "of %s ends with modelStreamErrorException, and the log says error",
    async (action) => {
      for (const ending of ["end", "destroy"] as const) {
        const id = `a16-${action}-${ending}`;
        const good = converseFrames().slice(0, 4);
        fake.queue(stream(good, ending));
        const got = await post(action, { "x-request-id": id });
        const last = decodeFrames(got.body).at(-1);
        expect(last).toMatchObject({ kind: "exception", type: "modelStreamErrorException" });
        expect(payloadOf(last).message).toMatch(/\S{3}/);
        expect(got.body.subarray(0, Buffer.concat(good).length).equals(Buffer.concat(good))).toBe(true);
        await expect.poll(() => gateway.logs.find((line) => line.requestId === id)?.outcome).toBe("error");
      }
    },
  );
});

describe("an upstream that cannot be reached", () => {
  test.each(actions)("is a ServiceUnavailableException to %s", async (action) => {
    const got = await send(lonely.url, path(action), { body: userTurn("hi") });
    expectAwsShape(got, 503, "ServiceUnavailableException");
  });

  test("or that breaks off before its answer", async () => {
    const broken = await startFakeBedrock();
    const front = await startGateway({ config: relayConfig(broken.url), withoutH2: true });
    try {
      const slow = { ...json(converseAnswer), delayMs: 60_000 };
      broken.when("vendor.model", slow);
      const sent = send(front.url, path("converse"), { body: userTurn("hi") });
      await broken.seen("vendor.model");
      await broken[Symbol.asyncDispose]();
      expectAwsShape(await sent, 503, "ServiceUnavailableException");
    } finally {
      await front.stop();
    }
  }, 30_000);
});

describe("A43 error bodies", () => {
  test("carry no stack, path, address of the upstream or configuration text", async () => {
    const answers: RawAnswer[] = [];
    for (const action of actions) answers.push(await send(lonely.url, path(action), { body: userTurn("hi") }));
    for (const [, answer] of nonsense) {
      fake.queue(answer);
      answers.push(await post("converse"));
    }
    for (const header of ["x-bf-timeout-ms", "x-bf-fallbacks", "x-bf-api-key", "x-request-id"]) {
      answers.push(await post("converse", { [header]: "\u00ff'; DROP TABLE --" }));
    }
    for (const odd of ["/bedrock/model/%zz/converse", "/bedrock/model/%00/converse", "/bedrock/%2e%2e/api/config"]) {
      answers.push(await send(gateway.url, odd, { body: "{" }));
    }
    for (const { status, body } of answers) {
      if (status === 200) continue;
      expect(body.toString("utf8")).not.toMatch(
        /\bat .+:\d+|\.[jt]s\b|node_modules|127\.0\.0\.1|bedrock_key_config|SELECT |Error:|undefined|\[object/,
      );
    }
    expect(answers.filter((answer) => answer.status >= 400).length).toBeGreaterThan(10);
  });
});
