import { describe, expect, test } from "vitest";
import type { ConverseRequest } from "../../../src/bedrock/converse.ts";
import { anthropicMessages } from "../../../src/bedrock/families/anthropic-messages.ts";
import type { JsonObject, JsonValue } from "../../../src/bedrock/json.ts";
import { refusal } from "./support.ts";

const minimal = {
  anthropic_version: "bedrock-2023-05-31",
  max_tokens: 100,
  messages: [{ role: "user", content: "hello" }],
};

const read = (members: JsonObject): ConverseRequest => anthropicMessages.read({ ...minimal, ...members });
const refused = (members: JsonObject): string => refusal(() => read(members));

/** Reads one block of the first message, and gives what it became. */
const block = (value: JsonValue) => read({ messages: [{ role: "user", content: [value] }] }).messages[0]?.content;
const refusedBlock = (value: JsonValue) => refused({ messages: [{ role: "user", content: [value] }] });

const png = { type: "base64", media_type: "image/png", data: "iVBORw0KGgo=" };
const cached = { type: "ephemeral" };
const schema = { type: "object", properties: { city: { type: "string" } } };

describe("an Anthropic Messages body", () => {
  test("with text alone becomes a text block", () => {
    expect(anthropicMessages.read(minimal)).toStrictEqual({
      messages: [{ role: "user", content: [{ text: "hello" }] }],
      inferenceConfig: { maxTokens: 100 },
    });
  });

  test("has its parameters in inferenceConfig, and the others under their own names", () => {
    const request = read({
      temperature: 0.5,
      top_p: 0.9,
      stop_sequences: ["END"],
      top_k: 40,
      thinking: { type: "enabled", budget_tokens: 1024 },
      metadata: { user_id: "u" },
      anthropic_beta: ["a", "b"],
      service_tier: "auto",
      something_new: [1, { two: null }],
    });
    expect(request.inferenceConfig).toStrictEqual({
      maxTokens: 100,
      temperature: 0.5,
      topP: 0.9,
      stopSequences: ["END"],
    });
    expect(request.additionalModelRequestFields).toStrictEqual({
      top_k: 40,
      thinking: { type: "enabled", budget_tokens: 1024 },
      metadata: { user_id: "u" },
      anthropic_beta: ["a", "b"],
      service_tier: "auto",
      something_new: [1, { two: null }],
    });
  });

  test("may name any version, but not an empty one", () => {
    expect(read({ anthropic_version: "2026-10-21" }).additionalModelRequestFields).toBeUndefined();
    expect(refused({ anthropic_version: "" })).toBe("anthropic_version: must not be empty");
    expect(refused({ anthropic_version: 1 })).toBe("anthropic_version: must be a string, not 1");
  });

  test("may have members that are null", () => {
    expect(
      read({ system: null, tools: null, tool_choice: null, temperature: null, metadata: null, output_config: null }),
    ).toStrictEqual(anthropicMessages.read(minimal));
  });

  test.each([
    [{ max_tokens: null }, "max_tokens: is required and must be an integer"],
    [{ max_tokens: 0 }, "max_tokens: must be at least 1, not 0"],
    [{ max_tokens: "100" }, "max_tokens: must be an integer, not a string"],
    [{ messages: [] }, "messages: must have at least one item"],
    [{ messages: null }, "messages: is required and must be a list"],
    [{ messages: [{ role: "tool", content: "x" }] }, 'messages[0].role: must be user, assistant, system, not "tool"'],
    [{ messages: [{ role: "user" }] }, "messages[0].content: is required and must be a string or a list of blocks"],
    [{ messages: [{ role: "user", content: "x", name: "y" }] }, "messages[0].name: is not a field known here"],
    [{ temperature: 1.1 }, "temperature: must be from 0 to 1, not 1.1"],
    [{ stop_sequences: "END" }, "stop_sequences: must be a list, not a string"],
    [{ model: "claude" }, "model: stands in the path, not in the body"],
    [{ stream: true }, "stream: is not a field here; call InvokeModelWithResponseStream"],
    [{ system: 1 }, "system: must be a string or a list of text blocks, not 1"],
    [{ system: [{ type: "image", text: "x" }] }, 'system[0].type: must be text, not "image"'],
    [{ system: [{ type: "text", text: "" }] }, "system[0].text: must not be empty"],
  ])("that is wrong is refused by its path: %j", (members: JsonObject, said) => {
    expect(refused(members)).toBe(said);
  });
});

describe("a system prompt", () => {
  test("is text or text blocks", () => {
    expect(read({ system: "Be brief." }).system).toStrictEqual([{ text: "Be brief." }]);
    expect(
      read({
        system: [
          { type: "text", text: "a" },
          { type: "text", text: "b", cache_control: { type: "ephemeral", ttl: "1h" }, citations: null },
        ],
      }).system,
    ).toStrictEqual([{ text: "a" }, { text: "b" }, { cachePoint: { type: "default", ttl: "1h" } }]);
  });

  test("that is empty is none", () => {
    expect(read({ system: "" }).system).toBeUndefined();
    expect(read({ system: [] }).system).toBeUndefined();
  });

  test("may come in the middle of the conversation", () => {
    const messages = [
      { role: "user", content: "a" },
      { role: "system", content: [{ type: "text", text: "b" }] },
    ];
    expect(read({ messages }).messages[1]).toStrictEqual({ role: "system", content: [{ text: "b" }] });
  });
});

describe("a content block", () => {
  test.each([
    [{ type: "text", text: "a" }, { text: "a" }],
    [{ type: "text", text: "a", citations: [] }, { text: "a" }],
    [{ type: "image", source: png }, { image: { format: "png", source: { bytes: "iVBORw0KGgo=" } } }],
    [
      { type: "image", source: { type: "base64", media_type: "image/jpeg", data: "/9j/" } },
      { image: { format: "jpeg", source: { bytes: "/9j/" } } },
    ],
    [
      {
        type: "document",
        source: { type: "base64", media_type: "application/pdf", data: "JVBERg==" },
        title: "Report",
        context: "of May",
        citations: { enabled: true },
      },
      {
        document: {
          format: "pdf",
          source: { bytes: "JVBERg==" },
          name: "Report",
          context: "of May",
          citations: { enabled: true },
        },
      },
    ],
    [
      {
        type: "document",
        source: { type: "text", media_type: "text/plain", data: "plain" },
        title: "T",
        citations: {},
      },
      { document: { format: "txt", source: { text: "plain" }, name: "T" } },
    ],
    [
      { type: "document", source: { type: "content", content: "whole" }, title: "T" },
      { document: { source: { content: [{ text: "whole" }] }, name: "T" } },
    ],
    [
      { type: "document", source: { type: "content", content: [{ type: "text", text: "part" }] }, title: "T" },
      { document: { source: { content: [{ text: "part" }] }, name: "T" } },
    ],
    [
      {
        type: "search_result",
        source: "https://example.com",
        title: "T",
        content: [{ type: "text", text: "x" }],
        citations: { enabled: false },
      },
      {
        searchResult: {
          source: "https://example.com",
          title: "T",
          content: [{ text: "x" }],
          citations: { enabled: false },
        },
      },
    ],
    [
      { type: "tool_use", id: "toolu_bdrk_1", name: "f", input: { a: [1] }, caller: { type: "direct" } },
      { toolUse: { toolUseId: "toolu_bdrk_1", name: "f", input: { a: [1] } } },
    ],
    [
      { type: "thinking", thinking: "hm ", signature: "EqQB==" },
      { reasoningContent: { reasoningText: { text: "hm ", signature: "EqQB==" } } },
    ],
    [{ type: "thinking", thinking: "hm" }, { reasoningContent: { reasoningText: { text: "hm" } } }],
    [
      { type: "tool_addition", tool: { type: "tool_reference", name: "f" } },
      { toolAddition: { tool: { type: "tool_reference", name: "f" } } },
    ],
    [
      { type: "tool_removal", tool: { type: "mcp_tool_reference", name: "f", server_name: "s" } },
      { toolRemoval: { tool: { type: "mcp_tool_reference", name: "f", serverName: "s" } } },
    ],
  ])("%j is carried", (value, expected) => {
    expect(block(value)).toStrictEqual([expected]);
  });

  test("of redacted thinking becomes the base64 of its text's bytes", () => {
    expect(block({ type: "redacted_thinking", data: "opaque=é" })).toStrictEqual([
      { reasoningContent: { redactedContent: Buffer.from("opaque=é", "utf8").toString("base64") } },
    ]);
  });

  test.each([
    [{ type: "image", source: { type: "url", url: "https://x" } }, "messages[0].content[0].source: of type url cannot"],
    [{ type: "image", source: { type: "file", file_id: "f" } }, "messages[0].content[0].source: of type file cannot"],
    [{ type: "image", source: { type: "ftp" } }, "messages[0].content[0].source.type: is not a type of source"],
    [
      { type: "image", source: { type: "base64", media_type: "image/bmp", data: "x" } },
      "messages[0].content[0].source.media_type: must be image/png, image/jpeg, image/gif, image/webp",
    ],
    [
      { type: "image", source: { type: "base64", media_type: "image/png", data: "" } },
      "messages[0].content[0].source.data: must not be empty",
    ],
    [{ type: "document", source: { type: "url", url: "x" } }, "messages[0].content[0].source: of type url cannot"],
    [
      { type: "document", source: { type: "base64", media_type: "text/csv", data: "x" } },
      "messages[0].content[0].source.media_type: must be application/pdf",
    ],
    [
      { type: "document", source: { type: "content", content: [{ type: "image", source: png }] } },
      "messages[0].content[0].source.content[0].source: is not a field known here",
    ],
    [{ type: "tool_use", id: "a", name: "f", input: "{}" }, "messages[0].content[0].input: must be an object"],
    [
      { type: "tool_use", id: "a", name: "f", input: {}, caller: { type: "code_execution_20250825", tool_id: "x" } },
      "messages[0].content[0].caller.tool_id: is not a field known here",
    ],
    [{ type: "server_tool_use", id: "a" }, "messages[0].content[0].type: is not a block that can be carried"],
    [{ type: "constructor" }, "messages[0].content[0].type: is not a block that can be carried"],
    [{ text: "untagged" }, "messages[0].content[0].type: is required and must be a string"],
    ["bare", "messages[0].content[0]: must be an object, not a string"],
    [
      { type: "thinking", thinking: "a", cache_control: cached },
      "messages[0].content[0].cache_control: is not a field",
    ],
    [
      { type: "text", text: "a", cache_control: { type: "ephemeral", ttl: "2h" } },
      "messages[0].content[0].cache_control.ttl: must be 5m, 1h",
    ],
    [
      { type: "search_result", source: "s", title: "t", content: [{ type: "text", text: "a", cache_control: cached }] },
      "messages[0].content[0].content[0].cache_control: can only stand on the block around this one",
    ],
  ])("%j is refused by its path", (value, said) => {
    expect(refusedBlock(value)).toContain(said);
  });

  test("with cache_control has a cache point behind it", () => {
    for (const value of [
      { type: "text", text: "a" },
      { type: "image", source: png },
      { type: "document", source: { type: "text", media_type: "text/plain", data: "x" } },
      { type: "search_result", source: "s", title: "t", content: [{ type: "text", text: "a" }] },
      { type: "tool_use", id: "a", name: "f", input: {} },
      { type: "tool_result", tool_use_id: "a" },
    ]) {
      const [plain] = block(value) ?? [];
      expect(block({ ...value, cache_control: cached })).toStrictEqual([plain, { cachePoint: { type: "default" } }]);
    }
  });

  test("that is an unnamed document gets a name by its place among them, which stays as the conversation grows", () => {
    const document = { type: "document", source: { type: "text", media_type: "text/plain", data: "x" } };
    const result = { type: "tool_result", tool_use_id: "a", content: [document] };
    const names = (content: readonly JsonValue[]) =>
      JSON.stringify(read({ messages: [{ role: "user", content }] })).match(/Document \d+/g);
    expect(names([document, result])).toEqual(["Document 1", "Document 2"]);
    expect(names([document, result, document])).toEqual(["Document 1", "Document 2", "Document 3"]);
  });
});

describe("a cited text", () => {
  test("keeps its citations, of each kind", () => {
    const citations = [
      {
        type: "char_location",
        cited_text: "c",
        document_index: 0,
        document_title: "T",
        start_char_index: 1,
        end_char_index: 2,
        file_id: null,
      },
      {
        type: "page_location",
        cited_text: "c",
        document_index: 1,
        document_title: null,
        start_page_number: 1,
        end_page_number: 2,
      },
      {
        type: "content_block_location",
        cited_text: "c",
        document_index: 2,
        document_title: "T",
        start_block_index: 0,
        end_block_index: 1,
      },
      {
        type: "search_result_location",
        cited_text: "c",
        source: "s",
        title: "T",
        search_result_index: 3,
        start_block_index: 0,
        end_block_index: 1,
      },
      { type: "web_search_result_location", cited_text: "c", url: "https://x", title: "T", encrypted_index: "" },
    ];
    const sourceContent = [{ text: "c" }];
    expect(block({ type: "text", text: "a", citations })).toStrictEqual([
      {
        citationsContent: {
          content: [{ text: "a" }],
          citations: [
            { title: "T", sourceContent, location: { documentChar: { documentIndex: 0, start: 1, end: 2 } } },
            { sourceContent, location: { documentPage: { documentIndex: 1, start: 1, end: 2 } } },
            { title: "T", sourceContent, location: { documentChunk: { documentIndex: 2, start: 0, end: 1 } } },
            {
              title: "T",
              source: "s",
              sourceContent,
              location: { searchResultLocation: { searchResultIndex: 3, start: 0, end: 1 } },
            },
            { title: "T", sourceContent, location: { web: { url: "https://x" } } },
          ],
        },
      },
    ]);
  });

  test("that Converse has no place for is refused by its path", () => {
    const web = { type: "web_search_result_location", cited_text: "c", url: "u", title: null, encrypted_index: "E" };
    expect(refusedBlock({ type: "text", text: "a", citations: [web] })).toContain(
      "messages[0].content[0].citations[0].encrypted_index: cannot be carried",
    );
    const page = { type: "page_location", cited_text: "c", document_index: 0, start_page_number: 1 };
    expect(refusedBlock({ type: "text", text: "a", citations: [page] })).toBe(
      "messages[0].content[0].citations[0].end_page_number: is required and must be an integer",
    );
    expect(refusedBlock({ type: "text", text: "a", citations: [{ type: "moon" }] })).toContain("citations[0].type");
  });
});

describe("a tool result", () => {
  const result = (members: JsonObject) => block({ type: "tool_result", tool_use_id: "a", ...members });

  test.each([
    [{}, { content: [] }],
    [{ content: "text" }, { content: [{ text: "text" }] }],
    [
      { content: "bad", is_error: true },
      { content: [{ text: "bad" }], status: "error" },
    ],
    [
      { content: [], is_error: false },
      { content: [], status: "success" },
    ],
    [
      {
        content: [
          { type: "text", text: "a", citations: null },
          { type: "image", source: png },
          { type: "document", source: { type: "text", media_type: "text/plain", data: "x" }, title: "T" },
          { type: "search_result", source: "s", title: "t", content: [{ type: "text", text: "b" }] },
        ],
      },
      {
        content: [
          { text: "a" },
          { image: { format: "png", source: { bytes: "iVBORw0KGgo=" } } },
          { document: { format: "txt", source: { text: "x" }, name: "T" } },
          { searchResult: { source: "s", title: "t", content: [{ text: "b" }] } },
        ],
      },
    ],
  ])("%j is carried", (members, expected) => {
    expect(result(members)).toStrictEqual([{ toolResult: { toolUseId: "a", ...expected } }]);
  });

  test("with cache_control on its last block has a cache point behind it, which ends at the same place", () => {
    const content = [
      { type: "text", text: "a" },
      { type: "text", text: "b", cache_control: { type: "ephemeral", ttl: "1h" } },
    ];
    expect(result({ content })).toStrictEqual([
      { toolResult: { toolUseId: "a", content: [{ text: "a" }, { text: "b" }] } },
      { cachePoint: { type: "default", ttl: "1h" } },
    ]);
    expect(refusedBlock({ type: "tool_result", tool_use_id: "a", content: content.toReversed() })).toBe(
      "messages[0].content[0].content[0].cache_control: can only stand on the last block of a tool result",
    );
  });

  test("with a block of another kind is refused by its path", () => {
    const said = refusedBlock({ type: "tool_result", tool_use_id: "a", content: [{ type: "tool_reference" }] });
    expect(said).toBe("messages[0].content[0].content[0].type: is not a block that can be carried in a tool result");
    expect(refusedBlock({ type: "tool_result", content: "x" })).toContain("tool_use_id: is required");
    expect(refusedBlock({ type: "tool_result", tool_use_id: "a", content: 1 })).toContain(
      "content[0].content: must be a string or a list of blocks, not 1",
    );
  });
});

describe("tools", () => {
  const tool = { name: "f", description: "does", input_schema: schema };
  const toolSpec = { name: "f", description: "does", inputSchema: { json: schema } };

  test("are carried with their schema, strictness and cache points", () => {
    expect(
      read({ tools: [tool, { ...tool, type: "custom", strict: true, cache_control: cached }] }).toolConfig,
    ).toStrictEqual({
      tools: [{ toolSpec }, { toolSpec: { ...toolSpec, strict: true } }, { cachePoint: { type: "default" } }],
    });
  });

  test("with an empty description have none, and an empty list is no list", () => {
    expect(read({ tools: [{ ...tool, description: "" }] }).toolConfig).toStrictEqual({
      tools: [{ toolSpec: { name: "f", inputSchema: { json: schema } } }],
    });
    expect(read({ tools: [] }).toolConfig).toBeUndefined();
  });

  test.each([
    [{ type: "auto" }, { auto: {} }],
    [{ type: "any" }, { any: {} }],
    [{ type: "tool", name: "f" }, { tool: { name: "f" } }],
    [{ type: "any", disable_parallel_tool_use: false }, { any: {} }],
  ])("are chosen by %j", (choice, expected) => {
    const request = read({ tools: [tool], tool_choice: choice });
    expect(request.toolConfig?.toolChoice).toStrictEqual(expected);
    expect(request.additionalModelRequestFields).toBeUndefined();
  });

  test("that may not be called in parallel keep the whole choice for the dialect", () => {
    const tool_choice = { type: "tool", name: "f", disable_parallel_tool_use: true };
    const request = read({ tools: [tool], tool_choice, top_k: 5 });
    expect(request.toolConfig?.toolChoice).toStrictEqual({ tool: { name: "f" } });
    expect(request.additionalModelRequestFields).toStrictEqual({ top_k: 5, tool_choice });
  });

  test("that may not be called are left out, and their calls stay in the history", () => {
    const messages = [
      { role: "user", content: "a" },
      { role: "assistant", content: [{ type: "tool_use", id: "t", name: "f", input: {} }] },
      { role: "user", content: [{ type: "tool_result", tool_use_id: "t", content: "r" }] },
    ];
    const request = read({ messages, tools: [tool], tool_choice: { type: "none" } });
    expect(request.toolConfig).toBeUndefined();
    expect(request.messages.slice(1)).toStrictEqual([
      { role: "assistant", content: [{ toolUse: { toolUseId: "t", name: "f", input: {} } }] },
      { role: "user", content: [{ toolResult: { toolUseId: "t", content: [{ text: "r" }] } }] },
    ]);
  });

  test.each([
    [
      { tools: [{ type: "web_search_20250305", name: "web_search" }] },
      'tools[0].type: "web_search_20250305" is a tool',
    ],
    [{ tools: [{ type: 1 }] }, "tools[0].type: must be a string, not 1"],
    [{ tools: [{ name: "f" }] }, "tools[0].input_schema: is required and must be an object"],
    [{ tools: [{ ...tool, defer_loading: true }] }, "tools[0].defer_loading: is not a field known here"],
    [{ tools: [tool], tool_choice: { type: "some" } }, "tool_choice.type: must be auto, any, tool, none"],
    [{ tools: [tool], tool_choice: { type: "tool" } }, "tool_choice.name: is required"],
    [{ tools: [tool], tool_choice: { type: "auto", name: "f" } }, "tool_choice.name: is not a field known here"],
    [{ tool_choice: { type: "any" } }, "tool_choice: needs tools to choose from"],
    [
      { tools: [tool], tool_choice: { type: "auto", disable_parallel_tool_use: 1 } },
      "tool_choice.disable_parallel_tool_use: must be true or false, not 1",
    ],
  ])("that are wrong are refused by their path: %j", (members: JsonObject, said) => {
    expect(refused(members)).toContain(said);
  });
});

describe("output_config", () => {
  test("becomes effort and a text format, whose schema is JSON text", () => {
    const request = read({ output_config: { effort: "high", format: { type: "json_schema", schema } } });
    expect(request.outputConfig).toStrictEqual({
      effort: "high",
      textFormat: { type: "json_schema", structure: { jsonSchema: { schema: JSON.stringify(schema) } } },
    });
  });

  test("that is wrong is refused by its path", () => {
    expect(refused({ output_config: { format: { type: "xml" } } })).toContain(
      "output_config.format.type: must be json_schema",
    );
    expect(refused({ output_config: { task_budget: 1 } })).toBe("output_config.task_budget: is not a field known here");
  });
});

describe("hostile JSON", () => {
  test("is refused by its path", () => {
    const parse = (json: string): JsonObject => JSON.parse(json);
    expect(refused(parse('{"x": {"__proto__": {"max_tokens": 1}}}'))).toBe(
      "x.__proto__: is a name that is not accepted",
    );
    const deep = `${"[".repeat(5000)}${"]".repeat(5000)}`;
    expect(refused(parse(`{"metadata": ${deep}}`))).toContain("nested deeper");
    expect(refused(parse(`{"tools": [{"name": "f", "input_schema": {"a": ${deep}}}]}`))).toContain(
      "tools[0].input_schema.a",
    );
    expect(() => anthropicMessages.read(parse('{"__proto__": {"messages": []}, "max_tokens": 1}'))).toThrow();
  });
});
