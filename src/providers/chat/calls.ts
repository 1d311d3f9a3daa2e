/** The calls in an answer of the chat-completions kind, whole or in pieces. */
import { isJsonObject, type JsonObject, type JsonValue } from "../../bedrock/json.ts";
import type { AnswerWriter } from "../answer.ts";
import { objectOf, textOf } from "../answer.ts";
import type { StreamWriter } from "../stream-writer.ts";

/** `undefined` for what is no id: some APIs write an empty one, Mistral's the word `null`. */
function idOf(value: JsonValue | undefined): string | undefined {
  const id = textOf(value);
  return id === "" || id === "null" ? undefined : id;
}

/**
 * Writes a message's `tool_calls`, each `{id, function: {name, arguments}}`.
 *
 * @returns false when they are no list of such calls
 */
export function writeCalls(calls: JsonValue | undefined, writer: AnswerWriter): boolean {
  if (calls == null) return true;
  if (!Array.isArray(calls)) return false;
  for (const call of calls) {
    const { name, arguments: input } = objectOf(objectOf(call).function);
    if (textOf(name) === "") return false;
    writer.call(idOf(objectOf(call).id), textOf(name), input);
  }
  return true;
}

/** A call that is being received. */
interface OpenCall {
  /** Its number in the answer: what the writer knows it by. */
  readonly key: number;
  readonly index: number | undefined;
  id: string | undefined;
  name: string;
  /** All of its input so far, as JSON text. */
  input: string;
  /** How much of the input the writer has been given; undefined before it knows of the call. */
  given: number | undefined;
}

/**
 * The calls of one stream, put together from `delta.tool_calls`. Servers agree on little: indexes begin at 0 or 1, are
 * all 0, have gaps or are missing; an id comes once, with every piece, late, empty or not at all; so does the name. What
 * holds everywhere: the pieces of one call come in order, and its name does not change.
 *
 * So a piece belongs to the call of its id, else it begins a new call if the id is new, else it belongs to the latest
 * call of its index, else to the latest one. A call is given once its name is known, and a name that comes again is the
 * same one.
 */
export class CallDeltas {
  readonly #writer: StreamWriter;
  readonly #holds: boolean;
  readonly #calls: OpenCall[] = [];

  /** @param holds whether calls wait for {@link flush}, where they may not be meant */
  constructor(writer: StreamWriter, holds = false) {
    this.#writer = writer;
    this.#holds = holds;
  }

  /**
   * Takes a delta's `tool_calls`.
   *
   * @returns false when they are no list of objects
   */
  push(deltas: JsonValue | undefined): boolean {
    if (deltas == null) return true;
    if (!Array.isArray(deltas)) return false;
    for (const [position, delta] of deltas.entries()) {
      if (!isJsonObject(delta)) return false;
      // Without an index, several calls in one delta are still several.
      const given = typeof delta.index === "number" ? delta.index : undefined;
      this.#take(delta, given ?? (deltas.length > 1 ? position : undefined));
    }
    return true;
  }

  /** Gives the calls that were held. */
  flush(): void {
    for (const call of this.#calls) this.#give(call);
  }

  /** True while a call has not been given a name. */
  get nameless(): boolean {
    return this.#calls.some((call) => call.name === "");
  }

  #take(delta: JsonObject, index: number | undefined): void {
    const { name, arguments: given } = objectOf(delta.function);
    const fragment = fragmentOf(given);
    const id = idOf(delta.id);
    const call = this.#find(id, index, textOf(name), fragment) ?? this.#begin(index);
    if (call.name === "") call.name = textOf(name);
    call.id ??= id;
    call.input += fragment;
    if (!this.#holds) this.#give(call);
  }

  /** Undefined for the first piece of a call. */
  #find(id: string | undefined, index: number | undefined, name: string, fragment: string): OpenCall | undefined {
    if (id !== undefined) {
      const known = this.#calls.findLast((call) => call.id === id);
      // Another index tells apart calls to which a careless server gave the same id.
      if (known !== undefined) return index === undefined || known.index === index ? known : undefined;
    }
    const latest = index === undefined ? this.#calls.at(-1) : this.#calls.findLast((call) => call.index === index);
    if (latest === undefined || isAnother(latest, name, fragment)) return undefined;
    // A new id may be late, but not so late that the call has another, or that a name comes with it once more.
    const isNew = id !== undefined && (latest.id !== undefined || (name !== "" && latest.name !== ""));
    return isNew ? undefined : latest;
  }

  #begin(index: number | undefined): OpenCall {
    const call = { key: this.#calls.length, index, id: undefined, name: "", input: "", given: undefined };
    this.#calls.push(call);
    return call;
  }

  #give(call: OpenCall): void {
    if (call.name === "") return;
    if (call.given === undefined) this.#writer.toolStart(call.key, call.id, call.name);
    this.#writer.toolArgs(call.key, call.input.slice(call.given ?? 0));
    call.given = call.input.length;
  }
}

/**
 * Whether a piece at a call's place is another call's: it has another name, or what it adds stands behind an input that
 * is complete. A name alone may be a repetition.
 */
function isAnother(call: OpenCall, name: string, fragment: string): boolean {
  if (name === "" || call.name === "") return false;
  return name !== call.name || (fragment !== "" && isComplete(call.input));
}

function isComplete(input: string): boolean {
  if (!input.endsWith("}")) return false;
  try {
    return isJsonObject(JSON.parse(input));
  } catch {
    // The answer to the question.
    return false;
  }
}

/** Input is JSON text in pieces; some servers send the object itself, at once. */
export function fragmentOf(input: JsonValue | undefined): string {
  if (input == null) return "";
  return typeof input === "string" ? input : JSON.stringify(input);
}
