import { describe, expect, test } from "vitest";
import type { ContentBlock, ConverseRequest } from "../../../src/bedrock/converse.ts";
import { countInputTokens, countTextTokens, lastUserText } from "../../../src/providers/mock/conversation.ts";

const asked = (...content: ContentBlock[]): ConverseRequest => ({ messages: [{ role: "user", content }] });
const image: ContentBlock = { image: { format: "png", source: { bytes: "aGk=" } } };
const document: ContentBlock = { document: { name: "d", source: { text: "twelve bytes" } } };

describe("the last user text", () => {
  test("is all text of the last user message", () => {
    expect(lastUserText(asked({ text: "one" }, image, { text: "two" }))).toBe("one\ntwo");
    expect(lastUserText(asked({ guardContent: { text: { text: "guarded" } } }))).toBe("guarded");
  });

  test("is what the tools say where there is none", () => {
    const content = [{ text: "4 °C" }, { json: { wind: [1] } }];
    expect(lastUserText(asked({ toolResult: { toolUseId: "t", content } }))).toBe('4 °C\n{"wind":[1]}');
    expect(lastUserText(asked({ text: "And?" }, { toolResult: { toolUseId: "t", content } }))).toBe("And?");
  });

  test.each([
    [[image], "[1 image]"],
    [[image, document, image], "[2 images, 1 document]"],
    [[{ toolResult: { toolUseId: "t", content: [image] } }], "[1 image, 1 tool result]"],
    [[{ toolResult: { toolUseId: "t", content: [] } }], "[1 tool result]"],
    [[{ guardContent: { image: { format: "png", source: { bytes: "aGk=" } } } }], "[1 image]"],
    [[{ text: "" }, { cachePoint: { type: "default" } }], "[empty message]"],
    [[], "[empty message]"],
  ] as const)("is a note on what came where nothing has text", (content, note) => {
    expect(lastUserText(asked(...content))).toBe(note);
  });

  test("is a note where no user says anything", () => {
    expect(lastUserText({ messages: [{ role: "assistant", content: [{ text: "hm" }] }] })).toBe("[no user message]");
  });

  test("leaves a prefilled answer alone", () => {
    const { messages } = asked({ text: "hi" });
    expect(lastUserText({ messages: [...messages, { role: "assistant", content: [{ text: "{" }] }] })).toBe("hi");
  });
});

describe("input tokens", () => {
  test("are a quarter of the bytes of all text, rounded up, and at least one", () => {
    expect(countInputTokens(asked({ text: "" }))).toBe(1);
    expect(countInputTokens(asked({ text: "1234" }))).toBe(1);
    expect(countInputTokens(asked({ text: "żółw" }))).toBe(2);
    expect(countTextTokens(["1234", "1234", "1"])).toBe(3);
    expect(countTextTokens([])).toBe(1);
  });

  test("count every kind of text, and no media", () => {
    const eight = "12345678";
    const blocks: readonly ContentBlock[] = [
      { text: eight },
      { toolUse: { toolUseId: "t", name: "f", input: "123456" } },
      { toolResult: { toolUseId: "t", content: [{ text: "1234" }, { json: "12" }] } },
      { guardContent: { text: { text: eight } } },
      { reasoningContent: { reasoningText: { text: eight, signature: "not counted" } } },
      { citationsContent: { content: [{ text: eight }] } },
      { searchResult: { source: "s", title: "t", content: [{ text: eight }] } },
      { document: { name: "d", source: { text: eight } } },
      { document: { name: "d", source: { content: [{ text: eight }] } } },
    ];
    for (const block of blocks) expect(countInputTokens(asked(block)), JSON.stringify(block)).toBe(2);
    const media: readonly ContentBlock[] = [
      image,
      { reasoningContent: { redactedContent: "bm90IGNvdW50ZWQ=" } },
      { document: { name: "d", source: { bytes: "bm90IGNvdW50ZWQ=" } } },
      { cachePoint: { type: "default" } },
    ];
    for (const block of media) expect(countInputTokens(asked({ text: eight }, block))).toBe(2);
    expect(countInputTokens({ ...asked({ text: eight }), system: [{ text: eight }] })).toBe(4);
  });

  test("count the definitions of tools", () => {
    const tools = [{ toolSpec: { name: "f", description: "x".repeat(400), inputSchema: { json: {} } } }];
    expect(countInputTokens({ ...asked({ text: "hi" }), toolConfig: { tools } })).toBeGreaterThan(100);
  });
});
