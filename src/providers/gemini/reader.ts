/** Reads Gemini's answers part by part: one for complete answers and for streams, whose events have the same shape. */
import type { Citation, ImageFormat, ServiceTier, StopReason } from "../../bedrock/converse.ts";
import { isJsonObject, type JsonObject, type JsonValue } from "../../bedrock/json.ts";
import { listOf, objectOf, textOf } from "../answer.ts";
import type { Memo, ProviderFailure } from "../dialect.ts";
import { readInnerFailure } from "../failures.ts";
import { imageFormatOf } from "../media.ts";
import { nonsense } from "../nonsense.ts";
import type { UsageReport } from "../usage.ts";
import { failureHints } from "./failure.ts";
import { stopReasonOf } from "./finish.ts";
import { traitsOf } from "./models.ts";
import { markSignature, type Place } from "./signatures.ts";
import { tierServed, usageReport } from "./usage.ts";

/** Takes what the reader finds. Neighbouring pieces of text, and of reasoning, belong to one block. */
export interface Sink {
  text(text: string): void;
  reasoning(text: string): void;
  /** Of the reasoning block that is open, else in a block of its own. */
  signature(blob: string): void;
  /** The block of text or reasoning is complete. */
  blockEnd(): void;
  /** @param input JSON text of an object */
  call(id: JsonValue | undefined, name: string, input: string): void;
  image(format: ImageFormat, bytes: string): void;
  /** Of the text that is open. */
  citation(citation: Citation): void;
  usage(report: UsageReport): void;
  serviceTier(tier: ServiceTier["type"]): void;
}

/** How an answer ended. */
export interface Ending {
  readonly reason: StopReason;
  /** The answer's members without its content, for `additionalModelResponseFieldPaths`. */
  readonly native: JsonObject;
}

type Kind = "none" | "text" | "reasoning" | "other";

export class AnswerReader {
  readonly #sink: Sink;
  readonly #memo: Memo;
  readonly #keepsTextSignatures: boolean;
  #last: Kind = "none";
  /** The open text shows something. */
  #visible = false;
  #hasContent = false;
  /** Of the last text: written once nothing more can come to that text. */
  #textSignature = "";
  #finishReason = "";
  #blocked = false;
  #native: Record<string, JsonValue> = {};
  #candidate: Record<string, JsonValue> = {};

  constructor(sink: Sink, memo: Memo) {
    this.#sink = sink;
    this.#memo = memo;
    // Elsewhere they are of no use, and a client does not expect reasoning behind its text.
    this.#keepsTextSignatures = memo.tools || traitsOf(memo.target).drawsImages;
  }

  /** Reads a complete answer, or one event of a stream. */
  read(body: JsonObject): ProviderFailure | undefined {
    const failure = readInnerFailure(body, this.#memo.target, failureHints);
    if (failure !== undefined) return failure;
    const { candidates, ...rest } = body;
    Object.assign(this.#native, rest);
    this.#sink.usage(usageReport(body.usageMetadata));
    const tier = tierServed(body.usageMetadata);
    if (tier !== undefined) this.#sink.serviceTier(tier);
    const blockReason = textOf(objectOf(body.promptFeedback).blockReason);
    if (blockReason !== "" && blockReason !== "BLOCK_REASON_UNSPECIFIED") this.#blocked = true;
    // Some chunks have none: they tell usage alone.
    const first = listOf(candidates)[0];
    return isJsonObject(first) ? this.#readCandidate(first) : undefined;
  }

  /** To be called once, after everything has been read. Undefined when the answer was cut off. */
  end(): Ending | undefined {
    const said = this.#finishReason;
    if (said === "" && !this.#blocked) return undefined;
    const reason = said === "" ? "content_filtered" : stopReasonOf(said, this.#hasContent);
    const message = textOf(this.#candidate.finishMessage);
    // What the model wrote instead of a call: without it nobody learns what was wrong.
    if (reason === "malformed_tool_use" && !this.#hasContent && message !== "") this.#text(message);
    if (this.#last === "text" && this.#visible) for (const citation of this.#citations()) this.#sink.citation(citation);
    this.#flushSignature();
    const hasCandidate = Object.keys(this.#candidate).length > 0;
    return { reason, native: hasCandidate ? { candidates: [this.#candidate], ...this.#native } : this.#native };
  }

  #readCandidate(candidate: JsonObject): ProviderFailure | undefined {
    const { content, ...rest } = candidate;
    Object.assign(this.#candidate, rest);
    for (const part of listOf(objectOf(content).parts)) {
      const failure = isJsonObject(part) ? this.#readPart(part) : undefined;
      if (failure !== undefined) return failure;
    }
    const reason = textOf(candidate.finishReason);
    if (reason !== "") this.#finishReason = reason;
    return undefined;
  }

  #readPart(part: JsonObject): ProviderFailure | undefined {
    const signature = textOf(part.thoughtSignature);
    if (isJsonObject(part.functionCall)) return this.#call(part.functionCall, signature);
    if (isJsonObject(part.inlineData)) this.#media(part.inlineData, part.thought === true, signature);
    else if (part.thought === true) this.#thought(textOf(part.text), signature);
    else if (isJsonObject(part.executableCode))
      this.#text(fenced(part.executableCode.language, part.executableCode.code));
    else if (isJsonObject(part.codeExecutionResult)) this.#text(codeResult(part.codeExecutionResult));
    else this.#spoken(textOf(part.text), signature);
    return undefined;
  }

  #spoken(text: string, signature: string): void {
    this.#text(text);
    if (signature === "") return;
    // Empty text signs the block that is open.
    if (text === "" && this.#last === "reasoning") this.#sign("own", signature);
    else this.#textSignature = signature;
  }

  #text(text: string): void {
    if (text === "") return;
    this.#enter("text");
    this.#sink.text(text);
    if (text.trim() === "") return;
    this.#visible = true;
    this.#hasContent = true;
  }

  #thought(text: string, signature: string): void {
    if (text !== "") {
      this.#enter("reasoning");
      this.#sink.reasoning(text);
    }
    if (signature === "") return;
    this.#enter("reasoning");
    this.#sign("own", signature);
  }

  #call({ id, name, args }: JsonObject, signature: string): ProviderFailure | undefined {
    if (typeof name !== "string" || name === "")
      return nonsense("The provider's answer has a function call without a name.");
    this.#enter("other");
    if (signature !== "") this.#sign("next", signature);
    this.#sink.call(id, name, JSON.stringify(inputOf(args)));
    this.#hasContent = true;
    return undefined;
  }

  #media({ mimeType, data }: JsonObject, isThought: boolean, signature: string): void {
    // Drafts of an image are a part of the model's thinking.
    if (isThought || typeof data !== "string" || data === "") return;
    const type = textOf(mimeType);
    const format = imageFormatOf(type);
    if (format === undefined) {
      this.#text(`[The model answered with ${type === "" ? "unknown" : type} data, which cannot be passed on.]`);
      return;
    }
    this.#enter("other");
    if (signature !== "") this.#sign("next", signature);
    this.#sink.image(format, data);
    this.#hasContent = true;
  }

  #enter(kind: Kind): void {
    if (kind !== "text") {
      this.#flushSignature();
      this.#visible = false;
    }
    this.#last = kind;
  }

  #flushSignature(): void {
    if (this.#textSignature === "") return;
    if (this.#keepsTextSignatures) this.#sign("last", this.#textSignature);
    this.#textSignature = "";
  }

  #sign(place: Place, signature: string): void {
    if (place !== "own") this.#sink.blockEnd();
    this.#sink.signature(markSignature(place, signature));
    this.#sink.blockEnd();
  }

  /** The pages that the provider's search found. */
  #citations(): readonly Citation[] {
    const chunks = listOf(objectOf(this.#candidate.groundingMetadata).groundingChunks);
    const found = new Map<string, Citation>();
    for (const chunk of chunks) {
      const { uri, title, domain } = objectOf(objectOf(chunk).web);
      if (typeof uri !== "string" || uri === "" || found.has(uri)) continue;
      found.set(uri, {
        ...(typeof title === "string" && { title }),
        location: { web: { url: uri, ...(typeof domain === "string" && { domain }) } },
      });
    }
    return [...found.values()];
  }
}

/** No arguments are `{}`; what is no object is wrapped, so that no tool runs without what the model said. */
function inputOf(args: JsonValue | undefined): JsonObject {
  if (args === undefined || args === null) return {};
  return isJsonObject(args) ? args : { rawInvalidInput: args };
}

function codeResult({ outcome, output }: JsonObject): string {
  const failed = typeof outcome === "string" && outcome !== "OUTCOME_OK" ? `${outcome}\n` : "";
  return fenced(undefined, failed + textOf(output));
}

function fenced(language: JsonValue | undefined, code: JsonValue | undefined): string {
  const text = textOf(code);
  return text === "" ? "" : `\n\`\`\`${textOf(language).toLowerCase()}\n${text}\n\`\`\`\n`;
}
