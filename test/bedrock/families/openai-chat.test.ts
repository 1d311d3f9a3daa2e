import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { metricsKey } from "../../../src/bedrock/families/family.ts";
import { openaiChat } from "../../../src/bedrock/families/openai-chat.ts";
import type { JsonObject, JsonValue } from "../../../src/bedrock/json.ts";
import { jsonValue } from "../arbitraries.ts";
import {
  answerOf,
  call,
  callBlock,
  chunksOf,
  context,
  eventsOf,
  failure,
  metrics,
  parse,
  reasoning,
  reasoningBlock,
  refusal,
  textBlock,
} from "./exchanges.ts";

const hi = { role: "user", content: "Hi" };
const weatherTool = {
  type: "function",
  function: { name: "weather", description: "The weather", parameters: { type: "object" }, strict: true },
};
const weatherSpec = {
  toolSpec: { name: "weather", description: "The weather", inputSchema: { json: { type: "object" } }, strict: true },
};

/** The request of a body with a message and these members. */
function read(members: JsonObject) {
  return openaiChat.read({ messages: [hi], ...members });
}

function calling(name: string, input: JsonValue, id: string): JsonObject {
  return { id, type: "function", function: { name, arguments: input } };
}

describe("reading chat messages", () => {
  test("makes the system prompt of what the system and the developer say first", () => {
    const messages = [
      { role: "system", content: "Be brief." },
      { role: "developer", content: [{ type: "text", text: "Be kind." }] },
      { role: "system", content: "" },
      hi,
    ];
    expect(openaiChat.read({ messages })).toEqual({
      system: [{ text: "Be brief." }, { text: "Be kind." }],
      messages: [{ role: "user", content: [{ text: "Hi" }] }],
    });
  });

  test("leaves a later system message where it is", () => {
    const { system, messages } = openaiChat.read({ messages: [hi, { role: "system", content: "Now in French." }, hi] });
    expect(system).toBeUndefined();
    expect(messages.map((message) => message.role)).toEqual(["user", "system", "user"]);
  });

  test("takes images as data URLs", () => {
    const content = [
      { type: "text", text: "What is this?" },
      { type: "image_url", image_url: { url: "data:image/JPG;base64,/9j/4A==", detail: "auto" } },
    ];
    expect(openaiChat.read({ messages: [{ role: "user", content }] }).messages).toEqual([
      {
        role: "user",
        content: [{ text: "What is this?" }, { image: { format: "jpeg", source: { bytes: "/9j/4A==" } } }],
      },
    ]);
  });

  test("takes calls and their results, and puts what the user says next behind them", () => {
    const messages = [
      hi,
      {
        role: "assistant",
        content: null,
        reasoning_content: "Hm.",
        tool_calls: [calling("weather", '{"city":"Ulm"}', "a"), calling("now", "", "b")],
      },
      { role: "tool", tool_call_id: "a", name: "weather", content: "Blue" },
      { role: "tool", tool_call_id: "b", content: [{ type: "text", text: "Noon" }] },
      { role: "user", content: "So?" },
    ];
    expect(openaiChat.read({ messages }).messages.slice(1)).toEqual([
      {
        role: "assistant",
        content: [
          { reasoningContent: { reasoningText: { text: "Hm." } } },
          { toolUse: { toolUseId: "a", name: "weather", input: { city: "Ulm" } } },
          { toolUse: { toolUseId: "b", name: "now", input: {} } },
        ],
      },
      {
        role: "user",
        content: [
          { toolResult: { toolUseId: "a", content: [{ text: "Blue" }] } },
          { toolResult: { toolUseId: "b", content: [{ text: "Noon" }] } },
          { text: "So?" },
        ],
      },
    ]);
  });

  test("reads back the message of its own answer", () => {
    fc.assert(
      fc.property(fc.string(), jsonValue, (said, input) => {
        const content = [{ text: said }, { toolUse: { toolUseId: "a", name: "f", input: { input } } }];
        const [choice] = choicesOf(openaiChat.write(answerOf(content, "tool_use"), context));
        const { messages } = openaiChat.read({ messages: [hi, choice?.message ?? {}] });
        const kept = said === "" ? content.slice(1) : content;
        expect(messages[1]).toEqual({ role: "assistant", content: kept });
      }),
    );
  });

  const messagesWith = (message: string) => `{"messages":[${message}]}`;
  const userWith = (part: string) => messagesWith(`{"role":"user","content":[${part}]}`);
  const assistantWith = (member: string) => messagesWith(`{"role":"assistant",${member}}`);
  test.each([
    ["{}", "messages: is required"],
    ['{"messages":[]}', "messages: must have at least one item"],
    ['{"messages":{}}', "messages: must be a list"],
    [messagesWith("null"), "messages[0]: is required"],
    [messagesWith('{"role":"function"}'), "messages[0].role: must be system, developer, user, assistant, tool"],
    [messagesWith('{"role":"system","content":"x"}'), "messages: must have a message that is not the system's"],
    [messagesWith('{"role":"user"}'), "messages[0].content: is required"],
    [messagesWith('{"role":"user","content":7}'), "messages[0].content: must be a list, not 7"],
    [messagesWith('{"role":"user","content":"x","name":"Al"}'), "messages[0].name: is not a field known here"],
    [userWith('"x"'), "messages[0].content[0]: must be an object"],
    [userWith('{"type":"file"}'), "messages[0].content[0].type: must be text, image_url"],
    [userWith('{"type":"text","text":1}'), "messages[0].content[0].text: must be a string"],
    [userWith('{"type":"image_url","image_url":"data:"}'), "messages[0].content[0].image_url: must be an object"],
    [
      userWith('{"type":"image_url","image_url":{"url":"https://x.test/a.png"}}'),
      "messages[0].content[0].image_url.url: must be a data: URL",
    ],
    [
      userWith('{"type":"image_url","image_url":{"url":"data:image/tiff;base64,AA=="}}'),
      "messages[0].content[0].image_url.url: must be base64 of a png, jpeg, gif or webp image",
    ],
    [
      userWith('{"type":"image_url","image_url":{"url":"data:image/png;base64,"}}'),
      "messages[0].content[0].image_url.url: holds no image",
    ],
    [
      userWith('{"type":"image_url","image_url":{"url":"data:image/png;base64,AA==","detail":"high"}}'),
      "messages[0].content[0].image_url.detail: must be auto",
    ],
    [assistantWith('"content":null'), "messages[0].content: is required"],
    [assistantWith('"content":[{"type":"image_url"}]'), "messages[0].content[0].type: must be text"],
    [assistantWith('"tool_calls":[{"id":"a"}]'), "messages[0].tool_calls[0].function: is required"],
    [assistantWith('"tool_calls":[{"id":"a","type":"custom"}]'), "messages[0].tool_calls[0].type: must be function"],
    [assistantWith('"tool_calls":[{"function":{"name":"f"}}]'), "messages[0].tool_calls[0].id: is required"],
    [
      assistantWith('"tool_calls":[{"id":"a","function":{"name":"f","arguments":"{"}}]'),
      "messages[0].tool_calls[0].function.arguments: must be JSON",
    ],
    [
      assistantWith('"tool_calls":[{"id":"a","function":{"name":"f","arguments":{}}}]'),
      "messages[0].tool_calls[0].function.arguments: must be a string",
    ],
    [
      assistantWith('"tool_calls":[{"id":"a","function":{"name":"f","arguments":"{\\"__proto__\\":1}"}}]'),
      "messages[0].tool_calls[0].function.arguments.__proto__: is a name",
    ],
    [
      assistantWith(
        `"tool_calls":[{"id":"a","function":{"name":"f","arguments":"${"[".repeat(200)}${"]".repeat(200)}"}}]`,
      ),
      "is nested deeper than 100 levels",
    ],
    [messagesWith('{"role":"tool","content":"x"}'), "messages[0].tool_call_id: is required"],
  ])("refuses %s by path", (body, message) => {
    expect(refusal(openaiChat, parse(body))).toContain(message);
  });
});

describe("reading chat parameters", () => {
  test("takes those Converse has, and keeps the others", () => {
    const request = read({
      max_completion_tokens: 100,
      temperature: 1.7,
      top_p: 0.5,
      stop: "END",
      n: 1,
      reasoning_effort: "low",
      seed: 7,
      parallel_tool_calls: false,
      logprobs: false,
      model: "openai.gpt-oss-20b-1:0",
      stream: true,
      stream_options: { include_usage: true },
      user: null,
    });
    expect(request).toEqual({
      messages: [{ role: "user", content: [{ text: "Hi" }] }],
      inferenceConfig: { maxTokens: 100, temperature: 1.7, topP: 0.5, stopSequences: ["END"] },
      additionalModelRequestFields: { reasoning_effort: "low", seed: 7, parallel_tool_calls: false },
    });
  });

  test("takes the older name of the tokens, and a list of stop sequences", () => {
    expect(read({ max_tokens: 5, stop: ["a", "b"] }).inferenceConfig).toEqual({
      maxTokens: 5,
      stopSequences: ["a", "b"],
    });
  });

  test.each([
    ["auto", { auto: {} }],
    ["required", { any: {} }],
    [{ type: "function", function: { name: "weather" } }, { tool: { name: "weather" } }],
  ])("takes tools and the choice %j", (tool_choice, toolChoice) => {
    expect(read({ tools: [weatherTool], tool_choice }).toolConfig).toEqual({ tools: [weatherSpec], toolChoice });
  });

  test("leaves the tools out when none may be called, and the choice when there are none", () => {
    expect(read({ tools: [weatherTool], tool_choice: "none" })).not.toHaveProperty("toolConfig");
    expect(read({ tools: [], tool_choice: "auto" })).not.toHaveProperty("toolConfig");
  });

  test("gives a function without parameters a schema, and leaves out an empty description", () => {
    const { toolConfig } = read({ tools: [{ type: "function", function: { name: "now", description: "" } }] });
    expect(toolConfig).toEqual({
      tools: [{ toolSpec: { name: "now", inputSchema: { json: { type: "object", properties: {} } } } }],
    });
  });

  test("makes Converse's text format of a JSON schema", () => {
    const schema = { type: "object", properties: { city: { type: "string" } } };
    const json_schema = { name: "place", description: "A place", schema, strict: true };
    const request = read({ response_format: { type: "json_schema", json_schema } });
    expect(request.outputConfig).toEqual({
      textFormat: {
        type: "json_schema",
        structure: { jsonSchema: { name: "place", description: "A place", schema: JSON.stringify(schema) } },
      },
    });
    expect(request).not.toHaveProperty("additionalModelRequestFields");
  });

  test("keeps the format that Converse has no member for", () => {
    const response_format = { type: "json_object" };
    expect(read({ response_format }).additionalModelRequestFields).toEqual({ response_format });
    expect(read({ response_format: { type: "text" } })).not.toHaveProperty("additionalModelRequestFields");
  });

  test.each<[JsonObject, string]>([
    [{ n: 2 }, "n: must be 1"],
    [{ max_tokens: 1, max_completion_tokens: 1 }, "max_tokens: must not stand beside max_completion_tokens"],
    [{ max_completion_tokens: 0 }, "max_completion_tokens: must be at least 1"],
    [{ temperature: 2.1 }, "temperature: must be from 0 to 2"],
    [{ top_p: "x" }, "top_p: must be a number"],
    [{ stop: [""] }, "stop[0]: must not be empty"],
    [{ stop: 7 }, "stop: must be a list"],
    [{ logprobs: true }, "logprobs: cannot be served"],
    [{ top_logprobs: 3 }, "top_logprobs: cannot be served"],
    [{ stream: "yes" }, "stream: must be true or false"],
    [{ stream_options: [] }, "stream_options: must be an object"],
    [{ stream_options: { include_usage: 1 } }, "stream_options.include_usage: must be true or false"],
    [{ model: 7 }, "model: must be a string"],
    [{ tools: {} }, "tools: must be a list"],
    [{ tools: [{ type: "web_search" }] }, "tools[0].type: must be function"],
    [{ tools: [{ type: "function" }] }, "tools[0].function: is required"],
    [{ tools: [{ type: "function", function: { name: "" } }] }, "tools[0].function.name: must not be empty"],
    [
      { tools: [{ type: "function", function: { name: "f", parameters: [] } }] },
      "tools[0].function.parameters: must be an object",
    ],
    [{ tools: [weatherTool], tool_choice: "any" }, "tool_choice: must be auto, required, none"],
    [{ tools: [weatherTool], tool_choice: "constructor" }, "tool_choice: must be auto, required, none"],
    [{ tools: [weatherTool], tool_choice: { type: "allowed_tools" } }, "tool_choice.type: must be function"],
    [{ tools: [weatherTool], tool_choice: { type: "function" } }, "tool_choice.function: is required"],
    [{ tool_choice: "required" }, "tool_choice: needs tools to choose from"],
    [{ response_format: { type: "xml" } }, "response_format.type: must be text, json_object, json_schema"],
    [{ response_format: { type: "json_schema" } }, "response_format.json_schema: is required"],
    [
      { response_format: { type: "json_schema", json_schema: { name: "x" } } },
      "response_format.json_schema.schema: is required",
    ],
    [{ response_format: { type: "text", json_schema: {} } }, "response_format.json_schema: is not a field known"],
  ])("refuses %j by path", (members, message) => {
    expect(refusal(openaiChat, { messages: [hi], ...members })).toContain(message);
  });
});

const head = { id: `chatcmpl-${context.requestId}`, created: 0, model: context.modelId };
const usage = {
  prompt_tokens: 12,
  completion_tokens: 5,
  total_tokens: 17,
  prompt_tokens_details: { cached_tokens: 4 },
};

describe("writing a chat completion", () => {
  test("has OpenAI's shape, with the reasoning beside the content", () => {
    expect(openaiChat.write(answerOf([reasoning, { text: "Hel" }, { text: "lo" }]), context)).toEqual({
      ...head,
      object: "chat.completion",
      choices: [
        {
          index: 0,
          message: { role: "assistant", content: "Hello", reasoning_content: "Hm." },
          finish_reason: "stop",
        },
      ],
      usage,
    });
  });

  test("has null for the content beside calls alone", () => {
    expect(openaiChat.write(answerOf([call], "tool_use"), context)).toMatchObject({
      choices: [
        {
          message: { role: "assistant", content: null, tool_calls: [calling("weather", '{"city":"Ulm"}', "call_1")] },
          finish_reason: "tool_calls",
        },
      ],
    });
  });

  test.each([
    ["end_turn", "stop"],
    ["stop_sequence", "stop"],
    ["tool_use", "stop"],
    ["max_tokens", "length"],
    ["model_context_window_exceeded", "length"],
    ["content_filtered", "content_filter"],
    ["guardrail_intervened", "stop"],
  ] as const)("says why a text ended: %s is %s", (reason, word) => {
    const [choice] = choicesOf(openaiChat.write(answerOf([{ text: "x" }], reason), context));
    expect(choice?.finish_reason).toBe(word);
  });

  test("says that calls are there even when the provider does not", () => {
    expect(choicesOf(openaiChat.write(answerOf([call], "end_turn"), context))[0]?.finish_reason).toBe("tool_calls");
    expect(choicesOf(openaiChat.write(answerOf([call], "max_tokens"), context))[0]?.finish_reason).toBe("length");
  });

  test("fails on a block it has no form for", () => {
    const image = { image: { format: "png" as const, source: { bytes: "AAAA" } } };
    expect(failure(() => openaiChat.write(answerOf([image]), context)).message).toContain("image");
  });
});

describe("streaming a chat completion", () => {
  const chunk = (delta: JsonObject, finish: string | null = null) => ({
    ...head,
    object: "chat.completion.chunk",
    choices: [{ index: 0, delta, finish_reason: finish }],
  });

  test("is a chunk for each piece, and the finish with the metrics", () => {
    const events = eventsOf([reasoningBlock(["Hm"]), textBlock(["Hel", "", "lo"], 1)]);
    expect(chunksOf(openaiChat, events)).toEqual([
      chunk({ role: "assistant", content: "" }),
      chunk({ reasoning_content: "Hm" }),
      chunk({ content: "Hel" }),
      chunk({ content: "lo" }),
      { ...chunk({}, "stop"), [metricsKey]: metrics },
    ]);
  });

  test("has the usage in a chunk of its own when the body asks for it", () => {
    const body = { stream_options: { include_usage: true } };
    expect(chunksOf(openaiChat, eventsOf([textBlock(["x"])]), { ...context, body }).slice(-2)).toEqual([
      chunk({}, "stop"),
      { ...head, object: "chat.completion.chunk", choices: [], usage, [metricsKey]: metrics },
    ]);
  });

  test("counts the calls by themselves, and gives a call without arguments empty ones", () => {
    const events = eventsOf(
      [
        textBlock(["I look."]),
        callBlock("a", "weather", ["", '{"city":', '"Ulm"}'], 1),
        callBlock("b", "now", [""], 2),
      ],
      "end_turn",
    );
    expect(chunksOf(openaiChat, events).slice(2)).toEqual([
      chunk({ tool_calls: [{ index: 0, ...calling("weather", "", "a") }] }),
      chunk({ tool_calls: [{ index: 0, function: { arguments: '{"city":' } }] }),
      chunk({ tool_calls: [{ index: 0, function: { arguments: '"Ulm"}' } }] }),
      chunk({ tool_calls: [{ index: 1, ...calling("now", "", "b") }] }),
      chunk({ tool_calls: [{ index: 1, function: { arguments: "{}" } }] }),
      { ...chunk({}, "tool_calls"), [metricsKey]: metrics },
    ]);
  });

  test("tells of a guardrail in the last chunk", () => {
    const chunks = chunksOf(openaiChat, eventsOf([textBlock(["No."])], "guardrail_intervened"));
    expect(chunks.at(-1)).toMatchObject({ "amazon-bedrock-guardrailAction": "INTERVENED", [metricsKey]: metrics });
  });

  test("fails on what it has no form for, on a nameless call, and without a stop reason", () => {
    const image = { contentBlockStart: { contentBlockIndex: 0, start: { image: { format: "png" as const } } } };
    expect(failure(() => openaiChat.stream(context).push(image)).type).toBe("ModelErrorException");
    const nameless = callBlock("a", "weather", ["{}"]).slice(1);
    expect(failure(() => chunksOf(openaiChat, nameless)).type).toBe("ModelErrorException");
    expect(failure(() => chunksOf(openaiChat, [])).type).toBe("ModelStreamErrorException");
  });

  test("says the same as the whole answer, however text and arguments are cut", () => {
    const pieces = fc.array(fc.string());
    fc.assert(
      fc.property(pieces, pieces, (said, argued) => {
        const input = JSON.stringify({ argued: argued.join("") });
        const cut = input.split(/(?<=[a"])/);
        const events = eventsOf([textBlock(said), callBlock("a", "f", cut, 1)], "tool_use");
        const deltas = chunksOf(openaiChat, events).flatMap((one) => choicesOf(one).map((choice) => choice.delta));
        const content = deltas.map((delta) => delta?.content ?? "").join("");
        const made = deltas.flatMap((delta) => delta?.tool_calls ?? []).map((one) => one.function.arguments);
        expect(content).toBe(said.join(""));
        expect(made.join("")).toBe(input);
      }),
    );
  });
});

interface Choice {
  readonly message?: JsonObject;
  readonly finish_reason: string | null;
  readonly delta?: {
    readonly content?: string;
    readonly tool_calls?: readonly { readonly function: { readonly arguments: string } }[];
  };
}

function choicesOf(answer: JsonObject): readonly Choice[] {
  const { choices }: { readonly choices: readonly Choice[] } = JSON.parse(JSON.stringify(answer));
  return choices;
}
