import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { BedrockError } from "../../../src/bedrock/errors.ts";
import type { JsonValue } from "../../../src/bedrock/json.ts";
import { isFailure } from "../../../src/providers/nonsense.ts";
import { openai } from "../../../src/providers/openai/openai.ts";
import { bodyOf, failureOf, item } from "../both-ways.ts";
import { collect } from "../collect.ts";
import { completion, memoFor, run } from "./chunks.ts";

const memo = memoFor("openrouter", { schema: true, responsePaths: ["/usage", "/a"], stops: ["END"] });

/** Any JSON where the API has something, with the API's own names. */
const anything: fc.Arbitrary<JsonValue> = fc.letrec<{ value: JsonValue }>((tie) => ({
  value: fc.oneof(
    { maxDepth: 6 },
    fc.constantFrom<JsonValue>(null, true, 0, -1, 1e308, "", "stop", "x", '{"a":1}', "data:image/png;base64,AA"),
    fc.array(tie("value"), { maxLength: 3 }),
    fc.dictionary(
      fc.constantFrom(
        "choices",
        "message",
        "delta",
        "content",
        "reasoning",
        "reasoning_details",
        "tool_calls",
        "function",
        "name",
        "arguments",
        "id",
        "index",
        "finish_reason",
        "stop_reason",
        "usage",
        "prompt_tokens",
        "completion_tokens",
        "prompt_tokens_details",
        "cached_tokens",
        "refusal",
        "annotations",
        "url_citation",
        "url",
        "images",
        "image_url",
        "error",
        "type",
        "text",
        "signature",
        "x_groq",
        "service_tier",
        "citations",
      ),
      tie("value"),
      { maxKeys: 5, noNullPrototype: true },
    ),
  ),
})).value;

/** Somewhere in an answer that is otherwise one. */
const message = fc.dictionary(
  fc.constantFrom("content", "reasoning", "reasoning_details", "tool_calls", "refusal", "annotations", "images"),
  anything,
  { maxKeys: 4, noNullPrototype: true },
);
const choices = fc.oneof(
  anything,
  fc.array(fc.record({ message, delta: message, finish_reason: anything }), { maxLength: 2 }),
);
const body = fc.oneof(anything, fc.record({ choices, usage: anything }, { requiredKeys: ["choices"] }));

describe("whatever the provider sends", () => {
  test("a whole answer is read, or is a failure", () => {
    fc.assert(
      fc.property(body, (value) => {
        const read = openai.decode(bodyOf(value), memo);
        if (isFailure(read)) {
          expect(read.error).toBeInstanceOf(BedrockError);
          return;
        }
        const { inputTokens, outputTokens, totalTokens } = read.response.usage;
        for (const tokens of [inputTokens, outputTokens, totalTokens]) expect(tokens).toBeGreaterThanOrEqual(0);
      }),
      { numRuns: 2000 },
    );
  });

  test("a stream keeps Bedrock's order, and ends or fails", () => {
    fc.assert(
      fc.property(fc.array(body, { maxLength: 5 }), (values) => {
        const { events, failure, done } = run(
          values.map((value) => item(value)),
          memo,
        );
        expect(done).toBe(failure === undefined);
        const { usage } = collect(events);
        if (usage !== undefined) expect(usage.totalTokens).toBeGreaterThanOrEqual(0);
      }),
      { numRuns: 1500 },
    );
  });

  test("embeddings are vectors of numbers, or a failure", () => {
    fc.assert(
      fc.property(fc.oneof(anything, fc.record({ data: anything })), (value) => {
        const read = openai.embed?.decode(bodyOf(value), memo);
        if (!isFailure(read))
          for (const vector of read?.vectors ?? []) expect(vector.every(Number.isFinite)).toBe(true);
      }),
    );
  });
});

describe("nonsense", () => {
  test.each<[string, JsonValue | string]>([
    ["no JSON", "upstream connect error"],
    ["HTML", "<!doctype html>"],
    ["nothing", ""],
    ["a list", []],
    ["no choices", { id: "x" }],
    ["empty choices", { choices: [] }],
    ["a choice that is none", { choices: ["x"] }],
    ["no message", { choices: [{ finish_reason: "stop" }] }],
    ["neither content nor a reason", completion({ content: null }, null)],
    ["calls that are none", completion({ tool_calls: "f" }, "tool_calls")],
    ["a call without a function", completion({ tool_calls: [{ id: "a" }] }, "tool_calls")],
    ["a call without a name", completion({ tool_calls: [{ id: "a", function: { arguments: "{}" } }] }, "tool_calls")],
    ["JSON nested without end", `{"choices":${"[".repeat(5000)}${"]".repeat(5000)}}`],
  ])("%s is a ModelErrorException", (_, value) => {
    expect(failureOf(openai.decode(bodyOf(value), memoFor("openai"))).error.type).toBe("ModelErrorException");
  });

  test.each(["not JSON", "[1]", '"x"', '{"choices":[{"delta":{"tool_calls":"x"}}]}', "{".repeat(3000)])(
    "a stream with %s fails",
    (data) => {
      expect(run([item(data)]).failure?.error.type).toBe("ModelStreamErrorException");
    },
  );

  test("nothing is pushed into a failed stream", () => {
    const stream = openai.stream(memoFor("openai"));
    expect(stream.push(item("x")).failure).toBeDefined();
    expect(stream.push(item("x"))).toEqual({ events: [], done: false });
    expect(stream.end()).toEqual({ events: [], done: false });
  });
});
