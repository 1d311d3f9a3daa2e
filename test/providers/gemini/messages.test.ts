import { describe, expect, test } from "vitest";
import type { ContentBlock, ToolResultContent } from "../../../src/bedrock/converse.ts";
import type { JsonObject } from "../../../src/bedrock/json.ts";
import { missingResult } from "../../../src/providers/pairing.ts";
import { assistant, call, requestOf, result, user } from "../fixtures.ts";
import { bodyOf, encoded, geminiTarget, vertexTarget } from "./support.ts";

const old = geminiTarget("gemini-2.5-flash");
const png = { format: "png", source: { bytes: "aGk=" } } as const;
const skipped = { thoughtSignature: "skip_thought_signature_validator" };

const contentsOf = (messages: Parameters<typeof requestOf>[0], target = old) =>
  bodyOf(requestOf(messages), target).contents;

describe("turns", () => {
  test("are contents of user and model", () => {
    expect(contentsOf([user({ text: "hi" }), assistant({ text: "hello" }), user({ text: "bye" })])).toEqual([
      { role: "user", parts: [{ text: "hi" }] },
      { role: "model", parts: [{ text: "hello" }] },
      { role: "user", parts: [{ text: "bye" }] },
    ]);
  });

  test("F15 neighbours of the same role are one content", () => {
    expect(contentsOf([user({ text: "a" }), user({ text: "b" })])).toEqual([
      { role: "user", parts: [{ text: "a" }, { text: "b" }] },
    ]);
  });

  test("a conversation that the assistant begins is given a user's turn before it", () => {
    expect(contentsOf([assistant({ text: "Welcome" }), user({ text: "hi" })])).toHaveProperty("[0].role", "user");
  });

  test("F1 blank text is left out", () => {
    expect(contentsOf([user({ text: " " }, { text: "hi" })])).toEqual([{ role: "user", parts: [{ text: "hi" }] }]);
  });

  test("F17 a prefill is sent as the model's turn; Gemini answers after it", () => {
    expect(contentsOf([user({ text: "a" }), assistant({ text: "Sure:" })])).toHaveProperty("[1]", {
      role: "model",
      parts: [{ text: "Sure:" }],
    });
  });
});

describe("system", () => {
  const request = requestOf([user({ text: "hi" })], { system: [{ text: "be kind" }, { text: "be brief" }] });

  test("keeps its blocks apart", () => {
    expect(bodyOf(request).systemInstruction).toEqual({ parts: [{ text: "be kind" }, { text: "be brief" }] });
  });

  test("stands in the first user turn for Gemma, which has no system instruction", () => {
    const body = bodyOf(request, geminiTarget("gemma-3-27b-it"));
    expect(body.systemInstruction).toBeUndefined();
    expect(body.contents).toEqual([{ role: "user", parts: [{ text: "be kind\n\nbe brief\n\n" }, { text: "hi" }] }]);
  });

  test("F16 in the middle is folded into the user's turn", () => {
    expect(
      contentsOf([
        user({ text: "a" }),
        assistant({ text: "b" }),
        { role: "system", content: [{ text: "rule" }] },
        user({ text: "c" }),
      ]),
    ).toHaveProperty("[2].parts", [{ text: "<system-message>\nrule\n</system-message>" }, { text: "c" }]);
  });
});

describe("calls and results", () => {
  const history = [
    user({ text: "a" }),
    assistant(call("x"), call("y", "time", { zone: "utc" })),
    user(result("y"), result("x")),
  ];

  test("F24 ids go to the Gemini API, on both sides", () => {
    const [, model, answer] = JSON.parse(JSON.stringify(contentsOf(history)));
    expect(model.parts).toEqual([
      { functionCall: { id: "x", name: "weather", args: {} } },
      { functionCall: { id: "y", name: "time", args: { zone: "utc" } } },
    ]);
    expect(answer.parts).toEqual([
      { functionResponse: { id: "x", name: "weather", response: { output: "result of x" } } },
      { functionResponse: { id: "y", name: "time", response: { output: "result of y" } } },
    ]);
  });

  test("F24 and never to Vertex, which refuses them", () => {
    expect(JSON.stringify(contentsOf(history, vertexTarget("gemini-2.5-flash")))).not.toContain('"id"');
  });

  test("F27 F6 results of parallel calls are one content, first in it, in the order of the calls", () => {
    const contents = contentsOf([
      user({ text: "a" }),
      assistant({ text: "let me see" }, call("x"), call("y", "time")),
      user({ text: "by the way" }, result("y")),
      user(result("x"), { text: "thanks" }),
    ]);
    expect(contents).toHaveLength(3);
    expect(contents).toHaveProperty("[2].parts", [
      { functionResponse: { id: "x", name: "weather", response: { output: "result of x" } } },
      { functionResponse: { id: "y", name: "time", response: { output: "result of y" } } },
      { text: "by the way" },
      { text: "thanks" },
    ]);
  });

  test("assumes that text may stand behind the results in one content", () => {
    const contents = contentsOf([user({ text: "a" }), assistant(call("x")), user(result("x"), { text: "and now?" })]);
    expect(contents).toHaveProperty("[2].parts.length", 2);
  });

  test("F4 F25 a call without a result is given one", () => {
    expect(contentsOf([user({ text: "a" }), assistant(call("x")), user({ text: "b" })])).toHaveProperty(
      "[2].parts[0]",
      {
        functionResponse: { id: "x", name: "weather", response: { error: missingResult } },
      },
    );
  });

  test("F5 a result without a call is text", () => {
    expect(contentsOf([user(result("gone"))])).toEqual([
      { role: "user", parts: [{ text: "Result of a tool call:" }, { text: "result of gone" }] },
    ]);
  });

  test("F9 a history of calls goes without any tools", () => {
    expect(bodyOf(requestOf(history), old).tools).toBeUndefined();
  });

  test("F14 an input that is no object is wrapped", () => {
    const use: ContentBlock = { toolUse: { toolUseId: "x", name: "f", input: [1] } };
    expect(contentsOf([user({ text: "a" }), assistant(use), user(result("x"))])).toHaveProperty(
      "[1].parts[0].functionCall.args",
      {
        rawInvalidInput: [1],
      },
    );
  });

  test("F12 F13 names that Gemini does not take are replaced, in the history too, and told to the way back", () => {
    const names = ["9lives", "mcp.server/tool:x", "ü", "x".repeat(64)];
    for (const name of names) {
      const { json, memo } = encoded(
        requestOf([user({ text: "a" }), assistant(call("x", name)), user(result("x"))], {
          toolConfig: { tools: [{ toolSpec: { name, inputSchema: { json: { type: "object" } } } }] },
        }),
      );
      const [sent] = JSON.parse(JSON.stringify(json.tools))[0].functionDeclarations;
      expect(json).toHaveProperty("contents[1].parts[0].functionCall.name", sent.name);
      expect(json).toHaveProperty("contents[2].parts[0].functionResponse.name", sent.name);
      expect(memo.toolNames.get(sent.name) ?? sent.name).toBe(name);
    }
  });
});

describe("the content of a result", () => {
  const responseOf = (content: readonly ToolResultContent[], status?: "error", target = old) => {
    const contents = contentsOf(
      [
        user({ text: "a" }),
        assistant(call("x")),
        user({ toolResult: { toolUseId: "x", content, ...(status && { status }) } }),
      ],
      target,
    );
    const parts: JsonObject[] = JSON.parse(JSON.stringify(contents))[2].parts;
    return parts;
  };
  const output = (content: readonly ToolResultContent[], status?: "error") => {
    const [part] = responseOf(content, status);
    return JSON.parse(JSON.stringify(part)).functionResponse.response;
  };

  test("JSON is the output itself", () => {
    expect(output([{ json: { b: 1, a: [2] } }])).toEqual({ output: { b: 1, a: [2] } });
  });

  test("texts are joined, texts and JSON listed", () => {
    expect(output([{ text: "a" }, { text: "b" }])).toEqual({ output: "a\nb" });
    expect(output([{ text: "a" }, { json: 1 }])).toEqual({ output: ["a", 1] });
  });

  test("nothing is an empty output", () => {
    expect(output([])).toEqual({ output: "" });
    expect(output([{ text: " " }])).toEqual({ output: "" });
  });

  test("an error is an error", () => {
    expect(output([{ text: "no such city" }], "error")).toEqual({ error: "no such city" });
    expect(output([{ json: { code: 7 } }], "error")).toEqual({ error: { code: 7 } });
  });

  test("F20 F76 an image or a PDF stands inside the response from Gemini 3 on", () => {
    const pdf = { format: "pdf", name: "x", source: { bytes: "JVBERg==" } } as const;
    const [part, ...rest] = responseOf([{ text: "see" }, { image: png }, { document: pdf }], undefined, geminiTarget());
    expect(part).toEqual({
      functionResponse: {
        id: "x",
        name: "weather",
        response: { output: "see" },
        parts: [
          { inlineData: { mimeType: "image/png", data: "aGk=" } },
          { inlineData: { mimeType: "application/pdf", data: "JVBERg==" } },
        ],
      },
    });
    expect(rest).toEqual([]);
  });

  test("F76 for older models it follows the responses, named in them", () => {
    expect(responseOf([{ image: png }, { text: "done" }])).toEqual([
      {
        functionResponse: {
          id: "x",
          name: "weather",
          response: { output: "[The image 1 of the result of weather follows.]\ndone" },
        },
      },
      { text: "The image 1 of the result of weather:" },
      { inlineData: { mimeType: "image/png", data: "aGk=" } },
    ]);
  });

  test("a video follows for every model", () => {
    const video = { format: "mp4", source: { bytes: "aGk=" } } as const;
    expect(responseOf([{ video }], undefined, geminiTarget()).slice(1)).toEqual([
      { text: "The video 1 of the result of weather:" },
      { inlineData: { mimeType: "video/mp4", data: "aGk=" } },
    ]);
  });
});

describe("media", () => {
  const partsOf = (...content: ContentBlock[]) => {
    const parts: JsonObject[] = JSON.parse(JSON.stringify(contentsOf([user(...content)])))[0].parts;
    return parts;
  };

  test("images go as they came", () => {
    expect(partsOf({ image: png })).toEqual([{ inlineData: { mimeType: "image/png", data: "aGk=" } }]);
  });

  test("F77 images in the assistant's turn stay there", () => {
    expect(contentsOf([user({ text: "draw" }), assistant({ image: png })])).toHaveProperty("[1].parts", [
      { inlineData: { mimeType: "image/png", data: "aGk=" } },
    ]);
  });

  test("assumes that Gemini reads no GIF", () => {
    expect(() => partsOf({ image: { ...png, format: "gif" } })).toThrow(/^messages\[0\]\.content\[0\]\.image: .*gif/);
  });

  test("a PDF is data, its context text before it", () => {
    expect(
      partsOf({ document: { format: "pdf", name: "a", source: { bytes: "JVBERg==" }, context: "the contract" } }),
    ).toEqual([{ text: "the contract" }, { inlineData: { mimeType: "application/pdf", data: "JVBERg==" } }]);
  });

  test("assumes that documents of text are taken as plain text, whatever their format", () => {
    for (const format of ["txt", "md", "csv", "html"] as const) {
      expect(partsOf({ document: { format, name: "a", source: { bytes: "aGk=" } } })).toEqual([
        { inlineData: { mimeType: "text/plain", data: "aGk=" } },
      ]);
    }
    const [part] = partsOf({ document: { name: "a", source: { content: [{ text: "ü" }, { text: "b" }] } } });
    const data = JSON.parse(JSON.stringify(part)).inlineData.data;
    expect(Buffer.from(data, "base64").toString()).toBe("ü\n\nb");
  });

  test("office documents are refused by their path", () => {
    expect(() => partsOf({ document: { format: "docx", name: "a", source: { bytes: "aGk=" } } })).toThrow(
      /^messages\[0\]\.content\[0\]\.document\.format: /,
    );
  });

  test.each([
    ["three_gp", "video/3gpp"],
    ["mov", "video/quicktime"],
    ["wmv", "video/wmv"],
    ["flv", "video/x-flv"],
  ] as const)("video %s is %s", (format, mimeType) => {
    expect(partsOf({ video: { format, source: { bytes: "aGk=" } } })).toEqual([
      { inlineData: { mimeType, data: "aGk=" } },
    ]);
  });

  test.each([
    ["mp3", "audio/mp3"],
    ["wav", "audio/wav"],
    ["x-aac", "audio/x-aac"],
    ["m4a", "audio/m4a"],
  ] as const)("assumes Google's name of audio %s is %s", (format, mimeType) => {
    expect(partsOf({ audio: { format, source: { bytes: "aGk=" } } })).toEqual([
      { inlineData: { mimeType, data: "aGk=" } },
    ]);
  });

  test("Matroska is refused, as video and as sound", () => {
    expect(() => partsOf({ video: { format: "mkv", source: { bytes: "aGk=" } } })).toThrow(/\.video: /);
    expect(() => partsOf({ audio: { format: "mka", source: { bytes: "aGk=" } } })).toThrow(/\.audio: /);
  });

  test("what lies in S3 is refused", () => {
    expect(() => partsOf({ image: { format: "png", source: { s3Location: { uri: "s3://a/b" } } } })).toThrow(
      /s3Location/,
    );
  });
});

test("F34 the first call of each step carries the sentinel when its signature is lost, its siblings nothing", () => {
  const contents = contentsOf(
    [
      user({ text: "a" }),
      assistant(call("x"), call("y")),
      user(result("x"), result("y")),
      assistant({ text: "and" }, call("z")),
      user(result("z")),
    ],
    geminiTarget("gemini-3.1-pro-preview"),
  );
  expect(contents).toHaveProperty("[1].parts", [
    { functionCall: { id: "x", name: "weather", args: {} }, ...skipped },
    { functionCall: { id: "y", name: "weather", args: {} } },
  ]);
  expect(contents).toHaveProperty("[3].parts[1]", { functionCall: { id: "z", name: "weather", args: {} }, ...skipped });
});

test("F34 older models are sent no sentinel", () => {
  expect(JSON.stringify(contentsOf([user({ text: "a" }), assistant(call("x")), user(result("x"))]))).not.toContain(
    "skip_",
  );
});
