/** Converse's content turned into prepared blocks: wrappers taken off, media checked, what has no place refused or noted. */
import type {
  AudioBlock,
  CachePoint,
  ContentBlock,
  DocumentBlock,
  GuardContent,
  ImageBlock,
  MediaSource,
  Message,
  ReasoningContent,
  SearchResult,
  SystemBlock,
  ToolResultContent,
  VideoBlock,
} from "../bedrock/converse.ts";
import { refuseField } from "../bedrock/errors.ts";
import { isJsonObject, type JsonObject, type JsonValue } from "../bedrock/json.ts";
import type { Target } from "./dialect.ts";
import { audioTypes, documentTypes, imageTypes, inlineDocument, textFormats, videoTypes } from "./media.ts";
import type {
  AudioPart,
  Block,
  CachePart,
  DocumentPart,
  ImagePart,
  ResultPart,
  SearchResultPart,
  SystemPart,
  TextPart,
  Turn,
  VideoPart,
} from "./prepared.ts";
import { isOwn, readRedacted, readSignature } from "./provenance.ts";
import { searchResultText } from "./results.ts";
import type { Rules } from "./rules.ts";
import type { ToolNames } from "./tool-names.ts";

/** Reads one request's content. Ids of calls and results stay the client's; pairing.ts replaces them. */
export class BlockReader {
  readonly #rules: Rules;
  readonly #target: Target;
  readonly #names: ToolNames;
  readonly #ignored: string[];
  #documents = 0;

  /** @param ignored takes the paths of what is left out */
  constructor(rules: Rules, target: Target, names: ToolNames, ignored: string[]) {
    this.#rules = rules;
    this.#target = target;
    this.#names = names;
    this.#ignored = ignored;
  }

  /** A system message between the others becomes a user's turn of tagged text, where the rules fold it. */
  turn(message: Message, path: string): Turn {
    if (message.role === "system") {
      const parts = message.content.flatMap((block, index) => this.#systemContent(block, `${path}.content[${index}]`));
      return this.#rules.systemTurns === "keep"
        ? { role: "system", blocks: parts }
        : { role: "user", blocks: parts.map(tagSystem) };
    }
    const { role, content } = message;
    const reasons = content.some((block) => "reasoningContent" in block);
    const keepsBlank = reasons && this.#rules.keepBlankBesideReasoning;
    const blocks = content.flatMap((block, index) => this.#block(block, role, `${path}.content[${index}]`));
    return { role, blocks: keepsBlank ? blocks : blocks.filter(isNotBlank) };
  }

  systemPart(block: SystemBlock, path: string): readonly SystemPart[] {
    if ("text" in block) return [textPart(block.text, `${path}.text`)].filter(isNotBlank);
    if ("cachePoint" in block) return this.#cachePoint(block.cachePoint, `${path}.cachePoint`);
    const { guardContent } = block;
    if ("image" in guardContent)
      throw refuseField(`${path}.guardContent.image`, "the provider's system prompt is text");
    return this.#guardText(guardContent, `${path}.guardContent`);
  }

  #systemContent(block: ContentBlock, path: string): readonly SystemPart[] {
    if ("text" in block || "cachePoint" in block || "guardContent" in block) return this.systemPart(block, path);
    throw refuseField(path, "a system message holds only text");
  }

  #block(block: ContentBlock, role: "user" | "assistant", path: string): readonly Block[] {
    if ("text" in block) return [textPart(block.text, `${path}.text`)];
    if ("image" in block) return [this.#image(block.image, `${path}.image`)];
    if ("document" in block) return [this.#document(block.document, `${path}.document`)];
    if ("video" in block) return [this.#video(block.video, `${path}.video`)];
    if ("audio" in block) return [this.#audio(block.audio, `${path}.audio`)];
    if ("searchResult" in block) return [this.#searchResult(block.searchResult, `${path}.searchResult`)];
    if ("cachePoint" in block) return this.#cachePoint(block.cachePoint, `${path}.cachePoint`);
    if ("guardContent" in block) return this.#guardContent(block.guardContent, `${path}.guardContent`);
    if ("citationsContent" in block) {
      const { content = [], citations = [] } = block.citationsContent;
      const text = textPart(content.map((part) => part.text).join(""), `${path}.citationsContent.content`);
      if (citations.length === 0) return [text];
      if (this.#rules.citedText) return [{ ...text, citations }];
      this.#ignored.push(`${path}.citationsContent.citations`);
      return [text];
    }
    if ("toolUse" in block) {
      const { toolUseId, name, input } = block.toolUse;
      const at = `${path}.toolUse`;
      return [{ kind: "toolUse", id: toolUseId, name: this.#names.send(name), input: asObject(input), path: at }];
    }
    if ("toolResult" in block) {
      const { toolUseId, content, status } = block.toolResult;
      const at = `${path}.toolResult`;
      const parts = content.map((part, index) => this.#resultPart(part, `${at}.content[${index}]`)).filter(isNotBlank);
      return [{ kind: "toolResult", id: toolUseId, name: "", failed: status === "error", content: parts, path: at }];
    }
    if ("reasoningContent" in block) {
      const at = `${path}.reasoningContent`;
      if (role !== "assistant") throw refuseField(at, "stands only in messages of the assistant");
      return this.#reasoning(block.reasoningContent, at);
    }
    // toolAddition and toolRemoval: they have changed the tools already (tools.ts), and are no content.
    return [];
  }

  #resultPart(part: ToolResultContent, path: string): ResultPart {
    if ("text" in part) return textPart(part.text, `${path}.text`);
    if ("json" in part) return { kind: "json", json: part.json, path: `${path}.json` };
    if ("image" in part) return this.#image(part.image, `${path}.image`);
    if ("document" in part) return this.#document(part.document, `${path}.document`);
    if ("video" in part) return this.#video(part.video, `${path}.video`);
    return this.#searchResult(part.searchResult, `${path}.searchResult`);
  }

  // Media

  #image({ format, source, error }: ImageBlock, path: string): ImagePart {
    if (!this.#rules.images.has(format)) throw refuseField(path, `the provider takes no ${format} images here`);
    if (error !== undefined) this.#ignored.push(`${path}.error`);
    return { kind: "image", format, mediaType: imageTypes[format], bytes: bytesOf(source, path), path };
  }

  #video({ format, source }: VideoBlock, path: string): VideoPart {
    if (!this.#rules.videos.has(format)) throw refuseField(path, `the provider takes no ${format} videos here`);
    return { kind: "video", format, mediaType: videoTypes[format], bytes: bytesOf(source, path), path };
  }

  #audio({ format, source, error }: AudioBlock, path: string): AudioPart {
    if (!this.#rules.audios.has(format)) throw refuseField(path, `the provider takes no ${format} audio here`);
    if (error !== undefined) this.#ignored.push(`${path}.error`);
    return { kind: "audio", format, mediaType: audioTypes[format], bytes: bytesOf(source, path), path };
  }

  #document({ format, source, context, citations }: DocumentBlock, path: string): DocumentPart | TextPart {
    const isText = "text" in source || "content" in source;
    if (format === undefined && !isText) throw refuseField(`${path}.format`, "is required beside a source of bytes");
    const asked = citations?.enabled === true;
    if (asked && !this.#rules.citations) this.#ignored.push(`${path}.citations`);
    this.#documents++;
    // A PDF that came as text is a text.
    const known = format === undefined || (isText && !textFormats.has(format)) ? "txt" : format;
    const document: DocumentPart = {
      kind: "document",
      format: known,
      mediaType: documentTypes[known],
      name: `document-${this.#documents}`,
      source: documentSource(source, path),
      ...(context !== undefined && { context }),
      citations: asked && this.#rules.citations,
      path,
    };
    return this.#rules.documents.has(known) ? document : textPart(inlineDocument(document), path);
  }

  #searchResult(result: SearchResult, path: string): SearchResultPart | TextPart {
    const { source, title, citations } = result;
    const content = result.content.map((part) => part.text);
    const asked = citations?.enabled === true;
    if (asked && !this.#rules.citations) this.#ignored.push(`${path}.citations`);
    if (!this.#rules.searchResults) return textPart(searchResultText({ source, title, content }), path);
    return { kind: "searchResult", source, title, content, citations: asked && this.#rules.citations, path };
  }

  // The rest

  #guardContent(guard: GuardContent, path: string): readonly Block[] {
    if ("text" in guard) return this.#guardText(guard, path);
    return [this.#image(guard.image, `${path}.image`)];
  }

  #guardText(guard: Extract<GuardContent, { text: unknown }>, path: string): readonly TextPart[] {
    if (guard.text.qualifiers !== undefined) this.#ignored.push(`${path}.text.qualifiers`);
    return [textPart(guard.text.text, `${path}.text.text`)].filter(isNotBlank);
  }

  #cachePoint({ ttl }: CachePoint, path: string): readonly CachePart[] {
    if (this.#rules.cachePoints) return [cachePart(ttl, path)];
    this.#ignored.push(path);
    return [];
  }

  #reasoning(reasoning: ReasoningContent, path: string): readonly Block[] {
    const { family, reasoning: kept } = this.#rules;
    if ("redactedContent" in reasoning) {
      const data = readRedacted(reasoning.redactedContent);
      if (kept !== "none" && isOwn(data, family, this.#target)) return [{ kind: "redacted", data, path }];
    } else {
      const { text, signature: signed } = reasoning.reasoningText;
      const signature = signed === undefined ? undefined : readSignature(signed);
      const own = isOwn(signature, family, this.#target);
      if (kept === "all" || (kept === "own" && own)) return [{ kind: "reasoning", text, signature, path }];
    }
    this.#ignored.push(path);
    return [];
  }
}

/** A cache point as it stands behind a tool. */
export function cachePart(ttl: CachePoint["ttl"], path: string): CachePart {
  return { kind: "cachePoint", ...(ttl !== undefined && { ttl }), path };
}

/** False for text without any character that shows: providers refuse it. */
function isNotBlank(block: { readonly kind: string; readonly text?: unknown }): boolean {
  return block.kind !== "text" || typeof block.text !== "string" || block.text.trim() !== "";
}

function textPart(text: string, path: string): TextPart {
  return { kind: "text", text, path };
}

function tagSystem(part: SystemPart): SystemPart {
  if (part.kind !== "text") return part;
  return { ...part, text: `<system-message>\n${part.text}\n</system-message>` };
}

function documentSource(source: DocumentBlock["source"], path: string): DocumentPart["source"] {
  if ("text" in source) return { text: source.text };
  if ("content" in source) return { chunks: source.content.map((part) => part.text) };
  return { bytes: bytesOf(source, path) };
}

function bytesOf(source: MediaSource, path: string): string {
  if ("bytes" in source) return source.bytes;
  throw refuseField(`${path}.source.s3Location`, "the provider cannot read S3; send the content itself as bytes");
}

/** Providers want an object; models sometimes wrote something else, and the client sends it back. */
function asObject(input: JsonValue): JsonObject {
  return isJsonObject(input) ? input : { rawInvalidInput: input };
}
