import { describe, expect, test } from "vitest";
import type { JsonObject, JsonValue } from "../../../src/bedrock/json.ts";
import { readRedacted, readSignature } from "../../../src/providers/provenance.ts";
import { claudeMemo, decode, decoded, failed, message, sonnet45 } from "./support.ts";

function contentOf(content: readonly JsonValue[]) {
  return decoded(message(content)).response.output.message.content;
}

describe("content", () => {
  test("comes in its order", () => {
    expect(
      contentOf([
        { type: "text", text: "I'll look." },
        { type: "tool_use", id: "toolu_01A09q90qw90lq917835lq9", name: "weather", input: { city: "Paris" } },
        { type: "text", text: "And then" },
      ]),
    ).toEqual([
      { text: "I'll look." },
      { toolUse: { toolUseId: "toolu_01A09q90qw90lq917835lq9", name: "weather", input: { city: "Paris" } } },
      { text: "And then" },
    ]);
  });

  test("F28 a signature is wrapped, and unwraps to the same bytes", () => {
    const [block] = contentOf([{ type: "thinking", thinking: " Hm…\n", signature: "EqQB+/==" }]);
    if (block === undefined || !("reasoningContent" in block) || !("reasoningText" in block.reasoningContent)) {
      throw new Error("no reasoning");
    }
    const { text, signature = "" } = block.reasoningContent.reasoningText;
    expect(text).toBe(" Hm…\n");
    expect(readSignature(signature)).toMatchObject({ origin: { family: "anthropic" }, blob: "EqQB+/==" });
  });

  test("F40 thinking whose text is not shown keeps its signature", () => {
    expect(contentOf([{ type: "thinking", thinking: "", signature: "sig" }])).toMatchObject([
      { reasoningContent: { reasoningText: { text: "", signature: expect.any(String) } } },
    ]);
  });

  test("F33 redacted thinking is kept", () => {
    const [block] = contentOf([{ type: "redacted_thinking", data: "EmwKAhgB" }]);
    if (block === undefined || !("reasoningContent" in block) || !("redactedContent" in block.reasoningContent)) {
      throw new Error("nothing redacted");
    }
    expect(readRedacted(block.reasoningContent.redactedContent).blob).toBe("EmwKAhgB");
  });

  test("F3 blank text is left out; without anything else the content is empty", () => {
    expect(contentOf([{ type: "text", text: "\n" }])).toEqual([]);
  });

  test("blocks of the provider's own tools are not the client's", () => {
    expect(
      contentOf([
        { type: "server_tool_use", id: "srvtoolu_1", name: "web_search", input: { query: "x" } },
        { type: "web_search_tool_result", tool_use_id: "srvtoolu_1", content: [] },
        { type: "compaction", content: "summary" },
        { type: "text", text: "found" },
      ]),
    ).toEqual([{ text: "found" }]);
  });

  test("F12 names are the client's again", () => {
    const memo = claudeMemo({ toolNames: new Map([["a_b_1", "a.b"]]) });
    const content = [{ type: "tool_use", id: "t", name: "a_b_1", input: {} }];
    expect(decoded(message(content), memo).response.output.message.content).toMatchObject([
      { toolUse: { name: "a.b" } },
    ]);
  });

  test("F23 ids that are missing or not legal are made anew, each its own", () => {
    const content = [
      { type: "tool_use", name: "f", input: {} },
      { type: "tool_use", id: "a b", name: "f", input: {} },
    ];
    const ids = contentOf(content).map((block) => ("toolUse" in block ? block.toolUse.toolUseId : ""));
    expect(new Set(ids).size).toBe(2);
    for (const id of ids) expect(id).toMatch(/^[\w.:-]{1,64}$/);
  });

  test("F66 a call without input has an empty one", () => {
    expect(contentOf([{ type: "tool_use", id: "t", name: "f" }])).toMatchObject([{ toolUse: { input: {} } }]);
  });
});

describe("F75 citations", () => {
  const kinds: readonly (readonly [JsonObject, JsonObject])[] = [
    [
      { type: "char_location", document_index: 0, document_title: "D", start_char_index: 0, end_char_index: 20 },
      { title: "D", location: { documentChar: { documentIndex: 0, start: 0, end: 20 } } },
    ],
    [
      { type: "page_location", document_index: 1, document_title: null, start_page_number: 1, end_page_number: 2 },
      { location: { documentPage: { documentIndex: 1, start: 1, end: 2 } } },
    ],
    [
      {
        type: "content_block_location",
        document_index: 0,
        document_title: null,
        start_block_index: 0,
        end_block_index: 1,
      },
      { location: { documentChunk: { documentIndex: 0, start: 0, end: 1 } } },
    ],
    [
      {
        type: "search_result_location",
        source: "s",
        title: "T",
        search_result_index: 0,
        start_block_index: 0,
        end_block_index: 1,
      },
      { title: "T", source: "s", location: { searchResultLocation: { searchResultIndex: 0, start: 0, end: 1 } } },
    ],
    [
      { type: "web_search_result_location", url: "https://x", title: "T", encrypted_index: "Eo8BCio" },
      { title: "T", location: { web: { url: "https://x" } } },
    ],
  ];

  test.each(kinds)("%j", (citation, read) => {
    const cited_text = "The grass is green.";
    const text = { type: "text", text: "green", citations: [{ cited_text, file_id: null, ...citation }] };
    expect(contentOf([text])).toEqual([
      {
        citationsContent: {
          content: [{ text: "green" }],
          citations: [{ sourceContent: [{ text: cited_text }], ...read }],
        },
      },
    ]);
  });

  test("of a kind Converse cannot tell leave the text as it is", () => {
    const citations = [{ type: "hologram_location" }, 5, null, { type: "page_location", document_index: "one" }];
    expect(contentOf([{ type: "text", text: "green", citations }])).toEqual([{ text: "green" }]);
    expect(contentOf([{ type: "text", text: "green", citations: null }])).toEqual([{ text: "green" }]);
  });
});

describe("the stop reason", () => {
  const call = { type: "tool_use", id: "t", name: "f", input: {} };
  const text = { type: "text", text: "hi" };

  test.each([
    ["end_turn", [text], "end_turn"],
    ["tool_use", [call], "tool_use"],
    ["max_tokens", [call], "max_tokens"],
    ["stop_sequence", [text], "stop_sequence"],
    ["model_context_window_exceeded", [text], "model_context_window_exceeded"],
    ["refusal", [], "content_filtered"],
    ["pause_turn", [text], "end_turn"],
    ["compaction", [text], "end_turn"],
    ["something_new", [text], "end_turn"],
    ["toString", [text], "end_turn"],
  ])("%s", (stop_reason, content, stopReason) => {
    expect(decoded(message(content, { stop_reason })).response.stopReason).toBe(stopReason);
  });

  test("F7 F8 says whether there are calls, whatever the provider says", () => {
    expect(decoded(message([call], { stop_reason: "end_turn" })).response.stopReason).toBe("tool_use");
    expect(decoded(message([text], { stop_reason: "tool_use" })).response.stopReason).toBe("end_turn");
  });

  test("a stop sequence can be asked for, as it stands here and as it stands in a stream", () => {
    const memo = claudeMemo({ responsePaths: ["/stop_sequence", "/delta/stop_sequence", "/usage/input_tokens", "/x"] });
    const body = message([text], { stop_reason: "stop_sequence", stop_sequence: "END" });
    expect(decoded(body, memo).response.additionalModelResponseFields).toEqual({
      stop_sequence: "END",
      delta: { stop_sequence: "END" },
      usage: { input_tokens: 12 },
    });
  });

  test("F47 a blank stop sequence is cut by the gateway", () => {
    const { response } = decoded(message([{ type: "text", text: "one\n\ntwo" }]), claudeMemo({ stops: ["\n\n"] }));
    expect(response.output.message.content).toEqual([{ text: "one" }]);
    expect(response.stopReason).toBe("stop_sequence");
  });
});

describe("usage", () => {
  function usageOf(usage: JsonValue) {
    const { response, estimated } = decoded(message([{ type: "text", text: "four" }], { usage }));
    return { ...response.usage, estimated };
  }

  test("F67 is the provider's, with what the cache had and took by its time to live", () => {
    expect(
      usageOf({
        input_tokens: 10,
        cache_read_input_tokens: 100,
        cache_creation_input_tokens: 300,
        cache_creation: { ephemeral_5m_input_tokens: 100, ephemeral_1h_input_tokens: 200 },
        output_tokens: 5,
        output_tokens_details: { thinking_tokens: 3 },
        service_tier: "standard",
      }),
    ).toEqual({
      inputTokens: 10,
      outputTokens: 5,
      totalTokens: 415,
      cacheReadInputTokens: 100,
      cacheWriteInputTokens: 300,
      cacheDetails: [
        { ttl: "1h", inputTokens: 200 },
        { ttl: "5m", inputTokens: 100 },
      ],
      estimated: false,
    });
  });

  test("with compaction is that of all its iterations", () => {
    const iterations = [
      { type: "compaction", input_tokens: 180_000, output_tokens: 3500 },
      { type: "message", input_tokens: 23_000, output_tokens: 1000 },
      { type: "advisor_message", input_tokens: 1, output_tokens: 1 },
    ];
    expect(usageOf({ input_tokens: 23_000, output_tokens: 1000, iterations })).toMatchObject({
      inputTokens: 203_000,
      outputTokens: 4500,
      totalTokens: 207_500,
    });
  });

  test.each([null, undefined, "many", [], { input_tokens: "x", output_tokens: null }])(
    "of %j is estimated",
    (usage) => {
      expect(usageOf(usage ?? null)).toEqual({ inputTokens: 7, outputTokens: 1, totalTokens: 8, estimated: true });
    },
  );

  test("the tier that served is told", () => {
    const tierOf = (service_tier: string) =>
      decoded(message([], { usage: { input_tokens: 1, output_tokens: 1, service_tier } })).response.serviceTier;
    expect(tierOf("standard")).toEqual({ type: "default" });
    expect(tierOf("priority")).toEqual({ type: "priority" });
    expect(tierOf("batch")).toBeUndefined();
  });
});

describe("an answer that is none", () => {
  test("F69 an error with status 200 is a failure of its own kind", () => {
    const { error, retry } = failed(
      decode({ type: "error", error: { type: "overloaded_error", message: "Overloaded" } }),
    );
    expect([error.type, retry]).toEqual(["ServiceUnavailableException", "same_key"]);
  });

  const hostile: readonly (JsonValue | string)[] = [
    "",
    "<html>",
    "[]",
    "null",
    {},
    message([], { content: "text" }),
    message([], { content: null }),
    message([], { stop_reason: null }),
    message([], { stop_reason: 5 }),
    message([null]),
    message(["text"]),
    message([{ text: "hi" }]),
    message([{ type: 5 }]),
    message([{ type: "text", text: { a: 1 } }]),
    message([{ type: "thinking", thinking: null }]),
    message([{ type: "redacted_thinking", data: 5 }]),
    message([{ type: "tool_use", id: "t", name: "", input: {} }]),
    message([{ type: "tool_use", id: "t", input: {} }]),
    message([{ type: "tool_use", id: "t", name: "f", input: "text" }]),
    `{"type":"message","stop_reason":"tool_use","content":[{"type":"tool_use","name":"f","input":${'{"a":'.repeat(20_000)}1${"}".repeat(20_000)}}]}`,
  ];

  test.each(hostile.map((body) => [body]))("%j is a ModelErrorException, worth another try", (body) => {
    expect(failed(decode(body))).toMatchObject({
      error: { type: "ModelErrorException" },
      retry: "same_key",
      elsewhere: true,
    });
  });

  test("what is beside the point may be anything", () => {
    const body = {
      content: [{ type: "text", text: "hi" }],
      stop_reason: "end_turn",
      model: 5,
      id: null,
      role: sonnet45,
    };
    expect(decoded(body).response.output.message.content).toEqual([{ text: "hi" }]);
  });
});
