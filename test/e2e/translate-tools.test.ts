import {
  type BedrockRuntimeClient,
  type ContentBlock,
  ConverseCommand,
  type ConverseCommandInput,
  ConverseStreamCommand,
  type Message,
  type ToolConfiguration,
  type ToolResultContentBlock,
} from "@aws-sdk/client-bedrock-runtime";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { type Protocol, protocols, runtimeClient } from "../support/clients.ts";
import { type FakeProviders, type ProviderName, providerNames, startFakeProviders } from "../support/fake-providers.ts";
import { type RunningGateway, startGateway } from "../support/gateway.ts";
import { callOf } from "../support/providers/tools.ts";
import { send } from "../support/raw-http.ts";
import { assemble, modelIdOf } from "../support/translated.ts";
import { collect } from "../support/wait.ts";

let fakes: FakeProviders;
let gateway: RunningGateway;
const clients = new Map<Protocol, BedrockRuntimeClient>();

beforeAll(async () => {
  fakes = await startFakeProviders();
  gateway = await startGateway({ config: { providers: fakes.config() } });
  for (const protocol of protocols) clients.set(protocol, runtimeClient(gateway, protocol));
}, 30_000);
beforeEach(() => fakes.reset());
afterEach(() => expect(fakes.violations()).toEqual([]));
afterAll(async () => {
  for (const client of clients.values()) client.destroy();
  await gateway?.stop();
  await fakes?.[Symbol.asyncDispose]();
}, 30_000);

interface Answer {
  readonly content: ContentBlock[];
  readonly stopReason: string | undefined;
}

type Ask = (input: ConverseCommandInput) => Promise<Answer>;

function clientOf(protocol: Protocol): BedrockRuntimeClient {
  const client = clients.get(protocol);
  if (client === undefined) throw new Error(`no client for ${protocol}`);
  return client;
}

async function askWhole(input: ConverseCommandInput): Promise<Answer> {
  const { output, stopReason } = await clientOf("http/1.1").send(new ConverseCommand(input));
  return { content: output?.message?.content ?? [], stopReason };
}

/** Asks for a stream, and puts its blocks together as an application does. */
async function askStream(input: ConverseCommandInput): Promise<Answer> {
  const { stream } = await clientOf("h2").send(new ConverseStreamCommand(input));
  const { blocks, faults, stopReason } = assemble(await collect(stream));
  expect(faults).toEqual([]);
  const content = blocks.map(({ call, input: json, text, reasoning, signature, redacted }): ContentBlock => {
    if (call !== undefined) return { toolUse: { toolUseId: call.id, name: call.name, input: JSON.parse(json) } };
    if (redacted !== undefined) return { reasoningContent: { redactedContent: redacted } };
    if (text !== "") return { text };
    return { reasoningContent: { reasoningText: { text: reasoning, ...(signature !== "" && { signature }) } } };
  });
  return { content, stopReason };
}

const ways: readonly (readonly [name: string, ask: Ask])[] = [
  ["whole", askWhole],
  ["streamed", askStream],
];

const toolConfig: ToolConfiguration = {
  tools: [
    {
      toolSpec: {
        name: "get_weather",
        description: "Tells the weather.",
        inputSchema: { json: { type: "object", properties: { city: { type: "string" } }, required: ["city"] } },
      },
    },
    { toolSpec: { name: "get-time", inputSchema: { json: { type: "object" } } } },
  ],
};

const callsIn = (content: readonly ContentBlock[]) =>
  content.flatMap(({ toolUse }) => (toolUse === undefined ? [] : [toolUse]));

const question: Message = { role: "user", content: [{ text: "What is it like in Łódź, Kraków and Gdańsk?" }] };

describe.each(ways)("A26 parallel calls over three turns, %s", (_, ask) => {
  test.each(providerNames)("keep ids, order and results together at %s", async (name) => {
    const fake = fakes[name];
    const cities = [{ city: "Łódź" }, { city: 'Kraków, "old" town' }, { city: "Gdańsk\n🐢" }];
    fake.queue(
      { text: "Let me look.", calls: cities.map((input, index) => callOf(name, index, "get_weather", input)) },
      { calls: [callOf(name, 10, "get-time", {})] },
      { text: "Rain everywhere, at noon." },
    );
    const modelId = modelIdOf(name);

    const first = await ask({ modelId, messages: [question], toolConfig });
    expect(first.stopReason).toBe("tool_use");
    const calls = callsIn(first.content);
    expect(calls.map((call) => [call.name, call.input])).toEqual(cities.map((input) => ["get_weather", input]));
    expect(new Set(calls.map((call) => call.toolUseId)).size).toBe(3);
    for (const { toolUseId } of calls) expect(toolUseId).toMatch(/^[\w.:-]{1,64}$/);
    if (name !== "gemini")
      expect(calls.map((call) => call.toolUseId)).toEqual([0, 1, 2].map((n) => callOf(name, n, "", {}).id));

    // Results come back in another order, with words beside them.
    const result = (index: number, content: ToolResultContentBlock, status?: "error"): ContentBlock => ({
      toolResult: {
        toolUseId: calls[index]?.toolUseId ?? "",
        content: [content],
        ...(status !== undefined && { status }),
      },
    });
    const messages: Message[] = [
      question,
      { role: "assistant", content: [...first.content] },
      {
        role: "user",
        content: [
          result(2, { text: "RESULT-GDANSK" }),
          result(0, { json: { sky: "RESULT-LODZ" } }),
          { text: "Hurry up." },
          result(1, { text: "RESULT-KRAKOW" }, "error"),
        ],
      },
    ];
    const second = await ask({ modelId, messages, toolConfig });
    expect(second.stopReason).toBe("tool_use");
    expect(callsIn(second.content)).toMatchObject([{ name: "get-time", input: {} }]);
    const sent = JSON.stringify(fake.lastBody());
    const places = ["RESULT-LODZ", "RESULT-KRAKOW", "RESULT-GDANSK", "Hurry up."].map((word) => sent.indexOf(word));
    expect(places).not.toContain(-1);
    expect(places).toEqual(places.toSorted((one, other) => one - other));

    const [time] = callsIn(second.content);
    messages.push(
      { role: "assistant", content: [...second.content] },
      { role: "user", content: [{ toolResult: { toolUseId: time?.toolUseId ?? "", content: [] } }] },
    );
    const third = await ask({ modelId, messages, toolConfig });
    expect(third.content).toContainEqual({ text: "Rain everywhere, at noon." });
    expect(third.stopReason).toBe("end_turn");
    expect(fake.requests).toHaveLength(3);
  });
});

describe("a history of tools", () => {
  const history = (id: string): Message[] => [
    question,
    { role: "assistant", content: [{ toolUse: { toolUseId: id, name: "get_weather", input: { city: "X" } } }] },
    { role: "user", content: [{ toolResult: { toolUseId: id, content: [{ text: "rain" }] } }] },
  ];

  test.each(providerNames)("with ids of Bedrock's is put into ids that %s takes", async (name) => {
    for (const id of ["tooluse_kZJMlvQmRJ6eAyJE5GIl7Q", "a.b:c", "x".repeat(64)]) {
      const answer = await askWhole({ modelId: modelIdOf(name), messages: history(id), toolConfig });
      expect(answer.content).toEqual([{ text: "Hello from the fake." }]);
    }
  });

  test.each(providerNames)("with loose ends is put in order for %s", async (name) => {
    const call = (id: string): ContentBlock => ({ toolUse: { toolUseId: id, name: "get_weather", input: {} } });
    const result = (id: string): ContentBlock => ({ toolResult: { toolUseId: id, content: [{ text: `of ${id}` }] } });
    const messages: Message[] = [
      question,
      { role: "assistant", content: [call("a"), call("b")] },
      { role: "user", content: [result("b"), result("b"), result("stranger")] },
      { role: "user", content: [{ text: "And now?" }] },
      { role: "assistant", content: [call("never-answered")] },
      { role: "user", content: [{ text: "Never mind." }] },
    ];
    const answer = await askWhole({ modelId: modelIdOf(name), messages, toolConfig });
    expect(answer.stopReason).toBe("end_turn");
    const sent = JSON.stringify(fakes[name].lastBody());
    expect(sent).toContain("of stranger");
    expect(sent).toContain("not available");
  });

  test.each(providerNames)("goes to %s without tools defined", async (name) => {
    const answer = await askWhole({ modelId: modelIdOf(name), messages: history("t1") });
    expect(answer.stopReason).toBe("end_turn");
  });
});

describe("A32 the choice among tools", () => {
  type Chosen = Readonly<Record<"auto" | "any" | "tool", object>>;
  const cohereAll = { tools: [{ function: { name: "get_weather" } }, { function: { name: "get-time" } }] };
  const onlyTime = { tools: [{ function: { name: "get-time" } }] };
  const expected: Readonly<Record<ProviderName, Chosen>> = {
    openai: {
      auto: { tool_choice: "auto" },
      any: { tool_choice: "required" },
      tool: { tool_choice: { type: "function", function: { name: "get-time" } } },
    },
    anthropic: {
      auto: { tool_choice: { type: "auto" } },
      any: { tool_choice: { type: "any" } },
      tool: { tool_choice: { type: "tool", name: "get-time" } },
    },
    gemini: {
      auto: { toolConfig: { functionCallingConfig: { mode: "AUTO" } } },
      any: { toolConfig: { functionCallingConfig: { mode: "ANY" } } },
      tool: { toolConfig: { functionCallingConfig: { mode: "ANY", allowedFunctionNames: ["get-time"] } } },
    },
    cohere: {
      auto: cohereAll,
      any: { ...cohereAll, tool_choice: "REQUIRED" },
      tool: { ...onlyTime, tool_choice: "REQUIRED" },
    },
    mistral: {
      auto: { tool_choice: "auto" },
      any: { tool_choice: "any" },
      tool: { ...onlyTime, tool_choice: "any" },
    },
  };

  test.each(providerNames)("means the same to %s", async (name) => {
    const choices = { auto: { auto: {} }, any: { any: {} }, tool: { tool: { name: "get-time" } } };
    for (const kind of ["auto", "any", "tool"] as const) {
      const toolChoice: unknown = choices[kind];
      const body = JSON.stringify({ messages: [question], toolConfig: { ...toolConfig, toolChoice } });
      const path = `/bedrock/model/${encodeURIComponent(modelIdOf(name))}/converse`;
      const answer = await send(gateway.url, path, { body });
      expect(answer.status).toBe(200);
      const sent = fakes[name].lastBody();
      expect(sent).toMatchObject(expected[name][kind]);
      if (name === "cohere" && kind === "auto") expect(sent).not.toHaveProperty("tool_choice");
      const left = String(answer.headers["x-bifrost-ignored"] ?? "");
      const cuts = kind === "tool" && (name === "cohere" || name === "mistral");
      expect(left).toBe(cuts ? "toolConfig.tools[0].toolSpec" : "");
    }
  });

  test.each(providerNames)("of a tool that is not there is refused, with %s and all others", async (name) => {
    const input = { modelId: modelIdOf(name), messages: [question] };
    const call = askWhole({ ...input, toolConfig: { ...toolConfig, toolChoice: { tool: { name: "no-such" } } } });
    await expect(call).rejects.toThrow(/toolConfig\.toolChoice\.tool\.name/);
    expect(fakes[name].requests).toEqual([]);
  });
});

describe("A29 a tool that is no function", () => {
  const systemTool = (name: string): ToolConfiguration => ({ tools: [{ systemTool: { name } }] });

  test.each(["openai", "anthropic", "cohere", "mistral"] as const)("is refused by name for %s", async (name) => {
    const call = askWhole({ modelId: modelIdOf(name), messages: [question], toolConfig: systemTool("nova_grounding") });
    await expect(call).rejects.toThrow(/toolConfig\.tools\[0\]\.systemTool.*nova_grounding/);
    expect(fakes[name].requests).toEqual([]);
  });

  test("is Google's own search or interpreter for Gemini, and any other is refused", async () => {
    const modelId = modelIdOf("gemini");
    await askWhole({ modelId, messages: [question], toolConfig: systemTool("nova_grounding") });
    expect(fakes.gemini.lastBody().tools).toEqual([{ googleSearch: {} }]);
    await askWhole({ modelId, messages: [question], toolConfig: systemTool("nova_code_interpreter") });
    expect(fakes.gemini.lastBody().tools).toEqual([{ codeExecution: {} }]);
    const other = askWhole({ modelId, messages: [question], toolConfig: systemTool("nova_teleport") });
    await expect(other).rejects.toThrow(/toolConfig\.tools\[0\]\.systemTool/);
  });

  test.each(providerNames)("never reaches %s as a blank one", async (name) => {
    const body = JSON.stringify({ messages: [question], toolConfig: { tools: [{ toolSpec: {} }] } });
    const path = `/bedrock/model/${encodeURIComponent(modelIdOf(name))}/converse`;
    const answer = await send(gateway.url, path, { body });
    expect(answer.status).toBe(400);
    expect(answer.body.toString()).toContain("toolConfig.tools[0].toolSpec");
    expect(fakes[name].requests).toEqual([]);
  });
});

describe.each(ways)("A33 signed reasoning over two turns of tools, %s", (_, ask) => {
  const thinking = { thinking: { type: "enabled", budget_tokens: 2048 } };

  test("comes back to Claude as it was, redacted blocks included", async () => {
    const modelId = modelIdOf("anthropic");
    const redacted = "EmwKAhgBEgy3va3pzix/LafPsn4aDFIT2Xlxh0L5L8rLVyIwxtE3rAFBa8cr3qpPkNRj2YfWXGmKDxH4mPnZ5sQ7v";
    const signatures = ["ErUBCkYIBBgCIkAx+/first==", "ErUBCkYIBBgCIkAx+/second=="];
    const step = (index: number) => ({
      reasoning: { text: `I think, ${index} times. 🐢`, signature: signatures[index] ?? "" },
      calls: [callOf("anthropic", index, "get_weather", { city: String(index) })],
    });
    fakes.anthropic.queue({ ...step(0), redacted }, step(1), { text: "Done." });
    const messages: Message[] = [question];
    for (const expected of ["tool_use", "tool_use", "end_turn"]) {
      const { content, stopReason } = await ask({
        modelId,
        messages,
        toolConfig,
        additionalModelRequestFields: thinking,
      });
      expect(stopReason).toBe(expected);
      messages.push({ role: "assistant", content });
      const results = callsIn(content).map(
        ({ toolUseId }): ContentBlock => ({
          toolResult: { toolUseId, content: [{ text: "rain" }] },
        }),
      );
      if (results.length > 0) messages.push({ role: "user", content: results });
    }
    expect(fakes.anthropic.lastBody().thinking).toEqual({ type: "enabled", budget_tokens: 2048 });
    expect(fakes.anthropic.lastBody().messages).toMatchObject([
      {},
      {
        content: [
          { type: "thinking", thinking: "I think, 0 times. 🐢", signature: signatures[0] },
          { type: "redacted_thinking", data: redacted },
          { type: "tool_use" },
        ],
      },
      {},
      {
        content: [
          { type: "thinking", thinking: "I think, 1 times. 🐢", signature: signatures[1] },
          { type: "tool_use" },
        ],
      },
      {},
    ]);
  });

  test("comes back to Gemini at the parts it was given for", async () => {
    const modelId = modelIdOf("gemini");
    fakes.gemini.queue(
      {
        reasoning: { text: "I think.", signature: "dGhvdWdodA==" },
        calls: [0, 1].map((index) => callOf("gemini", index, "get_weather", { city: String(index) })),
      },
      { calls: [callOf("gemini", 10, "get-time", {})] },
      { text: "Done." },
    );
    const messages: Message[] = [question];
    for (const expected of ["tool_use", "tool_use", "end_turn"]) {
      const { content, stopReason } = await ask({
        modelId,
        messages,
        toolConfig,
        additionalModelRequestFields: thinking,
      });
      expect(stopReason).toBe(expected);
      messages.push({ role: "assistant", content });
      const results = callsIn(content).map(
        ({ toolUseId }): ContentBlock => ({
          toolResult: { toolUseId, content: [{ text: "rain" }] },
        }),
      );
      if (results.length > 0) messages.push({ role: "user", content: results });
    }
    const sent = fakes.gemini.lastBody();
    expect(sent.generationConfig).toMatchObject({ thinkingConfig: { includeThoughts: true } });
    const turns: unknown = sent.contents;
    expect(turns).toMatchObject([
      { role: "user" },
      {
        role: "model",
        parts: [
          { text: "I think.", thought: true, thoughtSignature: "dGhvdWdodA==" },
          { functionCall: { name: "get_weather", args: { city: "0" } }, thoughtSignature: "c2lnbmVk0==" },
          { functionCall: { name: "get_weather", args: { city: "1" } } },
        ],
      },
      { role: "user" },
      { role: "model", parts: [{ functionCall: { name: "get-time" }, thoughtSignature: "c2lnbmVk10==" }] },
      { role: "user" },
    ]);
  });
});

describe("A33 reasoning that a provider did not sign", () => {
  test("of Claude's or anybody's is dropped for Claude, since it is refused there", async () => {
    const messages: Message[] = [
      question,
      {
        role: "assistant",
        content: [
          { reasoningContent: { reasoningText: { text: "UNSIGNED-THOUGHT" } } },
          { reasoningContent: { reasoningText: { text: "FOREIGN-THOUGHT", signature: "gw1.gemini.abcdefgh.eHl6" } } },
          { text: "So." },
        ],
      },
      { role: "user", content: [{ text: "And?" }] },
    ];
    await askWhole({ modelId: modelIdOf("anthropic"), messages });
    expect(JSON.stringify(fakes.anthropic.lastBody())).not.toMatch(/THOUGHT|gw1/);
    await askWhole({ modelId: "mistral/magistral-medium-latest", messages });
    expect(JSON.stringify(fakes.mistral.lastBody())).toContain("UNSIGNED-THOUGHT");
    expect(JSON.stringify(fakes.mistral.lastBody())).not.toContain("gw1");
  });

  test.each(providerNames)(
    "and all else of a conversation with %s goes on with every other provider",
    async (origin) => {
      const thinks: Readonly<Record<ProviderName, string>> = {
        openai: "openai/gpt-4o",
        anthropic: "anthropic/claude-sonnet-4-5",
        gemini: "gemini/gemini-3-flash-preview",
        cohere: "cohere/command-a-reasoning-08-2025",
        mistral: "mistral/magistral-medium-latest",
      };
      fakes[origin].queue({
        reasoning: { text: "Hm.", signature: "c2lnbmF0dXJl" },
        text: "Let me look.",
        calls: [0, 1].map((index) => callOf(origin, index, "get_weather", { city: String(index) })),
      });
      const first = await askWhole({ modelId: thinks[origin], messages: [question], toolConfig });
      const messages: Message[] = [
        question,
        { role: "assistant", content: first.content },
        {
          role: "user",
          content: callsIn(first.content).map(({ toolUseId }) => ({
            toolResult: { toolUseId, content: [{ text: "rain" }] },
          })),
        },
      ];
      for (const name of providerNames) {
        const next = await askStream({ modelId: thinks[name], messages, toolConfig });
        expect(next.content).toContainEqual({ text: "Hello from the fake." });
        const sent = JSON.stringify(fakes[name].lastBody());
        expect(sent).not.toContain("gw1.");
        if (name !== origin) expect(sent).not.toContain("c2lnbmF0dXJl");
      }
    },
  );
});

describe("A35 an image inside a tool's result", () => {
  const pixel = Buffer.from(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==",
    "base64",
  );

  test.each(providerNames)("arrives at %s, after all results of the turn", async (name) => {
    const messages: Message[] = [
      question,
      {
        role: "assistant",
        content: ["a", "b"].map((id) => ({ toolUse: { toolUseId: `call-${id}`, name: "get_weather", input: {} } })),
      },
      {
        role: "user",
        content: [
          {
            toolResult: {
              toolUseId: "call-a",
              content: [{ text: "A map:" }, { image: { format: "png", source: { bytes: pixel } } }],
            },
          },
          { toolResult: { toolUseId: "call-b", content: [{ text: "no map" }] } },
          { text: "What do you see?" },
        ],
      },
    ];
    const answer = await askWhole({ modelId: modelIdOf(name), messages, toolConfig });
    expect(answer.content).toEqual([{ text: "Hello from the fake." }]);
    const sent = JSON.stringify(fakes[name].lastBody());
    expect(sent).toContain(pixel.toString("base64"));
    expect(sent).toContain("image/png");
    for (const words of ["A map:", "no map", "What do you see?"]) expect(sent).toContain(words);
  });
});
