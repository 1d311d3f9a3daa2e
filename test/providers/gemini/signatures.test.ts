/** Answers of Gemini played back: signatures come to the part they were made for, and to no other target. */
import { describe, expect, test } from "vitest";
import type { ContentBlock } from "../../../src/bedrock/converse.ts";
import type { JsonObject } from "../../../src/bedrock/json.ts";
import type { Target } from "../../../src/providers/dialect.ts";
import { readSignature } from "../../../src/providers/provenance.ts";
import { assistant, requestOf, result, user } from "../fixtures.ts";
import { answerOf, asContent, collected, decoded, encoded, geminiMemo, geminiTarget, vertexTarget } from "./support.ts";

const target = geminiTarget("gemini-3-pro-preview");
const memo = geminiMemo({ target, tools: true });

/** The content as the client stores it, from a complete answer and from a stream. */
function answers(parts: readonly JsonObject[], from = memo): readonly (readonly ContentBlock[])[] {
  return [
    decoded(answerOf(parts), from).output.message.content,
    asContent(collected([answerOf(parts, { finishReason: "" }), answerOf([])], from)),
  ];
}

function replay(content: readonly ContentBlock[], to: Target = target) {
  const results = content.flatMap((block) => ("toolUse" in block ? [result(block.toolUse.toolUseId)] : []));
  const { json, ignored } = encoded(
    requestOf([user({ text: "a" }), assistant(...content), user(...results, { text: "go on" })]),
    to,
  );
  const parts: JsonObject[] = JSON.parse(JSON.stringify(json.contents))[1].parts;
  return { parts, ignored };
}

const call = (id: string) => ({ functionCall: { id, name: "weather", args: { city: "Bern" } } });

describe("round trip", () => {
  test.each<[string, JsonObject[]]>([
    ["F34 a call", [{ ...call("a"), thoughtSignature: "c2ln" }]],
    ["F34 parallel calls, of which only the first is signed", [{ ...call("a"), thoughtSignature: "c2ln" }, call("b")]],
    ["text before a call", [{ text: "let me see" }, { ...call("a"), thoughtSignature: "c2ln" }]],
    [
      "text and call, each signed",
      [
        { text: "so", thoughtSignature: "dGV4dA==" },
        { ...call("a"), thoughtSignature: "c2ln" },
      ],
    ],
    ["a signed thought", [{ text: "hm", thought: true, thoughtSignature: "dGg=" }, { text: "so" }]],
    ["F34 signed text", [{ text: "so", thoughtSignature: "dGV4dA==" }]],
    ["an image", [{ text: "here" }, { inlineData: { mimeType: "image/png", data: "aGk=" }, thoughtSignature: "aW1n" }]],
  ])("%s", (_case, parts) => {
    for (const content of answers(parts)) expect(replay(content).parts).toEqual(parts);
  });

  test("F34 a signature on empty text belongs to the text before it", () => {
    for (const content of answers([{ text: "4" }, { text: "", thoughtSignature: "c2ln" }])) {
      expect(replay(content).parts).toEqual([{ text: "4", thoughtSignature: "c2ln" }]);
    }
  });

  test("a thought without a signature of its own need not be sent back, and the call beside it keeps its own", () => {
    for (const content of answers([
      { text: "hm", thought: true },
      { ...call("a"), thoughtSignature: "c2ln" },
    ])) {
      const { parts, ignored } = replay(content);
      expect(parts).toEqual([{ ...call("a"), thoughtSignature: "c2ln" }]);
      expect(ignored).toEqual(["messages[1].content[0].reasoningContent"]);
    }
  });
});

describe("what the client sees", () => {
  test("a call's signature is a reasoning block without text right before the call", () => {
    for (const content of answers([{ ...call("a"), thoughtSignature: "c2ln" }])) {
      const [reasoning, use] = content;
      if (reasoning === undefined || !("reasoningContent" in reasoning)) throw new Error("no reasoning");
      if (!("reasoningText" in reasoning.reasoningContent)) throw new Error("redacted");
      const { text, signature = "" } = reasoning.reasoningContent.reasoningText;
      expect(text).toBe("");
      expect(readSignature(signature)).toMatchObject({ origin: { family: "gemini" }, blob: "next:c2ln" });
      expect(use).toHaveProperty("toolUse.toolUseId", "a");
    }
  });

  test("the signature of a plain answer is left out where there are no tools: it would be of no use", () => {
    const plain = geminiMemo({ target });
    for (const content of answers([{ text: "4", thoughtSignature: "c2ln" }], plain))
      expect(content).toEqual([{ text: "4" }]);
  });

  test("a model that draws wants the signatures of its text back", () => {
    const drawing = geminiMemo({ target: geminiTarget("gemini-3-pro-image-preview") });
    for (const content of answers([{ text: "4", thoughtSignature: "c2ln" }], drawing)) expect(content).toHaveLength(2);
  });
});

describe("elsewhere", () => {
  const parts = [{ ...call("a"), thoughtSignature: "c2ln" }];
  const sentinel = [{ ...call("a"), thoughtSignature: "skip_thought_signature_validator" }];

  test("F35 Vertex is not sent a signature of the Gemini API, nor the reverse", () => {
    const vertex = vertexTarget("gemini-3-pro-preview");
    for (const content of answers(parts)) {
      const { parts: sent, ignored } = replay(content, vertex);
      expect(sent).toEqual([
        {
          functionCall: { name: "weather", args: { city: "Bern" } },
          thoughtSignature: "skip_thought_signature_validator",
        },
      ]);
      expect(ignored).toEqual(["messages[1].content[0].reasoningContent"]);
    }
    for (const content of answers(parts, geminiMemo({ target: vertex, tools: true }))) {
      expect(replay(content).parts).toEqual(sentinel);
    }
  });

  test("F28 another model's signature is not sent", () => {
    for (const content of answers(parts)) {
      expect(replay(content, geminiTarget("gemini-3-flash-preview")).parts).toEqual(sentinel);
    }
  });

  test("F28 F29 F33 signatures and redacted blocks of others are left out, and said so", () => {
    const { parts: sent, ignored } = replay([
      { reasoningContent: { reasoningText: { text: "Claude thinks", signature: "EqQBCgIYAhIM" } } },
      { reasoningContent: { redactedContent: "aGk=" } },
      { reasoningContent: { reasoningText: { text: "unsigned" } } },
      { text: "so" },
    ]);
    expect(sent).toEqual([{ text: "so" }]);
    expect(ignored).toHaveLength(3);
  });

  test("a signature whose call the client dropped goes in empty text, as Gemini itself sends such", () => {
    for (const content of answers(parts)) {
      const [reasoning] = content;
      if (reasoning === undefined) throw new Error("no reasoning");
      expect(replay([reasoning]).parts).toEqual([{ text: "", thoughtSignature: "c2ln" }]);
    }
  });
});
