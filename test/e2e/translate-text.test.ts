import {
  type BedrockRuntimeClient,
  ConverseCommand,
  type ConverseCommandInput,
  ConverseStreamCommand,
} from "@aws-sdk/client-bedrock-runtime";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { type Protocol, protocols, runtimeClient } from "../support/clients.ts";
import { type FakeProviders, type ProviderName, providerNames, startFakeProviders } from "../support/fake-providers.ts";
import { type RunningGateway, startGateway } from "../support/gateway.ts";
import { type RawAnswer, send, userTurn } from "../support/raw-http.ts";
import { assemble, modelIdOf } from "../support/translated.ts";
import { collect, rejection } from "../support/wait.ts";

let fakes: FakeProviders;
let gateway: RunningGateway;

beforeAll(async () => {
  fakes = await startFakeProviders();
  gateway = await startGateway({ config: { providers: fakes.config() } });
}, 30_000);
beforeEach(() => fakes.reset());
afterEach(() => expect(fakes.violations()).toEqual([]));
afterAll(async () => {
  await gateway?.stop();
  await fakes?.[Symbol.asyncDispose]();
}, 30_000);

const conversation = {
  system: [{ text: "Be brief." }, { text: "Speak Polish." }],
  messages: [
    { role: "user", content: [{ text: "Who are you?" }] },
    { role: "assistant", content: [{ text: "Żółw." }] },
    { role: "user", content: [{ text: "Say it" }, { text: "again." }] },
  ],
  inferenceConfig: { maxTokens: 50, temperature: 0.25, stopSequences: ["END"] },
} satisfies Omit<ConverseCommandInput, "modelId">;
const said = { text: "Jestem żółwiem 🐢, i to zielonym.", usage: { input: 30, output: 8 } };

const post = (name: ProviderName, body: string, action = "converse"): Promise<RawAnswer> =>
  send(gateway.url, `/bedrock/model/${encodeURIComponent(modelIdOf(name))}/${action}`, { body });

describe.each(protocols)("a conversation over %s", (protocol: Protocol) => {
  let client: BedrockRuntimeClient;
  beforeAll(() => {
    client = runtimeClient(gateway, protocol);
  });
  afterAll(() => client?.destroy());

  test.each(providerNames)("is answered whole by %s", async (name) => {
    fakes[name].queue(said);
    const answer = await client.send(new ConverseCommand({ modelId: modelIdOf(name), ...conversation }));
    expect(answer.output?.message).toEqual({ role: "assistant", content: [{ text: said.text }] });
    expect(answer.stopReason).toBe("end_turn");
    expect(answer.usage).toMatchObject({ inputTokens: 30, outputTokens: 8, totalTokens: 38 });
    expect(answer.metrics?.latencyMs).toBeTypeOf("number");
    const sent = JSON.stringify(fakes[name].lastBody());
    const words = ["Be brief.", "Speak Polish.", "Who are you?", "Żółw.", "Say it", "again."];
    const places = words.map((word) => sent.indexOf(word));
    expect(places).not.toContain(-1);
    for (const fact of ["50", "0.25", '"END"']) expect(sent).toContain(fact);
    expect(fakes[name].requests).toHaveLength(1);
  });

  test.each(providerNames)("is streamed by %s in the order of events that clients know", async (name) => {
    // Five bytes at a time: characters arrive in pieces.
    fakes[name].queue(fakes[name].stream(said, { cutEvery: 5 }));
    const answer = await client.send(new ConverseStreamCommand({ modelId: modelIdOf(name), ...conversation }));
    const { blocks, faults, stopReason, usage } = assemble(await collect(answer.stream));
    expect(faults).toEqual([]);
    expect(blocks).toMatchObject([{ text: said.text, reasoning: "", call: undefined }]);
    expect(stopReason).toBe("end_turn");
    expect(usage).toMatchObject({ inputTokens: 30, outputTokens: 8, totalTokens: 38 });
    expect(fakes[name].requests[0]?.headers.accept ?? "").not.toContain("amazon");
  });

  test.each(providerNames)("ends with max_tokens where %s was cut short", async (name) => {
    fakes[name].queue({ text: "And then", stop: "length" }, { text: "And then", stop: "length" });
    const input = { modelId: modelIdOf(name), messages: conversation.messages };
    const whole = await client.send(new ConverseCommand(input));
    expect(whole.stopReason).toBe("max_tokens");
    const streamed = await client.send(new ConverseStreamCommand(input));
    expect(assemble(await collect(streamed.stream)).stopReason).toBe("max_tokens");
  });
});

describe("an answer without a stream", () => {
  test.each(providerNames)("leaves as a stream all the same when %s does not stream", async (name) => {
    const whole = Buffer.from(JSON.stringify(fakes[name].wire.whole(said, "m")));
    fakes[name].queue({ kind: "unary", status: 200, headers: { "content-type": "application/json" }, body: whole });
    const client = runtimeClient(gateway, "http/1.1");
    const answer = await client.send(
      new ConverseStreamCommand({ modelId: modelIdOf(name), messages: conversation.messages }),
    );
    const { blocks, faults, usage } = assemble(await collect(answer.stream));
    client.destroy();
    expect(faults).toEqual([]);
    expect(blocks).toMatchObject([{ text: said.text }]);
    expect(usage).toMatchObject({ inputTokens: 30, outputTokens: 8 });
  });
});

describe("usage", () => {
  test.each(["openai", "anthropic", "gemini", "mistral"] as const)(
    "counts %s's cached tokens apart from the others",
    async (name) => {
      const cached = { text: "ok", usage: { input: 100, output: 5, cached: 64 } };
      fakes[name].queue(cached, cached);
      for (const action of ["converse", "converse-stream"]) {
        const answer = await post(name, userTurn("hi"), action);
        expect(answer.body.toString("latin1")).toMatch(/"inputTokens":36\b/);
        expect(answer.body.toString("latin1")).toMatch(/"cacheReadInputTokens":64\b/);
        expect(answer.body.toString("latin1")).toMatch(/"totalTokens":105\b/);
      }
    },
  );

  test.each(providerNames)("is estimated and marked as such where %s tells none", async (name) => {
    const { usage: _, usageMetadata: __, ...whole } = fakes[name].wire.whole({ text: "Hello there." }, "m");
    const body = Buffer.from(JSON.stringify(whole));
    fakes[name].queue({ kind: "unary", status: 200, headers: { "content-type": "application/json" }, body });
    const answer = await post(name, userTurn("A question of some length."));
    expect(answer.status).toBe(200);
    expect(answer.headers["x-bifrost-usage"]).toBe("estimated");
    const { usage } = JSON.parse(answer.body.toString());
    expect(usage.inputTokens).toBeGreaterThan(0);
    expect(usage.outputTokens).toBeGreaterThan(0);
    expect(usage.totalTokens).toBe(usage.inputTokens + usage.outputTokens);
  });
});

describe("A12 blank text", () => {
  const blank = (content: readonly object[]) =>
    JSON.stringify({
      messages: [
        { role: "user", content: [{ text: "Hi" }] },
        { role: "assistant", content },
        { role: "user", content: [{ text: "Go on" }, { text: " " }] },
      ],
    });

  test.each(providerNames)("never goes to %s", async (name) => {
    for (const content of [[{ text: "" }], [{ text: "  \n" }], [{ text: "" }, { text: "kept" }], []]) {
      const answer = await post(name, blank(content));
      expect(`${answer.status} ${answer.body.toString()}`).toContain("200 ");
    }
  });

  test.each(providerNames)("and an empty answer of %s has no block", async (name) => {
    fakes[name].queue({ text: "" }, fakes[name].stream({ text: "" }));
    const whole = await post(name, userTurn("Say nothing."));
    expect(JSON.parse(whole.body.toString())).toMatchObject({
      output: { message: { content: [] } },
      stopReason: "end_turn",
    });
    const streamed = await post(name, userTurn("Say nothing."), "converse-stream");
    expect(streamed.body.toString("latin1")).not.toContain("contentBlock");
    expect(streamed.body.toString("latin1")).toContain("messageStop");
  });
});

describe("stop sequences that a model does not take", () => {
  // OpenAI's reasoning models take none, others a handful.
  const body = (stops: readonly string[]) => userTurn("Count.", { inferenceConfig: { stopSequences: stops } });
  const toReasoner = (text: string, action: string) =>
    send(gateway.url, `/bedrock/model/openai%2Fo3/${action}`, { body: text });

  test("end the answer where they stand", async () => {
    fakes.openai.queue({ text: "one two STOP three" });
    const whole = await toReasoner(body(["STOP"]), "converse");
    expect(JSON.parse(whole.body.toString())).toMatchObject({
      output: { message: { content: [{ text: "one two " }] } },
      stopReason: "stop_sequence",
    });
    expect(fakes.openai.lastBody()).not.toHaveProperty("stop");
  });

  test("end a stream even where they arrive in pieces, and the model's call within a second", async () => {
    const endless = "x".repeat(4000);
    fakes.openai.when("o3", fakes.openai.stream({ text: `one two STOP ${endless}` }, { pauseMs: 10 }));
    const client = runtimeClient(gateway, "h2");
    const answer = await client.send(
      new ConverseStreamCommand({
        modelId: "openai/o3",
        messages: [{ role: "user", content: [{ text: "Count." }] }],
        inferenceConfig: { stopSequences: ["two STOP", "never"] },
      }),
    );
    const { blocks, faults, stopReason } = assemble(await collect(answer.stream));
    const endedAt = Date.now();
    client.destroy();
    expect(faults).toEqual([]);
    expect(blocks).toMatchObject([{ text: "one " }]);
    expect(stopReason).toBe("stop_sequence");
    const request = await fakes.openai.seen("o3");
    await expect.poll(() => request.closedAt, { timeout: 3000 }).toBeDefined();
    expect(request.aborted).toBe(true);
    expect((request.closedAt ?? 0) - endedAt).toBeLessThan(1000);
  });

  test.each(providerNames)("beyond what %s takes are cut by the gateway", async (name) => {
    const stops = ["S1", "S2", "S3", "S4", "S5", "S6", "S7"];
    fakes[name].queue({ text: "up to here S7 and no further" });
    const answer = await post(name, body(stops));
    const parsed = JSON.parse(answer.body.toString());
    const takesAll = JSON.stringify(fakes[name].lastBody()).includes("S7");
    // A model that was told of them all is trusted with them.
    if (takesAll) expect(parsed.stopReason).toBe("end_turn");
    else
      expect(parsed).toMatchObject({
        output: { message: { content: [{ text: "up to here " }] } },
        stopReason: "stop_sequence",
      });
  });
});

describe("structured output", () => {
  const schema = {
    type: "object",
    properties: { city: { type: "string" }, people: { type: "integer" } },
    required: ["city", "people"],
    additionalProperties: false,
  };
  const textFormat = {
    type: "json_schema" as const,
    structure: { jsonSchema: { name: "place", schema: JSON.stringify(schema), description: "A town." } },
  };
  const answer = '{"city":"Łódź","people":655279}';

  test.each(providerNames)("is asked of %s in its own way and comes back as text", async (name) => {
    fakes[name].queue({ text: answer }, { text: answer });
    const body = userTurn("Where?", { outputConfig: { textFormat } });
    const whole = await post(name, body);
    expect(JSON.parse(whole.body.toString())).toMatchObject({
      output: { message: { content: [{ text: answer }] } },
      stopReason: "end_turn",
    });
    expect(JSON.stringify(fakes[name].lastBody())).toContain('"people"');
    const client = runtimeClient(gateway, "h2");
    const streamed = await client.send(
      new ConverseStreamCommand({
        modelId: modelIdOf(name),
        messages: [{ role: "user", content: [{ text: "Where?" }] }],
        outputConfig: { textFormat },
      }),
    );
    const { blocks, faults, stopReason } = assemble(await collect(streamed.stream));
    client.destroy();
    expect({ faults, stopReason, texts: blocks.map((block) => block.text) }).toEqual({
      faults: [],
      stopReason: "end_turn",
      texts: [answer],
    });
  });

  test("is had from a Claude without it by a tool of the gateway's, which the client does not see", async () => {
    const call = { id: "toolu_1", name: "place", input: { city: "Łódź", people: 655279 } };
    fakes.anthropic.queue({ calls: [call] }, { calls: [call] });
    const body = userTurn("Where?", { outputConfig: { textFormat } });
    const path = "/bedrock/model/anthropic%2Fclaude-3-5-haiku-20241022";
    const whole = await send(gateway.url, `${path}/converse`, { body });
    const parsed = JSON.parse(whole.body.toString());
    expect(JSON.parse(parsed.output.message.content[0].text)).toEqual(call.input);
    expect(parsed.stopReason).toBe("end_turn");
    expect(fakes.anthropic.lastBody()).toMatchObject({ tool_choice: { type: "tool", name: "place" } });
    const streamed = await send(gateway.url, `${path}/converse-stream`, { body });
    expect(streamed.body.toString("latin1")).not.toContain("toolUse");
    expect(streamed.body.toString("latin1")).toContain('"stopReason":"end_turn"');
  });

  test("is refused by path when its schema is no JSON", async () => {
    const broken = { ...textFormat, structure: { jsonSchema: { schema: "{" } } };
    for (const name of providerNames) {
      const refused = await post(name, userTurn("Where?", { outputConfig: { textFormat: broken } }));
      expect(refused.status).toBe(400);
      expect(refused.body.toString()).toContain("outputConfig.textFormat.structure.jsonSchema.schema");
    }
  });
});

describe("A14 what a provider cannot carry", () => {
  const refused: readonly (readonly [path: string, more: object])[] = [
    ["futureField", { futureField: 1 }],
    ["inferenceConfig.topZ", { inferenceConfig: { topZ: 1 } }],
    ["guardrailConfig", { guardrailConfig: { guardrailIdentifier: "g", guardrailVersion: "1" } }],
    ["promptVariables", { promptVariables: { a: { text: "b" } } }],
    ["toolConfig.tools[0].newTool", { toolConfig: { tools: [{ newTool: {} }] } }],
    ["messages[0].content[1].hologram", { messages: [{ role: "user", content: [{ text: "a" }, { hologram: {} }] }] }],
    [
      "messages[0].content[0].image.source.s3Location",
      {
        messages: [
          { role: "user", content: [{ image: { format: "png", source: { s3Location: { uri: "s3://b/k" } } } }] },
        ],
      },
    ],
  ];

  test.each(refused)("%s is refused by its path", async (path, more) => {
    for (const name of providerNames) {
      const answer = await post(name, userTurn("hi", more));
      expect(answer.status).toBe(400);
      expect(answer.headers["x-amzn-errortype"]).toBe("ValidationException");
      expect(JSON.parse(answer.body.toString()).message).toContain(path);
      expect(fakes[name].requests).toEqual([]);
    }
  });

  test("a field nobody here knows names itself to the SDK", async () => {
    const client = runtimeClient(gateway, "http/1.1");
    const input = { modelId: modelIdOf("openai"), messages: [{ role: "user" as const, content: [{ text: "hi" }] }] };
    const error = await rejection(
      client.send(
        new ConverseCommand({ ...input, guardrailConfig: { guardrailIdentifier: "g", guardrailVersion: "1" } }),
      ),
    );
    client.destroy();
    expect(error).toMatchObject({ name: "ValidationException", $metadata: { httpStatusCode: 400 } });
    expect(String(error)).toContain("guardrailConfig");
  });
});

describe("x-bifrost-ignored", () => {
  const cachePoint = { cachePoint: { type: "default" } };
  const body = JSON.stringify({
    system: [{ text: "Be brief." }, cachePoint],
    messages: [{ role: "user", content: [{ text: "hi" }, cachePoint] }],
    requestMetadata: { team: "search" },
    performanceConfig: { latency: "optimized" },
    serviceTier: { type: "reserved" },
    additionalModelRequestFields: { top_k: 20, anthropic_beta: ["x-2025-01-01"] },
  });
  const everywhere = ["requestMetadata", "performanceConfig.latency", "serviceTier"];
  const points = ["system[1].cachePoint", "messages[0].content[1].cachePoint"];
  const beta = "additionalModelRequestFields.anthropic_beta";
  const topK = "additionalModelRequestFields.top_k";
  const expected: Readonly<Record<ProviderName, readonly string[]>> = {
    openai: [...everywhere, ...points, beta, topK],
    anthropic: everywhere,
    gemini: [...everywhere, ...points, beta],
    cohere: [...everywhere, ...points, beta],
    mistral: [...everywhere, ...points, beta, topK],
  };

  test.each(providerNames)("lists what has no equivalent at %s, on answers and on streams", async (name) => {
    for (const action of ["converse", "converse-stream"]) {
      const answer = await post(name, body, action);
      expect(answer.status).toBe(200);
      const listed = String(answer.headers["x-bifrost-ignored"]).split(", ");
      expect(listed.toSorted()).toEqual(expected[name].toSorted());
    }
  });

  test("is not there when everything was carried", async () => {
    for (const name of providerNames) {
      const answer = await post(name, userTurn("hi", { inferenceConfig: { maxTokens: 5 } }));
      expect(answer.headers).not.toHaveProperty("x-bifrost-ignored");
      expect(answer.headers).toMatchObject({
        "x-bifrost-provider": name,
        "x-bifrost-model": modelIdOf(name).split("/")[1],
        "x-bifrost-key": "main",
        "x-bifrost-attempts": "1",
      });
      expect(answer.headers["server-timing"]).toMatch(/upstream;dur=/);
    }
  });
});
