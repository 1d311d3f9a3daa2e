import { expect, test } from "vitest";
import { applyGuardrail } from "../../../src/providers/mock/guardrail.ts";

test("a guardrail without policies has nothing against anything", () => {
  const content = [
    { text: { text: "hello", qualifiers: ["query"] } },
    { image: { format: "png", source: { bytes: "aGk=" } } },
  ];
  expect(applyGuardrail({ source: "INPUT", content, outputScope: "FULL" })).toMatchObject({
    action: "NONE",
    outputs: [],
    assessments: [],
    usage: { topicPolicyUnits: 0 },
    guardrailCoverage: { textCharacters: { guarded: 5, total: 5 } },
  });
});

test.each([
  [{ content: [] }, "source"],
  [{ source: "BOTH", content: [] }, "source"],
  [{ source: "INPUT" }, "content"],
  [{ source: "INPUT", content: [{ text: {} }] }, "content[0].text.text"],
  [{ source: "INPUT", content: [{ sound: {} }] }, "content[0].sound"],
  [{ source: "INPUT", content: [], outputScope: "ALL" }, "outputScope"],
  [{ source: "INPUT", content: [], bogus: 1 }, "bogus"],
])("%j is refused by its path", (body, path) => {
  expect(() => applyGuardrail(body)).toThrow(path);
});
