import { describe, expect, test } from "vitest";
import { breakOff } from "../../../src/providers/mock/break-off.ts";
import { planMock } from "../../../src/providers/mock/mock.ts";
import type { MockRule } from "../../../src/providers/mock/rule.ts";

const sent = (rule: MockRule) => {
  const plan = planMock([rule], "m", { messages: [{ role: "user", content: [{ text: "one two three" }] }] }, 0);
  const { events, failure } = breakOff(plan);
  return {
    names: events.map((event) => Object.keys(event).join().replace("contentBlock", "")),
    failure: failure?.message,
    whole: events.length === plan.events.length,
  };
};
const error = (after_chunks: number) => ({ type: "ModelStreamErrorException", message: "broke", after_chunks });

describe("a planned stream", () => {
  test("is sent whole when nothing breaks it off", () => {
    expect(sent({})).toMatchObject({ whole: true, failure: undefined });
  });

  test.each([
    [0, ["messageStart"]],
    [1, ["messageStart", "Delta"]],
    [3, ["messageStart", "Delta", "Delta", "Delta"]],
  ])("fails behind chunk %i", (chunks, names) => {
    expect(sent({ error: error(chunks) })).toMatchObject({ names, failure: "broke" });
    expect(sent({ truncate_after_chunks: chunks })).toMatchObject({ names, failure: undefined });
  });

  test("is sent whole when it has fewer chunks than the rule counts", () => {
    expect(sent({ error: error(4) })).toMatchObject({ whole: true, failure: undefined });
    expect(sent({ truncate_after_chunks: 4 })).toMatchObject({ whole: true, failure: undefined });
  });

  test("meets the earlier of an error and a cut", () => {
    expect(sent({ error: error(1), truncate_after_chunks: 2 })).toMatchObject({ failure: "broke" });
    expect(sent({ error: error(1), truncate_after_chunks: 1 })).toMatchObject({ failure: "broke" });
    expect(sent({ error: error(2), truncate_after_chunks: 1 })).toMatchObject({
      names: ["messageStart", "Delta"],
      failure: undefined,
    });
  });
});
