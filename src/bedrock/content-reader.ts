/** Reads Converse content: the blocks of a message, of a system prompt and of a tool's result. */
import type {
  AudioFormat,
  CacheTtl,
  Citation,
  CitationLocation,
  CitationsContent,
  ContentBlock,
  DocumentBlock,
  DocumentFormat,
  DocumentRange,
  DocumentSource,
  GuardContent,
  GuardQualifier,
  ImageBlock,
  ImageFormat,
  MediaError,
  MediaSource,
  Message,
  ReasoningContent,
  Role,
  SearchResult,
  SystemBlock,
  ToolReference,
  ToolResult,
  ToolResultContent,
  ToolUse,
  VideoFormat,
} from "./converse.ts";
import {
  readBoolean,
  readDocument,
  readInteger,
  readList,
  readMember,
  readName,
  readObject,
  readSome,
  readText,
  readWord,
  refuseMember,
} from "./reading.ts";

const roles: readonly Role[] = ["user", "assistant", "system"];
const imageFormats: readonly ImageFormat[] = ["png", "jpeg", "gif", "webp"];
const documentFormats: readonly DocumentFormat[] = ["pdf", "csv", "doc", "docx", "xls", "xlsx", "html", "txt", "md"];
const videoFormats: readonly VideoFormat[] = ["mkv", "mov", "mp4", "webm", "flv", "mpeg", "mpg", "wmv", "three_gp"];
const audioFormats: readonly AudioFormat[] = [
  "mp3",
  "opus",
  "wav",
  "aac",
  "flac",
  "mp4",
  "ogg",
  "mkv",
  "mka",
  "x-aac",
  "m4a",
  "mpeg",
  "mpga",
  "pcm",
  "webm",
];
const qualifiers: readonly GuardQualifier[] = ["grounding_source", "query", "guard_content"];
const ttls: readonly CacheTtl[] = ["5m", "1h"];

const messageFields = new Set(["role", "content"]);
const textFields = new Set(["text"]);
const bytesFields = new Set(["bytes"]);
const mediaFields = new Set(["format", "source", "error"]);
const videoFields = new Set(["format", "source"]);
const documentFields = new Set(["format", "name", "source", "context", "citations"]);
const s3Fields = new Set(["uri", "bucketOwner"]);
const errorFields = new Set(["message"]);
const toolUseFields = new Set(["toolUseId", "name", "input", "type"]);
const toolResultFields = new Set(["toolUseId", "content", "status", "type"]);
const guardTextFields = new Set(["text", "qualifiers"]);
const cachePointFields = new Set(["type", "ttl"]);
const reasoningFields = new Set(["text", "signature"]);
const citationsContentFields = new Set(["content", "citations"]);
const citationFields = new Set(["title", "source", "sourceContent", "location"]);
const webFields = new Set(["url", "domain"]);
const documentRangeFields = new Set(["documentIndex", "start", "end"]);
const searchRangeFields = new Set(["searchResultIndex", "start", "end"]);
const searchResultFields = new Set(["source", "title", "content", "citations"]);
const citationsConfigFields = new Set(["enabled"]);
const toolChangeFields = new Set(["tool"]);
const toolReferenceFields = new Set(["type", "name", "serverName"]);

export function readMessage(value: unknown, path: string): Message {
  const { role, content } = readObject(value, path, messageFields);
  return {
    role: readWord(role, `${path}.role`, roles),
    content: readList(content, `${path}.content`, readContentBlock),
  };
}

export function readSystemBlock(value: unknown, path: string): SystemBlock {
  const [name, member] = readMember(value, path);
  const place = `${path}.${name}`;
  switch (name) {
    case "text":
      return { text: readName(member, place) };
    case "guardContent":
      return { guardContent: readGuardContent(member, place) };
    case "cachePoint":
      return { cachePoint: readCachePoint(member, place) };
    default:
      throw refuseMember(path, name);
  }
}

export function readContentBlock(value: unknown, path: string): ContentBlock {
  const [name, member] = readMember(value, path);
  const place = `${path}.${name}`;
  switch (name) {
    case "text":
      return { text: readText(member, place) };
    case "image":
      return { image: readImage(member, place) };
    case "document":
      return { document: readDocumentBlock(member, place) };
    case "video":
      return { video: readVideo(member, place) };
    case "audio":
      return { audio: readMedia(member, place, audioFormats) };
    case "toolUse":
      return { toolUse: readToolUse(member, place) };
    case "toolResult":
      return { toolResult: readToolResult(member, place) };
    case "guardContent":
      return { guardContent: readGuardContent(member, place) };
    case "cachePoint":
      return { cachePoint: readCachePoint(member, place) };
    case "reasoningContent":
      return { reasoningContent: readReasoning(member, place) };
    case "citationsContent":
      return { citationsContent: readCitationsContent(member, place) };
    case "searchResult":
      return { searchResult: readSearchResult(member, place) };
    case "toolAddition":
      return { toolAddition: readToolChange(member, place) };
    case "toolRemoval":
      return { toolRemoval: readToolChange(member, place) };
    default:
      throw refuseMember(path, name);
  }
}

export function readCachePoint(value: unknown, path: string): { type: "default"; ttl?: CacheTtl } {
  const { type, ttl } = readObject(value, path, cachePointFields);
  return {
    type: readWord(type, `${path}.type`, ["default"]),
    ...(ttl != null && { ttl: readWord(ttl, `${path}.ttl`, ttls) }),
  };
}

// Media

interface Media<Format> {
  readonly format: Format;
  readonly source: MediaSource;
  readonly error?: MediaError;
}

function readMedia<Format extends string>(value: unknown, path: string, formats: readonly Format[]): Media<Format> {
  const { format, source, error } = readObject(value, path, mediaFields);
  return {
    format: readWord(format, `${path}.format`, formats),
    source: readMediaSource(source, `${path}.source`),
    ...(error != null && { error: readMediaError(error, `${path}.error`) }),
  };
}

function readImage(value: unknown, path: string): ImageBlock {
  return readMedia(value, path, imageFormats);
}

function readVideo(value: unknown, path: string): { format: VideoFormat; source: MediaSource } {
  const { format, source } = readObject(value, path, videoFields);
  return {
    format: readWord(format, `${path}.format`, videoFormats),
    source: readMediaSource(source, `${path}.source`),
  };
}

function readMediaSource(value: unknown, path: string): MediaSource {
  const [name, member] = readMember(value, path);
  return readSourceMember(name, member, path);
}

function readSourceMember(name: string, member: unknown, path: string): MediaSource {
  if (name === "bytes") return { bytes: readName(member, `${path}.bytes`) };
  if (name !== "s3Location") throw refuseMember(path, name);
  const place = `${path}.s3Location`;
  const { uri, bucketOwner } = readObject(member, place, s3Fields);
  return {
    s3Location: {
      uri: readName(uri, `${place}.uri`),
      ...(bucketOwner != null && { bucketOwner: readText(bucketOwner, `${place}.bucketOwner`) }),
    },
  };
}

function readMediaError(value: unknown, path: string): MediaError {
  const { message } = readObject(value, path, errorFields);
  return message == null ? {} : { message: readText(message, `${path}.message`) };
}

function readDocumentBlock(value: unknown, path: string): DocumentBlock {
  const { format, name, source, context, citations } = readObject(value, path, documentFields);
  return {
    ...(format != null && { format: readWord(format, `${path}.format`, documentFormats) }),
    name: readName(name, `${path}.name`),
    source: readDocumentSource(source, `${path}.source`),
    ...(context != null && { context: readText(context, `${path}.context`) }),
    ...(citations != null && { citations: readCitationsConfig(citations, `${path}.citations`) }),
  };
}

function readDocumentSource(value: unknown, path: string): DocumentSource {
  const [name, member] = readMember(value, path);
  if (name === "text") return { text: readText(member, `${path}.text`) };
  if (name === "content") return { content: readList(member, `${path}.content`, readTextUnion) };
  return readSourceMember(name, member, path);
}

function readTextUnion(value: unknown, path: string): { text: string } {
  const [name, member] = readMember(value, path);
  if (name !== "text") throw refuseMember(path, name);
  return { text: readText(member, `${path}.text`) };
}

function readTextObject(value: unknown, path: string): { text: string } {
  return { text: readText(readObject(value, path, textFields).text, `${path}.text`) };
}

// Tools

function readToolUse(value: unknown, path: string): ToolUse {
  const { toolUseId, name, input, type } = readObject(value, path, toolUseFields);
  return {
    toolUseId: readName(toolUseId, `${path}.toolUseId`),
    name: readName(name, `${path}.name`),
    input: readDocument(input, `${path}.input`),
    ...(type != null && { type: readText(type, `${path}.type`) }),
  };
}

function readToolResult(value: unknown, path: string): ToolResult {
  const { toolUseId, content, status, type } = readObject(value, path, toolResultFields);
  return {
    toolUseId: readName(toolUseId, `${path}.toolUseId`),
    content: readList(content, `${path}.content`, readToolResultContent),
    ...(status != null && { status: readWord(status, `${path}.status`, ["success", "error"]) }),
    ...(type != null && { type: readText(type, `${path}.type`) }),
  };
}

function readToolResultContent(value: unknown, path: string): ToolResultContent {
  const [name, member] = readMember(value, path);
  const place = `${path}.${name}`;
  switch (name) {
    case "json":
      return { json: readDocument(member, place) };
    case "text":
      return { text: readText(member, place) };
    case "image":
      return { image: readImage(member, place) };
    case "document":
      return { document: readDocumentBlock(member, place) };
    case "video":
      return { video: readVideo(member, place) };
    case "searchResult":
      return { searchResult: readSearchResult(member, place) };
    default:
      throw refuseMember(path, name);
  }
}

function readToolChange(value: unknown, path: string): { tool: ToolReference } {
  const place = `${path}.tool`;
  const { type, name, serverName } = readObject(
    readObject(value, path, toolChangeFields).tool,
    place,
    toolReferenceFields,
  );
  return {
    tool: {
      ...(type != null && { type: readText(type, `${place}.type`) }),
      ...(name != null && { name: readText(name, `${place}.name`) }),
      ...(serverName != null && { serverName: readText(serverName, `${place}.serverName`) }),
    },
  };
}

// Guardrails, reasoning, citations

function readGuardContent(value: unknown, path: string): GuardContent {
  const [name, member] = readMember(value, path);
  const place = `${path}.${name}`;
  switch (name) {
    case "text": {
      const fields = readObject(member, place, guardTextFields);
      return {
        text: {
          text: readText(fields.text, `${place}.text`),
          ...(fields.qualifiers != null && {
            qualifiers: readList(fields.qualifiers, `${place}.qualifiers`, (item, where) =>
              readWord(item, where, qualifiers),
            ),
          }),
        },
      };
    }
    case "image": {
      const { format, source } = readObject(member, place, videoFields);
      const { bytes } = readObject(source, `${place}.source`, bytesFields);
      return {
        image: {
          format: readWord(format, `${place}.format`, ["png", "jpeg"]),
          source: { bytes: readName(bytes, `${place}.source.bytes`) },
        },
      };
    }
    default:
      throw refuseMember(path, name);
  }
}

function readReasoning(value: unknown, path: string): ReasoningContent {
  const [name, member] = readMember(value, path);
  const place = `${path}.${name}`;
  switch (name) {
    case "reasoningText": {
      const { text, signature } = readObject(member, place, reasoningFields);
      return {
        reasoningText: {
          text: readText(text, `${place}.text`),
          ...(signature != null && { signature: readText(signature, `${place}.signature`) }),
        },
      };
    }
    case "redactedContent":
      return { redactedContent: readText(member, place) };
    default:
      throw refuseMember(path, name);
  }
}

function readCitationsContent(value: unknown, path: string): CitationsContent {
  const { content, citations } = readObject(value, path, citationsContentFields);
  return {
    ...(content != null && { content: readList(content, `${path}.content`, readTextUnion) }),
    ...(citations != null && { citations: readList(citations, `${path}.citations`, readCitation) }),
  };
}

function readCitation(value: unknown, path: string): Citation {
  const { title, source, sourceContent, location } = readObject(value, path, citationFields);
  return {
    ...(title != null && { title: readText(title, `${path}.title`) }),
    ...(source != null && { source: readText(source, `${path}.source`) }),
    ...(sourceContent != null && { sourceContent: readList(sourceContent, `${path}.sourceContent`, readTextUnion) }),
    ...(location != null && { location: readLocation(location, `${path}.location`) }),
  };
}

function readLocation(value: unknown, path: string): CitationLocation {
  const [name, member] = readMember(value, path);
  const place = `${path}.${name}`;
  switch (name) {
    case "web": {
      const { url, domain } = readObject(member, place, webFields);
      return {
        web: {
          ...(url != null && { url: readText(url, `${place}.url`) }),
          ...(domain != null && { domain: readText(domain, `${place}.domain`) }),
        },
      };
    }
    case "documentChar":
      return { documentChar: readDocumentRange(member, place) };
    case "documentPage":
      return { documentPage: readDocumentRange(member, place) };
    case "documentChunk":
      return { documentChunk: readDocumentRange(member, place) };
    case "searchResultLocation": {
      const { searchResultIndex, start, end } = readObject(member, place, searchRangeFields);
      return {
        searchResultLocation: {
          ...(searchResultIndex != null && {
            searchResultIndex: readInteger(searchResultIndex, `${place}.searchResultIndex`),
          }),
          ...(start != null && { start: readInteger(start, `${place}.start`) }),
          ...(end != null && { end: readInteger(end, `${place}.end`) }),
        },
      };
    }
    default:
      throw refuseMember(path, name);
  }
}

function readDocumentRange(value: unknown, path: string): DocumentRange {
  const { documentIndex, start, end } = readObject(value, path, documentRangeFields);
  return {
    ...(documentIndex != null && { documentIndex: readInteger(documentIndex, `${path}.documentIndex`) }),
    ...(start != null && { start: readInteger(start, `${path}.start`) }),
    ...(end != null && { end: readInteger(end, `${path}.end`) }),
  };
}

function readSearchResult(value: unknown, path: string): SearchResult {
  const { source, title, content, citations } = readObject(value, path, searchResultFields);
  return {
    source: readText(source, `${path}.source`),
    title: readText(title, `${path}.title`),
    content: readSome(content, `${path}.content`, readTextObject),
    ...(citations != null && { citations: readCitationsConfig(citations, `${path}.citations`) }),
  };
}

function readCitationsConfig(value: unknown, path: string): { enabled: boolean } {
  return { enabled: readBoolean(readObject(value, path, citationsConfigFields).enabled, `${path}.enabled`) };
}
