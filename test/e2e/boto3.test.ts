import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import {
  anthropicAnswer,
  chunkStream,
  converseAnswer,
  failure,
  json,
  modelledErrors,
  type Part,
  stream,
} from "../support/answers.ts";
import { type FakeBedrock, startFakeBedrock } from "../support/fake-bedrock.ts";
import { anthropicFrames, converseFrames, exceptionFrame } from "../support/frames.ts";
import { type RunningGateway, relayConfig, startGateway } from "../support/gateway.ts";
import { findBoto3, runPython } from "../support/python.ts";
import { until } from "../support/wait.ts";

const version = findBoto3();

describe.skipIf(version === undefined)(`boto3 ${version}`, { timeout: 30_000 }, () => {
  let fake: FakeBedrock;
  let gateway: RunningGateway;
  let direct: RunningGateway;
  let mock: RunningGateway;

  beforeAll(async () => {
    fake = await startFakeBedrock();
    [gateway, direct, mock] = await Promise.all([
      startGateway({ config: relayConfig(fake.url) }),
      startGateway({ config: relayConfig(fake.url, { client: { allow_direct_keys: true } }), withoutH2: true }),
      startGateway({ withoutH2: true }),
    ]);
  }, 60_000);
  beforeEach(() => fake.reset());
  afterEach(() => expect(fake.violations).toEqual([]));
  afterAll(async () => {
    await Promise.all([gateway?.stop(), direct?.stop(), mock?.stop()]);
    await fake?.[Symbol.asyncDispose]();
  }, 30_000);

  describe("runs every example of the overview page as it is printed", () => {
    test("the setup", async () => {
      expect((await runPython("overview_setup.py", gateway.url)).stdout).toContain("Hello from the fake.");
      expect(fake.requests.map((request) => request.label)).toEqual(["anthropic.claude-3-5-sonnet-20240620-v1:0"]);
      expect((await runPython("overview_setup.py", mock.url)).stdout).toContain("Hello!");
    });

    test("providers and models", async () => {
      fake.when("InvokeModel", json({ outputs: [{ text: " Hello!", stop_reason: "stop" }] }));
      expect((await runPython("overview_models.py", gateway.url)).result).toEqual({
        anthropic: converseAnswer.output,
        mistral: converseAnswer.output,
        invoke: { outputs: [{ text: " Hello!", stop_reason: "stop" }] },
      });
      expect((await runPython("overview_models.py", mock.url)).result).toMatchObject({
        anthropic: { message: { content: [{ text: expect.stringContaining("Hello from Claude!") }] } },
        mistral: { message: { content: [{ text: expect.stringContaining("Hello from Mistral!") }] } },
        invoke: { outputs: [{ text: expect.stringContaining("Say hello from Mistral using Invoke API.") }] },
      });
    });

    test("custom headers: with no virtual key configured the one that is sent is not checked", async () => {
      expect((await runPython("overview_headers.py", gateway.url)).stdout).toContain("Hello from the fake.");
      expect(fake.requests).toHaveLength(1);
      expect((await runPython("overview_headers.py", mock.url)).stdout).toContain("Hello with custom headers!");
    });

    test("ConverseStream", async () => {
      const relayed = await runPython("overview_converse_stream.py", gateway.url);
      expect(relayed.stdout).toBe("Response:\nOnce upon a time, the end.");
      const mocked = await runPython("overview_converse_stream.py", mock.url);
      expect(mocked.stdout).toContain("Tell me a story about a brave knight.");
    });

    test("InvokeModelWithResponseStream", async () => {
      const relayed = await runPython("overview_invoke_stream.py", gateway.url);
      expect(relayed.stdout).toBe("Response:\nSilent code runs");
      const mocked = await runPython("overview_invoke_stream.py", mock.url);
      expect(mocked.stdout).toContain("Write a haiku about coding.");
    });

    test("direct keys, switched on and off", async () => {
      for (const { url } of [gateway, direct]) {
        expect((await runPython("overview_direct_keys.py", url)).stdout).toContain("Hello from the fake.");
      }
    });
  });

  test("A02 parses all four model operations, equal to what AWS sent", async () => {
    fake.queue(json(converseAnswer, { "x-amzn-requestid": "0a0a0a0a-1111-2222-3333-444444444444" }));
    const { result } = await runPython("operations.py", gateway.url);
    const { cacheReadInputTokenCount, cacheWriteInputTokenCount, serverToolUsage, ...usage } = converseAnswer.usage;
    expect([cacheReadInputTokenCount, cacheWriteInputTokenCount, serverToolUsage]).toBeDefined();
    expect(result).toMatchObject({
      converse: { ...converseAnswer, usage },
      requestId: "0a0a0a0a-1111-2222-3333-444444444444",
      status: 200,
      retries: 0,
      converse_stream: [
        { messageStart: { role: "assistant" } },
        { contentBlockDelta: { contentBlockIndex: 0, delta: { text: "Once upon" } } },
        { contentBlockDelta: { contentBlockIndex: 0, delta: { text: " a time," } } },
        { contentBlockDelta: { contentBlockIndex: 0, delta: { text: " the end." } } },
        { contentBlockStop: { contentBlockIndex: 0 } },
        { messageStop: { stopReason: "end_turn" } },
        { metadata: { metrics: { latencyMs: 731 }, usage: { inputTokens: 12, outputTokens: 7, totalTokens: 19 } } },
      ],
      invoke_model: anthropicAnswer,
      invoke_headers: { "x-amzn-bedrock-input-token-count": "14", "x-amzn-bedrock-output-token-count": "9" },
      content_type: "application/json",
    });
    expect(result).toHaveProperty("invoke_stream.length", anthropicFrames().length);
    expect(result).toHaveProperty(
      `invoke_stream.${anthropicFrames().length - 1}.amazon-bedrock-invocationMetrics.inputTokenCount`,
      14,
    );
    const [converse, , invoke] = fake.requests;
    expect(converse?.label).toBe("us.anthropic.claude-3-haiku-20240307-v1:0");
    expect(converse?.body.toString("latin1")).toContain("\\u017b\\u00f3\\u0142w \\ud83d\\udc22");
    expect(invoke?.headers["x-amzn-bedrock-trace"]).toBe("ENABLED");
    expect(invoke?.headers["content-type"]).toBeUndefined();
  });

  test("each event reaches the iterator before the next one leaves upstream", async () => {
    const left: number[] = [];
    async function* spaced(frames: readonly Buffer[]): AsyncGenerator<Part> {
      for (const frame of frames) {
        yield 150;
        left.push(Date.now());
        yield frame;
      }
    }
    const frames = converseFrames();
    const chunks = anthropicFrames();
    fake.when("spaced", () => stream(spaced(frames)));
    fake.when("spaced-invoke", () => chunkStream(spaced(chunks)));
    const { result } = await runPython("timing.py", gateway.url);
    const arrived = timesOf(result);
    expect(arrived).toHaveLength(frames.length + chunks.length);
    expect(left).toHaveLength(frames.length + chunks.length);
    for (const [index, at] of arrived.slice(0, -1).entries()) {
      expect(at, `event ${index + 1}`).toBeLessThan(left[index + 1] ?? 0);
    }
  });

  test("A05 raises every modelled error as its class, with message, status and request id", async () => {
    for (const [type, status] of modelledErrors) {
      const answer = failure(status, type, `It was a ${type}.`);
      fake.when(type, { ...answer, headers: { ...answer.headers, "x-amzn-requestid": `id-${type}` } });
    }
    const good = converseFrames().slice(0, 3);
    fake.when("broken", stream([...good, exceptionFrame("throttlingException", "Slow down.")]));
    fake.when("truncated", stream(good, "destroy"));
    fake.when("first", stream([exceptionFrame("validationException", "No.")]));
    const { result } = await runPython("failures.py", gateway.url);
    const operations = ["converse", "converse_stream", "invoke_model", "invoke_model_with_response_stream"];
    const inBoto3 = [
      "AccessDeniedException",
      "ValidationException",
      "ServiceQuotaExceededException",
      "ResourceNotFoundException",
      "ModelTimeoutException",
      "ModelErrorException",
      "ThrottlingException",
      "ModelNotReadyException",
      "InternalServerException",
      "ServiceUnavailableException",
    ];
    const statuses = new Map(modelledErrors);
    expect(result).toEqual({
      raised: operations.flatMap((operation) =>
        inBoto3.map((type) => [operation, type, type, `It was a ${type}.`, statuses.get(type), `id-${type}`]),
      ),
      middle: [
        ["broken", 3, "throttlingException"],
        ["truncated", 3, "modelStreamErrorException"],
        ["first", 0, "ValidationException"],
      ],
    });
  });

  test("A17 closing a stream ends the upstream call within a second", async () => {
    const flow = Array.from({ length: 400 }, () => converseFrames()[1] ?? Buffer.alloc(0)).flatMap((one) => [one, 25]);
    fake.when("endless", stream([converseFrames()[0] ?? Buffer.alloc(0), ...flow], "hang"));
    await runPython("leaving.py", gateway.url);
    const left = Date.now();
    const request = await fake.seen("endless");
    const closedAt = await until("the upstream call's end", () => request.closedAt);
    expect(closedAt - left).toBeLessThan(1000);
  });

  test("calls guardrails, async invocations, token counts, reranking and the control plane", async () => {
    expect((await runPython("others.py", gateway.url)).result).toEqual({
      count: 42,
      guardrail: "GUARDRAIL_INTERVENED",
      started: "arn:aws:bedrock:us-east-1:123456789012:async-invoke/abcdefghijkl",
      got: "Completed",
      listed: 1,
      models: "anthropic.claude-3-haiku-20240307-v1:0",
      model: "Claude 3 Haiku",
      profiles: 1,
      profile: "2025-01-02T03:04:05+00:00",
      ranked: [1, 0],
    });
  });
});

function timesOf(result: unknown): number[] {
  if (typeof result !== "object" || result === null || !("converse" in result) || !("invoke" in result)) return [];
  return [result.converse, result.invoke].flat().filter((time) => typeof time === "number");
}
