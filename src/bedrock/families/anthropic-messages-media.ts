/** Reads what Anthropic's messages and tool results hold beside text: images, documents and search results. */
import type { DocumentBlock, DocumentSource, ImageBlock, ImageFormat, SearchResult } from "../converse.ts";
import { refuseField } from "../errors.ts";
import {
  readAnyObject,
  readBoolean,
  readList,
  readName,
  readObject,
  readSome,
  readText,
  readWord,
} from "../reading.ts";

const imageFormats: ReadonlyMap<string, ImageFormat> = new Map([
  ["image/png", "png"],
  ["image/jpeg", "jpeg"],
  ["image/gif", "gif"],
  ["image/webp", "webp"],
]);

const textFields = new Set(["type", "text", "cache_control", "citations"]);
const imageFields = new Set(["type", "source", "cache_control"]);
const documentFields = new Set(["type", "source", "title", "context", "citations", "cache_control"]);
const dataSourceFields = new Set(["type", "media_type", "data"]);
const contentSourceFields = new Set(["type", "content"]);
const citationsFields = new Set(["enabled"]);
const searchResultFields = new Set(["type", "source", "title", "content", "citations", "cache_control"]);

/** Gives documents without a title a name: Converse demands one, and it must not change while a conversation grows. */
export class DocumentNames {
  #count = 0;

  next(): string {
    this.#count += 1;
    return `Document ${this.#count}`;
  }
}

export function readImage(value: unknown, path: string): ImageBlock {
  const { source } = readObject(value, path, imageFields);
  const place = `${path}.source`;
  const { media_type, data } = readBase64Source(source, place);
  const format = imageFormats.get(media_type);
  if (format === undefined) {
    throw refuseField(`${place}.media_type`, `must be ${[...imageFormats.keys()].join(", ")}`);
  }
  return { format, source: { bytes: data } };
}

function readBase64Source(value: unknown, path: string): { readonly media_type: string; readonly data: string } {
  const type = readText(readAnyObject(value, path).type, `${path}.type`);
  if (type !== "base64") throw refuseSource(path, type);
  const { media_type, data } = readObject(value, path, dataSourceFields);
  return { media_type: readText(media_type, `${path}.media_type`), data: readName(data, `${path}.data`) };
}

function refuseSource(path: string, type: string): Error {
  if (type === "url" || type === "file") {
    return refuseField(path, `of type ${type} cannot be fetched here; send the data itself, with type base64`);
  }
  return refuseField(`${path}.type`, "is not a type of source known here");
}

export function readDocumentBlock(value: unknown, path: string, names: DocumentNames): DocumentBlock {
  const { source, title, context, citations } = readObject(value, path, documentFields);
  return {
    ...readDocumentSource(source, `${path}.source`),
    name: title == null || title === "" ? names.next() : readText(title, `${path}.title`),
    ...(context != null && { context: readText(context, `${path}.context`) }),
    ...readCitationsSwitch(citations, `${path}.citations`),
  };
}

type Source = Pick<DocumentBlock, "format"> & { readonly source: DocumentSource };

function readDocumentSource(value: unknown, path: string): Source {
  const type = readText(readAnyObject(value, path).type, `${path}.type`);
  switch (type) {
    case "base64": {
      const { media_type, data } = readBase64Source(value, path);
      if (media_type !== "application/pdf") throw refuseField(`${path}.media_type`, "must be application/pdf");
      return { format: "pdf", source: { bytes: data } };
    }
    case "text": {
      const { media_type, data } = readObject(value, path, dataSourceFields);
      readWord(media_type, `${path}.media_type`, ["text/plain"]);
      return { format: "txt", source: { text: readText(data, `${path}.data`) } };
    }
    case "content": {
      const { content } = readObject(value, path, contentSourceFields);
      if (typeof content === "string") return { source: { content: [{ text: content }] } };
      return { source: { content: readList(content, `${path}.content`, readPlainText) } };
    }
    default:
      throw refuseSource(path, type);
  }
}

/** A text block where Converse takes a text and nothing else. */
function readPlainText(value: unknown, path: string): { readonly text: string } {
  const { type, text, cache_control, citations } = readObject(value, path, textFields);
  readWord(type, `${path}.type`, ["text"]);
  if (cache_control != null) throw refuseField(`${path}.cache_control`, "can only stand on the block around this one");
  refuseCitations(citations, `${path}.citations`);
  return { text: readText(text, `${path}.text`) };
}

function readCitationsSwitch(value: unknown, path: string): { readonly citations?: { readonly enabled: boolean } } {
  if (value == null) return {};
  const { enabled } = readObject(value, path, citationsFields);
  return enabled == null ? {} : { citations: { enabled: readBoolean(enabled, `${path}.enabled`) } };
}

export function readSearchResult(value: unknown, path: string): SearchResult {
  const { source, title, content, citations } = readObject(value, path, searchResultFields);
  return {
    source: readText(source, `${path}.source`),
    title: readText(title, `${path}.title`),
    content: readSome(content, `${path}.content`, readPlainText),
    ...readCitationsSwitch(citations, `${path}.citations`),
  };
}

/** Converse knows citations only on the text of a message. */
export function refuseCitations(value: unknown, path: string): void {
  if (value == null || (Array.isArray(value) && value.length === 0)) return;
  throw refuseField(path, "can only be carried on a text block of a message");
}
