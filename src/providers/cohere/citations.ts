/** Cohere's citations: which characters of the answer rest on which documents and tool results. */
import type { Citation, CitationLocation } from "../../bedrock/converse.ts";
import { isJsonObject, type JsonObject, type JsonValue } from "../../bedrock/json.ts";
import { listOf, objectOf, textOf } from "../answer.ts";

/** A piece of the answer's text, and what it rests on. */
export interface CitedText {
  readonly text: string;
  readonly citations: readonly Citation[];
}

interface Span {
  readonly start: number;
  readonly end: number;
  readonly citations: readonly Citation[];
}

/** Cohere also cites within the model's plan and thinking; Converse has no place for that. */
export function isOfText(citation: JsonObject): boolean {
  return citation.type == null || citation.type === "TEXT_CONTENT";
}

/** One citation for each of its sources. */
export function readSources(citation: JsonObject): readonly Citation[] {
  return listOf(citation.sources).filter(isJsonObject).map(readSource);
}

/** `{type: document, id, document: {title, text, …}}` or `{type: tool, id, tool_output}`. */
function readSource({ id, document, tool_output: output }: JsonObject): Citation {
  const { title, text, snippet, url } = objectOf(document);
  const content = textOf(text) || textOf(snippet) || (output == null ? "" : textOrJson(output));
  const location = locationOf(textOf(id), textOf(url));
  return {
    ...(textOf(title) !== "" && { title: textOf(title) }),
    ...(textOf(id) !== "" && { source: textOf(id) }),
    ...(content !== "" && { sourceContent: [{ text: content }] }),
    ...(location !== undefined && { location }),
  };
}

/** Which of the client's documents or search results it is tells the id, where the gateway made it. */
function locationOf(id: string, url: string): CitationLocation | undefined {
  const [, kind, number] = /^(document|search-result)-(\d{1,6})$/.exec(id) ?? [];
  if (kind === "document") return { documentChunk: { documentIndex: Number(number) - 1 } };
  if (kind === "search-result") return { searchResultLocation: { searchResultIndex: Number(number) - 1 } };
  return url === "" ? undefined : { web: { url } };
}

/**
 * The text cut where its citations begin and end. When they cannot be found in it, it is one piece with all of them.
 *
 * @param citations each `{start, end, text, sources}`; offsets count characters, not code units
 */
export function citeText(text: string, citations: readonly JsonObject[]): readonly CitedText[] {
  const spans: Span[] = [];
  for (const citation of citations) {
    const place = locate(text, citation);
    if (place === undefined) return [{ text, citations: citations.flatMap(readSources) }];
    spans.push({ ...place, citations: readSources(citation) });
  }
  return cut(text, joinOverlaps(spans.toSorted((one, other) => one.start - other.start)));
}

function locate(text: string, { start, end, text: cited }: JsonObject): { start: number; end: number } | undefined {
  if (!isOffset(start) || !isOffset(end) || start >= end) return undefined;
  const wanted = textOf(cited);
  if (end <= text.length && (wanted === "" || text.slice(start, end) === wanted)) return { start, end };
  const characters = Array.from(text);
  if (end > characters.length || characters.slice(start, end).join("") !== wanted) return undefined;
  const before = characters.slice(0, start).join("").length;
  return { start: before, end: before + wanted.length };
}

function isOffset(value: JsonValue | undefined): value is number {
  return typeof value === "number" && Number.isSafeInteger(value) && value >= 0;
}

function joinOverlaps(sorted: readonly Span[]): readonly Span[] {
  const joined: Span[] = [];
  for (const span of sorted) {
    const last = joined.at(-1);
    if (last === undefined || span.start >= last.end) {
      joined.push(span);
      continue;
    }
    const citations = [...last.citations, ...span.citations];
    joined[joined.length - 1] = { start: last.start, end: Math.max(last.end, span.end), citations };
  }
  return joined;
}

/** Blank text between two citations goes with the first: alone it would be left out of the answer. */
function cut(text: string, spans: readonly Span[]): readonly CitedText[] {
  const pieces: CitedText[] = [];
  let from = 0;
  for (const [index, { start, end, citations }] of spans.entries()) {
    const before = text.slice(from, start);
    const isLeading = before.trim() === "";
    if (!isLeading) pieces.push({ text: before, citations: [] });
    const next = spans[index + 1]?.start ?? text.length;
    const behind = text.slice(end, next);
    const to = behind.trim() === "" ? next : end;
    pieces.push({ text: text.slice(isLeading ? from : start, to), citations });
    from = to;
  }
  if (from < text.length) pieces.push({ text: text.slice(from), citations: [] });
  return pieces;
}

function textOrJson(value: JsonValue): string {
  return typeof value === "string" ? value : JSON.stringify(value);
}
