import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { ConverseEvent } from "../../src/bedrock/converse.ts";
import type { Memo } from "../../src/providers/dialect.ts";
import { readRedacted, readSignature } from "../../src/providers/provenance.ts";
import { StreamWriter } from "../../src/providers/stream-writer.ts";
import { type Collected, collect } from "./collect.ts";
import { memoOf } from "./fixtures.ts";

function write(use: (writer: StreamWriter) => void, memo: Partial<Memo> = {}): Collected {
  const writer = new StreamWriter(memoOf(memo), "test");
  use(writer);
  const step = writer.end();
  expect(step.failure).toBeUndefined();
  expect(step.done).toBe(true);
  return collect(step.events);
}

function toolBlock(toolUseId: string, name: string, input: string) {
  return { start: { toolUse: { toolUseId, name } }, input };
}

describe("text and reasoning", () => {
  test("deltas of a kind share a block, and another kind begins a new one", () => {
    const { blocks, stopReason } = write((writer) => {
      writer.reasoning("think");
      writer.reasoning("ing");
      writer.text("Hel");
      writer.text("lo");
      writer.reasoning("again");
      writer.finish("end_turn");
    });
    expect(blocks).toEqual([{ reasoning: "thinking" }, { text: "Hello" }, { reasoning: "again" }]);
    expect(stopReason).toBe("end_turn");
  });

  test("each piece is given at once", () => {
    const writer = new StreamWriter(memoOf(), "test");
    writer.text("a");
    expect(writer.step().events).toHaveLength(2);
    writer.text("b");
    expect(writer.step().events).toEqual([{ contentBlockDelta: { contentBlockIndex: 0, delta: { text: "b" } } }]);
  });

  test("F3 a text that stays blank is no block, and takes no index", () => {
    const { blocks } = write((writer) => {
      writer.text("");
      writer.text(" \n");
      writer.toolStart(0, "a", "f");
      writer.text("\n");
      writer.finish("tool_use");
    });
    expect(blocks).toEqual([toolBlock("a", "f", "{}")]);
  });

  test("a blank beginning comes with the text that follows", () => {
    const { blocks } = write((writer) => {
      writer.text("\n\n");
      writer.text("Hello ");
      writer.text(" ");
      writer.finish("end_turn");
    });
    expect(blocks).toEqual([{ text: "\n\nHello  " }]);
  });

  test("F30 a signature comes last in its block, wrapped, and in one piece", () => {
    const { blocks } = write((writer) => {
      writer.reasoning("thinking");
      writer.signature("sig");
      writer.signature("nature");
      writer.blockEnd();
      writer.reasoning("more");
      writer.finish("end_turn");
    });
    expect(blocks.map(({ reasoning }) => reasoning)).toEqual(["thinking", "more"]);
    expect(readSignature(blocks[0]?.signature ?? "")).toMatchObject({ origin: { family: "test" }, blob: "signature" });
    expect(blocks[1]?.signature).toBeUndefined();
  });

  test("F34 a signature without text is a block of its own", () => {
    const { blocks } = write((writer) => {
      writer.signature("s");
      writer.toolStart(0, "a", "f");
      writer.finish("tool_use");
    });
    expect(blocks).toHaveLength(2);
    expect(readSignature(blocks[0]?.signature ?? "").blob).toBe("s");
  });

  test("F33 a redacted block goes out as a blob that tells where it is from", () => {
    const { blocks } = write((writer) => {
      writer.redacted("EmwKAhgB+secret/=");
      writer.finish("end_turn");
    });
    expect(readRedacted(blocks[0]?.redacted ?? "")).toMatchObject({ blob: "EmwKAhgB+secret/=" });
  });

  test("images and citations", () => {
    const { blocks } = write((writer) => {
      writer.text("see");
      writer.citation({ title: "A" });
      writer.image("png", "aGk=");
      writer.finish("end_turn");
    });
    expect(blocks).toEqual([
      { text: "see", citations: 1 },
      { start: { image: { format: "png" } }, image: "aGk=" },
    ]);
  });
});

describe("calls", () => {
  test("F60 F61 F62 parallel calls come one after the other, however their fragments are mixed", () => {
    const parts: readonly (readonly [key: number, fragment: string])[] = [
      [1, '{"a":'],
      [2, '{"b"'],
      [1, "1"],
      [3, "{}"],
      [2, ":2}"],
      [1, "}"],
    ];
    const { blocks, stopReason } = write((writer) => {
      for (const key of [1, 2, 3]) writer.toolStart(key, `id${key}`, "f");
      for (const [key, fragment] of parts) writer.toolArgs(key, fragment);
      writer.finish("tool_use");
    });
    expect(blocks).toEqual([
      toolBlock("id1", "f", '{"a":1}'),
      toolBlock("id2", "f", '{"b":2}'),
      toolBlock("id3", "f", "{}"),
    ]);
    expect(stopReason).toBe("tool_use");
  });

  test("a call that is said to be complete lets the next one stream", () => {
    const writer = new StreamWriter(memoOf(), "test");
    writer.toolStart(0, "a", "f");
    writer.toolArgs(0, "{}");
    writer.toolEnd(0);
    writer.toolStart(1, "b", "f");
    writer.step();
    writer.toolArgs(1, '{"x"');
    expect(writer.step().events).toEqual([
      { contentBlockDelta: { contentBlockIndex: 1, delta: { toolUse: { input: '{"x"' } } } },
    ]);
  });

  test("F65 input that parses does not end a call", () => {
    const { blocks } = write((writer) => {
      writer.toolStart(0, "a", "f");
      writer.toolArgs(0, "1");
      writer.text("Between");
      writer.toolArgs(0, "2");
      writer.finish("tool_use");
    });
    expect(blocks).toEqual([toolBlock("a", "f", "12"), { text: "Between" }]);
  });

  test.each([[[]], [[""]], [["null"]], [["nu", "ll"]], [['"null"']], [['""']], [[" "]], [["{}"]]])(
    "F66 a call without arguments has the input {}: %j",
    (fragments: readonly string[]) => {
      const { blocks } = write((writer) => {
        writer.toolStart(0, "a", "f");
        for (const fragment of fragments) writer.toolArgs(0, fragment);
        writer.finish("tool_use");
      });
      expect(blocks).toEqual([toolBlock("a", "f", "{}")]);
    },
  );

  test("input that only begins like none is kept", () => {
    const { blocks } = write((writer) => {
      writer.toolStart(0, "a", "f");
      for (const fragment of ["n", "u", "clear"]) writer.toolArgs(0, fragment);
      writer.finish("max_tokens");
    });
    expect(blocks).toEqual([toolBlock("a", "f", "nuclear")]);
  });

  test("F63 a repeated start of the same call is nothing", () => {
    const { blocks } = write((writer) => {
      for (const name of ["terminal", "terminal", ""]) writer.toolStart(0, "a", name);
      writer.finish("tool_use");
    });
    expect(blocks).toEqual([toolBlock("a", "terminal", "{}")]);
  });

  test("F23 ids that are missing, empty, illegal or repeated are made, the same each time", () => {
    const ids = () =>
      write((writer) => {
        for (const [key, id] of [undefined, "", "a b", 7, "same", "same"].entries()) writer.toolStart(key, id, "f");
        writer.finish("tool_use");
      }).blocks.map((block) =>
        block.start !== undefined && "toolUse" in block.start ? block.start.toolUse.toolUseId : "",
      );
    expect(new Set(ids()).size).toBe(6);
    expect(ids()).toEqual(ids());
    expect(ids()[4]).toBe("same");
    for (const id of ids()) expect(id).toMatch(/^[\w.:-]{1,64}$/);
  });

  test("F12 a shortened name comes back as the client's", () => {
    const { blocks } = write(
      (writer) => {
        writer.toolStart(0, "a", "short_1");
        writer.finish("tool_use");
      },
      { toolNames: new Map([["short_1", "mcp.server/tool"]]) },
    );
    expect(blocks).toEqual([toolBlock("a", "mcp.server/tool", "{}")]);
  });

  test("F53 the hidden answer tool's input is the answer's text", () => {
    const { blocks, stopReason } = write(
      (writer) => {
        writer.toolStart(0, "a", "json");
        writer.toolArgs(0, '{"x":');
        writer.toolArgs(0, "1}");
        writer.toolEnd(0);
        writer.finish("tool_use");
      },
      { answerTool: "json" },
    );
    expect(blocks).toEqual([{ text: '{"x":1}' }]);
    expect(stopReason).toBe("end_turn");
  });
});

describe("the end", () => {
  const withCall = (writer: StreamWriter) => {
    writer.toolStart(0, "a", "f");
    writer.toolArgs(0, "{}");
  };
  const withText = (writer: StreamWriter) => writer.text("x");

  test.each([
    ["F7", withCall, "end_turn", "tool_use"],
    ["F8", withText, "tool_use", "end_turn"],
    ["", withCall, "tool_use", "tool_use"],
    ["F81", withCall, "max_tokens", "max_tokens"],
    ["", withCall, "content_filtered", "content_filtered"],
    ["", withText, "stop_sequence", "stop_sequence"],
  ] as const)("%s the stop reason fits what was sent", (_trap, use, said, shown) => {
    const { stopReason } = write((writer) => {
      use(writer);
      writer.finish(said);
    });
    expect(stopReason).toBe(shown);
  });

  test("a call whose input is not JSON is malformed", () => {
    const { stopReason } = write((writer) => {
      writer.toolStart(0, "a", "f");
      writer.toolArgs(0, '{"x": tru');
      writer.finish("tool_use");
    });
    expect(stopReason).toBe("malformed_tool_use");
  });

  test("F70 without a finish reason it is a failure, and neither messageStop nor metadata is given", () => {
    const writer = new StreamWriter(memoOf(), "test");
    writer.text("half");
    const { events, failure, done } = writer.end();
    expect(failure?.error.type).toBe("ModelStreamErrorException");
    expect(done).toBe(false);
    expect(events.some((event) => "messageStop" in event || "metadata" in event)).toBe(false);
    expect(writer.end()).toEqual({ events: [], done: false });
  });

  test("an answer without content has no blocks", () => {
    expect(write((writer) => writer.finish("content_filtered"))).toMatchObject({
      blocks: [],
      stopReason: "content_filtered",
    });
  });

  test("F67 usage may come in parts, before and after the finish; totals are summed and never negative", () => {
    const { usage } = write((writer) => {
      writer.usage({ inputTokens: 10, outputTokens: 1, cacheReadTokens: 4 });
      writer.finish("end_turn");
      writer.usage({ outputTokens: 5, cacheWriteTokens: -3 });
    });
    expect(usage).toEqual({
      inputTokens: 10,
      outputTokens: 5,
      totalTokens: 19,
      cacheReadInputTokens: 4,
      cacheWriteInputTokens: 0,
    });
  });

  test("usage nobody reports is estimated", () => {
    const writer = new StreamWriter(memoOf({ inputTokens: 9 }), "test");
    writer.text("12345678");
    expect(writer.measure()).toEqual({ usage: { inputTokens: 9, outputTokens: 2, totalTokens: 11 }, estimated: true });
    writer.usage({ inputTokens: 3, outputTokens: 4 });
    expect(writer.measure().estimated).toBe(false);
  });

  test("the fields the client asked for stand in messageStop", () => {
    const { additional } = write((writer) => writer.finish("stop_sequence", { stop_sequence: "END", other: 1 }), {
      responsePaths: ["/stop_sequence", "/missing"],
    });
    expect(additional).toEqual({ stop_sequence: "END" });
  });
});

describe("stop sequences the provider was not told of", () => {
  test("F48 the text is cut, the answer ends by itself, and the rest is not the client's", () => {
    const writer = new StreamWriter(memoOf({ stops: ["END", "###"] }), "test");
    writer.text("one E");
    const first = writer.step();
    writer.text("ND two");
    writer.text("three");
    writer.toolStart(0, "a", "f");
    const second = writer.step();
    expect(second.done).toBe(true);
    expect(collect([...first.events, ...second.events])).toMatchObject({
      blocks: [{ text: "one " }],
      stopReason: "stop_sequence",
    });
  });

  test("what only begins like one is shown in the end", () => {
    const { blocks } = write(
      (writer) => {
        writer.text("wait: EN");
        writer.finish("end_turn");
      },
      { stops: ["END"] },
    );
    expect(blocks).toEqual([{ text: "wait: EN" }]);
  });
});

type Act = (writer: StreamWriter) => void;

const acts = fc.array(
  fc.oneof(
    fc.string({ maxLength: 4 }).map(
      (text): Act =>
        (writer) =>
          writer.text(text),
    ),
    fc.string({ maxLength: 4 }).map(
      (text): Act =>
        (writer) =>
          writer.reasoning(text),
    ),
    fc.string({ maxLength: 4 }).map(
      (text): Act =>
        (writer) =>
          writer.signature(text),
    ),
    fc.string({ maxLength: 4 }).map(
      (text): Act =>
        (writer) =>
          writer.redacted(text),
    ),
    fc.nat(3).map(
      (key): Act =>
        (writer) =>
          writer.toolStart(key, `id-${key}`, "f"),
    ),
    fc.tuple(fc.nat(3), fc.string({ maxLength: 4 })).map(
      ([key, text]): Act =>
        (writer) =>
          writer.toolArgs(key, text),
    ),
    fc.nat(3).map(
      (key): Act =>
        (writer) =>
          writer.toolEnd(key),
    ),
    fc.constant<Act>((writer) => writer.blockEnd()),
    fc.constant<Act>((writer) => writer.citation({ title: "t" })),
    fc.constant<Act>((writer) => writer.image("png", "aGk=")),
    fc.constant<Act>((writer) => writer.usage({ outputTokens: 1 })),
  ),
  { maxLength: 40 },
);

test("whatever is called in whatever order, indexes are dense, blocks do not overlap and each is closed once", () => {
  fc.assert(
    fc.property(acts, fc.boolean(), (sequence, withStops) => {
      const writer = new StreamWriter(memoOf({ stops: withStops ? ["ab", "x"] : [] }), "test");
      const events: ConverseEvent[] = [];
      let done = false;
      for (const act of sequence) {
        act(writer);
        const step = writer.step();
        events.push(...step.events);
        done = step.done;
        if (done) break;
      }
      if (!done) {
        writer.finish("end_turn");
        events.push(...writer.end().events);
      }
      const { stopReason, usage } = collect(events);
      expect(stopReason).toBeDefined();
      expect(usage).toBeDefined();
    }),
  );
});

test("no text and no input is lost, whatever stands between", () => {
  fc.assert(
    fc.property(
      fc.array(
        fc.oneof(
          fc.tuple(fc.constant("text"), fc.stringMatching(/^[a-m]{1,3}$/)),
          fc.tuple(fc.nat(2), fc.stringMatching(/^[a-m]{1,3}$/)),
        ),
      ),
      (pieces) => {
        const { blocks } = write((writer) => {
          for (const [where, piece] of pieces) {
            if (typeof where === "string") {
              writer.text(piece);
              continue;
            }
            writer.toolStart(where, `id${where}`, "f");
            writer.toolArgs(where, piece);
          }
          writer.finish("max_tokens");
        });
        const joined = (kind: string | number) =>
          pieces
            .filter(([where]) => where === kind)
            .map(([, piece]) => piece)
            .join("");
        expect(blocks.map((block) => block.text ?? "").join("")).toBe(joined("text"));
        for (const key of [0, 1, 2]) {
          const block = blocks.find(
            ({ start }) => start !== undefined && "toolUse" in start && start.toolUse.toolUseId === `id${key}`,
          );
          expect(block?.input ?? "").toBe(joined(key));
        }
      },
    ),
  );
});
