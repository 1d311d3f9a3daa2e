import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { encodeEvent } from "../../src/bedrock/event-stream.ts";
import { observabilitySchema } from "../../src/config/observability.ts";
import { KeptContent, keepContent } from "../../src/gateway/content.ts";
import type { Identity } from "../../src/governance/identity.ts";

const name = "x-bf-disable-content-logging";

function keep(
  { log = {}, otel = {} }: { readonly log?: object; readonly otel?: object },
  header?: string,
  keepsContent?: boolean,
) {
  const identity = keepsContent === undefined ? undefined : ({ keepsContent } as Identity);
  const headers = new Map(header === undefined ? [] : [[name, header] as const]);
  const kept = keepContent(headers, identity, observabilitySchema.parse({ request_log: log, otel }));
  const { logged = false, traced = false } = kept?.record() ?? {};
  return { logged, traced };
}

describe("content is kept", () => {
  const override = { allow_per_request_content_storage_override: true };

  test.each([
    ["by default for nobody", keep({}), false, false],
    ["where the configuration says so", keep({ log: { content: true } }), true, false],
    ["not without a log", keep({ log: { enabled: false, content: true } }), false, false],
    ["for traces by their own setting", keep({ otel: { content: true } }), false, true],
    ["where the virtual key says so", keep({}, undefined, true), true, false],
    [
      "not where the virtual key forbids it",
      keep({ log: { content: true }, otel: { content: true } }, undefined, false),
      false,
      false,
    ],
    [
      "not where the client forbids it",
      keep({ log: { content: true }, otel: { content: true } }, "true", true),
      false,
      false,
    ],
    ["where the client asks and may", keep({ log: override }, "false"), true, false],
    ["not where the client asks and may not", keep({}, "False"), false, false],
  ])("%s", (_when, kept, logged, traced) => {
    expect(kept).toEqual({ logged, traced });
  });

  test("never by a word the header does not know", () => {
    expect(() => keep({ log: { content: true } }, "yes")).toThrow(name);
  });
});

const kept = (maxBytes: number) => new KeptContent(maxBytes, true, false);

describe("what is kept", () => {
  test("of bodies is their beginning, in whole characters", () => {
    fc.assert(
      fc.property(fc.string({ unit: "grapheme" }), fc.nat(64), fc.boolean(), (text, maxBytes, asText) => {
        const content = kept(maxBytes);
        content.answer(asText ? text : Buffer.from(text));
        content.request(Buffer.from(text));
        const { request = "", answer = "" } = content.record();
        expect(answer).toBe(request);
        expect(text.startsWith(request)).toBe(true);
        expect(Buffer.byteLength(request)).toBeLessThanOrEqual(maxBytes);
        expect(Buffer.byteLength(request)).toBeGreaterThan(Math.min(Buffer.byteLength(text), maxBytes) - 4);
      }),
    );
  });

  const delta = (inner: object) =>
    encodeEvent("contentBlockDelta", JSON.stringify({ contentBlockIndex: 0, delta: inner }));

  test("of a stream of Converse is what was said in it", () => {
    const content = kept(1000);
    content.frames(encodeEvent("messageStart", '{"role":"assistant"}'));
    content.frames(Buffer.concat([delta({ text: "Hel" }), delta({ text: "lo " })]));
    content.frames(delta({ reasoningContent: { text: "hm " } }));
    content.frames(delta({ toolUse: { input: '{"a":1}' } }));
    expect(content.record().answer).toBe('Hello hm {"a":1}');
  });

  test("of a stream of InvokeModel are the model's own objects", () => {
    const content = kept(1000);
    for (const object of ['{"a":1}', '{"b":2}'])
      content.frames(encodeEvent("chunk", `{"bytes":"${Buffer.from(object).toString("base64")}"}`));
    expect(content.record().answer).toBe('{"a":1}\n{"b":2}\n');
  });

  test("of a long stream is its beginning", () => {
    const content = kept(10);
    for (let index = 0; index < 100; index++) content.frames(delta({ text: "abcdef" }));
    expect(content.record().answer).toBe("abcdefabcd");
  });

  test("of frames nobody can read is nothing, and no reason to fail", () => {
    const content = kept(1000);
    for (const payload of ["{", "[]", "null", '{"delta":1}', '{"bytes":{}}']) {
      content.frames(encodeEvent("contentBlockDelta", payload));
      content.frames(encodeEvent("chunk", payload));
    }
    expect(content.record().answer).toBe("");
  });
});
