/**
 * Prompts that hold a whole conversation in a model's own template. What parses cleanly becomes a system prompt and
 * messages, so that any model can take it; what does not is one user's message, the prompt as it is.
 *
 * Either way no token of a template that begins or ends a text is left in it: to another model it would be noise.
 */
import { refuseField } from "../errors.ts";
import { readText } from "../reading.ts";
import { type Conversation, splitSystem, type Turn } from "./turns.ts";

const promptPath = "prompt";

interface Template {
  readonly tokens: ReadonlySet<string>;
  /** Matches every token, and captures it. */
  readonly cut: RegExp;
  /** Taken out of a prompt that does not parse. */
  readonly stops: readonly string[];
  /** Gives the turns, or undefined when the prompt does not keep to the template. */
  readonly parse: (pieces: Pieces) => readonly Turn[] | undefined;
}

interface HeaderTokens {
  readonly begin: string;
  readonly open: string;
  readonly close: string;
  readonly end: string;
}

/** Llama 3: `<|begin_of_text|>` once, then `<|start_header_id|>role<|end_header_id|>text<|eot_id|>` for each turn. */
const llama3 = headerTemplate(
  { begin: "<|begin_of_text|>", open: "<|start_header_id|>", close: "<|end_header_id|>", end: "<|eot_id|>" },
  ["<|eom_id|>", "<|end_of_text|>"],
);

const llama4 = headerTemplate(
  { begin: "<|begin_of_text|>", open: "<|header_start|>", close: "<|header_end|>", end: "<|eot|>" },
  ["<|eom|>", "<|end_of_text|>"],
);

/** Llama 2 and Mistral: `<s>[INST] <<SYS>>system<</SYS>> question [/INST] answer</s>` for each pair of turns. */
const inst = makeTemplate(
  ["<s>", "</s>", "[INST]", "[/INST]", "<<SYS>>", "<</SYS>>", "[AVAILABLE_TOOLS]", "[TOOL_CALLS]"],
  ["<s>", "</s>"],
  parseInst,
);

/** DeepSeek: the system prompt bare, then `<｜User｜>question<｜Assistant｜>answer<｜end▁of▁sentence｜>`. */
const deepseek = makeTemplate(
  ["<｜begin▁of▁sentence｜>", "<｜end▁of▁sentence｜>", "<｜User｜>", "<｜Assistant｜>"],
  ["<｜begin▁of▁sentence｜>", "<｜end▁of▁sentence｜>"],
  parseDeepseek,
);

const roles = ["system", "user", "assistant"] as const;

export function readLlamaPrompt(value: unknown): Conversation {
  const prompt = readText(value, promptPath);
  if (prompt.includes("<|header_start|>")) return readTemplate(prompt, llama4);
  return readTemplate(prompt, prompt.includes("[INST]") && !prompt.includes("<|start_header_id|>") ? inst : llama3);
}

export function readMistralPrompt(value: unknown): Conversation {
  const prompt = readText(value, promptPath);
  // Without a question's marks, `</s>` is more likely somebody's HTML than the template's.
  return prompt.includes("[INST]") ? readTemplate(prompt, inst) : wholePrompt(prompt, []);
}

export function readDeepseekPrompt(value: unknown): Conversation {
  return readTemplate(readText(value, promptPath), deepseek);
}

/** The prompt as one message, without the tokens that end a text. */
export function wholePrompt(prompt: string, stops: readonly string[]): Conversation {
  const text = stops.reduce((rest, token) => rest.replaceAll(token, ""), prompt);
  if (text === "") throw refuseField(promptPath, "must not be empty");
  return { messages: [{ role: "user", content: [{ text }] }] };
}

function readTemplate(prompt: string, template: Template): Conversation {
  const turns = template.parse(new Pieces(prompt, template));
  if (turns === undefined || turns.find((turn) => turn.role !== "system")?.role !== "user") {
    return wholePrompt(prompt, template.stops);
  }
  const conversation = splitSystem(turns);
  const clean = conversation.messages.every((message) => message.role !== "system");
  return clean ? conversation : wholePrompt(prompt, template.stops);
}

/** A prompt cut at its template's tokens, to be taken piece by piece. Texts are trimmed, and blank ones are not there. */
class Pieces {
  readonly #tokens: ReadonlySet<string>;
  readonly #pieces: readonly string[];
  #at = 0;

  constructor(prompt: string, { tokens, cut }: Template) {
    this.#tokens = tokens;
    this.#pieces = prompt
      .split(cut)
      .map((piece) => piece.trim())
      .filter((piece) => piece !== "");
  }

  get done(): boolean {
    return this.#at === this.#pieces.length;
  }

  /** Steps over the token if it is next. */
  take(token: string): boolean {
    if (this.#pieces[this.#at] !== token) return false;
    this.#at++;
    return true;
  }

  /** Steps over the text that is next; undefined when there is a token, or nothing. */
  text(): string | undefined {
    const piece = this.#pieces[this.#at];
    if (piece === undefined || this.#tokens.has(piece)) return undefined;
    this.#at++;
    return piece;
  }
}

function turn(role: Turn["role"], text: string): Turn {
  return { role, content: [{ text }] };
}

function makeTemplate(tokens: readonly string[], stops: readonly string[], parse: Template["parse"]): Template {
  const escaped = tokens.map((token) => token.replace(/[[\]|]/g, "\\$&"));
  return { tokens: new Set(tokens), cut: new RegExp(`(${escaped.join("|")})`), stops, parse };
}

function headerTemplate(tokens: HeaderTokens, stops: readonly string[]): Template {
  return makeTemplate(
    [...Object.values(tokens), ...stops, "<|python_tag|>"],
    [tokens.begin, tokens.end, ...stops],
    (pieces) => parseHeaders(pieces, tokens),
  );
}

/** The last turn is the user's, or an assistant's that is open: empty, or with words the answer is to begin with. */
function parseHeaders(pieces: Pieces, { begin, open, close, end }: HeaderTokens): readonly Turn[] | undefined {
  const turns: Turn[] = [];
  pieces.take(begin);
  while (!pieces.done) {
    if (!pieces.take(open)) return undefined;
    const name = pieces.text();
    const role = roles.find((known) => known === name);
    if (role === undefined || !pieces.take(close)) return undefined;
    const text = pieces.text();
    if (text !== undefined) turns.push(turn(role, text));
    if (!pieces.take(end)) return pieces.done && role === "assistant" ? turns : undefined;
    if (text === undefined) return undefined;
  }
  return turns.at(-1)?.role === "user" ? turns : undefined;
}

/** The `</s>` behind an answer may be missing, and the system prompt may stand before the first question's mark. */
function parseInst(pieces: Pieces): readonly Turn[] | undefined {
  const turns: Turn[] = [];
  while (true) {
    const first = turns.every(({ role }) => role === "system");
    pieces.take("<s>");
    if (first && !takeSystem(pieces, turns)) return undefined;
    if (!pieces.take("[INST]")) return undefined;
    if (first && !takeSystem(pieces, turns)) return undefined;
    const question = pieces.text();
    if (question === undefined || !pieces.take("[/INST]")) return undefined;
    turns.push(turn("user", question));
    const answer = pieces.text();
    if (answer !== undefined) turns.push(turn("assistant", answer));
    const closed = pieces.take("</s>");
    if (pieces.done) return closed ? undefined : turns;
    if (answer === undefined) return undefined;
  }
}

/** False when a system prompt begins here and does not end. */
function takeSystem(pieces: Pieces, turns: Turn[]): boolean {
  if (!pieces.take("<<SYS>>")) return true;
  const text = pieces.text();
  if (text !== undefined) turns.push(turn("system", text));
  return pieces.take("<</SYS>>");
}

function parseDeepseek(pieces: Pieces): readonly Turn[] | undefined {
  const turns: Turn[] = [];
  pieces.take("<｜begin▁of▁sentence｜>");
  const system = pieces.text();
  if (system !== undefined) turns.push(turn("system", system));
  while (pieces.take("<｜User｜>")) {
    const question = pieces.text();
    if (question === undefined) return undefined;
    turns.push(turn("user", question));
    if (pieces.done) return turns;
    if (!pieces.take("<｜Assistant｜>")) return undefined;
    const answer = pieces.text();
    const closed = pieces.take("<｜end▁of▁sentence｜>");
    // An open `<think>` asks the model to reason first. Others do so, or not, by their own settings.
    if (answer !== undefined && (closed || answer !== "<think>")) turns.push(turn("assistant", answer));
    if (pieces.done) return closed ? undefined : turns;
    if (answer === undefined || !closed) return undefined;
  }
  return undefined;
}
