/** Whole exchanges in the shapes the servers really use, beginnings, keep-alives and ends included. */
import { describe, expect, test } from "vitest";
import type { Memo } from "../../../src/providers/dialect.ts";
import { SseReader } from "../../../src/upstream/sse.ts";
import { memoFor, run, streamed, whole } from "./chunks.ts";

function read(lines: readonly string[], memo: Memo) {
  return streamed(items(lines), memo);
}

/** Lines as they come over the wire: comments as they are, everything else as data. */
function items(lines: readonly string[]) {
  const text = lines.map((line) => (line.startsWith(":") ? `${line}\n\n` : `data: ${line}\n\n`)).join("");
  const reader = new SseReader();
  return [...reader.push(Buffer.from(text)), ...reader.end()];
}

describe("streams", () => {
  test("OpenAI: padded chunks, usage in a chunk of its own", () => {
    const head = `"id":"chatcmpl-B1","object":"chat.completion.chunk","created":1767225600,"model":"gpt-4o-2024-08-06","service_tier":"default","system_fingerprint":"fp_1"`;
    const read_ = read(
      [
        `{${head},"choices":[{"index":0,"delta":{"role":"assistant","content":"","refusal":null},"logprobs":null,"finish_reason":null}],"usage":null,"obfuscation":"Aq"}`,
        `{${head},"choices":[{"index":0,"delta":{"content":"Hello"},"logprobs":null,"finish_reason":null}],"usage":null,"obfuscation":"x8Jd"}`,
        `{${head},"choices":[{"index":0,"delta":{"content":"!"},"logprobs":null,"finish_reason":null}],"usage":null,"obfuscation":"k"}`,
        `{${head},"choices":[{"index":0,"delta":{},"logprobs":null,"finish_reason":"stop"}],"usage":null,"obfuscation":""}`,
        `{${head},"choices":[],"usage":{"prompt_tokens":2006,"completion_tokens":3,"total_tokens":2009,"prompt_tokens_details":{"cached_tokens":1920,"audio_tokens":0},"completion_tokens_details":{"reasoning_tokens":0,"audio_tokens":0,"accepted_prediction_tokens":0,"rejected_prediction_tokens":0}},"obfuscation":"z"}`,
        "[DONE]",
      ],
      memoFor("openai"),
    );
    expect(read_).toEqual({
      content: [{ text: "Hello!" }],
      stopReason: "end_turn",
      usage: { inputTokens: 86, outputTokens: 3, totalTokens: 2009, cacheReadInputTokens: 1920 },
    });
  });

  test("Azure: results of the filter first, in a chunk without anything else", () => {
    const safe = `{"hate":{"filtered":false,"severity":"safe"}}`;
    const read_ = read(
      [
        `{"choices":[],"created":0,"id":"","model":"","object":"","prompt_filter_results":[{"prompt_index":0,"content_filter_results":${safe}}]}`,
        `{"choices":[{"content_filter_results":{},"delta":{"content":"","refusal":null,"role":"assistant"},"finish_reason":null,"index":0,"logprobs":null}],"id":"c","model":"gpt-5-nano","object":"chat.completion.chunk","usage":null}`,
        `{"choices":[{"content_filter_results":${safe},"delta":{"content":"Oslo"},"finish_reason":null,"index":0,"logprobs":null}],"id":"c","model":"gpt-5-nano","object":"chat.completion.chunk","usage":null}`,
        `{"choices":[{"content_filter_results":{},"delta":{},"finish_reason":"content_filter","index":0,"logprobs":null}],"id":"c","model":"gpt-5-nano","object":"chat.completion.chunk","usage":null}`,
        "[DONE]",
      ],
      memoFor("azure"),
    );
    expect(read_).toMatchObject({ content: [{ text: "Oslo" }], stopReason: "content_filtered" });
  });

  test("Groq: a whole call in a chunk, usage twice in the last one, no [DONE]", () => {
    const head = `"id":"chatcmpl-2","object":"chat.completion.chunk","created":1767225600,"model":"llama-3.3-70b-versatile"`;
    const usage = `{"queue_time":0.04,"prompt_tokens":210,"prompt_time":0.01,"completion_tokens":15,"completion_time":0.05,"total_tokens":225}`;
    const read_ = read(
      [
        `{${head},"choices":[{"index":0,"delta":{"role":"assistant","content":null},"logprobs":null,"finish_reason":null}],"x_groq":{"id":"req_1","seed":1}}`,
        `{${head},"choices":[{"index":0,"delta":{"tool_calls":[{"id":"tk85n1k4m","type":"function","function":{"name":"weather","arguments":"{\\"city\\":\\"Oslo\\"}"},"index":0}]},"logprobs":null,"finish_reason":null}]}`,
        `{${head},"choices":[{"index":0,"delta":{},"logprobs":null,"finish_reason":"tool_calls"}],"x_groq":{"id":"req_1","usage":${usage}},"usage":${usage}}`,
      ],
      memoFor("groq", { tools: true }),
    );
    expect(read_).toEqual({
      content: [{ id: "tk85n1k4m", name: "weather", input: { city: "Oslo" } }],
      stopReason: "tool_use",
      usage: { inputTokens: 210, outputTokens: 15, totalTokens: 225 },
    });
  });

  test("DeepSeek: keep-alives while waiting, content null beside reasoning, usage with the finish", () => {
    const head = `"id":"d","object":"chat.completion.chunk","created":1767225600,"model":"deepseek-v4"`;
    const chunk = (delta: string) =>
      `{${head},"choices":[{"index":0,"delta":${delta},"logprobs":null,"finish_reason":null}]}`;
    const read_ = read(
      [
        ": keep-alive",
        chunk(`{"role":"assistant","content":null,"reasoning_content":""}`),
        chunk(`{"content":null,"reasoning_content":"Easy."}`),
        ": keep-alive",
        chunk(`{"content":"4","reasoning_content":null}`),
        `{${head},"choices":[{"index":0,"delta":{"content":"","reasoning_content":null},"logprobs":null,"finish_reason":"stop"}],"usage":{"prompt_tokens":18,"completion_tokens":40,"total_tokens":58,"prompt_tokens_details":{"cached_tokens":0},"completion_tokens_details":{"reasoning_tokens":36},"prompt_cache_hit_tokens":0,"prompt_cache_miss_tokens":18}}`,
        "[DONE]",
      ],
      memoFor("deepseek"),
    );
    expect(read_).toEqual({
      content: [{ reasoning: "Easy." }, { text: "4" }],
      stopReason: "end_turn",
      usage: { inputTokens: 18, outputTokens: 40, totalTokens: 58, cacheReadInputTokens: 0 },
    });
  });

  test("xAI: reasoning counted apart, usage growing with each chunk", () => {
    const head = `"id":"x","object":"chat.completion.chunk","created":1767225600,"model":"grok-4.3"`;
    const usage = (n: number) =>
      `{"prompt_tokens":12,"completion_tokens":${n},"total_tokens":${n + 332},"prompt_tokens_details":{"text_tokens":12,"cached_tokens":11},"completion_tokens_details":{"reasoning_tokens":320},"num_sources_used":0}`;
    const read_ = read(
      [
        `{${head},"choices":[{"index":0,"delta":{"role":"assistant","reasoning_content":"Hm"}}]}`,
        `{${head},"choices":[{"index":0,"delta":{"role":"assistant","content":"Four"}}],"usage":${usage(0)}}`,
        `{${head},"choices":[{"index":0,"delta":{},"finish_reason":"stop"}],"usage":${usage(1)}}`,
        "[DONE]",
      ],
      memoFor("xai"),
    );
    expect(read_).toEqual({
      content: [{ reasoning: "Hm" }, { text: "Four" }],
      stopReason: "end_turn",
      usage: { inputTokens: 1, outputTokens: 321, totalTokens: 333, cacheReadInputTokens: 11 },
    });
  });

  test("OpenRouter: comments, then an error in the middle", () => {
    const lines = [
      ": OPENROUTER PROCESSING",
      ": OPENROUTER PROCESSING",
      `{"id":"gen-1","provider":"X","model":"m","object":"chat.completion.chunk","choices":[{"index":0,"delta":{"role":"assistant","content":"Hel"},"finish_reason":null,"native_finish_reason":null}]}`,
      `{"id":"gen-1","provider":"X","model":"m","object":"chat.completion.chunk","error":{"code":502,"message":"Upstream cut off"},"choices":[{"index":0,"delta":{"content":""},"finish_reason":"error"}]}`,
    ];
    const { events, failure } = run(items(lines), memoFor("openrouter"));
    expect(events).toHaveLength(2);
    expect(failure?.error).toMatchObject({ type: "ServiceUnavailableException", message: "Upstream cut off" });
  });

  test("F60 Ollama: parallel calls, all of index 0, whole, and an id each", () => {
    const call = (id: string, city: string) =>
      `{"id":"o","object":"chat.completion.chunk","created":1,"model":"qwen3","system_fingerprint":"fp_ollama","choices":[{"index":0,"delta":{"role":"assistant","content":"","tool_calls":[{"id":"${id}","index":0,"type":"function","function":{"name":"weather","arguments":"{\\"city\\":\\"${city}\\"}"}}]},"finish_reason":null}]}`;
    const read_ = read(
      [
        call("call_a", "Oslo"),
        call("call_b", "Rome"),
        `{"id":"o","object":"chat.completion.chunk","created":1,"model":"qwen3","choices":[{"index":0,"delta":{"role":"assistant","content":""},"finish_reason":"tool_calls"}]}`,
        `{"id":"o","object":"chat.completion.chunk","created":1,"model":"qwen3","choices":[],"usage":{"prompt_tokens":170,"completion_tokens":40,"total_tokens":210}}`,
        "[DONE]",
      ],
      memoFor("ollama", { tools: true }),
    );
    expect(read_).toMatchObject({
      content: [
        { id: "call_a", input: { city: "Oslo" } },
        { id: "call_b", input: { city: "Rome" } },
      ],
      stopReason: "tool_use",
    });
  });

  test("vLLM: the name first, the input in pieces, and a stop sequence by its text", () => {
    const chunk = (delta: string, more = `"finish_reason":null`) =>
      `{"id":"chatcmpl-v","object":"chat.completion.chunk","created":1,"model":"m","choices":[{"index":0,"delta":${delta},"logprobs":null,${more},"token_ids":null}]}`;
    const read_ = read(
      [
        chunk(`{"role":"assistant","content":"","reasoning_content":null}`),
        chunk(`{"content":"One, two"}`),
        chunk(`{"content":""}`, `"finish_reason":"stop","stop_reason":"three"`),
        "[DONE]",
      ],
      memoFor("vllm"),
    );
    expect(read_).toMatchObject({ content: [{ text: "One, two" }], stopReason: "stop_sequence" });
  });
});

describe("whole answers", () => {
  test("OpenAI: a search model with its sources", () => {
    const body = {
      id: "chatcmpl-3",
      object: "chat.completion",
      created: 1767225600,
      model: "gpt-4o-search-preview",
      choices: [
        {
          index: 0,
          message: {
            role: "assistant",
            content: "It rains ([met.no](https://met.no)).",
            refusal: null,
            annotations: [
              {
                type: "url_citation",
                url_citation: { start_index: 9, end_index: 35, title: "Yr", url: "https://met.no" },
              },
            ],
          },
          finish_reason: "stop",
        },
      ],
      usage: { prompt_tokens: 12, completion_tokens: 30, total_tokens: 42 },
    };
    expect(whole(body).content).toEqual([{ text: "It rains ([met.no](https://met.no)).", citations: 1 }]);
  });

  test("Cerebras: reasoning, an answer, and the call once more", () => {
    const body = {
      id: "c",
      object: "chat.completion",
      model: "zai-glm-4.7",
      choices: [
        {
          finish_reason: "tool_calls",
          index: 0,
          message: {
            content: '{"result":"2026"}',
            reasoning: "The tool said 2026.",
            role: "assistant",
            tool_calls: [{ id: "bbd2b9d98", type: "function", function: { name: "magic", arguments: "{}" } }],
          },
        },
      ],
      usage: {
        prompt_tokens: 322,
        completion_tokens: 104,
        total_tokens: 426,
        prompt_tokens_details: { cached_tokens: 256 },
      },
      time_info: { queue_time: 0.003 },
    };
    expect(whole(body, memoFor("cerebras", { schema: true, tools: true }))).toEqual({
      content: [{ reasoning: "The tool said 2026." }, { text: '{"result":"2026"}' }],
      stopReason: "end_turn",
      usage: { inputTokens: 66, outputTokens: 104, totalTokens: 426, cacheReadInputTokens: 256 },
    });
  });
});
