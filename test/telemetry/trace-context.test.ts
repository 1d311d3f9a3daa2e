import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  beginTrace,
  formatTraceparent,
  isTracestate,
  newSpanId,
  newTraceId,
  parseTraceparent,
} from "../../src/telemetry/trace-context.ts";

const traceId = "4bf92f3577b34da6a3ce929d0e0e4736";
const spanId = "00f067aa0ba902b7";
const valid = `00-${traceId}-${spanId}-01`;

describe("traceparent", () => {
  test("is read with its flag", () => {
    expect(parseTraceparent(valid)).toEqual({ traceId, spanId, sampled: true });
    expect(parseTraceparent(`00-${traceId}-${spanId}-00`)?.sampled).toBe(false);
    expect(parseTraceparent(`00-${traceId}-${spanId}-fe`)?.sampled).toBe(false);
    expect(parseTraceparent(`00-${traceId}-${spanId}-ff`)?.sampled).toBe(true);
  });

  test.each([
    "",
    "00",
    `00-${traceId}-${spanId}`,
    `00-${traceId}-${spanId}-1`,
    `00-${traceId}-${spanId}-01-`,
    `00-${traceId}-${spanId}-01-more`,
    `${valid}, ${valid}`,
    ` ${valid}`,
    `${valid} `,
    `${valid}\n`,
    valid.toUpperCase(),
    `ff-${traceId}-${spanId}-01`,
    `00-${"0".repeat(32)}-${spanId}-01`,
    `00-${traceId}-${"0".repeat(16)}-01`,
    `00-${traceId.slice(1)}g-${spanId}-01`,
    `0-${traceId}-${spanId}-01`,
    `cc-${traceId}-${spanId}-01more`,
  ])("that is not valid begins a new trace: %j", (text) => {
    expect(parseTraceparent(text)).toBeUndefined();
    const begun = beginTrace(text, "vendor=1", 1);
    expect(begun.traceId).not.toBe(traceId);
    expect(begun).toMatchObject({ parentSpanId: undefined, state: undefined, sampled: true });
  });

  test("of a later version is read as far as this one knows it", () => {
    expect(parseTraceparent(`cc-${traceId}-${spanId}-01-what the future brings`)).toEqual({
      traceId,
      spanId,
      sampled: true,
    });
    expect(parseTraceparent(`cc-${traceId}-${spanId}-01`)).toBeDefined();
  });

  test("of any two ids is read; with any character changed to what is no hexadecimal digit it is not", () => {
    const hex = (length: number) =>
      fc.string({ unit: fc.constantFrom(..."0123456789abcdef".split("")), minLength: length, maxLength: length });
    fc.assert(
      fc.property(hex(32), hex(16), hex(2), fc.nat(54), (trace, span, flags, at) => {
        fc.pre(/[^0]/.test(trace) && /[^0]/.test(span));
        const text = `00-${trace}-${span}-${flags}`;
        expect(parseTraceparent(text)).toMatchObject({ traceId: trace, spanId: span });
        expect(parseTraceparent(`${text.slice(0, at)}G${text.slice(at + 1)}`)).toBeUndefined();
      }),
    );
  });

  test("that is made is read back", () => {
    const begun = beginTrace(undefined, undefined, 1);
    const own = newSpanId();
    expect(parseTraceparent(formatTraceparent(begun, own))).toEqual({
      traceId: begun.traceId,
      spanId: own,
      sampled: true,
    });
  });
});

describe("tracestate", () => {
  test.each([
    "rojo=00f067aa0ba902b7,congo=t61rcWkgMzE",
    "a=1 , b=2",
    "a=1,,b=2",
    "fw529a3039@dt=FfffffffffffffffffFf",
    "0tenant@vendor=value with blanks!",
    Array.from({ length: 32 }, (_, index) => `k${index}=v`).join(),
  ])("that is valid goes on: %j", (text) => {
    expect(isTracestate(text)).toBe(true);
    expect(beginTrace(valid, text, 0).state).toBe(text);
  });

  test.each([
    "",
    " ",
    "a",
    "a=",
    "=1",
    "A=1",
    "0a=1",
    "a=1,a=2",
    "a=b=c",
    "a=\u00e9",
    "a=1\r\nx: y",
    "tenant@=1",
    "a@b@c=1",
    `${"k".repeat(257)}=1`,
    `k=${"v".repeat(257)}`,
    Array.from({ length: 33 }, (_, index) => `k${index}=v`).join(),
  ])("that is not valid is left out, and the trace goes on: %j", (text) => {
    expect(isTracestate(text)).toBe(false);
    expect(beginTrace(valid, text, 0)).toMatchObject({ traceId, parentSpanId: spanId, state: undefined });
  });
});

describe("sampling", () => {
  test("is the client's decision where it made one, whatever the ratio", () => {
    expect(beginTrace(valid, undefined, 0).sampled).toBe(true);
    expect(beginTrace(`00-${traceId}-${spanId}-00`, undefined, 1).sampled).toBe(false);
  });

  test.each([
    [0, 0, 0],
    [1, 4000, 4000],
    [0.25, 800, 1200],
  ])("of new traces keeps to the ratio %d", (ratio, least, most) => {
    let sampled = 0;
    for (let index = 0; index < 4000; index++) if (beginTrace(undefined, undefined, ratio).sampled) sampled++;
    expect(sampled).toBeGreaterThanOrEqual(least);
    expect(sampled).toBeLessThanOrEqual(most);
  });
});

test("ids are hexadecimal and do not repeat", () => {
  const ids = Array.from({ length: 10_000 }, () => [newTraceId(), newSpanId()]).flat();
  expect(new Set(ids).size).toBe(ids.length);
  for (const id of ids) expect(id).toMatch(/^(?:[0-9a-f]{32}|[0-9a-f]{16})$/);
});
