import { describe, expect, test } from "vitest";
import type { JsonObject, JsonValue } from "../../../src/bedrock/json.ts";
import { AnswerWriter } from "../../../src/providers/answer.ts";
import { CallDeltas, writeCalls } from "../../../src/providers/chat/calls.ts";
import { StreamWriter } from "../../../src/providers/stream-writer.ts";
import { type CollectedBlock, collect } from "../collect.ts";
import { memoOf } from "../fixtures.ts";

function read(deltas: readonly JsonValue[]): readonly CollectedBlock[] {
  const writer = new StreamWriter(memoOf(), "test");
  const calls = new CallDeltas(writer);
  for (const delta of deltas) expect(calls.push(delta)).toBe(true);
  expect(calls.nameless).toBe(false);
  writer.finish("tool_use");
  return collect(writer.end().events).blocks;
}

function piece(fields: JsonObject, name?: string, input?: JsonValue): JsonObject {
  return {
    ...fields,
    function: { ...(name !== undefined && { name }), ...(input !== undefined && { arguments: input }) },
  };
}

function blocks(...calls: readonly (readonly [id: string, name: string, input: string])[]) {
  return calls.map(([toolUseId, name, input]) => ({ start: { toolUse: { toolUseId, name } }, input }));
}

const expected = blocks(["a", "f", '{"n":1}'], ["b", "f", '{"n":2}'], ["c", "g", '{"n":3}']);

describe("three calls of one stream", () => {
  test("with proper indexes, their fragments mixed", () => {
    const parts = [
      [piece({ index: 0, id: "a" }, "f", '{"n"'), piece({ index: 1, id: "b" }, "f", "")],
      [piece({ index: 1 }, undefined, '{"n":2}'), piece({ index: 2, id: "c" }, "g", '{"n":')],
      [piece({ index: 0 }, undefined, ":1}"), piece({ index: 2 }, undefined, "3}")],
    ];
    expect(read(parts)).toEqual(expected);
  });

  test("F60 all with the index 0 and ids of their own", () => {
    const parts = [
      [piece({ index: 0, id: "a" }, "f", '{"n":')],
      [piece({ index: 0 }, undefined, "1}")],
      [piece({ index: 0, id: "b" }, "f", '{"n":2}')],
      [piece({ index: 0, id: "c" }, "g", '{"n":'), piece({ index: 0, id: "c" }, undefined, "3}")],
    ];
    expect(read(parts)).toEqual(expected);
  });

  test("F62 without indexes", () => {
    const parts = [
      [piece({ id: "a" }, "f", '{"n":')],
      [piece({}, undefined, "1}")],
      [piece({ id: "b" }, "f", '{"n":2}')],
      [piece({ id: "c" }, "g", '{"n":3}')],
    ];
    expect(read(parts)).toEqual(expected);
  });

  test("F62 with indexes that start at 1 and have gaps", () => {
    const parts = [[piece({ index: 1, id: "a" }, "f", '{"n":1}')], [piece({ index: 4, id: "b" }, "f", '{"n":2}')]];
    expect(read(parts)).toEqual(expected.slice(0, 2));
  });

  test("F63 the name comes later, again, or empty", () => {
    const parts = [
      [piece({ index: 0, id: "a" }, undefined, '{"n"')],
      [piece({ index: 0 }, "f", ":")],
      [piece({ index: 0 }, "f", "1}"), piece({ index: 0 }, "", "")],
    ];
    expect(read(parts)).toEqual(expected.slice(0, 1));
  });

  test("F23 empty ids are made up, and stay apart", () => {
    const parts = [[piece({ index: 0, id: "" }, "f", '{"n":1}')], [piece({ index: 1, id: "" }, "f", '{"n":2}')]];
    const ids = read(parts).map(({ start }) =>
      start !== undefined && "toolUse" in start ? start.toolUse.toolUseId : "",
    );
    expect(new Set(ids).size).toBe(2);
    for (const id of ids) expect(id).toMatch(/^tooluse_\w{22}$/);
  });

  test("the same id for two indexes is two calls, with ids of their own", () => {
    const parts = [[piece({ index: 0, id: "a" }, "f", '{"n":1}')], [piece({ index: 1, id: "a" }, "f", '{"n":2}')]];
    expect(read(parts).map(({ input }) => input)).toEqual(['{"n":1}', '{"n":2}']);
  });

  test("the id may come after the first piece", () => {
    expect(read([[piece({ index: 0 }, undefined, "")], [piece({ index: 0, id: "a" }, "f", '{"n":1}')]])).toEqual(
      expected.slice(0, 1),
    );
  });

  test("F65 input that parses does not end a call", () => {
    const parts = [[piece({ index: 0, id: "a" }, "f", "1")], [piece({ index: 0 }, undefined, "2")]];
    expect(read(parts)).toEqual(blocks(["a", "f", "12"]));
  });
});

test("F64 no calls are null or missing; anything but a list of objects is nonsense", () => {
  const calls = new CallDeltas(new StreamWriter(memoOf(), "test"));
  expect(calls.push(null)).toBe(true);
  expect(calls.push(undefined)).toBe(true);
  for (const odd of [{}, "x", 1, [null], ["x"]]) expect(calls.push(odd)).toBe(false);
});

test("a call without a name is told", () => {
  const calls = new CallDeltas(new StreamWriter(memoOf(), "test"));
  calls.push([piece({ id: "a" }, "", "{}")]);
  expect(calls.nameless).toBe(true);
});

test("F66 no arguments are an empty object, whole and in pieces", () => {
  for (const none of ["", "null", '"null"', "{}", null]) {
    expect(read([[piece({ id: "a" }, "f", none)]])).toEqual(blocks(["a", "f", "{}"]));
    const writer = new AnswerWriter(memoOf(), "test");
    expect(writeCalls([piece({ id: "a" }, "f", none)], writer)).toBe(true);
    expect(writer.finish("tool_use").response.output.message.content).toEqual([
      { toolUse: { toolUseId: "a", name: "f", input: {} } },
    ]);
  }
});
