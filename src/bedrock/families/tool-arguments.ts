/** Arguments of tool calls as JSON text: read whole, and gathered from a stream. */
import { BedrockError } from "../errors.ts";
import { isJsonValue, type JsonValue } from "../json.ts";

/** The arguments of a call; undefined when the text is not JSON. No text, and `null`, say that there are none. */
export function parseArguments(text: string): JsonValue | undefined {
  if (text.trim() === "") return {};
  try {
    const parsed: unknown = JSON.parse(text);
    return isJsonValue(parsed) ? (parsed ?? {}) : undefined;
  } catch {
    // The caller knows whose text it is, and which error that makes.
    return undefined;
  }
}

/** A call whose arguments are still coming. */
export interface OpenCall {
  /** Its place among the calls of the answer. */
  readonly index: number;
  readonly id: string;
  readonly name: string;
  readonly pieces: string[];
}

/** The calls of a streamed answer, by their content blocks. */
export class OpenCalls {
  readonly #all: OpenCall[] = [];
  readonly #byBlock = new Map<number, OpenCall>();

  /** In the order in which they began. */
  get all(): readonly OpenCall[] {
    return this.#all;
  }

  begin(block: number, toolUse: { readonly toolUseId: string; readonly name: string }): OpenCall {
    const call = { index: this.#all.length, id: toolUse.toolUseId, name: toolUse.name, pieces: [] };
    this.#all.push(call);
    this.#byBlock.set(block, call);
    return call;
  }

  add(block: number, piece: string): OpenCall {
    const call = this.#byBlock.get(block);
    if (call === undefined)
      throw new BedrockError("ModelErrorException", "The model's answer names no tool for a call.");
    call.pieces.push(piece);
    return call;
  }

  /** The call that ends with this block; undefined when the block was none. */
  end(block: number): OpenCall | undefined {
    const call = this.#byBlock.get(block);
    this.#byBlock.delete(block);
    return call;
  }
}
