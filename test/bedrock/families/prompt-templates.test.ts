import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { Message } from "../../../src/bedrock/converse.ts";
import {
  readDeepseekPrompt,
  readLlamaPrompt,
  readMistralPrompt,
} from "../../../src/bedrock/families/prompt-templates.ts";
import type { Conversation } from "../../../src/bedrock/families/turns.ts";

/** A conversation of plain texts: what templates hold. */
interface Plain {
  readonly system: string | undefined;
  /** Questions and their answers; the last one has none, or the beginning of one. */
  readonly pairs: readonly (readonly [question: string, answer: string])[];
  readonly last: string;
  readonly prefill: string | undefined;
}

const token = /<\/?s>|\[\/?INST\]|<<\/?SYS>>|\[AVAILABLE_TOOLS\]|\[TOOL_CALLS\]|<\||\|>|｜/;
const text = fc
  .oneof(
    fc.string({ unit: "grapheme" }),
    fc.string({ unit: fc.constantFrom("<", "[", "|", "s", "/", "INST", "\n", ">") }),
  )
  .map((value) => value.trim())
  .filter((value) => value !== "" && value !== "<think>" && !token.test(value));
const plain: fc.Arbitrary<Plain> = fc.record({
  system: fc.option(text, { nil: undefined }),
  pairs: fc.array(fc.tuple(text, text), { maxLength: 3 }),
  last: text,
  prefill: fc.option(text, { nil: undefined }),
});

function conversationOf({ system, pairs, last, prefill }: Plain): Conversation {
  const message = (role: Message["role"], said: string): Message => ({ role, content: [{ text: said }] });
  return {
    ...(system !== undefined && { system: [{ text: system }] }),
    messages: [
      ...pairs.flatMap(([question, answer]) => [message("user", question), message("assistant", answer)]),
      message("user", last),
      ...(prefill === undefined ? [] : [message("assistant", prefill)]),
    ],
  };
}

function whole(prompt: string): Conversation {
  return { messages: [{ role: "user", content: [{ text: prompt }] }] };
}

type Render = (plain: Plain) => string;

const headers =
  (open: string, close: string, end: string): Render =>
  ({ system, pairs, last, prefill = "" }) => {
    const turn = (role: string, said: string) => `${open}${role}${close}\n\n${said}${end}`;
    const turns = pairs.map(([question, answer]) => turn("user", question) + turn("assistant", answer));
    const first = system === undefined ? "" : turn("system", system);
    return `<|begin_of_text|>${first}${turns.join("")}${turn("user", last)}${open}assistant${close}\n\n${prefill}`;
  };
const llama3 = headers("<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>");
const llama4 = headers("<|header_start|>", "<|header_end|>", "<|eot|>");

const llama2: Render = ({ system, pairs, last, prefill = "" }) => {
  const questions = [...pairs.map(([question]) => question), last];
  const answers = [...pairs.map(([, answer]) => ` ${answer} </s>`), ` ${prefill}`];
  const sys = system === undefined ? "" : `<<SYS>>\n${system}\n<</SYS>>\n\n`;
  return questions
    .map((question, index) => `<s>[INST] ${index === 0 ? sys : ""}${question} [/INST]${answers[index] ?? ""}`)
    .join("");
};

const mistral: Render = ({ pairs, last, prefill = "" }) =>
  `<s>${pairs.map(([question, answer]) => `[INST] ${question} [/INST] ${answer}</s>`).join("")}[INST] ${last} [/INST]${prefill}`;

/** As LangChain writes a conversation for Llama 2: no `<s>` at all, and the system prompt before the first question. */
const langchain: Render = ({ system, pairs, last, prefill = "" }) =>
  [
    ...(system === undefined ? [] : [`<<SYS>> ${system} <</SYS>>`]),
    ...pairs.flatMap(([question, answer]) => [`[INST] ${question} [/INST]`, answer]),
    `[INST] ${last} [/INST]`,
    prefill,
  ].join("\n");

const deepseek: Render = ({ system = "", pairs, last, prefill = "<think>\n" }) =>
  `<｜begin▁of▁sentence｜>${system}${pairs
    .map(([question, answer]) => `<｜User｜>${question}<｜Assistant｜>${answer}<｜end▁of▁sentence｜>`)
    .join("")}<｜User｜>${last}<｜Assistant｜>${prefill}`;

describe("a conversation in a template is read to what it was", () => {
  test.each<[string, Render, (prompt: unknown) => Conversation]>([
    ["Llama 3's headers", llama3, readLlamaPrompt],
    ["Llama 4's headers", llama4, readLlamaPrompt],
    ["Llama 2's instructions", llama2, readLlamaPrompt],
    ["instructions without begin and end", langchain, readLlamaPrompt],
    ["instructions, for Mistral", llama2, readMistralPrompt],
    ["DeepSeek's marks", deepseek, readDeepseekPrompt],
  ])("%s", (_name, render, read) => {
    fc.assert(
      fc.property(plain, (spoken) => {
        expect(read(render(spoken))).toEqual(conversationOf(spoken));
      }),
    );
  });

  test("Mistral's instructions, which have no system prompt", () => {
    fc.assert(
      fc.property(plain, (spoken) => {
        const silent = { ...spoken, system: undefined };
        expect(readMistralPrompt(mistral(silent))).toEqual(conversationOf(silent));
      }),
    );
  });
});

describe("recorded prompts", () => {
  test("Llama 3 with line breaks around every text", () => {
    const prompt =
      "\n<|begin_of_text|><|start_header_id|>user<|end_header_id|>\nHi\n<|eot_id|>\n<|start_header_id|>assistant<|end_header_id|>\n";
    expect(readLlamaPrompt(prompt)).toEqual(whole("Hi"));
  });

  test("DeepSeek without a system prompt, its reasoning begun", () => {
    expect(readDeepseekPrompt("<｜begin▁of▁sentence｜><｜User｜>Hi<｜Assistant｜><think>\n")).toEqual(whole("Hi"));
  });
});

describe("what does not keep to a template is one message", () => {
  test.each([
    ["plain text", "What is 1 < 2?"],
    ["an unknown role", "<|start_header_id|>ipython<|end_header_id|>\n\n3<|eot_id|>"],
    ["a header without end", "<|start_header_id|>user"],
    ["text before the first header", "Hi <|start_header_id|>user<|end_header_id|>\n\nHi<|eot_id|>"],
    ["a user's turn that does not end", "<|start_header_id|>user<|end_header_id|>\n\nHi"],
    ["an empty turn", "<|start_header_id|>user<|end_header_id|>\n\n<|eot_id|>"],
    ["an assistant that begins", "<|start_header_id|>assistant<|end_header_id|>\n\nHi"],
    ["only a system prompt", "<|start_header_id|>system<|end_header_id|>\n\nHi<|eot_id|>"],
    [
      "a system prompt in the middle",
      "<|start_header_id|>user<|end_header_id|>\n\nHi<|eot_id|><|start_header_id|>system<|end_header_id|>\n\nHo<|eot_id|><|start_header_id|>user<|end_header_id|>\n\nHi<|eot_id|>",
    ],
    [
      "a call of a tool",
      "<|start_header_id|>user<|end_header_id|>\n\nHi<|eot_id|><|start_header_id|>assistant<|end_header_id|>\n\n<|python_tag|>f()<|eom_id|>",
    ],
    ["a question without end", "<s>[INST] Hi"],
    ["an empty question", "<s>[INST] [/INST]"],
    ["questions in a row", "[INST] a [/INST][INST] b [/INST]"],
    ["a question in a question", "[INST] a [INST] b [/INST]"],
    ["a conversation that is over", "<s>[INST] Hi [/INST] Ho </s>"],
    ["a system prompt without end", "[INST] <<SYS>> Hi [/INST]"],
    ["tools in the prompt", "<s>[AVAILABLE_TOOLS] [][/AVAILABLE_TOOLS][INST] Hi [/INST]"],
  ])("%s", (_name, prompt) => {
    const { system, messages } = readLlamaPrompt(prompt);
    expect(system).toBeUndefined();
    expect(messages).toHaveLength(1);
    const stops = /<\|(?:begin_of_text|eot_id|eom_id)\|>|<\/?s>/g;
    expect(messages).toEqual(whole(prompt.replaceAll(stops, "")).messages);
  });

  test("a long list of marks is read in one go", () => {
    const prompt = "[INST]a[/INST]".repeat(50_000);
    expect(readLlamaPrompt(prompt)).toEqual(whole(prompt));
    const open = "<|start_header_id|>user".repeat(50_000);
    expect(readLlamaPrompt(open)).toEqual(whole(open));
  });

  test("HTML stays HTML where there are no instructions", () => {
    expect(readMistralPrompt("What does <s>old</s> mean?")).toEqual(whole("What does <s>old</s> mean?"));
  });

  test("no token that ends a text is left in any text", () => {
    const piece = fc.constantFrom(
      "<|begin_of_text|>",
      "<|start_header_id|>",
      "user",
      "assistant",
      "<|end_header_id|>",
      "<|eot_id|>",
      "<|eom_id|>",
      "Hi",
      "\n",
    );
    fc.assert(
      fc.property(fc.array(piece, { minLength: 1 }), (pieces) => {
        const prompt = `${pieces.join("")}Hi`;
        expect(JSON.stringify(readLlamaPrompt(prompt))).not.toMatch(/<\|e(?:ot|om)_id\|>/);
      }),
    );
  });
});
