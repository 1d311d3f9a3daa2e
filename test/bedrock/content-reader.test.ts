import { describe, expect, test } from "vitest";
import { readContentBlock, readMessage, readSystemBlock } from "../../src/bedrock/content-reader.ts";
import { BedrockError } from "../../src/bedrock/errors.ts";

function refusal(read: () => unknown): string {
  try {
    read();
  } catch (error) {
    if (error instanceof BedrockError && error.type === "ValidationException") return error.message;
    throw error;
  }
  throw new Error("was not refused");
}

const block = (value: unknown) => readContentBlock(value, "messages[0].content[0]");

/** One of each of the 14 members, with every optional member set. */
const blocks: readonly object[] = [
  { text: "" },
  { image: { format: "png", source: { bytes: "AAAA" }, error: { message: "blocked" } } },
  {
    document: {
      format: "pdf",
      name: "a",
      source: { s3Location: { uri: "s3://b/k", bucketOwner: "1" } },
      context: "c",
      citations: { enabled: true },
    },
  },
  { document: { name: "a", source: { text: "t" } } },
  { document: { name: "a", source: { content: [{ text: "t" }] } } },
  { video: { format: "three_gp", source: { bytes: "AAAA" } } },
  { audio: { format: "x-aac", source: { bytes: "AAAA" } } },
  { toolUse: { toolUseId: "functions.name:0", name: "f", input: { a: [null] }, type: "tool_use" } },
  {
    toolResult: {
      toolUseId: "t",
      content: [
        { json: { a: 1 } },
        { text: "t" },
        { image: { format: "gif", source: { bytes: "AAAA" } } },
        { document: { name: "a", source: { bytes: "AAAA" } } },
        { video: { format: "mp4", source: { bytes: "AAAA" } } },
        { searchResult: { source: "s", title: "t", content: [{ text: "x" }] } },
      ],
      status: "error",
      type: "nova_code_interpreter_result",
    },
  },
  { guardContent: { text: { text: "t", qualifiers: ["query", "grounding_source", "guard_content"] } } },
  { guardContent: { image: { format: "jpeg", source: { bytes: "AAAA" } } } },
  { cachePoint: { type: "default", ttl: "1h" } },
  { reasoningContent: { reasoningText: { text: "", signature: "s" } } },
  { reasoningContent: { redactedContent: "AAAA" } },
  {
    citationsContent: {
      content: [{ text: "t" }],
      citations: [
        { title: "t", source: "s", sourceContent: [{ text: "x" }], location: { web: { url: "u", domain: "d" } } },
        { location: { documentChar: { documentIndex: 0, start: 1, end: 2 } } },
        { location: { documentPage: { documentIndex: 0, start: 1, end: 2 } } },
        { location: { documentChunk: { documentIndex: 0, start: 1, end: 2 } } },
        { location: { searchResultLocation: { searchResultIndex: 0, start: 1, end: 2 } } },
      ],
    },
  },
  { searchResult: { source: "s", title: "t", content: [{ text: "x" }], citations: { enabled: false } } },
  { toolAddition: { tool: { type: "x", name: "n", serverName: "s" } } },
  { toolRemoval: { tool: {} } },
];

describe("a content block", () => {
  test.each(blocks.map((value) => [Object.keys(value).join(), value] as const))(
    "of %s is read as it is",
    (_, value) => {
      expect(block(value)).toStrictEqual(value);
    },
  );

  test("without a member, with two, or with an unknown one is refused", () => {
    expect(refusal(() => block({}))).toContain("messages[0].content[0]: must have exactly one member");
    expect(refusal(() => block({ text: "a", cachePoint: { type: "default" } }))).toContain(
      "not both text and cachePoint",
    );
    expect(refusal(() => block({ hologram: {} }))).toBe("messages[0].content[0].hologram: is not a member known here");
    expect(refusal(() => block({ constructor: {} }))).toContain("messages[0].content[0].constructor");
  });

  test.each([
    [{ text: 1 }, "messages[0].content[0].text: must be a string, not 1"],
    [{ image: { format: "bmp", source: { bytes: "A" } } }, "messages[0].content[0].image.format: must be png"],
    [{ image: { format: "png" } }, "messages[0].content[0].image.source: is required"],
    [{ image: { format: "png", source: { url: "x" } } }, "messages[0].content[0].image.source.url: is not a member"],
    [
      { image: { format: "png", source: { bytes: "" } } },
      "messages[0].content[0].image.source.bytes: must not be empty",
    ],
    [{ image: { format: "png", source: { s3Location: {} } } }, "messages[0].content[0].image.source.s3Location.uri"],
    [{ document: { source: { text: "x" } } }, "messages[0].content[0].document.name: is required"],
    [
      { document: { name: "a", source: { content: [{ image: {} }] } } },
      "messages[0].content[0].document.source.content[0].image: is not a member",
    ],
    [{ toolUse: { toolUseId: "a", name: "f" } }, "messages[0].content[0].toolUse.input: is required"],
    [
      { toolUse: { toolUseId: "", name: "f", input: {} } },
      "messages[0].content[0].toolUse.toolUseId: must not be empty",
    ],
    [
      { toolResult: { toolUseId: "a", content: [{ toolUse: {} }] } },
      "messages[0].content[0].toolResult.content[0].toolUse: is not a member",
    ],
    [
      { toolResult: { toolUseId: "a", content: [], status: "bad" } },
      "messages[0].content[0].toolResult.status: must be success, error",
    ],
    [{ cachePoint: { type: "default", ttl: "2h" } }, "messages[0].content[0].cachePoint.ttl: must be 5m, 1h"],
    [{ cachePoint: {} }, "messages[0].content[0].cachePoint.type: is required"],
    [
      { reasoningContent: { reasoningText: { text: "a", extra: 1 } } },
      "messages[0].content[0].reasoningContent.reasoningText.extra: is not a field",
    ],
    [
      { searchResult: { source: "s", title: "t", content: [] } },
      "messages[0].content[0].searchResult.content: must have",
    ],
    [
      { citationsContent: { citations: [{ location: { moon: {} } }] } },
      "messages[0].content[0].citationsContent.citations[0].location.moon: is not a member",
    ],
    [
      { guardContent: { image: { format: "gif", source: { bytes: "A" } } } },
      "messages[0].content[0].guardContent.image.format: must be png, jpeg",
    ],
  ])("that is wrong is refused by its path: %j", (value, said) => {
    expect(refusal(() => block(value))).toContain(said);
  });

  test("keeps a tool's input to the depth that can be walked", () => {
    const deep: unknown = JSON.parse(`${'{"a":'.repeat(200)}1${"}".repeat(200)}`);
    expect(refusal(() => block({ toolUse: { toolUseId: "a", name: "f", input: deep } }))).toContain("nested deeper");
  });
});

describe("a message", () => {
  test("has a role of the three, and a list of blocks", () => {
    expect(readMessage({ role: "system", content: [] }, "m")).toStrictEqual({ role: "system", content: [] });
    expect(refusal(() => readMessage({ role: "tool", content: [] }, "m"))).toBe(
      'm.role: must be user, assistant, system, not "tool"',
    );
    expect(refusal(() => readMessage({ role: "user", content: "hello" }, "m"))).toBe(
      "m.content: must be a list, not a string",
    );
    expect(refusal(() => readMessage({ role: "user", content: [], name: "x" }, "m"))).toBe(
      "m.name: is not a field known here",
    );
  });
});

describe("a system block", () => {
  test("is text that is not empty, guarded content or a cache point", () => {
    expect(readSystemBlock({ text: "a" }, "s")).toStrictEqual({ text: "a" });
    expect(readSystemBlock({ cachePoint: { type: "default" } }, "s")).toStrictEqual({
      cachePoint: { type: "default" },
    });
    expect(readSystemBlock({ guardContent: { text: { text: "" } } }, "s")).toStrictEqual({
      guardContent: { text: { text: "" } },
    });
    expect(refusal(() => readSystemBlock({ text: "" }, "s"))).toBe("s.text: must not be empty");
    expect(refusal(() => readSystemBlock({ image: {} }, "s"))).toBe("s.image: is not a member known here");
  });
});
