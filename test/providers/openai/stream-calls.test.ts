/** Every way servers have of streaming the same parallel calls gives the same events, byte for byte. */
import { describe, expect, test } from "vitest";
import type { JsonObject } from "../../../src/bedrock/json.ts";
import type { StreamItem } from "../../../src/providers/dialect.ts";
import { collect } from "../collect.ts";
import { callDelta, delta, done, finish, memoFor, run, start, streamed } from "./chunks.ts";

const calls = [
  { id: "call_1", name: "weather", args: ['{"city"', ':"Oslo"}'] },
  { id: "call_2", name: "weather", args: ['{"city"', ':"Rome"}'] },
  { id: "call_3", name: "time", args: ["{", "}"] },
] as const;

type Write = (n: number, call: (typeof calls)[number]) => readonly JsonObject[];

function stream(pieces: readonly JsonObject[]): readonly StreamItem[] {
  return [start, delta({ content: "Looking." }), ...pieces.map(callDelta), finish("tool_calls"), done];
}

function oneByOne(write: Write): readonly StreamItem[] {
  return stream(calls.flatMap((call, n) => write(n, call)));
}

function inTurns(write: Write): readonly StreamItem[] {
  const written = calls.map((call, n) => write(n, call));
  return stream([0, 1, 2].flatMap((step) => written.flatMap((pieces) => pieces.slice(step, step + 1))));
}

const proper: Write = (index, { id, name, args }) => [
  { index, id, type: "function", function: { name, arguments: "" } },
  ...args.map((text) => ({ index, function: { arguments: text } })),
];

const vectors: readonly (readonly [string, readonly StreamItem[]])[] = [
  ["(a) proper indexes", oneByOne(proper)],
  ["(b) F60 index 0 for all", oneByOne((_, call) => proper(0, call))],
  ["(c) F62 no index", oneByOne((n, call) => proper(n, call).map((piece) => ({ ...piece, index: null })))],
  ["(d) interleaved", inTurns(proper)],
  ["(e) F62 indexes from 1", oneByOne((n, call) => proper(n + 1, call))],
  ["(e) F62 indexes with gaps", inTurns((n, call) => proper(n * 3 + 2, call))],
  [
    "(f) F63 the name in the second piece",
    oneByOne((index, { id, name, args }) => [
      { index, id, type: "function", function: { arguments: "" } },
      { index, function: { name, arguments: args[0] } },
      { index, function: { arguments: args[1] } },
    ]),
  ],
  [
    "(f) F63 the name in the last piece",
    oneByOne((index, { id, name, args }) => [
      { index, id, function: { arguments: args[0] } },
      { index, function: { name: "", arguments: args[1] } },
      { index, function: { name } },
    ]),
  ],
  [
    "(g) F63 the name in every piece",
    inTurns((index, { id, name, args }) =>
      ["", ...args].map((text) => ({ index, id, type: "function", function: { name, arguments: text } })),
    ),
  ],
  [
    "(g) F63 an empty name in later pieces",
    oneByOne((index, call) =>
      proper(index, call).map((piece, n) =>
        n === 0 ? piece : { index, function: { name: "", arguments: call.args[n - 1] ?? "" } },
      ),
    ),
  ],
  [
    "(h) F23 an empty id in later pieces",
    oneByOne((index, call) => proper(index, call).map((piece, n) => (n === 0 ? piece : { ...piece, id: "" }))),
  ],
  [
    "(h) a late id",
    oneByOne((index, { id, name, args }) => [
      { index, id: "", function: { arguments: args[0] } },
      { index, id, function: { name, arguments: args[1] } },
    ]),
  ],
  ["F64 type null", oneByOne((index, call) => proper(index, call).map((piece) => ({ ...piece, type: null })))],
  [
    "each call whole in one piece",
    oneByOne((index, { id, name, args }) => [{ index, id, function: { name, arguments: args.join("") } }]),
  ],
  [
    "each call whole, index 0",
    oneByOne((_, { id, name, args }) => [{ index: 0, id, function: { name, arguments: args.join("") } }]),
  ],
];

test.each(vectors)("%s", (_, items) => {
  const merged = collect(run(items).events);
  expect(merged.stopReason).toBe("tool_use");
  expect(merged.blocks).toEqual([
    { text: "Looking." },
    ...calls.map(({ id, name, args }) => ({ start: { toolUse: { toolUseId: id, name } }, input: args.join("") })),
  ]);
});

test("fragments that arrive alike are events alike", () => {
  const [[, first] = ["", []], ...others] = vectors.slice(0, 6);
  const expected = JSON.stringify(run(first).events);
  for (const [, items] of others) expect(JSON.stringify(run(items).events)).toBe(expected);
});

describe("careless servers", () => {
  const named = (name: string, args: string, more: JsonObject = {}) => ({
    function: { name, arguments: args },
    ...more,
  });

  test("F23 without any id, calls get ids of their own, the same each time", () => {
    const items = stream([0, 1].map((index) => named("f", "{}", { index, id: "" })));
    const { blocks } = collect(run(items).events);
    const ids = blocks
      .slice(1)
      .map(({ start: begun }) => (begun !== undefined && "toolUse" in begun ? begun.toolUse.toolUseId : ""));
    expect(new Set(ids).size).toBe(2);
    expect(run(items).events).toEqual(run(items).events);
    expect(ids[0]).toMatch(/^tooluse_\w{22}$/);
  });

  test("F60 without id, and with index 0 for all, another name or another input is another call", () => {
    const items = stream([
      named("f", '{"a":1}', { index: 0 }),
      named("f", '{"a":2}', { index: 0 }),
      named("g", "{}", { index: 0 }),
    ]);
    expect(streamed(items).content.slice(1)).toMatchObject([{ input: { a: 1 } }, { input: { a: 2 } }, { name: "g" }]);
  });

  test("several calls in one delta, without id and index", () => {
    const items = [start, delta({ tool_calls: [named("f", ""), named("f", "")] }), finish("tool_calls")];
    expect(streamed(items).content).toHaveLength(2);
  });

  test("the same id at two indexes is two calls, and the client sees two ids", () => {
    const items = stream([0, 1].map((index) => named("f", `{"n":${index}}`, { index, id: "same" })));
    const { content } = streamed(items);
    expect(content).toMatchObject([{}, { input: { n: 0 } }, { input: { n: 1 } }]);
    expect(new Set(content.map((shown) => ("id" in shown ? shown.id : ""))).size).toBe(3);
  });

  test("an input given as an object", () => {
    const items = stream([{ index: 0, id: "a", function: { name: "f", arguments: { a: [1] } } }]);
    expect(streamed(items).content[1]).toMatchObject({ input: { a: [1] } });
  });

  test.each([[""], ["null"], ['"null"'], ["{}"], [null], [undefined]])(
    "F66 no input, said as %j, is an empty one",
    (args) => {
      const piece = { index: 0, id: "a", function: { name: "f", ...(args !== undefined && { arguments: args }) } };
      expect(streamed(stream([piece])).content[1]).toEqual({ id: "a", name: "f", input: {} });
    },
  );

  test("F65 input that looks complete is not, until the stream ends", () => {
    const items = stream([named("f", '{"a":1}', { index: 0, id: "a" }), { index: 0, function: { arguments: " " } }]);
    expect(collect(run(items).events).blocks[1]?.input).toBe('{"a":1} ');
  });

  test("F7 F8 the stop reason follows the calls, not what the server says", () => {
    expect(
      streamed([...stream([named("f", "{}", { index: 0, id: "a" })]).slice(0, -2), finish("stop")]).stopReason,
    ).toBe("tool_use");
    expect(streamed([delta({ content: "x" }), finish("tool_calls")]).stopReason).toBe("end_turn");
  });

  test("F12 the client sees its own name of a tool", () => {
    const memo = memoFor("openai", { toolNames: new Map([["f_1", "mcp.f"]]) });
    expect(streamed(stream([named("f_1", "{}", { index: 0, id: "a" })]), memo).content[1]).toMatchObject({
      name: "mcp.f",
    });
  });

  test("F81 cut off within a call, its input is what came, and the reason stays", () => {
    const items = [...stream([named("f", '{"a', { index: 0, id: "a" })]).slice(0, -2), finish("length")];
    const { blocks, stopReason } = collect(run(items).events);
    expect(blocks[1]?.input).toBe('{"a');
    expect(stopReason).toBe("max_tokens");
  });

  test("input that is not JSON makes the reason malformed_tool_use", () => {
    const { stopReason } = collect(run(stream([named("f", '{"a": tru', { index: 0, id: "a" })])).events);
    expect(stopReason).toBe("malformed_tool_use");
  });

  test("a call that never gets a name fails, unless the answer was cut off", () => {
    const nameless = { index: 0, id: "a", function: { arguments: "{}" } };
    expect(run(stream([nameless])).failure?.error.type).toBe("ModelStreamErrorException");
    expect(streamed([delta({ content: "x" }), callDelta(nameless), finish("length")]).stopReason).toBe("max_tokens");
  });
});
