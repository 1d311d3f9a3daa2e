/** The conversation as Gemini's `contents`. */
import type { JsonObject, JsonValue } from "../../bedrock/json.ts";
import type { Target } from "../dialect.ts";
import type {
  Block,
  DocumentPart,
  Prepared,
  ReasoningPart,
  SystemPart,
  ToolResultPart,
  ToolUsePart,
  Turn,
} from "../prepared.ts";
import { searchResultText } from "../results.ts";
import { fitsIntoResult, inlineMedia, type MediaPart } from "./media.ts";
import type { ModelTraits } from "./models.ts";
import { isVertex } from "./rules.ts";
import { readMark, skipSignature } from "./signatures.ts";

/** `systemInstruction`, where the model has one. */
export function systemInstruction(system: readonly SystemPart[], traits: ModelTraits): JsonObject | undefined {
  const texts = systemTexts(system);
  return texts.length === 0 || !traits.systemInstruction ? undefined : { parts: texts.map((text) => ({ text })) };
}

/**
 * One content for each turn. Results of parallel calls stand in one content, as Google demands.
 *
 * @param ignored takes the paths of what is left out
 */
export function contentsOf(
  { turns, system }: Prepared,
  target: Target,
  traits: ModelTraits,
  ignored: string[],
): readonly JsonObject[] {
  const contents = turns.map((turn) =>
    turn.role === "assistant"
      ? { role: "model", parts: modelParts(turn, target, traits, ignored) }
      : { role: "user", parts: userParts(turn, target, traits) },
  );
  const texts = systemTexts(system);
  const [first, ...rest] = contents;
  if (traits.systemInstruction || texts.length === 0 || first === undefined) return contents;
  return [{ role: first.role, parts: [{ text: `${texts.join("\n\n")}\n\n` }, ...first.parts] }, ...rest];
}

function systemTexts(system: readonly SystemPart[]): readonly string[] {
  return system.flatMap((part) => (part.kind === "text" ? [part.text] : []));
}

// The user's turn

function userParts(turn: Turn, target: Target, traits: ModelTraits): readonly JsonObject[] {
  const results: JsonObject[] = [];
  const behind: JsonObject[] = [];
  const rest: JsonObject[] = [];
  for (const block of turn.blocks) {
    if (block.kind !== "toolResult") {
      rest.push(...plainParts(block));
      continue;
    }
    const { response, media } = functionResponse(block, target, traits);
    results.push(response);
    behind.push(...media);
  }
  return [...results, ...behind, ...rest];
}

/** A result, and the media that have no place in it. */
function functionResponse(
  { id, name, failed, content }: ToolResultPart,
  target: Target,
  traits: ModelTraits,
): { readonly response: JsonObject; readonly media: readonly JsonObject[] } {
  const values: JsonValue[] = [];
  const inside: JsonObject[] = [];
  const behind: JsonObject[] = [];
  for (const part of content) {
    switch (part.kind) {
      case "text":
        values.push(part.text);
        break;
      case "json":
        values.push(part.json);
        break;
      case "searchResult":
        values.push(searchResultText(part));
        break;
      case "image":
      case "document":
      case "video": {
        if (part.kind === "document") values.push(...contextOf(part));
        if (traits.mediaInResults && fitsIntoResult(part)) {
          inside.push(inlineMedia(part));
          break;
        }
        const title = `${part.kind} ${behind.length / 2 + 1} of the result of ${name}`;
        values.push(`[The ${title} follows.]`);
        behind.push({ text: `The ${title}:` }, inlineMedia(part));
      }
    }
  }
  const output = outputOf(values);
  return {
    response: {
      functionResponse: {
        ...(!isVertex(target) && { id }),
        name,
        response: failed ? { error: output } : { output },
        ...(inside.length > 0 && { parts: inside }),
      },
    },
    media: behind,
  };
}

function outputOf(values: readonly JsonValue[]): JsonValue {
  const [first] = values;
  if (first === undefined) return "";
  if (values.length === 1) return first;
  return values.every((value) => typeof value === "string") ? values.join("\n") : values;
}

// The model's turn

function modelParts(turn: Turn, target: Target, traits: ModelTraits, ignored: string[]): readonly JsonObject[] {
  const parts = new ModelParts(target, traits);
  for (const block of turn.blocks) {
    if (block.kind === "redacted") ignored.push(block.path);
    else if (block.kind === "reasoning") parts.reasoning(block);
    else if (block.kind === "toolUse") parts.call(block);
    else if (block.kind === "image") parts.image(inlineMedia(block));
    else parts.plain(plainParts(block));
  }
  return parts.end();
}

/** Puts signatures back to the parts they belong to. */
class ModelParts {
  readonly #target: Target;
  readonly #traits: ModelTraits;
  readonly #parts: JsonObject[] = [];
  /** Of the part that comes next. */
  #signature: string | undefined;
  #hasCall = false;

  constructor(target: Target, traits: ModelTraits) {
    this.#target = target;
    this.#traits = traits;
  }

  reasoning({ text, signature }: ReasoningPart): void {
    const mark = signature === undefined ? undefined : readMark(signature.blob);
    this.#flush();
    switch (mark?.place) {
      case undefined:
        if (text !== "") this.#parts.push({ text, thought: true });
        return;
      case "own":
        this.#parts.push({ text, thought: true, thoughtSignature: mark.signature });
        return;
      case "next":
        this.#signature = mark.signature;
        return;
      case "last":
        this.#signLast(mark.signature);
    }
  }

  call({ id, name, input }: ToolUsePart): void {
    // Of parallel calls only the first carries a signature.
    const needed = this.#traits.signsCalls && !this.#hasCall;
    this.#hasCall = true;
    this.#pushSigned(
      { functionCall: { ...(!isVertex(this.#target) && { id }), name, args: input } },
      needed ? skipSignature : undefined,
    );
  }

  image(part: JsonObject): void {
    this.#pushSigned(part, undefined);
  }

  plain(parts: readonly JsonObject[]): void {
    this.#flush();
    this.#parts.push(...parts);
  }

  /** Never empty. */
  end(): readonly JsonObject[] {
    this.#flush();
    return this.#parts.length === 0 ? [{ text: "." }] : this.#parts;
  }

  #pushSigned(part: JsonObject, otherwise: string | undefined): void {
    const thoughtSignature = this.#signature ?? otherwise;
    this.#signature = undefined;
    this.#parts.push({ ...part, ...(thoughtSignature !== undefined && { thoughtSignature }) });
  }

  #signLast(thoughtSignature: string): void {
    const last = this.#parts.at(-1);
    const isFree = last !== undefined && "text" in last && last.thought !== true && last.thoughtSignature === undefined;
    if (isFree) this.#parts.push({ ...this.#parts.pop(), thoughtSignature });
    else this.#parts.push({ text: "", thoughtSignature });
  }

  /** The part that was signed is not there any more: Gemini itself sends signatures in empty text. */
  #flush(): void {
    if (this.#signature === undefined) return;
    this.#parts.push({ text: "", thoughtSignature: this.#signature });
    this.#signature = undefined;
  }
}

// Either's

function plainParts(block: Block): readonly JsonObject[] {
  switch (block.kind) {
    case "text":
      return [{ text: block.text }];
    case "searchResult":
      return [{ text: searchResultText(block) }];
    case "document":
      return documentParts(block);
    case "image":
    case "video":
    case "audio":
      return mediaParts(block);
    // They stand only where they are dealt with; cache points have no equivalent, and the rules take them out.
    case "toolUse":
    case "toolResult":
    case "reasoning":
    case "redacted":
    case "cachePoint":
      return [];
  }
}

function documentParts(document: DocumentPart): readonly JsonObject[] {
  return [...contextOf(document).map((text) => ({ text })), ...mediaParts(document)];
}

/** Empty text is refused, so a blank context is none. */
function contextOf({ context = "" }: DocumentPart): readonly string[] {
  return context.trim() === "" ? [] : [context];
}

function mediaParts(media: MediaPart): readonly JsonObject[] {
  return [inlineMedia(media)];
}
