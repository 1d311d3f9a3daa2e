/** Citations: Anthropic's five locations, and Converse's. */
import type { Citation, CitationLocation, DocumentRange } from "../converse.ts";
import { refuseField } from "../errors.ts";
import type { JsonObject } from "../json.ts";
import { readAnyObject, readInteger, readObject, readText, readWord } from "../reading.ts";

const kinds = [
  "char_location",
  "page_location",
  "content_block_location",
  "search_result_location",
  "web_search_result_location",
] as const;

type Kind = (typeof kinds)[number];

const fieldsOf: { readonly [kind in Kind]: ReadonlySet<string> } = {
  char_location: documentFields("start_char_index", "end_char_index"),
  page_location: documentFields("start_page_number", "end_page_number"),
  content_block_location: documentFields("start_block_index", "end_block_index"),
  search_result_location: new Set([
    "type",
    "cited_text",
    "source",
    "title",
    "search_result_index",
    "start_block_index",
    "end_block_index",
  ]),
  web_search_result_location: new Set(["type", "cited_text", "url", "title", "encrypted_index"]),
};

function documentFields(start: string, end: string): ReadonlySet<string> {
  return new Set(["type", "cited_text", "document_index", "document_title", "file_id", start, end]);
}

/** Reads a citation of a text block. */
export function readCitation(value: unknown, path: string): Citation {
  const kind = readWord(readAnyObject(value, path).type, `${path}.type`, kinds);
  const fields = readObject(value, path, fieldsOf[kind]);
  const { cited_text: cited, source } = fields;
  const title = fields.title ?? fields.document_title;
  if (fields.file_id != null) throw refuseField(`${path}.file_id`, "cannot be carried: Converse knows no files");
  return {
    ...(title != null && {
      title: readText(title, `${path}.${kind.endsWith("result_location") ? "" : "document_"}title`),
    }),
    ...(source != null && { source: readText(source, `${path}.source`) }),
    ...(cited != null && { sourceContent: [{ text: readText(cited, `${path}.cited_text`) }] }),
    location: readLocation(kind, fields, path),
  };
}

type CitationFields = Readonly<Record<string, unknown>>;

function readLocation(kind: Kind, fields: CitationFields, path: string): CitationLocation {
  switch (kind) {
    case "char_location":
      return { documentChar: readRange(fields, "start_char_index", "end_char_index", path) };
    case "page_location":
      return { documentPage: readRange(fields, "start_page_number", "end_page_number", path) };
    case "content_block_location":
      return { documentChunk: readRange(fields, "start_block_index", "end_block_index", path) };
    case "search_result_location":
      return {
        searchResultLocation: {
          searchResultIndex: readInteger(fields.search_result_index, `${path}.search_result_index`),
          start: readInteger(fields.start_block_index, `${path}.start_block_index`),
          end: readInteger(fields.end_block_index, `${path}.end_block_index`),
        },
      };
    case "web_search_result_location": {
      const index = fields.encrypted_index;
      if (index != null && index !== "") {
        throw refuseField(`${path}.encrypted_index`, "cannot be carried: Converse has no place for it");
      }
      return { web: { url: readText(fields.url, `${path}.url`) } };
    }
  }
}

function readRange(fields: CitationFields, start: string, end: string, path: string): DocumentRange {
  return {
    documentIndex: readInteger(fields.document_index, `${path}.document_index`),
    start: readInteger(fields[start], `${path}.${start}`),
    end: readInteger(fields[end], `${path}.${end}`),
  };
}

/** Writes a citation. One that says no place is taken for one of the web, where the source's name is the URL. */
export function writeCitation(citation: Citation): JsonObject {
  const cited_text = (citation.sourceContent ?? []).map((part) => part.text).join("");
  const title = citation.title ?? null;
  const location = citation.location ?? { web: {} };
  if ("web" in location) {
    const url = location.web.url ?? location.web.domain ?? citation.source ?? "";
    return { type: "web_search_result_location", cited_text, url, title, encrypted_index: "" };
  }
  if ("searchResultLocation" in location) {
    const { searchResultIndex = 0, start = 0, end = 0 } = location.searchResultLocation;
    return {
      type: "search_result_location",
      cited_text,
      source: citation.source ?? "",
      title,
      search_result_index: searchResultIndex,
      start_block_index: start,
      end_block_index: end,
    };
  }
  if ("documentChar" in location) {
    const { documentIndex = 0, start = 0, end = 0 } = location.documentChar;
    const document = { cited_text, document_index: documentIndex, document_title: title };
    return { type: "char_location", ...document, start_char_index: start, end_char_index: end };
  }
  if ("documentPage" in location) {
    const { documentIndex = 0, start = 0, end = 0 } = location.documentPage;
    const document = { cited_text, document_index: documentIndex, document_title: title };
    return { type: "page_location", ...document, start_page_number: start, end_page_number: end };
  }
  const { documentIndex = 0, start = 0, end = 0 } = location.documentChunk;
  const document = { cited_text, document_index: documentIndex, document_title: title };
  return { type: "content_block_location", ...document, start_block_index: start, end_block_index: end };
}
