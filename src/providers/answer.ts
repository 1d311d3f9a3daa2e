/** Builds a complete Converse answer: the counterpart of stream-writer.ts for answers that come whole. */
import type { Citation, ContentBlock, ImageFormat, ServiceTier, StopReason } from "../bedrock/converse.ts";
import { isJsonObject, type JsonValue } from "../bedrock/json.ts";
import { readInput } from "./call-input.ts";
import { CallNaming } from "./call-naming.ts";
import type { Answer, Memo } from "./dialect.ts";
import { wrapRedacted, wrapSignature } from "./provenance.ts";
import { pickFields } from "./response-fields.ts";
import { stopReasonFor } from "./stop-reason.ts";
import { firstStop } from "./stop-sequences.ts";
import { mergeUsage, tokensOfCharacters, type UsageReport, usageOf } from "./usage.ts";

/** Takes an answer's parts in order, then {@link finish} gives the whole. */
export class AnswerWriter {
  readonly #memo: Memo;
  readonly #family: string;
  readonly #naming: CallNaming;
  readonly #content: ContentBlock[] = [];
  /** Calls whose input is not JSON: text, unless the answer was cut off there. */
  readonly #malformed: ContentBlock[] = [];
  #report: UsageReport = {};
  #tier: ServiceTier["type"] | undefined;
  #characters = 0;
  /** A stop sequence of ours was hit: what follows is not the client's. */
  #cut = false;

  /** @param family whose signatures these are: the same word as in the dialect's rules */
  constructor(memo: Memo, family: string) {
    this.#memo = memo;
    this.#family = family;
    this.#naming = new CallNaming(memo);
  }

  /** Text, with its citations if it has any; blank text is left out, since the client could not send it back. */
  text(text: string, citations: readonly Citation[] = []): void {
    if (this.#cut) return;
    const stop = firstStop(text, this.#memo.stops);
    const shown = stop === undefined ? text : text.slice(0, stop.at);
    this.#cut = stop !== undefined;
    this.#characters += shown.length;
    if (shown.trim() === "") return;
    if (citations.length === 0) this.#content.push({ text: shown });
    else this.#content.push({ citationsContent: { content: [{ text: shown }], citations } });
  }

  /** Reasoning, with the provider's signature if it has one. */
  reasoning(text: string, signature?: string): void {
    const signed = signature !== undefined && signature !== "";
    if (this.#cut || (text === "" && !signed)) return;
    this.#characters += text.length;
    this.#content.push({
      reasoningContent: {
        reasoningText: {
          text,
          ...(signed && { signature: wrapSignature(this.#family, this.#memo.target, signature) }),
        },
      },
    });
  }

  /** A redacted block, as the provider's text. */
  redacted(data: string): void {
    if (this.#cut) return;
    const redactedContent = wrapRedacted(this.#family, this.#memo.target, data);
    this.#content.push({ reasoningContent: { redactedContent } });
  }

  /** An image. @param bytes base64 */
  image(format: ImageFormat, bytes: string): void {
    if (this.#cut) return;
    this.#content.push({ image: { format, source: { bytes } } });
  }

  /**
   * A call. One whose input is not JSON becomes text, and the answer's stop reason `malformed_tool_use`.
   *
   * @param id what the provider called it; may be missing, empty or of another type
   * @param input JSON text, or the value itself
   */
  call(id: unknown, name: string, input: JsonValue | undefined): void {
    if (this.#cut) return;
    if (name === this.#memo.answerTool) {
      this.text(typeof input === "string" ? input : JSON.stringify(input ?? {}));
      return;
    }
    const read = readInput(input);
    this.#characters += typeof input === "string" ? input.length : JSON.stringify(input ?? {}).length;
    if ("input" in read) {
      this.#content.push({ toolUse: { ...this.#naming.next(id, name), input: read.input } });
      return;
    }
    const block = { text: `${this.#memo.toolNames.get(name) ?? name} ${read.malformed}` };
    this.#malformed.push(block);
    this.#content.push(block);
  }

  usage(report: UsageReport): void {
    this.#report = mergeUsage(this.#report, report);
  }

  /** The tier that served the request. */
  serviceTier(tier: ServiceTier["type"]): void {
    this.#tier = tier;
  }

  /** Whether there is any text the client sees. */
  get hasText(): boolean {
    return this.#content.some((block) => "text" in block || "citationsContent" in block);
  }

  /** Whether there are calls that the client sees. */
  get hasCalls(): boolean {
    return this.#naming.count > 0;
  }

  /**
   * The whole answer. Without any content its list is empty.
   *
   * @param reason why the provider stopped
   * @param native the provider's own answer, for `additionalModelResponseFieldPaths`
   */
  finish(reason: StopReason, native?: JsonValue): Answer {
    const said = this.#cut ? "stop_sequence" : reason;
    // Cut off within a call, what is there of its input is of no use to anybody.
    const content =
      said === "max_tokens" ? this.#content.filter((block) => !this.#malformed.includes(block)) : this.#content;
    const additional = native === undefined ? undefined : pickFields(this.#memo.responsePaths, native);
    const { usage, estimated } = usageOf(this.#report, {
      inputTokens: this.#memo.inputTokens,
      outputTokens: tokensOfCharacters(this.#characters),
    });
    return {
      kind: "answer",
      response: {
        output: { message: { role: "assistant", content } },
        stopReason: stopReasonFor(said, { hasCalls: this.hasCalls, malformed: this.#malformed.length > 0 }),
        usage,
        ...(additional !== undefined && { additionalModelResponseFields: additional }),
        ...(this.#tier !== undefined && { serviceTier: { type: this.#tier } }),
      },
      estimated,
    };
  }
}

/** A member of a provider's JSON as a list; `[]` when it is none. */
export function listOf(value: JsonValue | undefined): readonly JsonValue[] {
  return Array.isArray(value) ? value : [];
}

/** A member of a provider's JSON as text; `""` when it is none. */
export function textOf(value: JsonValue | undefined): string {
  return typeof value === "string" ? value : "";
}

/** A member of a provider's JSON as an object; `{}` when it is none. */
export function objectOf(value: JsonValue | undefined): { readonly [name: string]: JsonValue } {
  return isJsonObject(value) ? value : {};
}
