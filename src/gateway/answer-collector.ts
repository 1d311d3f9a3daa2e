/** Puts a Converse answer together from the events of its stream, as they stand on the wire. */
import { isJsonObject, type JsonObject, type JsonValue } from "../bedrock/json.ts";

interface Draft {
  readonly start: JsonObject | undefined;
  readonly deltas: JsonObject[];
}

const stopMembers = new Set(["stopReason", "additionalModelResponseFields"]);
const metadataMembers = new Set(["usage", "metrics", "trace", "performanceConfig", "serviceTier"]);
/** Padding that Bedrock adds to the payloads of events. */
const padding = "p";

/** Takes what it knows whole. With anything else in the stream there is no answer: a part would be taken for the whole. */
export class AnswerCollector {
  readonly #blocks = new Map<number, Draft>();
  #role: JsonValue | undefined;
  #stop: JsonObject | undefined;
  #metadata: JsonObject | undefined;
  #isUnknown = false;

  /**
   * @param name of the event
   * @param payload as `JSON.parse` gave it
   */
  push(name: string, payload: unknown): void {
    if (!isJsonObject(payload)) {
      this.#isUnknown = true;
      return;
    }
    const { [padding]: _padding, ...members } = payload;
    switch (name) {
      case "messageStart":
        this.#role = members.role;
        return;
      case "contentBlockStart":
        this.#start(members);
        return;
      case "contentBlockDelta":
        this.#delta(members);
        return;
      case "contentBlockStop":
        return;
      case "messageStop":
        this.#stop = this.#known(members, stopMembers);
        return;
      case "metadata":
        this.#metadata = this.#known(members, metadataMembers);
        return;
      default:
        this.#isUnknown = true;
    }
  }

  /** The Converse response; undefined when the stream has not ended, or held what this does not know. */
  answer(): JsonObject | undefined {
    if (this.#isUnknown || this.#stop === undefined || this.#metadata === undefined || this.#role === undefined)
      return undefined;
    const content: JsonObject[] = [];
    for (const [, draft] of [...this.#blocks].sort(([a], [b]) => a - b)) {
      const block = blockOf(draft);
      if (block === undefined) return undefined;
      content.push(block);
    }
    return { output: { message: { role: this.#role, content } }, ...this.#stop, ...this.#metadata };
  }

  #start({ contentBlockIndex: index, start }: JsonObject): void {
    if (typeof index !== "number" || !isJsonObject(start) || this.#blocks.has(index)) this.#isUnknown = true;
    else this.#blocks.set(index, { start, deltas: [] });
  }

  #delta({ contentBlockIndex: index, delta }: JsonObject): void {
    if (typeof index !== "number" || !isJsonObject(delta)) {
      this.#isUnknown = true;
      return;
    }
    const draft = this.#blocks.get(index) ?? { start: undefined, deltas: [] };
    draft.deltas.push(delta);
    this.#blocks.set(index, draft);
  }

  #known(members: JsonObject, names: ReadonlySet<string>): JsonObject {
    if (!Object.keys(members).every((name) => names.has(name))) this.#isUnknown = true;
    return members;
  }
}

/** The block that start and deltas make; undefined when they are of no kind that is known. */
function blockOf({ start, deltas }: Draft): JsonObject | undefined {
  if (start === undefined) return untitled(deltas);
  const [kind, ...others] = Object.keys(start);
  const head = kind === undefined || others.length > 0 ? undefined : start[kind];
  if (kind === undefined || !isJsonObject(head)) return undefined;
  const parts = deltas.map((delta) => only(delta, kind));
  if (parts.includes(undefined)) return undefined;
  switch (kind) {
    case "toolUse": {
      const input = inputOf(parts.map((part) => (isJsonObject(part) ? textOf(part.input) : undefined)));
      return input === undefined ? undefined : { toolUse: { ...head, input } };
    }
    case "toolResult":
      return { toolResult: { ...head, content: parts.flatMap((part) => (Array.isArray(part) ? part : [])) } };
    case "image": {
      const [part] = parts;
      return parts.length === 1 && isJsonObject(part) ? { image: { ...head, ...part } } : undefined;
    }
    default:
      return undefined;
  }
}

/** Text, reasoning and citations begin with their first delta. */
function untitled(deltas: readonly JsonObject[]): JsonObject | undefined {
  if (deltas.some((delta) => "reasoningContent" in delta)) return reasoningOf(deltas);
  const citations: JsonValue[] = [];
  let text = "";
  for (const delta of deltas) {
    const citation = only(delta, "citation");
    const part = textOf(only(delta, "text"));
    if (citation !== undefined) citations.push(citation);
    else if (part !== undefined) text += part;
    else return undefined;
  }
  return citations.length === 0 ? { text } : { citationsContent: { content: [{ text }], citations } };
}

function reasoningOf(deltas: readonly JsonObject[]): JsonObject | undefined {
  let text = "";
  let signature: string | undefined;
  for (const delta of deltas) {
    const part = only(delta, "reasoningContent");
    if (!isJsonObject(part)) return undefined;
    const redacted = textOf(only(part, "redactedContent"));
    if (redacted !== undefined)
      return deltas.length === 1 ? { reasoningContent: { redactedContent: redacted } } : undefined;
    const said = textOf(only(part, "text"));
    const signed = textOf(only(part, "signature"));
    if (said !== undefined) text += said;
    else if (signed !== undefined) signature = (signature ?? "") + signed;
    else return undefined;
  }
  return { reasoningContent: { reasoningText: { text, ...(signature !== undefined && { signature }) } } };
}

/** The member of an object that has no other. */
function only(object: JsonObject, name: string): JsonValue | undefined {
  return Object.keys(object).length === 1 ? object[name] : undefined;
}

function textOf(value: JsonValue | undefined): string | undefined {
  return typeof value === "string" ? value : undefined;
}

/** A call without fragments has no arguments. */
function inputOf(fragments: readonly (string | undefined)[]): JsonValue | undefined {
  if (fragments.includes(undefined)) return undefined;
  const text = fragments.join("");
  if (text === "") return {};
  try {
    const parsed: JsonValue = JSON.parse(text);
    return parsed;
  } catch {
    // A call that broke off within its arguments.
    return undefined;
  }
}
