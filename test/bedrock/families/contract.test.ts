/** One contract for every family: the same conversation, the same answer, in each family's own words. */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { ContentBlock, StopReason } from "../../../src/bedrock/converse.ts";
import { BedrockError } from "../../../src/bedrock/errors.ts";
import { ai21Jamba } from "../../../src/bedrock/families/ai21.ts";
import { anthropicMessages } from "../../../src/bedrock/families/anthropic-messages.ts";
import { anthropicText } from "../../../src/bedrock/families/anthropic-text.ts";
import { cohereCommand } from "../../../src/bedrock/families/cohere-command.ts";
import { cohereCommandR } from "../../../src/bedrock/families/cohere-command-r.ts";
import { deepseek } from "../../../src/bedrock/families/deepseek.ts";
import { type Family, type FamilyContext, metricsKey } from "../../../src/bedrock/families/family.ts";
import { embeddingFamilies, textFamilies } from "../../../src/bedrock/families/index.ts";
import { llama } from "../../../src/bedrock/families/llama.ts";
import { mistralChat, mistralPrompt } from "../../../src/bedrock/families/mistral.ts";
import { nova } from "../../../src/bedrock/families/nova.ts";
import { openaiChat } from "../../../src/bedrock/families/openai-chat.ts";
import { titanText } from "../../../src/bedrock/families/titan-text.ts";
import { isJsonObject, type JsonObject, type JsonValue } from "../../../src/bedrock/json.ts";
import { jsonValue } from "../arbitraries.ts";
import { answer, context, dig, metrics, refusal, run, textEvents, textOf } from "./support.ts";

/** A family as its clients know it. */
interface Sample {
  /** "What is the moon?", at most 100 tokens, temperature 0.5, topP 0.9; with the conversation before it, if there is room. */
  readonly body: JsonObject;
  /** Where the body has the whole conversation: a system prompt, a question, its answer, and the last question. */
  readonly conversation: boolean;
  readonly stopSequences: boolean;
  /** The text in the unary answer, and the piece of it in a chunk. */
  readonly text: (written: JsonObject) => JsonValue | undefined;
  readonly piece: (chunk: JsonObject) => JsonValue | undefined;
  readonly reason: (written: JsonObject) => JsonValue | undefined;
  readonly chunkReason: (chunk: JsonObject) => JsonValue | undefined;
  readonly words: { readonly [reason in "end_turn" | "max_tokens" | "stop_sequence"]: string };
}

const inference = { max_tokens: 100, temperature: 0.5, top_p: 0.9 };
const plainWords = { end_turn: "stop", max_tokens: "length", stop_sequence: "stop" };
const chatMessages = [
  { role: "system", content: "Be brief." },
  { role: "user", content: "What is the sun?" },
  { role: "assistant", content: "A star." },
  { role: "user", content: "What is the moon?" },
];

const chat = {
  body: { ...inference, stop: ["END"], messages: chatMessages },
  conversation: true,
  stopSequences: true,
  text: (written: JsonObject) => dig(written, "choices", 0, "message", "content"),
  piece: (chunk: JsonObject) => dig(chunk, "choices", 0, "delta", "content"),
  reason: (written: JsonObject) => dig(written, "choices", 0, "finish_reason"),
  chunkReason: (chunk: JsonObject) => dig(chunk, "choices", 0, "finish_reason"),
  words: plainWords,
};

const samples: ReadonlyMap<Family, Sample> = new Map<Family, Sample>([
  [
    anthropicMessages,
    {
      body: {
        anthropic_version: "bedrock-2023-05-31",
        ...inference,
        stop_sequences: ["END"],
        system: "Be brief.",
        messages: chatMessages.slice(1),
      },
      conversation: true,
      stopSequences: true,
      text: (written) => allTexts(written.content, "text"),
      piece: (chunk) => dig(chunk, "delta", "text"),
      reason: (written) => written.stop_reason,
      chunkReason: (chunk) => dig(chunk, "delta", "stop_reason"),
      words: { end_turn: "end_turn", max_tokens: "max_tokens", stop_sequence: "stop_sequence" },
    },
  ],
  [
    anthropicText,
    {
      body: {
        prompt: "Be brief.\n\nHuman: What is the sun?\n\nAssistant: A star.\n\nHuman: What is the moon?\n\nAssistant:",
        max_tokens_to_sample: 100,
        temperature: 0.5,
        top_p: 0.9,
        stop_sequences: ["\n\nHuman:", "END"],
      },
      conversation: true,
      stopSequences: true,
      text: (written) => written.completion,
      piece: (chunk) => chunk.completion,
      reason: (written) => written.stop_reason,
      chunkReason: (chunk) => chunk.stop_reason,
      words: { end_turn: "stop_sequence", max_tokens: "max_tokens", stop_sequence: "stop_sequence" },
    },
  ],
  [
    nova,
    {
      body: {
        schemaVersion: "messages-v1",
        system: [{ text: "Be brief." }],
        messages: chatMessages.slice(1).map(({ role, content }) => ({ role, content: [{ text: content }] })),
        inferenceConfig: { maxTokens: 100, temperature: 0.5, topP: 0.9, stopSequences: ["END"] },
      },
      conversation: true,
      stopSequences: true,
      text: (written) => allTexts(dig(written, "output", "message", "content"), "text"),
      piece: (chunk) => dig(chunk, "contentBlockDelta", "delta", "text"),
      reason: (written) => written.stopReason,
      chunkReason: (chunk) => dig(chunk, "messageStop", "stopReason"),
      words: { end_turn: "end_turn", max_tokens: "max_tokens", stop_sequence: "stop_sequence" },
    },
  ],
  [
    titanText,
    {
      body: {
        inputText: "What is the moon?",
        textGenerationConfig: { maxTokenCount: 100, temperature: 0.5, topP: 0.9, stopSequences: ["END"] },
      },
      conversation: false,
      stopSequences: true,
      text: (written) => dig(written, "results", 0, "outputText"),
      piece: (chunk) => chunk.outputText,
      reason: (written) => dig(written, "results", 0, "completionReason"),
      chunkReason: (chunk) => chunk.completionReason,
      words: { end_turn: "FINISH", max_tokens: "LENGTH", stop_sequence: "STOP_CRITERIA_MET" },
    },
  ],
  [
    llama,
    {
      body: {
        prompt:
          "<|begin_of_text|><|start_header_id|>system<|end_header_id|>\n\nBe brief.<|eot_id|>" +
          "<|start_header_id|>user<|end_header_id|>\n\nWhat is the sun?<|eot_id|>" +
          "<|start_header_id|>assistant<|end_header_id|>\n\nA star.<|eot_id|>" +
          "<|start_header_id|>user<|end_header_id|>\n\nWhat is the moon?<|eot_id|>" +
          "<|start_header_id|>assistant<|end_header_id|>\n\n",
        max_gen_len: 100,
        temperature: 0.5,
        top_p: 0.9,
      },
      conversation: true,
      stopSequences: false,
      text: (written) => written.generation,
      piece: (chunk) => chunk.generation,
      reason: (written) => written.stop_reason,
      chunkReason: (chunk) => chunk.stop_reason,
      words: plainWords,
    },
  ],
  [
    mistralPrompt,
    {
      body: {
        prompt:
          "<s>[INST] <<SYS>>Be brief.<</SYS>> What is the sun? [/INST] A star.</s>[INST] What is the moon? [/INST]",
        ...inference,
        stop: ["END"],
      },
      conversation: true,
      stopSequences: true,
      text: (written) => dig(written, "outputs", 0, "text"),
      piece: (chunk) => dig(chunk, "outputs", 0, "text"),
      reason: (written) => dig(written, "outputs", 0, "stop_reason"),
      chunkReason: (chunk) => dig(chunk, "outputs", 0, "stop_reason"),
      words: plainWords,
    },
  ],
  [
    mistralChat,
    {
      ...chat,
      piece: (chunk) => dig(chunk, "choices", 0, "message", "content"),
      reason: (written) => dig(written, "choices", 0, "stop_reason"),
      chunkReason: (chunk) => dig(chunk, "choices", 0, "stop_reason"),
    },
  ],
  [
    cohereCommand,
    {
      body: {
        prompt: "What is the moon?",
        max_tokens: 100,
        temperature: 0.5,
        p: 0.9,
        stop_sequences: ["END"],
        stream: true,
      },
      conversation: false,
      stopSequences: true,
      text: (written) => dig(written, "generations", 0, "text"),
      piece: (chunk) => chunk.text,
      reason: (written) => dig(written, "generations", 0, "finish_reason"),
      chunkReason: (chunk) => chunk.finish_reason,
      words: { end_turn: "COMPLETE", max_tokens: "MAX_TOKENS", stop_sequence: "COMPLETE" },
    },
  ],
  [
    cohereCommandR,
    {
      body: {
        preamble: "Be brief.",
        chat_history: [
          { role: "USER", message: "What is the sun?" },
          { role: "CHATBOT", message: "A star." },
        ],
        message: "What is the moon?",
        max_tokens: 100,
        temperature: 0.5,
        p: 0.9,
        stop_sequences: ["END"],
      },
      conversation: true,
      stopSequences: true,
      text: (written) => written.text,
      piece: (chunk) => chunk.text,
      reason: (written) => written.finish_reason,
      chunkReason: (chunk) => chunk.finish_reason,
      words: { end_turn: "COMPLETE", max_tokens: "MAX_TOKENS", stop_sequence: "STOP_SEQUENCE" },
    },
  ],
  [ai21Jamba, chat],
  [
    deepseek,
    {
      body: {
        prompt:
          "<｜begin▁of▁sentence｜>Be brief.<｜User｜>What is the sun?<｜Assistant｜>A star.<｜end▁of▁sentence｜>" +
          "<｜User｜>What is the moon?<｜Assistant｜>",
        ...inference,
        stop: ["END"],
      },
      conversation: true,
      stopSequences: true,
      text: (written) => dig(written, "choices", 0, "text"),
      piece: (chunk) => dig(chunk, "choices", 0, "text"),
      reason: (written) => dig(written, "choices", 0, "stop_reason"),
      chunkReason: (chunk) => dig(chunk, "choices", 0, "stop_reason"),
      words: plainWords,
    },
  ],
  [openaiChat, chat],
]);

function allTexts(blocks: JsonValue | undefined, member: string): string {
  if (!Array.isArray(blocks)) throw new Error("is no list of blocks");
  return blocks
    .map((block: JsonValue) => textOf(dig(block, member) ?? dig(block, "citationsContent", "content", 0, "text")))
    .join("");
}

function lastReason(sample: Sample, chunks: readonly JsonObject[]): JsonValue | undefined {
  return chunks.map(sample.chunkReason).findLast((reason) => typeof reason === "string");
}

const contextOf = (sample: Sample): FamilyContext => ({ ...context, body: sample.body });
const streamText = (sample: Sample, chunks: readonly JsonObject[]): string =>
  chunks.map((chunk) => textOf(sample.piece(chunk))).join("");

test("every family has a sample, and a name of its own", () => {
  expect([...samples.keys()].map(({ name }) => name).toSorted()).toEqual(
    textFamilies.map(({ name }) => name).toSorted(),
  );
  const names = [...textFamilies, ...embeddingFamilies].map(({ name }) => name);
  expect(new Set(names).size).toBe(names.length);
});

describe.each([...samples].map(([family, sample]) => [family.name, family, sample] as const))(
  "%s",
  (_, family, sample) => {
    test("reads the conversation to the same meaning", () => {
      const request = family.read(sample.body);
      const question = { role: "user", content: [{ text: "What is the moon?" }] };
      if (sample.conversation) {
        expect(request.system).toEqual([{ text: "Be brief." }]);
        expect(request.messages).toEqual([
          { role: "user", content: [{ text: "What is the sun?" }] },
          { role: "assistant", content: [{ text: "A star." }] },
          question,
        ]);
      } else {
        expect(request.messages).toEqual([question]);
      }
      expect(request.inferenceConfig).toEqual({
        maxTokens: 100,
        temperature: 0.5,
        topP: 0.9,
        ...(sample.stopSequences && { stopSequences: ["END"] }),
      });
      expect(request.additionalModelRequestFields).toBeUndefined();
    });

    test("keeps a member it does not know as an additional field", () => {
      const request = family.read({ ...sample.body, something_new: { deep: [1] } });
      expect(request.additionalModelRequestFields).toEqual({ something_new: { deep: [1] } });
    });

    test("writes the answer's text, and the same again for the same answer", () => {
      const written = family.write(answer([{ text: "A rock." }]), contextOf(sample));
      expect(sample.text(written)).toBe("A rock.");
      expect(family.write(answer([{ text: "A rock." }]), contextOf(sample))).toEqual(written);
      expect(JSON.parse(JSON.stringify(written))).toEqual(written);
    });

    test("has its own words for why an answer ended, in a stream as well", () => {
      for (const reason of ["end_turn", "max_tokens", "stop_sequence"] as const) {
        expect(sample.reason(family.write(answer([{ text: "a" }], reason), contextOf(sample)))).toBe(
          sample.words[reason],
        );
        const chunks = run(family.stream(contextOf(sample)), textEvents(["a"], reason));
        expect(lastReason(sample, chunks)).toBe(sample.words[reason]);
      }
    });

    test("has a word for every reason, the same in a stream", () => {
      const reasons: readonly StopReason[] = [
        "tool_use",
        "guardrail_intervened",
        "content_filtered",
        "malformed_model_output",
        "malformed_tool_use",
        "model_context_window_exceeded",
      ];
      for (const reason of reasons) {
        const word = sample.reason(family.write(answer([{ text: "a" }], reason), contextOf(sample)));
        expect(word).toMatch(/./);
        expect(lastReason(sample, run(family.stream(contextOf(sample)), textEvents(["a"], reason)))).toBe(word);
      }
    });

    test("streams any text in any pieces, and the metrics in the last chunk alone", () => {
      fc.assert(
        fc.property(fc.array(fc.string({ unit: "binary" }), { maxLength: 8 }), (pieces) => {
          const chunks = run(family.stream(contextOf(sample)), textEvents(pieces));
          expect(streamText(sample, chunks)).toBe(pieces.join(""));
          expect(chunks.at(-1)?.[metricsKey]).toEqual(metrics);
          expect(chunks.slice(0, -1).some((chunk) => metricsKey in chunk)).toBe(false);
          const written = family.write(answer([{ text: pieces.join("") }]), contextOf(sample));
          expect(sample.text(written)).toBe(pieces.join(""));
        }),
      );
    });

    test("preserves the text of any answer, beside reasoning and citations", () => {
      const block: fc.Arbitrary<ContentBlock> = fc.oneof(
        fc.string({ unit: "binary" }).map((text) => ({ text })),
        fc.string({ unit: "binary" }).map((text) => ({
          citationsContent: { content: [{ text }], citations: [{ title: "T", location: { web: { url: "u" } } }] },
        })),
      );
      fc.assert(
        fc.property(fc.array(block, { maxLength: 4 }), fc.boolean(), (blocks, reasons) => {
          const text = blocks.map(plainText).join("");
          const reasoning: ContentBlock = { reasoningContent: { reasoningText: { text: "hm", signature: "S" } } };
          const written = family.write(answer(reasons ? [reasoning, ...blocks] : blocks), contextOf(sample));
          const shown = textOf(sample.text(written));
          expect(reasons && family === deepseek ? shown.slice("<think>hm</think>".length) : shown).toBe(text);
        }),
      );
    });

    test("does not end a stream that did not stop as if it had", () => {
      const stream = family.stream(contextOf(sample));
      stream.push({ messageStart: { role: "assistant" } });
      stream.push({ contentBlockDelta: { contentBlockIndex: 0, delta: { text: "a" } } });
      expect(refusal(() => stream.end(metrics), "ModelStreamErrorException")).toContain("ended before it was complete");
    });

    test("shows a guardrail's intervention, in a stream as well", () => {
      const written = family.write(answer([{ text: "no" }], "guardrail_intervened"), contextOf(sample));
      expect(written).toMatchObject({ "amazon-bedrock-guardrailAction": "INTERVENED" });
      const chunks = run(family.stream(contextOf(sample)), textEvents(["no"], "guardrail_intervened"));
      expect(chunks.at(-1)).toMatchObject({ "amazon-bedrock-guardrailAction": "INTERVENED" });
    });

    test("reads any JSON object, or refuses it as a ValidationException", () => {
      const refuses = (body: JsonObject) => {
        try {
          family.read(body);
        } catch (error) {
          if (!(error instanceof BedrockError)) throw error;
          expect(error.type).toBe("ValidationException");
          expect(error.message.length).toBeLessThan(600);
        }
      };
      fc.assert(
        fc.property(fc.array(fc.nat(20), { maxLength: 6 }), jsonValue, (steps, value) => {
          const broken = replaceAt(sample.body, steps, value);
          if (isJsonObject(broken)) refuses(broken);
        }),
        { numRuns: 300 },
      );
      fc.assert(fc.property(fc.dictionary(fc.constantFrom(...Object.keys(sample.body), "x"), jsonValue), refuses));
      refuses(JSON.parse('{"__proto__": {"messages": []}}'));
      for (const name of Object.keys(sample.body)) {
        refuses(JSON.parse(`{"${name}": ${"[".repeat(20_000)}${"]".repeat(20_000)}}`));
        refuses({ ...sample.body, [name]: null });
      }
    });
  },
);

function plainText(block: ContentBlock): string {
  if ("text" in block) return block.text;
  return "citationsContent" in block ? (block.citationsContent.content ?? []).map(({ text }) => text).join("") : "";
}

/** Replaces what stands at the end of a walk into JSON; each step picks one of the members there are. */
function replaceAt(value: JsonValue, [step, ...steps]: readonly number[], replacement: JsonValue): JsonValue {
  if (step === undefined || typeof value !== "object" || value === null) return replacement;
  const entries = Object.entries(value);
  const picked = step % Math.max(entries.length, 1);
  const changed = entries.map(([name, member], at): [string, JsonValue] =>
    at === picked ? [name, replaceAt(member, steps, replacement)] : [name, member],
  );
  return Array.isArray(value) ? changed.map(([, member]) => member) : Object.fromEntries(changed);
}
