import { describe, expect, test } from "vitest";
import { mayHoldForeignReasoning, stripForeignReasoning } from "../../src/gateway/foreign-reasoning.ts";

const withoutForeignReasoning = (bytes: Buffer): Buffer =>
  mayHoldForeignReasoning(bytes) ? stripForeignReasoning(bytes) : bytes;

const foreign = "gw1.gemini.abcdefgh.c2lnbmF0dXJl";
const text = { text: "hi" };
const signed = (signature: string) => ({ reasoningContent: { reasoningText: { text: "hm", signature } } });
const redacted = (data: string) => ({ reasoningContent: { redactedContent: Buffer.from(data).toString("base64") } });
const body = (...content: object[]) =>
  Buffer.from(
    JSON.stringify({
      messages: [
        { role: "assistant", content },
        { role: "user", content: [text] },
      ],
      x: 1,
    }),
  );
const contents = (bytes: Buffer): unknown =>
  JSON.parse(bytes.toString()).messages.map((one: { content: unknown }) => one.content);

describe("a conversation on its way to Bedrock", () => {
  test("without reasoning of other providers is the same bytes", () => {
    for (const bytes of [
      body(text),
      body(signed("bedrock's own"), text),
      body(redacted("opaque"), text),
      Buffer.from("{"),
    ])
      expect(withoutForeignReasoning(bytes)).toBe(bytes);
  });

  test("loses reasoning that others signed or redacted, and nothing else", () => {
    const bytes = withoutForeignReasoning(body(signed(foreign), signed("own"), redacted(foreign), text));
    expect(contents(bytes)).toEqual([[signed("own"), text], [text]]);
    expect(JSON.parse(bytes.toString()).x).toBe(1);
  });

  test("loses a message that was such reasoning alone", () => {
    expect(contents(withoutForeignReasoning(body(signed(foreign))))).toEqual([[text]]);
  });

  test("of Anthropic's own shape is treated the same", () => {
    const own = { type: "thinking", thinking: "a", signature: "own" };
    const bytes = body({ ...own, signature: foreign }, { type: "redacted_thinking", data: foreign }, own);
    expect(contents(withoutForeignReasoning(bytes))).toEqual([[own], [text]]);
  });

  test("that only speaks of such a signature is untouched in meaning", () => {
    const bytes = body({ text: `what is ${foreign}?` });
    expect(JSON.parse(withoutForeignReasoning(bytes).toString())).toEqual(JSON.parse(bytes.toString()));
  });
});
