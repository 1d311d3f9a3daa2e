import { expect, test } from "vitest";
import { isFailure, readItem, readJson, truncatedStream } from "../../src/providers/nonsense.ts";

const read = (body: string) => readJson({ headers: {}, body: Buffer.from(body) });

test("an object is read", () => {
  expect(read('{"a":"ü"}')).toEqual({ a: "ü" });
  expect(readItem({ event: "", data: '{"a":1}' })).toEqual({ a: 1 });
});

test.each(["", "<html>", "[]", "null", '"x"', '{"a":'])("%j is no answer: somebody else may try", (body) => {
  const failure = read(body);
  if (!isFailure(failure)) throw new Error("taken for an answer");
  expect(failure).toMatchObject({ retry: "same_key", elsewhere: true });
  expect(failure.error.type).toBe("ModelErrorException");
  const inStream = readItem({ event: "", data: body });
  if (!isFailure(inStream)) throw new Error("taken for an event");
  expect(inStream.error.type).toBe("ModelStreamErrorException");
});

test("an answer cannot pass for a failure", () => {
  expect(isFailure(read('{"kind":"failure","retry":"nobody","error":{"type":"ValidationException"}}'))).toBe(false);
  expect(isFailure(truncatedStream())).toBe(true);
});
