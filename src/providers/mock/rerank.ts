/** Reranking as the mock does it: by the words that query and document share (bedrock-agent-runtime 2023-07-26). */
import type { JsonObject } from "../../bedrock/json.ts";
import { readCount, readDocument, readObject, readSome, readText } from "../../bedrock/reading.ts";

const rerankFields = new Set(["queries", "sources", "rerankingConfiguration"]);
const queryFields = new Set(["type", "textQuery"]);
const sourceFields = new Set(["type", "inlineDocumentSource"]);
const documentFields = new Set(["type", "textDocument", "jsonDocument"]);
const textFields = new Set(["text"]);
const configurationFields = new Set(["type", "bedrockRerankingConfiguration"]);
const bedrockConfigurationFields = new Set(["numberOfResults", "modelConfiguration"]);

/**
 * The answer of Rerank.
 *
 * @throws BedrockError ValidationException naming the field that is wrong
 */
export function rerank(body: JsonObject): JsonObject {
  const fields = readObject(body, "", rerankFields);
  const query = readSome(fields.queries, "queries", readQuery).join("\n");
  const documents = readSome(fields.sources, "sources", readSource);
  const place = "rerankingConfiguration";
  const configuration = readObject(fields.rerankingConfiguration, place, configurationFields);
  const inner = `${place}.bedrockRerankingConfiguration`;
  const { numberOfResults } = readObject(
    configuration.bedrockRerankingConfiguration,
    inner,
    bedrockConfigurationFields,
  );
  const most = numberOfResults == null ? documents.length : readCount(numberOfResults, `${inner}.numberOfResults`);
  return {
    results: rankByWords(query, documents)
      .slice(0, most)
      .map(({ index, score }) => ({ index, relevanceScore: score })),
  };
}

function readQuery(value: unknown, path: string): string {
  const { textQuery } = readObject(value, path, queryFields);
  return readText(readObject(textQuery, `${path}.textQuery`, textFields).text, `${path}.textQuery.text`);
}

function readSource(value: unknown, path: string): string {
  const place = `${path}.inlineDocumentSource`;
  const { inlineDocumentSource } = readObject(value, path, sourceFields);
  const { textDocument, jsonDocument } = readObject(inlineDocumentSource, place, documentFields);
  if (jsonDocument != null) return JSON.stringify(readDocument(jsonDocument, `${place}.jsonDocument`));
  return readText(readObject(textDocument, `${place}.textDocument`, textFields).text, `${place}.textDocument.text`);
}

interface Ranked {
  /** The document's place in the request. */
  readonly index: number;
  /** The share of the query's words that the document has, from 0 to 1. */
  readonly score: number;
}

/** All documents, best first; those with the same score in the order they came. */
export function rankByWords(query: string, documents: readonly string[]): readonly Ranked[] {
  const asked = wordsOf(query);
  const ranked = documents.map((document, index) => {
    const found = wordsOf(document);
    let shared = 0;
    for (const word of asked) if (found.has(word)) shared++;
    return { index, score: asked.size === 0 ? 0 : shared / asked.size };
  });
  return ranked.sort((one, other) => other.score - one.score || one.index - other.index);
}

function wordsOf(text: string): ReadonlySet<string> {
  return new Set(text.toLowerCase().match(/[\p{L}\p{N}]+/gu));
}
