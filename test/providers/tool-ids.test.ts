import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { anthropicIds, bedrockIds, clientId, mistralIds, openaiIds, sendableId } from "../../src/providers/tool-ids.ts";

const rules = { openaiIds, mistralIds, anthropicIds, bedrockIds };

describe.each(Object.entries(rules))("%s", (_name, rule) => {
  test("F21 F22 whatever the id, it is sent as one that fits, and the same each time", () => {
    fc.assert(
      fc.property(fc.string({ unit: "binary", maxLength: 80 }), (id) => {
        const sent = sendableId(id, rule);
        expect(sent).toMatch(rule.fits);
        expect(sendableId(id, rule)).toBe(sent);
        expect(sendableId(sent, rule)).toBe(sent);
      }),
    );
  });

  test("F22 ten thousand ids with a common beginning stay different", () => {
    const sent = new Set<string>();
    for (let count = 0; count < 10_000; count++) sent.add(sendableId(`tooluse_${"x".repeat(40)}.${count}`, rule));
    expect(sent.size).toBe(10_000);
  });
});

test.each([
  ["abcDEF123", mistralIds],
  ["call_abc.def:1", openaiIds],
  ["toolu_01-x", anthropicIds],
  ["tooluse_a.b:c", bedrockIds],
])("the id %s fits and stays as it is", (id, rule) => {
  expect(sendableId(id, rule)).toBe(id);
});

describe("ids in answers", () => {
  test("F23 the provider's own is kept where Bedrock allows it, others are made", () => {
    expect(clientId("functions.Bash:0", "seed", 0)).toBe("functions.Bash:0");
    for (const given of [undefined, null, "", "a b", "x".repeat(65), 7]) {
      expect(clientId(given, "seed", 0)).toMatch(/^tooluse_\w{22}$/);
      expect(clientId(given, "seed", 0)).toBe(clientId(given, "seed", 0));
    }
  });

  test("made ids differ by request and by call", () => {
    const made = [clientId("", "a", 0), clientId("", "a", 1), clientId("", "b", 0)];
    expect(new Set(made).size).toBe(3);
  });
});
