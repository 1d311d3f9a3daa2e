import {
  BedrockRuntimeClient,
  BedrockRuntimeServiceException,
  ConverseCommand,
  ConverseStreamCommand,
  InternalServerException,
  InvokeModelCommand,
  InvokeModelWithResponseStreamCommand,
  ModelStreamErrorException,
  ModelTimeoutException,
  ServiceUnavailableException,
  ThrottlingException,
  ValidationException,
} from "@aws-sdk/client-bedrock-runtime";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { chunkStream, failure, modelledErrors, stream } from "../support/answers.ts";
import { dummy, type Protocol, protocols, runtimeClient } from "../support/clients.ts";
import { type FakeBedrock, startFakeBedrock } from "../support/fake-bedrock.ts";
import { anthropicFrames, converseFrames, exceptionFrame } from "../support/frames.ts";
import { type RunningGateway, relayConfig, startGateway } from "../support/gateway.ts";
import { collect, rejection, sleep, until } from "../support/wait.ts";

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

const modelId = "anthropic.claude-3-haiku-20240307-v1:0";
const messages = [{ role: "user" as const, content: [{ text: "Hello!" }] }];

/** Sends one of the four model operations and reads its answer to the end. */
const operations = {
  Converse: (client: BedrockRuntimeClient) => client.send(new ConverseCommand({ modelId, messages })),
  ConverseStream: async (client: BedrockRuntimeClient) =>
    collect((await client.send(new ConverseStreamCommand({ modelId, messages }))).stream),
  InvokeModel: (client: BedrockRuntimeClient) => client.send(new InvokeModelCommand({ modelId, body: "{}" })),
  InvokeModelWithResponseStream: async (client: BedrockRuntimeClient) =>
    collect((await client.send(new InvokeModelWithResponseStreamCommand({ modelId, body: "{}" }))).body),
};
type OperationName = keyof typeof operations;
const unary: readonly OperationName[] = ["Converse", "InvokeModel"];
const streaming: readonly OperationName[] = ["ConverseStream", "InvokeModelWithResponseStream"];

describe.each(protocols)("failures as the AWS SDK sees them over %s", (protocol: Protocol) => {
  let client: BedrockRuntimeClient;
  beforeAll(() => {
    client = runtimeClient(gateway, protocol);
  });
  afterAll(() => client?.destroy());

  test.each(
    [...unary, ...streaming].flatMap((name) => modelledErrors.map(([type, status]) => ({ name, type, status }))),
  )("A05 $type from $name is that class with status $status", async ({ name, type, status }) => {
    const requestId = "00000000-aaaa-bbbb-cccc-000000000000";
    const answer = failure(status, type, `It was a ${type}.`);
    fake.queue({ ...answer, headers: { ...answer.headers, "x-amzn-requestid": requestId } });
    const error = await rejection(operations[name](client));
    expect(error).toBeInstanceOf(BedrockRuntimeServiceException);
    expect(error).toMatchObject({
      name: type,
      message: `It was a ${type}.`,
      $metadata: { httpStatusCode: status, requestId },
    });
  });

  test("members beside the message arrive", async () => {
    fake.queue(
      failure(424, "ModelErrorException", "The model failed.", { originalStatusCode: 503, resourceName: "the-model" }),
    );
    expect(await rejection(operations.Converse(client))).toMatchObject({
      name: "ModelErrorException",
      originalStatusCode: 503,
      resourceName: "the-model",
    });
  });

  test.each([
    ["internalServerException", InternalServerException, 500],
    ["modelStreamErrorException", ModelStreamErrorException, 424],
    ["validationException", ValidationException, 400],
    ["throttlingException", ThrottlingException, 429],
    ["serviceUnavailableException", ServiceUnavailableException, 503],
  ] as const)("an %s as the first frame rejects send() with its HTTP status", async (type, Class, status) => {
    for (const name of streaming) {
      fake.queue(stream([exceptionFrame(type, "Not today.")]));
      const error = await rejection(operations[name](client));
      expect(error).toBeInstanceOf(Class);
      expect(error).toMatchObject({ message: "Not today.", $metadata: { httpStatusCode: status } });
    }
  });

  test.each([
    ["internalServerException", InternalServerException],
    ["modelStreamErrorException", ModelStreamErrorException],
    ["validationException", ValidationException],
    ["throttlingException", ThrottlingException],
    ["serviceUnavailableException", ServiceUnavailableException],
  ] as const)(
    "an %s in the middle of a stream is thrown as its class after the events before it",
    async (type, Class) => {
      fake.queue(stream([...converseFrames().slice(0, 3), exceptionFrame(type, "Broke off.")]));
      const answer = await client.send(new ConverseStreamCommand({ modelId, messages }));
      const seen: unknown[] = [];
      const error = await rejection(
        (async () => {
          for await (const event of answer.stream ?? []) seen.push(event);
        })(),
      );
      expect(error).toBeInstanceOf(Class);
      expect(error).toMatchObject({ message: "Broke off." });
      expect(seen).toHaveLength(3);
    },
  );

  test("a modelTimeoutException in the middle of an Invoke stream is thrown as its class", async () => {
    fake.queue(chunkStream([...anthropicFrames().slice(0, 3), exceptionFrame("modelTimeoutException", "Too slow.")]));
    const error = await rejection(operations.InvokeModelWithResponseStream(client));
    expect(error).toBeInstanceOf(ModelTimeoutException);
  });

  test.each([
    ["ConverseStream", converseFrames],
    ["InvokeModelWithResponseStream", anthropicFrames],
  ] as const)("A16 a %s that ends without its terminal event is a ModelStreamErrorException", async (name, frames) => {
    for (const ending of ["end", "destroy"] as const) {
      fake.queue(stream(frames().slice(0, 3), ending));
      expect(await rejection(operations[name](client))).toBeInstanceOf(ModelStreamErrorException);
    }
  });

  test("A17 an AbortController ends the upstream call within a second, streamed or not", async () => {
    fake.when("streamed", stream(converseFrames().slice(0, 3), "hang"));
    const streamed = new AbortController();
    const answer = await client.send(new ConverseStreamCommand({ modelId: "streamed", messages }), {
      abortSignal: streamed.signal,
    });
    const events = answer.stream?.[Symbol.asyncIterator]();
    for (let read = 0; read < 3; read++) expect((await events?.next())?.done).toBe(false);
    await expectEndedBy("streamed", () => streamed.abort());

    fake.when("unary", { ...failure(500, "InternalServerException", "never sent"), delayMs: 20_000 });
    const whole = new AbortController();
    const sent = rejection(
      client.send(new ConverseCommand({ modelId: "unary", messages }), { abortSignal: whole.signal }),
    );
    await expectEndedBy("unary", () => whole.abort());
    expect(await sent).toMatchObject({ name: "AbortError" });
  });
});

async function expectEndedBy(label: string, leave: () => void): Promise<void> {
  const request = await fake.seen(label);
  await sleep(50);
  expect(request.closedAt).toBeUndefined();
  const left = Date.now();
  leave();
  const closedAt = await until("the upstream connection's end", () => request.closedAt);
  expect(closedAt - left).toBeLessThan(1000);
  expect(request.aborted).toBe(true);
}

describe("A01 the SDK's default HTTP/2 client on the HTTP/1.1 port", () => {
  test("fails at once, and one log line names the setting to change", async () => {
    const lost = new BedrockRuntimeClient({
      region: "us-west-2",
      endpoint: `${gateway.url}/bedrock`,
      credentials: dummy,
    });
    const before = Date.now();
    await rejection(lost.send(new ConverseCommand({ modelId, messages })));
    expect(Date.now() - before).toBeLessThan(3000);
    const hints = () => gateway.logs.filter((line) => String(line.msg).includes("BIFROST_H2_PORT"));
    await until("the hint in the log", () => hints().length > 0);
    await rejection(lost.send(new ConverseCommand({ modelId, messages })));
    await sleep(300);
    expect(hints()).toHaveLength(1);
    expect(String(hints()[0]?.msg)).toContain("NodeHttpHandler");
    lost.destroy();
  });
});
