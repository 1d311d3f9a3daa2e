/** The content of an answer: a whole message, or the deltas of a stream one after the other. */
import type { Citation, ImageFormat, ServiceTier } from "../../bedrock/converse.ts";
import { isJsonObject, type JsonObject, type JsonValue } from "../../bedrock/json.ts";
import { textOf } from "../answer.ts";
import type { ChatQuirks } from "../chat-quirks.ts";
import { imageFormatOf } from "../media.ts";
import { readAnnotation } from "./citations.ts";
import { type ReasoningOut, readDetails } from "./reasoning-details.ts";

/** What takes the content: stream-writer.ts, or its counterpart for whole answers in decode.ts. */
export interface ContentOut extends ReasoningOut {
  text(text: string): void;
  citation(citation: Citation): void;
  /** @param bytes base64 */
  image(format: ImageFormat, bytes: string): void;
}

/** Reads what models say, in the order they say it. The fast path is a delta of text. */
export class AnswerContent {
  readonly #quirks: ChatQuirks;
  readonly #out: ContentOut;
  #hasText = false;
  #refused = false;
  #hasCalls = false;
  /**
   * Reasoning that looks like the answer, where a schema was asked for: models at Azure have put it there, with an empty
   * text behind. Undefined once it is certain that the reasoning is one.
   */
  #held: string | undefined;
  #mayBeAnswer = false;

  constructor(schema: boolean, quirks: ChatQuirks, out: ContentOut) {
    this.#quirks = quirks;
    this.#out = out;
    this.#held = schema ? "" : undefined;
  }

  /** Whether there was text that shows. */
  get hasText(): boolean {
    return this.#hasText;
  }

  /** Whether the model declined to answer. */
  get refused(): boolean {
    return this.#refused;
  }

  /** A message or a delta. */
  read(message: JsonObject): void {
    this.#reasoning(message);
    const { content, refusal } = message;
    if (typeof content === "string") this.text(content);
    else if (Array.isArray(content)) for (const part of content) this.#part(part);
    if (typeof refusal === "string") this.#refusal(refusal);
    if (message.images !== undefined) for (const image of listOrNone(message.images)) this.#image(image);
    if (message.annotations !== undefined) {
      for (const annotation of listOrNone(message.annotations)) this.citation(readAnnotation(annotation));
    }
  }

  /** A source of the text. Where there is none, or calls have closed it, there is nothing that could be cited. */
  citation(citation: Citation | undefined): void {
    if (citation !== undefined && this.#hasText && !this.#hasCalls) this.#out.citation(citation);
  }

  text(text: string): void {
    if (text === "") return;
    if (this.#held !== undefined) this.#release();
    if (!this.#hasText) this.#hasText = text.trim() !== "";
    this.#out.text(text);
  }

  /** To be called before calls are given. */
  callsBegin(): void {
    this.#hasCalls = true;
    if (this.#held !== undefined) this.#release();
  }

  /** Nothing follows. */
  end(): void {
    const held = this.#held ?? "";
    if (held === "" || !isObjectJson(held)) {
      this.#release();
      return;
    }
    this.#held = undefined;
    this.#hasText = true;
    this.#out.text(held);
  }

  /** What was held back is reasoning after all. */
  #release(): void {
    const held = this.#held ?? "";
    this.#held = undefined;
    this.#out.reasoning(held);
  }

  #reasoning(message: JsonObject): void {
    if (this.#quirks.reasoningDetails && Array.isArray(message.reasoning_details)) {
      if (this.#held !== undefined) this.#release();
      if (readDetails(message.reasoning_details, this.#out)) return;
    }
    for (const name of this.#quirks.reasoningIn) {
      const reasoning = message[name];
      if (typeof reasoning !== "string" || reasoning === "") continue;
      this.#think(reasoning);
      return;
    }
  }

  #think(text: string): void {
    if (this.#held === undefined) {
      this.#out.reasoning(text);
      return;
    }
    this.#held += text;
    if (this.#mayBeAnswer) return;
    const beginning = this.#held.trimStart();
    this.#mayBeAnswer = beginning.startsWith("{");
    if (beginning !== "" && !this.#mayBeAnswer) this.#release();
  }

  #refusal(text: string): void {
    if (text === "") return;
    this.#refused = true;
    this.text(text);
  }

  /** `{type: "text", text}`, `{type: "thinking", thinking}`, `{type: "refusal", refusal}`, `{type: "image_url", …}`. */
  #part(part: JsonValue): void {
    if (!isJsonObject(part)) {
      this.text(textOf(part));
      return;
    }
    if (part.type === "thinking") {
      for (const thought of listOrNone(part.thinking))
        this.#think(textOf(isJsonObject(thought) ? thought.text : thought));
      this.#think(textOf(part.thinking));
    } else if (part.type === "refusal") this.#refusal(textOf(part.refusal));
    else if (part.type === "image_url") this.#image(part);
    else this.text(textOf(part.text));
  }

  /** `{type: "image_url", image_url: {url: "data:image/png;base64,…"}}` */
  #image(image: JsonValue): void {
    const url = isJsonObject(image) && isJsonObject(image.image_url) ? textOf(image.image_url.url) : "";
    const [, mediaType = "", bytes = ""] = /^data:([\w/+.-]+);base64,(.*)$/s.exec(url) ?? [];
    const format = imageFormatOf(mediaType);
    if (format === undefined) {
      // An address, or a format Converse has no word for: the client can still read it.
      this.text(url);
      return;
    }
    if (this.#held !== undefined) this.#release();
    this.#out.image(format, bytes);
  }
}

/** The tier a server says it used; undefined for what is none of Bedrock's. */
export function readTier(body: JsonObject): ServiceTier["type"] | undefined {
  const tier = body.service_tier;
  return tier === "default" || tier === "priority" || tier === "flex" ? tier : undefined;
}

function listOrNone(value: JsonValue | undefined): readonly JsonValue[] {
  return Array.isArray(value) ? value : [];
}

function isObjectJson(text: string): boolean {
  try {
    return isJsonObject(JSON.parse(text));
  } catch {
    // The answer to the question.
    return false;
  }
}
