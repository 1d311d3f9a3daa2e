import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { ConverseEvent, ConverseRequest } from "../../../src/bedrock/converse.ts";
import { BedrockError } from "../../../src/bedrock/errors.ts";
import { planEmbeddings, planMock } from "../../../src/providers/mock/mock.ts";
import type { MockPlan, MockRule } from "../../../src/providers/mock/rule.ts";

const ask = (text: string, more: Partial<ConverseRequest> = {}): ConverseRequest => ({
  messages: [{ role: "user", content: [{ text }] }],
  ...more,
});
const plan = (rules: readonly MockRule[], request: ConverseRequest, model = "m", roll = 0) =>
  planMock(rules, model, request, roll);
const contentOf = (planned: MockPlan) => planned.response.output.message.content;
const textOf = (planned: MockPlan) =>
  contentOf(planned)
    .map((block) => ("text" in block ? block.text : ""))
    .join("");
const deltasOf = (events: readonly ConverseEvent[]) =>
  events.flatMap((event) => ("contentBlockDelta" in event ? [event.contentBlockDelta.delta] : []));
const namesOf = (events: readonly ConverseEvent[]) => events.map((event) => Object.keys(event).join());

describe("the mock without a rule that matches", () => {
  test("echoes the last user text", () => {
    const { response } = plan([], ask("Hello, mock!"));
    expect(response).toEqual({
      output: { message: { role: "assistant", content: [{ text: "Hello, mock!" }] } },
      stopReason: "end_turn",
      usage: { inputTokens: 3, outputTokens: 2, totalTokens: 5 },
      metrics: { latencyMs: 0 },
    });
  });

  test("waits for nothing and breaks nothing off", () => {
    expect(plan([], ask("hi"))).toMatchObject({
      latencyMs: 0,
      chunkDelayMs: 0,
      error: null,
      truncateAfterChunks: null,
    });
  });

  test("streams a delta for each word with the space behind it, and nothing else for text", () => {
    const { events, response } = plan([], ask("once  upon a\ntime"));
    expect(events).toEqual([
      { messageStart: { role: "assistant" } },
      ...["once  ", "upon ", "a\n", "time"].map((text) => ({
        contentBlockDelta: { contentBlockIndex: 0, delta: { text } },
      })),
      { contentBlockStop: { contentBlockIndex: 0 } },
      { messageStop: { stopReason: "end_turn" } },
      { metadata: { usage: response.usage, metrics: { latencyMs: 0 } } },
    ]);
  });

  test("ends an echo that is longer than any model's answer", () => {
    const { response } = plan([], ask("a ".repeat(20_000)));
    expect(response.stopReason).toBe("max_tokens");
    expect(response.usage.outputTokens).toBe(16_384);
  });

  test.each([
    [1, "one "],
    [4, "one two three four "],
    [5, "one two three four five"],
    [6, "one two three four five"],
  ])("cuts after %i tokens when the client allows no more", (maxTokens, text) => {
    const planned = plan([], ask("one two three four five", { inferenceConfig: { maxTokens } }));
    expect(textOf(planned)).toBe(text);
    expect(planned.response.usage.outputTokens).toBe(Math.min(maxTokens, 5));
    expect(planned.response.stopReason).toBe(maxTokens < 5 ? "max_tokens" : "end_turn");
  });

  test.each([[["five", "three f", "ree"]], [["ree", "three f", "five"]]])(
    "cuts before the stop sequence that comes first, whichever of %j is named first",
    (stopSequences) => {
      const planned = plan([], ask("one two three four five", { inferenceConfig: { stopSequences } }));
      expect(textOf(planned)).toBe("one two ");
      expect(planned.response.stopReason).toBe("stop_sequence");
    },
  );

  test("says max_tokens where the stop sequence was not reached", () => {
    const limits = { maxTokens: 2, stopSequences: ["three"] };
    expect(plan([], ask("one two three", { inferenceConfig: limits })).response.stopReason).toBe("max_tokens");
  });

  test("gives an empty message where the stop sequence comes at once", () => {
    const planned = plan([], ask("stop", { inferenceConfig: { stopSequences: ["stop"] } }));
    expect(contentOf(planned)).toEqual([]);
    expect(namesOf(planned.events)).toEqual(["messageStart", "messageStop", "metadata"]);
  });

  test("names the stop sequence to clients that ask for it by pointer", () => {
    const request = ask("one two", {
      inferenceConfig: { stopSequences: ["two"] },
      additionalModelResponseFieldPaths: ["/stop_sequence", "/delta/stop_sequence", "/unknown"],
    });
    const fields = { stop_sequence: "two", delta: { stop_sequence: "two" } };
    expect(plan([], request).response.additionalModelResponseFields).toEqual(fields);
    expect(plan([], request).events.at(-2)).toEqual({
      messageStop: { stopReason: "stop_sequence", additionalModelResponseFields: fields },
    });
  });

  test("property: a stream says what the whole answer says, and no more tokens than allowed", () => {
    const word = fc.stringMatching(/^[a-zżł🐢]{0,8}$/u);
    const text = fc.array(fc.tuple(word, fc.constantFrom(" ", "\n", "  ", "")), { maxLength: 30 });
    fc.assert(
      fc.property(
        text.map((pairs) => pairs.flat().join("")),
        fc.string({ maxLength: 10 }),
        fc.option(fc.integer({ min: 1, max: 20 }), { nil: undefined }),
        fc.array(
          word.filter((one) => one !== ""),
          { maxLength: 3 },
        ),
        (answer, reasoning, maxTokens, stopSequences) => {
          const rule = { answer, reasoning, tool_calls: [{ name: "f", input: { answer } }] };
          const limits = { stopSequences, ...(maxTokens !== undefined && { maxTokens }) };
          const planned = plan([rule], ask("hi", { inferenceConfig: limits }));
          const { response, events } = planned;
          const deltas = deltasOf(events);
          const said = deltas.map((delta) => ("text" in delta ? delta.text : "")).join("");
          expect(said).toBe(textOf(planned));
          for (const sequence of stopSequences) expect(said).not.toContain(sequence);
          const inputs = deltas.map((delta) => ("toolUse" in delta ? delta.toolUse.input : "")).join("");
          const [use] = contentOf(planned).flatMap((block) => ("toolUse" in block ? [block.toolUse.input] : []));
          expect(inputs).toBe(use === undefined ? "" : JSON.stringify(use));
          expect(response.usage.outputTokens).toBeLessThanOrEqual(maxTokens ?? Number.POSITIVE_INFINITY);
          expect(events.at(-1)).toEqual({ metadata: { usage: response.usage, metrics: { latencyMs: 0 } } });
          expect(events.at(-2)).toEqual({ messageStop: { stopReason: response.stopReason } });
        },
      ),
    );
  });
});

describe("a rule of the mock", () => {
  test("answers in the place of the echo, the first that matches", () => {
    const rules: MockRule[] = [
      { match: { text: "story" }, answer: "A knight." },
      { match: { model: "*haiku*" }, answer: "Five seven five." },
      { answer: "Anything." },
    ];
    expect(textOf(plan(rules, ask("a story"), "claude-haiku"))).toBe("A knight.");
    expect(textOf(plan(rules, ask("hi"), "claude-haiku"))).toBe("Five seven five.");
    expect(textOf(plan(rules, ask("Story"), "opus"))).toBe("Anything.");
  });

  test("looks at the last user text only", () => {
    const request: ConverseRequest = {
      messages: [
        { role: "user", content: [{ text: "a story" }] },
        { role: "assistant", content: [{ text: "no" }] },
        { role: "user", content: [{ text: "why?" }] },
      ],
    };
    expect(textOf(plan([{ match: { text: "story" }, answer: "A knight." }], request))).toBe("why?");
  });

  test("that says nothing to answer echoes, with its delays and errors", () => {
    const planned = plan([{ latency_ms: 7, chunk_delay_ms: 3, truncate_after_chunks: 1 }], ask("a b"));
    expect(textOf(planned)).toBe("a b");
    expect(planned).toMatchObject({ latencyMs: 7, chunkDelayMs: 3, truncateAfterChunks: 1 });
    expect(planned.response.metrics).toEqual({ latencyMs: 7 });
    expect(planned.events.at(-1)).toMatchObject({ metadata: { metrics: { latencyMs: 13 } } });
  });

  test("reasons first, then says its text, then calls its tools", () => {
    const rule = {
      answer: "So: go",
      reasoning: "Let me think",
      tool_calls: [{ name: "f", input: { a: 1 } }, { name: "g" }],
    };
    const planned = plan([rule], ask("hi"));
    expect(contentOf(planned)).toEqual([
      { reasoningContent: { reasoningText: { text: "Let me think", signature: expect.stringMatching(/^[\w+/]+=$/) } } },
      { text: "So: go" },
      { toolUse: { toolUseId: expect.stringMatching(/^tooluse_[\w-]{22}$/), name: "f", input: { a: 1 } } },
      { toolUse: { toolUseId: expect.stringMatching(/^tooluse_[\w-]{22}$/), name: "g", input: {} } },
    ]);
    expect(planned.response.stopReason).toBe("tool_use");
    const ids = contentOf(planned).flatMap((block) => ("toolUse" in block ? [block.toolUse.toolUseId] : []));
    expect(new Set(ids).size).toBe(2);
    const starts = planned.events.filter((event) => "contentBlockStart" in event);
    expect(starts).toEqual([
      { contentBlockStart: { contentBlockIndex: 2, start: { toolUse: { toolUseId: ids[0], name: "f" } } } },
      { contentBlockStart: { contentBlockIndex: 3, start: { toolUse: { toolUseId: ids[1], name: "g" } } } },
    ]);
    const stops = planned.events.flatMap((event) => ("contentBlockStop" in event ? [event.contentBlockStop] : []));
    expect(stops.map((stop) => stop.contentBlockIndex)).toEqual([0, 1, 2, 3]);
  });

  test("streams the input of a large call in several fragments", () => {
    const input = { text: "Zażółć gęślą jaźń 🐢🐢🐢🐢🐢🐢🐢🐢🐢🐢", list: [1, 2, 3] };
    const pieces = deltasOf(plan([{ tool_calls: [{ name: "f", input }] }], ask("hi")).events).flatMap((delta) =>
      "toolUse" in delta ? [delta.toolUse.input] : [],
    );
    expect(pieces.length).toBeGreaterThan(2);
    expect(JSON.parse(pieces.join(""))).toEqual(input);
  });

  test("leaves a call out that the client's limit has no room for", () => {
    const rule = { answer: "one two", tool_calls: [{ name: "f", input: { text: "long ".repeat(20) } }] };
    const planned = plan([rule], ask("hi", { inferenceConfig: { maxTokens: 4 } }));
    expect(contentOf(planned)).toEqual([{ text: "one two" }]);
    expect(planned.response.stopReason).toBe("max_tokens");
  });

  test("ends in its reasoning, without a signature, when the limit is there", () => {
    const planned = plan([{ answer: "no", reasoning: "a b c" }], ask("hi", { inferenceConfig: { maxTokens: 2 } }));
    expect(contentOf(planned)).toEqual([{ reasoningContent: { reasoningText: { text: "a b " } } }]);
    expect(planned.response.stopReason).toBe("max_tokens");
  });

  test("gives the same ids for the same request and others in a later turn", () => {
    const rules = [{ tool_calls: [{ name: "f" }] }];
    const first = ask("hi");
    const later = { messages: [...first.messages, ...first.messages] };
    expect(plan(rules, first).response).toEqual(plan(rules, first).response);
    expect(contentOf(plan(rules, first))).not.toEqual(contentOf(plan(rules, later)));
  });

  test("fails with its error, status and message", () => {
    const error = { status: 503, type: "ThrottlingException", message: "slow down", after_chunks: 2 };
    const planned = plan([{ error }], ask("hi"));
    expect(planned.error?.afterChunks).toBe(2);
    expect(planned.error?.error).toBeInstanceOf(BedrockError);
    expect(planned.error?.error).toMatchObject({ type: "ThrottlingException", status: 503, message: "slow down" });
  });

  test("fails with the catalogue's status, and as an internal error for a name that is none", () => {
    expect(plan([{ error: { type: "ModelTimeoutException" } }], ask("hi")).error).toMatchObject({
      afterChunks: null,
      error: { type: "ModelTimeoutException", status: 408 },
    });
    expect(plan([{ error: { type: "Bogus" } }], ask("hi")).error?.error).toMatchObject({
      type: "InternalServerException",
      status: 500,
      message: expect.stringContaining("Bogus"),
    });
  });
});

describe("a tool choice without a rule", () => {
  const tools = ["first", "second"].map((name) => ({
    toolSpec: {
      name,
      inputSchema: { json: { type: "object", properties: { city: { type: "string" } }, required: ["city"] } },
    },
  }));
  const uses = (planned: MockPlan) =>
    contentOf(planned).flatMap((block) => ("toolUse" in block ? [block.toolUse] : []));

  test("of one tool calls that one with its required properties", () => {
    const planned = plan([], ask("hi", { toolConfig: { tools, toolChoice: { tool: { name: "second" } } } }));
    expect(uses(planned)).toMatchObject([{ name: "second", input: { city: "example" } }]);
    expect(contentOf(planned)).toHaveLength(1);
    expect(planned.response.stopReason).toBe("tool_use");
  });

  test("of any tool calls the first", () => {
    const planned = plan([], ask("hi", { toolConfig: { tools, toolChoice: { any: {} } } }));
    expect(uses(planned)).toMatchObject([{ name: "first" }]);
  });

  test("left to the model, and tools alone, call nothing", () => {
    expect(uses(plan([], ask("hi", { toolConfig: { tools, toolChoice: { auto: {} } } })))).toEqual([]);
    expect(uses(plan([], ask("hi", { toolConfig: { tools } })))).toEqual([]);
    const none = { tools: [{ systemTool: { name: "nova_grounding" } }], toolChoice: { any: {} } };
    expect(textOf(plan([], ask("hi", { toolConfig: none })))).toBe("hi");
  });

  test("calls no more once the tool's result is there", () => {
    const content = [{ toolResult: { toolUseId: "t", content: [{ text: "4 °C" }] } }];
    const request = { messages: [{ role: "user" as const, content }], toolConfig: { tools, toolChoice: { any: {} } } };
    expect(contentOf(plan([], request))).toEqual([{ text: "4 °C" }]);
  });

  test("gives way to a rule's answer", () => {
    const request = ask("hi", { toolConfig: { tools, toolChoice: { any: {} } } });
    expect(contentOf(plan([{ answer: "No." }], request))).toEqual([{ text: "No." }]);
  });

  test("of a tool that is not there is refused by its path", () => {
    const request = ask("hi", { toolConfig: { tools, toolChoice: { tool: { name: "third" } } } });
    expect(() => plan([], request)).toThrow("toolConfig.toolChoice.tool.name");
  });
});

describe("vectors of the mock", () => {
  const request = {
    texts: ["a", "b"],
    dimensions: undefined,
    normalize: true,
    purpose: undefined,
    truncate: undefined,
  };
  const embed = (more: object = {}, rules: readonly MockRule[] = []) =>
    planEmbeddings(rules, "m", { ...request, types: [], ...more }, 0);

  test("are one for each text, of 1024 numbers unless others are asked for", () => {
    expect(embed().vectors.map((vector) => vector.length)).toEqual([1024, 1024]);
    expect(embed({ dimensions: 256 }).vectors.map((vector) => vector.length)).toEqual([256, 256]);
    expect(embed({ texts: ["12345678", "1"] }).inputTokens).toBe(3);
  });

  test("fail and wait as a rule says", () => {
    const rules = [{ match: { text: "b" }, latency_ms: 5, error: { type: "ThrottlingException" } }];
    expect(embed({}, rules)).toMatchObject({ latencyMs: 5, error: { type: "ThrottlingException" } });
    expect(embed({ texts: ["a"] }, rules)).toMatchObject({ latencyMs: 0, error: undefined });
  });

  test.each([[{ dimensions: 1e9 }], [{ texts: Array.from({ length: 3000 }, String) }]])(
    "are refused in masses",
    (more) => {
      expect(() => embed(more)).toThrow(/at most 2048 vectors of at most 4096/);
    },
  );
});
