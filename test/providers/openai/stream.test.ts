import { describe, expect, test } from "vitest";
import { openai } from "../../../src/providers/openai/openai.ts";
import { SseReader } from "../../../src/upstream/sse.ts";
import { item } from "../both-ways.ts";
import { collect } from "../collect.ts";
import { callDelta, delta, done, finish, memoFor, run, start, streamed, usageChunk } from "./chunks.ts";

const usage = { prompt_tokens: 10, completion_tokens: 5, total_tokens: 15 };

describe("text", () => {
  test("each piece is an event, and the end is messageStop and metadata", () => {
    const stream = openai.stream(memoFor("openai"));
    expect(stream.push(start).events).toEqual([{ messageStart: { role: "assistant" } }]);
    const text = (piece: string) => ({ contentBlockDelta: { contentBlockIndex: 0, delta: { text: piece } } });
    expect(stream.push(delta({ content: "Hel" }))).toEqual({ events: [text("Hel")], done: false });
    expect(stream.push(delta({ content: "lo" })).events).toEqual([text("lo")]);
    expect(stream.push(finish("stop")).events).toEqual([]);
    expect(stream.push(usageChunk(usage)).events).toEqual([]);
    const last = stream.push(done);
    expect(last.done).toBe(true);
    expect(last.events.map((event) => Object.keys(event)[0])).toEqual(["contentBlockStop", "messageStop", "metadata"]);
    expect(collect([...stream.push(start).events]).blocks).toEqual([]);
  });

  test("a finish reason may come with the last piece, and without [DONE]", () => {
    const last = item({ choices: [{ index: 0, delta: { content: "lo" }, finish_reason: "stop" }] });
    expect(streamed([delta({ content: "Hel" }), last]).content).toEqual([{ text: "Hello" }]);
  });

  test("F64 null and empty members mean nothing", () => {
    const noise = {
      role: "",
      content: null,
      tool_calls: null,
      refusal: null,
      reasoning_content: null,
      function_call: null,
    };
    const { content } = streamed([delta(noise), delta({ ...noise, content: "Hi" }, { usage: null }), finish("stop")]);
    expect(content).toEqual([{ text: "Hi" }]);
  });

  test("F3 blank pieces alone are no block", () => {
    const { events } = run([start, delta({ content: "\n" }), finish("stop"), done]);
    expect(collect(events)).toMatchObject({ blocks: [], stopReason: "end_turn" });
  });

  test("content may be a list of parts", () => {
    const parts = [
      { type: "thinking", thinking: [{ type: "text", text: "Hm" }] },
      { type: "text", text: "Hi" },
    ];
    expect(streamed([delta({ content: parts }), finish("stop")]).content).toEqual([
      { reasoning: "Hm" },
      { text: "Hi" },
    ]);
  });

  test("F58 F59 a stream cut anywhere, with comments and CR LF, is the same", () => {
    const chunk = (text: string) => `data: ${JSON.stringify({ choices: [{ delta: { content: text } }] })}\r\n\r\n`;
    const bytes = Buffer.from(
      `: OPENROUTER PROCESSING\r\n\r\n${chunk("日本語")}: keep-alive\r\n\r\n${chunk("🙂")}data: {"choices":[{"delta":{},"finish_reason":"stop"}]}\r\n\r\ndata: [DONE]\r\n\r\n`,
    );
    for (let cut = 1; cut < bytes.length; cut++) {
      const reader = new SseReader();
      const items = [...reader.push(bytes.subarray(0, cut)), ...reader.push(bytes.subarray(cut)), ...reader.end()];
      expect(streamed(items).content).toEqual([{ text: "日本語🙂" }]);
    }
  });
});

describe("what is no content", () => {
  test("F73 Azure's first chunk has no choices, and commits nothing", () => {
    const filter = item({ choices: [], created: 0, id: "", prompt_filter_results: [{ prompt_index: 0 }] });
    expect(openai.stream(memoFor("azure")).push(filter)).toEqual({ events: [], done: false });
    expect(streamed([filter, start, delta({ content: "Hi" }), finish("stop")], memoFor("azure")).content).toHaveLength(
      1,
    );
  });

  test("padding against guesses of lengths, and unknown members", () => {
    const { content } = streamed([delta({ content: "Hi" }, { obfuscation: "xyz", nvext: 1 }), finish("stop")]);
    expect(content).toEqual([{ text: "Hi" }]);
  });

  test("an empty event", () => {
    expect(openai.stream(memoFor("openai")).push(item(""))).toEqual({ events: [], done: false });
  });
});

describe("reasoning", () => {
  test.each([
    ["deepseek", "reasoning_content"],
    ["xai", "reasoning_content"],
    ["vllm", "reasoning_content"],
    ["vllm", "reasoning"],
    ["together", "reasoning"],
    ["groq", "reasoning"],
    ["cerebras", "reasoning"],
    ["openrouter", "reasoning"],
    ["ollama", "reasoning"],
  ])("%s says it in %s", (kind, name) => {
    const items = [
      start,
      delta({ [name]: "Hm", content: null }),
      delta({ [name]: "m." }),
      delta({ content: "Hi" }),
      finish("stop"),
    ];
    expect(streamed(items, memoFor(kind)).content).toEqual([{ reasoning: "Hmm." }, { text: "Hi" }]);
  });

  test("said twice in one piece, it counts once", () => {
    const both = delta({ reasoning: "Hm", reasoning_content: "Hm" });
    expect(streamed([both, finish("stop")], memoFor("vllm")).content).toEqual([{ reasoning: "Hm" }]);
  });

  test("F42 reasoning and text that alternate are blocks of their own", () => {
    const { content } = streamed(
      [delta({ reasoning_content: "a" }), delta({ content: "b" }), delta({ reasoning_content: "c" }), finish("stop")],
      memoFor("vllm"),
    );
    expect(content).toEqual([{ reasoning: "a" }, { text: "b" }, { reasoning: "c" }]);
  });
});

describe("usage", () => {
  const expected = { inputTokens: 10, outputTokens: 5, totalTokens: 15 };

  test.each([
    ["behind the finish", [finish("stop"), usageChunk(usage)]],
    ["with the finish", [finish("stop", {}, { usage })]],
    ["before the finish", [delta({ content: "" }, { usage }), finish("stop")]],
    ["in x_groq alone", [finish("stop", {}, { x_groq: { id: "r", usage } })]],
    ["growing", [delta({ content: "" }, { usage: { ...usage, completion_tokens: 1 } }), finish("stop", {}, { usage })]],
  ])("F67 %s", (_, items) => {
    expect(streamed([delta({ content: "Hi" }), ...items, done]).usage).toEqual(expected);
  });

  test("F67 is estimated when nobody tells", () => {
    const stream = openai.stream(memoFor("openai", { inputTokens: 40 }));
    for (const one of [delta({ content: "12345678" }), finish("stop")]) stream.push(one);
    expect(stream.usage()).toEqual({ usage: { inputTokens: 40, outputTokens: 2, totalTokens: 42 }, estimated: true });
  });
});

describe("ends", () => {
  test("F70 without a finish reason the answer was cut off, [DONE] or not", () => {
    for (const items of [[start, delta({ content: "Hi" })], [start, delta({ content: "Hi" }), done], []]) {
      const { failure, done: isDone } = run(items);
      expect(failure?.error.type).toBe("ModelStreamErrorException");
      expect(isDone).toBe(false);
    }
  });

  test("a stop sequence the server does not know cuts the text, and the rest is not waited for", () => {
    const stream = openai.stream(memoFor("xai", { stops: ["END"] }));
    stream.push(delta({ content: "Hello E" }));
    const last = stream.push(delta({ content: "ND and more" }));
    expect(last.done).toBe(true);
    expect(last.events).toContainEqual({ messageStop: { stopReason: "stop_sequence" } });
    expect(JSON.stringify(last.events)).not.toContain("more");
  });

  test("a refusal is text, and the content was filtered", () => {
    const items = [start, delta({ refusal: "I ca" }), delta({ refusal: "nnot." }), finish("stop"), done];
    expect(streamed(items)).toMatchObject({ content: [{ text: "I cannot." }], stopReason: "content_filtered" });
  });

  test("members the client asked for come with messageStop", () => {
    const memo = memoFor("vllm", {
      responsePaths: ["/stop_sequence", "/usage/prompt_tokens", "/system_fingerprint", "/none"],
    });
    const items = [
      delta({ content: "Hi" }),
      finish("stop", { stop_reason: "###" }, { system_fingerprint: "fp" }),
      usageChunk(usage),
    ];
    const { stopReason, additional } = collect(run(items, memo).events);
    expect(stopReason).toBe("stop_sequence");
    expect(additional).toEqual({ stop_sequence: "###", usage: { prompt_tokens: 10 }, system_fingerprint: "fp" });
  });

  test("the tier that served the request is told", () => {
    const { events } = run([delta({ content: "Hi" }), finish("stop", {}, { service_tier: "priority" })]);
    expect(events.at(-1)).toMatchObject({ metadata: { serviceTier: { type: "priority" } } });
  });
});

describe("citations", () => {
  const annotation = {
    type: "url_citation",
    url_citation: { url: "https://e.org/a", title: "A", start_index: 0, end_index: 2 },
  };
  const citation = { title: "A", source: "https://e.org/a", location: { web: { url: "https://e.org/a" } } };

  test("F75 of a later piece belong to the open text", () => {
    const { events } = run([
      delta({ content: "Hi" }),
      delta({ annotations: [annotation, { type: "x" }] }),
      finish("stop"),
    ]);
    expect(events[2]).toEqual({ contentBlockDelta: { contentBlockIndex: 0, delta: { citation } } });
    expect(collect(events).blocks).toEqual([{ text: "Hi", citations: 1 }]);
  });

  test("Perplexity's stand beside the message, in every chunk; the last one's count", () => {
    const search_results = [{ title: "A", url: "https://e.org/a" }];
    const items = [
      delta({ content: "Hi" }, { search_results }),
      finish("stop", {}, { search_results, citations: ["https://e.org/a"] }),
    ];
    const { events } = run(items, memoFor("perplexity"));
    expect(events.filter((event) => JSON.stringify(event).includes("citation"))).toEqual([
      { contentBlockDelta: { contentBlockIndex: 0, delta: { citation } } },
    ]);
  });
});

describe("images", () => {
  test("in an answer are blocks, and an address stays one", () => {
    const image = (url: string) => ({ type: "image_url", image_url: { url } });
    const items = [
      delta({ content: "See", images: [image("data:image/png;base64,iVBO")] }),
      delta({ images: [image("https://e.org/x.png")] }),
      finish("stop"),
    ];
    expect(collect(run(items, memoFor("openrouter")).events).blocks).toEqual([
      { text: "See" },
      { start: { image: { format: "png" } }, image: "iVBO" },
      { text: "https://e.org/x.png" },
    ]);
  });
});

describe("F80 Cerebras repeats calls beside an answer that follows the schema", () => {
  const call = callDelta({ index: 0, id: "a", type: "function", function: { name: "f", arguments: "{}" } });
  const answer = delta({ content: '{"a":1}' });
  const memo = memoFor("cerebras", { schema: true, tools: true });

  test.each([[[answer, call]], [[call, answer]]])("they are left out, whichever comes first", (items) => {
    expect(streamed([...items, finish("tool_calls")], memo)).toMatchObject({
      content: [{ text: '{"a":1}' }],
      stopReason: "end_turn",
    });
  });

  test("without an answer they are meant", () => {
    expect(streamed([call, finish("tool_calls")], memo)).toMatchObject({
      content: [{ id: "a", name: "f", input: {} }],
      stopReason: "tool_use",
    });
  });

  test("other servers mean both", () => {
    const read = streamed([answer, call, finish("tool_calls")], memoFor("openai", { schema: true }));
    expect(read.content).toHaveLength(2);
  });
});

describe("F43 an answer in the place of the reasoning", () => {
  const pieces = [delta({ reasoning_content: ' {"a"' }), delta({ reasoning_content: ":1}" })];

  test("is the answer when a schema was asked for and there is no other", () => {
    const memo = memoFor("azure", { schema: true });
    expect(streamed([start, ...pieces, finish("stop")], memo).content).toEqual([{ text: ' {"a":1}' }]);
  });

  test("is reasoning when text or a call follows, or when it is not JSON", () => {
    const memo = memoFor("azure", { schema: true });
    const call = callDelta({ index: 0, id: "a", function: { name: "f", arguments: "{}" } });
    expect(streamed([...pieces, delta({ content: "{}" }), finish("stop")], memo).content).toHaveLength(2);
    expect(streamed([...pieces, call, finish("stop")], memo).content[0]).toEqual({ reasoning: ' {"a":1}' });
    expect(streamed([pieces[0] ?? start, finish("stop")], memo).content).toEqual([{ reasoning: ' {"a"' }]);
  });

  test("does not hold back reasoning that is one", () => {
    const stream = openai.stream(memoFor("azure", { schema: true }));
    expect(JSON.stringify(stream.push(delta({ reasoning_content: "Let me" })).events)).toContain("Let me");
  });

  test("stays where it is without a schema", () => {
    expect(streamed([...pieces, finish("stop")], memoFor("azure")).content).toEqual([{ reasoning: ' {"a":1}' }]);
  });
});
