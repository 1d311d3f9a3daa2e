import { describe, expect, test } from "vitest";
import type { ContentBlock, ImageBlock, ToolResultContent } from "../../../src/bedrock/converse.ts";
import { missingResult } from "../../../src/providers/pairing.ts";
import { assistant, call, requestOf, result, user } from "../fixtures.ts";
import { hello, send } from "./encoding.ts";

const image = (bytes: string): { image: ImageBlock } => ({ image: { format: "png", source: { bytes } } });
const pdf = { document: { name: "Ignore all!", format: "pdf" as const, source: { bytes: "JVBE" } } };
const cachePoint: ContentBlock = { cachePoint: { type: "default" } };

function results(...content: readonly ToolResultContent[]): ContentBlock {
  return { toolResult: { toolUseId: "a", content } };
}

describe("texts", () => {
  test("one is a string, several are parts at OpenAI and one string elsewhere", () => {
    const request = requestOf([user({ text: "a" }, { text: "b" })]);
    expect(send(request).messages[0]?.content).toEqual([
      { type: "text", text: "a" },
      { type: "text", text: "b" },
    ]);
    expect(send(request, { kind: "cerebras" }).messages[0]?.content).toBe("a\n\nb");
  });

  test("the system prompt comes first, as one message", () => {
    const { messages } = send(hello({ system: [{ text: "a" }, { text: "b" }] }), { kind: "groq" });
    expect(messages[0]).toEqual({ role: "system", content: "a\n\nb" });
    expect(messages).toHaveLength(2);
  });

  test("F16 a system message between the others stays there, or is folded where templates refuse it", () => {
    const request = requestOf([
      user({ text: "a" }),
      { role: "system", content: [{ text: "now" }] },
      user({ text: "b" }),
    ]);
    expect(send(request).messages.map(({ role }) => role)).toEqual(["user", "system", "user"]);
    const { messages } = send(request, { kind: "vllm" });
    expect(messages).toHaveLength(1);
    expect(messages[0]?.content).toContain("<system-message>\nnow\n</system-message>");
  });

  test("F1 blank texts are left out, in results too", () => {
    const { messages } = send(
      requestOf([
        user({ text: " " }, { text: "x" }),
        assistant(call("a")),
        user(results({ text: "\n" }, { text: "y" })),
      ]),
    );
    expect(messages.map(({ content }) => content)).toEqual(["x", null, "y"]);
  });

  test("F17 the assistant may have the last word: it is history here", () => {
    const { messages } = send(requestOf([user({ text: "x" }), assistant({ text: "Once " })]));
    expect(messages[1]).toEqual({ role: "assistant", content: "Once " });
  });
});

describe("calls and results", () => {
  test("a call is a text of JSON, and its result a message right behind", () => {
    const { messages } = send(
      requestOf([
        user({ text: "x" }),
        assistant({ text: "Let me see." }, call("a", "f", { b: "1", a: "2" }), call("b", "g")),
        user({ text: "go on" }, result("b", "B"), result("a", "A")),
      ]),
    );
    expect(messages.slice(1)).toEqual([
      {
        role: "assistant",
        content: "Let me see.",
        tool_calls: [
          { id: "a", type: "function", function: { name: "f", arguments: '{"b":"1","a":"2"}' } },
          { id: "b", type: "function", function: { name: "g", arguments: "{}" } },
        ],
      },
      { role: "tool", tool_call_id: "a", content: "A" },
      { role: "tool", tool_call_id: "b", content: "B" },
      { role: "user", content: "go on" },
    ]);
  });

  test("F78 content is null only beside calls", () => {
    const { messages } = send(requestOf([user({ text: "x" }), assistant(call("a")), user(result("a"))]));
    expect(messages[1]).toHaveProperty("content", null);
  });

  test("F21 an id longer than 40 characters is digested, alike in call and result", () => {
    const id = `tooluse_${"x".repeat(50)}`;
    const { messages } = send(requestOf([user({ text: "x" }), assistant(call(id)), user(result(id))]));
    expect(messages[2]?.tool_call_id).toMatch(/^call_[a-zA-Z0-9]{24}$/);
  });

  test("an id with a dot and a colon stays as it is", () => {
    const { messages } = send(requestOf([user({ text: "x" }), assistant(call("a.b:c")), user(result("a.b:c"))]));
    expect(messages[2]?.tool_call_id).toBe("a.b:c");
  });

  test("F4 F5 a missing result is made up, one without a call becomes text", () => {
    const { messages } = send(requestOf([user({ text: "x" }), assistant(call("a")), user(result("b", "lost"))]));
    expect(messages[2]).toEqual({ role: "tool", tool_call_id: "a", content: `Error: ${missingResult}` });
    expect(JSON.stringify(messages[3])).toContain("lost");
  });

  test("F14 an input that is no object is wrapped", () => {
    const odd: ContentBlock = { toolUse: { toolUseId: "a", name: "f", input: [1] } };
    const { request } = send(requestOf([user({ text: "x" }), assistant(odd), user(result("a"))]));
    expect(request.body).toContain('"{\\"rawInvalidInput\\":[1]}"');
  });

  test("a failure and an empty result are said in words", () => {
    const failed: ContentBlock = { toolResult: { toolUseId: "a", content: [{ text: "no" }], status: "error" } };
    const both = [
      user({ text: "x" }),
      assistant(call("a"), call("b")),
      user(failed, { toolResult: { toolUseId: "b", content: [] } }),
    ];
    expect(
      send(requestOf(both))
        .messages.slice(2)
        .map(({ content }) => content),
    ).toEqual(["Error: no", "(no output)"]);
  });

  test("JSON is compact, several parts are lines", () => {
    const { messages } = send(
      requestOf([user({ text: "x" }), assistant(call("a")), user(results({ json: { b: 1, a: 2 } }, { text: "y" }))]),
    );
    expect(messages[2]?.content).toBe('{"b":1,"a":2}\ny');
  });
});

describe("media", () => {
  test("an image is a URL with its bytes as they came", () => {
    expect(send(requestOf([user({ text: "x" }, image("iVBO"))])).messages[0]?.content).toEqual([
      { type: "text", text: "x" },
      { type: "image_url", image_url: { url: "data:image/png;base64,iVBO" } },
    ]);
  });

  test("F79 F19 a PDF has a filename, and not the client's", () => {
    const context = { document: { ...pdf.document, context: "about" } };
    const { messages } = send(requestOf([user({ text: "x" }, context)]));
    expect(messages[0]?.content).toEqual([
      { type: "text", text: "x" },
      { type: "text", text: "about" },
      { type: "file", file: { filename: "document-1.pdf", file_data: "data:application/pdf;base64,JVBE" } },
    ]);
  });

  test("a PDF is refused where nobody reads it, and so is an office document everywhere", () => {
    expect(() => send(requestOf([user({ text: "x" }, pdf)]), { kind: "groq" })).toThrow(
      "messages[0].content[1].document",
    );
    const docx = { document: { name: "d", format: "docx" as const, source: { bytes: "AAAA" } } };
    expect(() => send(requestOf([user({ text: "x" }, docx)]))).toThrow("messages[0].content[1].document.format");
  });

  test("a text document is written into the prompt", () => {
    const document = { name: "d", format: "md" as const, source: { text: "# Title" } };
    const { messages } = send(requestOf([user({ text: "x" }, { document })]), { kind: "groq" });
    expect(messages[0]?.content).toContain("# Title");
  });

  test("audio is WAV or MP3", () => {
    const wav = { audio: { format: "wav" as const, source: { bytes: "UklG" } } };
    expect(send(requestOf([user(wav)])).messages[0]?.content).toEqual([
      { type: "input_audio", input_audio: { data: "UklG", format: "wav" } },
    ]);
    const flac = { audio: { format: "flac" as const, source: { bytes: "UklG" } } };
    expect(() => send(requestOf([user(flac)]))).toThrow("messages[0].content[0].audio: ");
    expect(() => send(requestOf([user(wav)]), { kind: "groq" })).toThrow("messages[0].content[0].audio: ");
    expect(() => send(requestOf([user({ text: "x" }), assistant(wav)]))).toThrow("messages[1].content[0].audio: ");
  });

  test("S3 is refused by its path", () => {
    const s3 = { image: { format: "png" as const, source: { s3Location: { uri: "s3://b/k" } } } };
    expect(() => send(requestOf([user(s3)]))).toThrow("messages[0].content[0].image.source.s3Location: ");
  });

  test("F76 F6 images of results follow in one user message, behind all results", () => {
    const { messages } = send(
      requestOf([
        user({ text: "x" }),
        assistant(call("a"), call("b")),
        user(results({ text: "see" }, image("AAAA")), image("CCCC"), {
          toolResult: { toolUseId: "b", content: [image("BBBB"), pdf] },
        }),
      ]),
    );
    expect(messages.slice(2)).toEqual([
      { role: "tool", tool_call_id: "a", content: "see\n[image 1 follows]" },
      { role: "tool", tool_call_id: "b", content: "[image 2 follows]\n[document-1 follows]" },
      {
        role: "user",
        content: [
          { type: "text", text: "[image 1]" },
          { type: "image_url", image_url: { url: "data:image/png;base64,AAAA" } },
          { type: "text", text: "[image 2]" },
          { type: "image_url", image_url: { url: "data:image/png;base64,BBBB" } },
          { type: "text", text: "[document-1]" },
          { type: "file", file: { filename: "document-1.pdf", file_data: "data:application/pdf;base64,JVBE" } },
          { type: "image_url", image_url: { url: "data:image/png;base64,CCCC" } },
        ],
      },
    ]);
  });

  test("F77 an image of the assistant's goes to the user's next message, though it be the last", () => {
    const picture = assistant({ text: "Here:" }, image("AAAA"));
    const moved = {
      role: "user",
      content: [
        { type: "text", text: "[image 1]" },
        { type: "image_url", image_url: { url: "data:image/png;base64,AAAA" } },
      ],
    };
    const last = send(requestOf([user({ text: "x" }), picture]), { kind: "groq" }).messages;
    expect(last.slice(1)).toEqual([{ role: "assistant", content: "Here:\n\n[image 1 follows]" }, moved]);
    const more = send(requestOf([user({ text: "x" }), picture, user({ text: "Thanks" })])).messages;
    expect(more[2]).toEqual({ role: "user", content: [...moved.content, { type: "text", text: "Thanks" }] });
  });
});

describe("cache points", () => {
  const openrouter = { kind: "openrouter", model: "anthropic/claude-sonnet-4.5" };
  const marked = (text: string, ttl?: string) => ({
    type: "text",
    text,
    cache_control: { type: "ephemeral", ...(ttl !== undefined && { ttl }) },
  });

  test("are listed where they mean nothing", () => {
    const { ignored, body } = send(requestOf([user({ text: "x" }, cachePoint)]));
    expect(ignored).toEqual(["messages[0].content[1].cachePoint"]);
    expect(JSON.stringify(body)).not.toContain("cache_control");
  });

  test("F55 mark the text before them, which is then no plain string", () => {
    const hour: ContentBlock = { cachePoint: { type: "default", ttl: "1h" } };
    const request = requestOf([user({ text: "x" }, hour), assistant({ text: "y" }, cachePoint), user({ text: "z" })], {
      system: [{ text: "s" }, { cachePoint: { type: "default" } }],
    });
    expect(send(request, openrouter).messages.map(({ content }) => content)).toEqual([
      [marked("s")],
      [marked("x", "1h")],
      [marked("y")],
      "z",
    ]);
  });

  test("behind results mark the last of them", () => {
    const request = requestOf([user({ text: "x" }), assistant(call("a")), user(result("a", "A"), cachePoint)]);
    expect(send(request, openrouter).messages[2]).toEqual({ role: "tool", tool_call_id: "a", content: [marked("A")] });
  });

  test("F55 beyond four the earliest in the messages go", () => {
    const turns = [1, 2, 3, 4].flatMap((n) => [user({ text: `u${n}` }, cachePoint), assistant({ text: `a${n}` })]);
    const request = requestOf(turns, { system: [{ text: "s" }, { cachePoint: { type: "default" } }] });
    const { ignored, body } = send(request, openrouter);
    expect(JSON.stringify(body).match(/cache_control/g)).toHaveLength(4);
    expect(ignored).toEqual(["messages[0].content[1].cachePoint"]);
  });

  test("without a text before them are listed", () => {
    const { ignored } = send(requestOf([user(image("AAAA"), cachePoint)]), openrouter);
    expect(ignored).toEqual(["messages[0].content[1].cachePoint"]);
  });
});
