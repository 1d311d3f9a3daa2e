import { BedrockRuntimeClient, ConverseCommand, ConverseStreamCommand } from "@aws-sdk/client-bedrock-runtime";
import { NodeHttpHandler } from "@smithy/node-http-handler";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { stream } from "./answers.ts";
import { type FakeBedrock, fakeIdentity, startFakeBedrock } from "./fake-bedrock.ts";
import { converseFrames, decodeFrames, payloadOf } from "./frames.ts";
import { send, userTurn } from "./raw-http.ts";
import { until } from "./wait.ts";

let fake: FakeBedrock;
beforeAll(async () => {
  fake = await startFakeBedrock();
});
beforeEach(() => fake.reset());
afterAll(() => fake[Symbol.asyncDispose]());

function client(secretAccessKey: string): BedrockRuntimeClient {
  return new BedrockRuntimeClient({
    region: "us-east-1",
    endpoint: fake.url,
    credentials: { accessKeyId: fakeIdentity.accessKeyId, secretAccessKey },
    maxAttempts: 1,
    requestHandler: new NodeHttpHandler(),
  });
}

const input = { modelId: "vendor.model-v1:0", messages: [{ role: "user" as const, content: [{ text: "hi" }] }] };

describe("the fake Bedrock", () => {
  test("takes an AWS client's request, and objects to nothing but the client's own headers", async () => {
    const answer = await client(fakeIdentity.secretAccessKey).send(new ConverseCommand(input));
    expect(answer.output?.message?.content).toEqual([{ text: "Hello from the fake." }]);
    expect(fake.requests).toHaveLength(1);
    expect(fake.requests[0]).toMatchObject({ operation: "Converse", label: input.modelId, aborted: false });
    expect(fake.violations.filter((what) => !/header (amz-sdk-|x-amz-user-agent)/.test(what))).toEqual([]);
  });

  test("objects to a signature made with another secret", async () => {
    await client("another secret").send(new ConverseCommand(input));
    expect(fake.violations.join("\n")).toContain("the signature is wrong");
  });

  test("objects to control headers, double encoding, foreign bearer tokens and unknown paths", async () => {
    await send(fake.url, "/model/vendor.model%253A0/converse", { body: userTurn("hi"), headers: { "x-bf-vk": "vk" } });
    await send(fake.url, "/bedrock/model/m/converse", { headers: { authorization: "Bearer of-the-client" } });
    const all = fake.violations.join("\n");
    expect(all).toContain("header x-bf-vk went upstream");
    expect(all).toContain("percent-encoded twice");
    expect(all).toContain("bearer token that is not configured");
    expect(all).toContain("no operation of Bedrock has this method and path");
  });

  test("streams frames that the SDK reads, and records a reader who leaves", async () => {
    const aws = client(fakeIdentity.secretAccessKey);
    const types: string[] = [];
    for await (const event of (await aws.send(new ConverseStreamCommand(input))).stream ?? []) {
      types.push(...Object.keys(event));
    }
    expect(types).toEqual([
      "messageStart",
      ...Array.from({ length: 3 }, () => "contentBlockDelta"),
      "contentBlockStop",
      "messageStop",
      "metadata",
    ]);

    fake.when("leaver", stream(converseFrames().slice(0, 2), "hang"));
    const abort = new AbortController();
    const gone = send(fake.url, "/model/leaver/converse-stream", { signal: abort.signal }).catch(() => "gone");
    const request = await fake.seen("leaver");
    await until("bytes", () => request.bytesSent > 0);
    abort.abort();
    expect(await gone).toBe("gone");
    await until("the end of the connection", () => request.closedAt);
    expect(request.aborted).toBe(true);
  });

  test("breaks a connection only after what was written before has left", async () => {
    const frames = converseFrames();
    fake.when("cut", stream(frames.slice(0, 3), "destroy"));
    await expect(send(fake.url, "/model/cut/converse-stream")).rejects.toThrow();
    expect(fake.all("cut")[0]?.bytesSent).toBe(Buffer.concat(frames.slice(0, 3)).length);
  });
});

describe("the frames of tests", () => {
  test("decode to what was encoded, with padding as Bedrock sends it", () => {
    const decoded = decodeFrames(Buffer.concat(converseFrames({ pieces: ["one"] })));
    expect(decoded.map((frame) => frame.type)).toEqual([
      "messageStart",
      "contentBlockDelta",
      "contentBlockStop",
      "messageStop",
      "metadata",
    ]);
    expect(payloadOf(decoded[1])).toMatchObject({ delta: { text: "one" }, p: expect.stringMatching(/^abc/) });
  });

  test("are refused when bytes are missing", () => {
    const bytes = Buffer.concat(converseFrames());
    expect(() => decodeFrames(bytes.subarray(0, bytes.length - 1))).toThrow("the last frame has");
  });
});
