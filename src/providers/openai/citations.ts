/** Sources of an answer as Converse's citations. */
import type { Citation } from "../../bedrock/converse.ts";
import { isJsonObject, type JsonObject, type JsonValue } from "../../bedrock/json.ts";
import { listOf, objectOf, textOf } from "../answer.ts";

/** One of a message's `annotations`: `{type: "url_citation", url_citation: {url, title, content}}`; undefined for others. */
export function readAnnotation(annotation: JsonValue): Citation | undefined {
  const { url, title, content } = objectOf(objectOf(annotation).url_citation);
  return toCitation(textOf(url), textOf(title), textOf(content));
}

/** Perplexity's sources, beside the message: `search_results`, or the older `citations`, a list of addresses. */
export function readSources(body: JsonObject): readonly Citation[] {
  const results = listOf(body.search_results);
  const sources = results.length > 0 ? results : listOf(body.citations);
  return sources.flatMap((source): readonly Citation[] => {
    const { url, title, snippet } = isJsonObject(source) ? source : { url: source };
    const citation = toCitation(textOf(url), textOf(title), textOf(snippet));
    return citation === undefined ? [] : [citation];
  });
}

function toCitation(url: string, title: string, content: string): Citation | undefined {
  if (url === "") return undefined;
  return {
    ...(title !== "" && { title }),
    source: url,
    ...(content !== "" && { sourceContent: [{ text: content }] }),
    location: { web: { url } },
  };
}
