import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { StopReason } from "../../src/bedrock/converse.ts";
import type { JsonValue } from "../../src/bedrock/json.ts";
import { AnswerWriter } from "../../src/providers/answer.ts";
import { readInput } from "../../src/providers/call-input.ts";
import type { Answer, Memo } from "../../src/providers/dialect.ts";
import { readSignature } from "../../src/providers/provenance.ts";
import { memoOf } from "./fixtures.ts";

function write(use: (writer: AnswerWriter) => void, reason: StopReason, memo: Partial<Memo> = {}): Answer {
  const writer = new AnswerWriter(memoOf(memo), "test");
  use(writer);
  return writer.finish(reason, { stop_sequence: null, usage: { x: 1 } });
}

function content(answer: Answer) {
  return answer.response.output.message.content;
}

describe("a call's input", () => {
  test.each<[JsonValue | undefined]>([[undefined], [null], [""], [" "], ["null"], ['"null"'], ['""'], ["{}"], [{}]])(
    "F66 %j is no input",
    (given) => {
      expect(readInput(given)).toEqual({ input: {} });
    },
  );

  test("F14 JSON that is no object is wrapped", () => {
    expect(readInput("[1]")).toEqual({ input: { rawInvalidInput: [1] } });
    expect(readInput("3")).toEqual({ input: { rawInvalidInput: 3 } });
    expect(readInput('"word"')).toEqual({ input: { rawInvalidInput: "word" } });
  });

  test("an object in a string, or in a fence, is found", () => {
    expect(readInput(JSON.stringify('{"a":1}'))).toEqual({ input: { a: 1 } });
    expect(readInput('```json\n{"a":1}\n```')).toEqual({ input: { a: 1 } });
  });

  test("what is not JSON is given back, never taken for no input", () => {
    expect(readInput('{"a": tru')).toEqual({ malformed: '{"a": tru' });
  });

  test("any object comes back as it was, as text or as value", () => {
    fc.assert(
      fc.property(
        fc.dictionary(
          fc.string().filter((name) => name !== "__proto__"),
          fc.jsonValue(),
        ),
        (value) => {
          const json = JSON.stringify(value);
          expect(JSON.stringify(readInput(json))).toBe(JSON.stringify({ input: JSON.parse(json) }));
        },
      ),
    );
  });
});

describe("content", () => {
  test("parts stand in their order, blanks are left out, signatures wrapped", () => {
    const answer = write((writer) => {
      writer.reasoning("t", "sig");
      writer.reasoning("");
      writer.text("a", []);
      writer.text(" \n");
      writer.text("b", [{ title: "B" }]);
      writer.image("png", "aGk=");
      writer.call("id", "f", '{"x":1}');
    }, "tool_use");
    const [reasoning, ...rest] = content(answer);
    if (reasoning === undefined || !("reasoningContent" in reasoning)) throw new Error("no reasoning");
    if (!("reasoningText" in reasoning.reasoningContent)) throw new Error("no text");
    expect(readSignature(reasoning.reasoningContent.reasoningText.signature ?? "").blob).toBe("sig");
    expect(rest).toEqual([
      { text: "a" },
      { citationsContent: { content: [{ text: "b" }], citations: [{ title: "B" }] } },
      { image: { format: "png", source: { bytes: "aGk=" } } },
      { toolUse: { toolUseId: "id", name: "f", input: { x: 1 } } },
    ]);
    expect(answer.response.stopReason).toBe("tool_use");
  });

  test("A12 an answer without content has an empty list", () => {
    expect(content(write((writer) => writer.text(""), "end_turn"))).toEqual([]);
  });

  test("input that is not JSON becomes text, and the stop reason says so", () => {
    const answer = write((writer) => writer.call("id", "f", '{"x'), "tool_use");
    expect(content(answer)).toEqual([{ text: 'f {"x' }]);
    expect(answer.response.stopReason).toBe("malformed_tool_use");
  });

  test("F81 cut off within a call, the call is left out", () => {
    const answer = write((writer) => {
      writer.text("a");
      writer.call("id", "f", '{"x');
    }, "max_tokens");
    expect(content(answer)).toEqual([{ text: "a" }]);
    expect(answer.response.stopReason).toBe("max_tokens");
  });

  test("F53 the hidden answer tool's input is the answer's text", () => {
    const answer = write((writer) => writer.call("id", "json", { a: 1 }), "tool_use", { answerTool: "json" });
    expect(content(answer)).toEqual([{ text: '{"a":1}' }]);
    expect(answer.response.stopReason).toBe("end_turn");
  });

  test("F48 stop sequences of ours cut the text and what follows", () => {
    const answer = write(
      (writer) => {
        writer.text("one END two");
        writer.text("three");
        writer.call("id", "f", {});
      },
      "end_turn",
      { stops: ["###", "END"] },
    );
    expect(content(answer)).toEqual([{ text: "one " }]);
    expect(answer.response.stopReason).toBe("stop_sequence");
  });
});

test("F7 F8 the stop reason fits the content", () => {
  expect(write((writer) => writer.call("a", "f", {}), "end_turn").response.stopReason).toBe("tool_use");
  expect(write((writer) => writer.text("a"), "tool_use").response.stopReason).toBe("end_turn");
});

test("usage is summed; what the provider did not say is estimated", () => {
  const reported = write((writer) => writer.usage({ inputTokens: 5, outputTokens: 6, cacheReadTokens: 7 }), "end_turn");
  expect(reported).toMatchObject({
    estimated: false,
    response: { usage: { totalTokens: 18, cacheReadInputTokens: 7 } },
  });
  const silent = write((writer) => writer.text("12345"), "end_turn", { inputTokens: 3 });
  expect(silent).toMatchObject({
    estimated: true,
    response: { usage: { inputTokens: 3, outputTokens: 2, totalTokens: 5 } },
  });
});

test("the fields the client asked for, each at its own path", () => {
  const { response } = write((writer) => writer.text("a"), "end_turn", {
    responsePaths: ["/stop_sequence", "/usage/x", "/nothing/here"],
  });
  expect(response.additionalModelResponseFields).toEqual({ stop_sequence: null, usage: { x: 1 } });
});
