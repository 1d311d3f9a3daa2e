/** Rerank of bedrock-agent-runtime (2023-07-26): its body read, and its answer written. */
import { refuseField } from "./errors.ts";
import type { Placed, Ranked, RerankRequest } from "./families/family.ts";
import { checkRanking } from "./families/rerank.ts";
import type { JsonObject } from "./json.ts";
import { readCount, readDocument, readName, readObject, readSome, readWord } from "./reading.ts";

const bodyFields = new Set(["queries", "sources", "rerankingConfiguration", "nextToken"]);
const queryFields = new Set(["type", "textQuery"]);
const sourceFields = new Set(["type", "inlineDocumentSource"]);
const documentFields = new Set(["type", "textDocument", "jsonDocument"]);
const textFields = new Set(["text"]);
const configurationFields = new Set(["type", "bedrockRerankingConfiguration"]);
const rerankingFields = new Set(["modelConfiguration", "numberOfResults"]);
const modelFields = new Set(["modelArn", "additionalModelRequestFields"]);
const additionalFields = new Set(["max_tokens_per_doc"]);
const configuration = "rerankingConfiguration";
const reranking = `${configuration}.bedrockRerankingConfiguration`;

/**
 * Reads the body. A JSON document becomes its JSON text; the model is found by whoever routes the request.
 *
 * @throws BedrockError ValidationException naming the field that is wrong, or that nobody but Bedrock can be told
 */
export function readRerank(body: JsonObject): RerankRequest {
  const fields = readObject(body, "", bodyFields);
  if (fields.nextToken != null) throw refuseField("nextToken", "all results come at once; there is no next page");
  const [query, ...more] = readSome(fields.queries, "queries", readQuery);
  if (query === undefined || more.length > 0) throw refuseField("queries", "must have exactly one item");
  const outer = readObject(fields.rerankingConfiguration, configuration, configurationFields);
  readWord(outer.type, `${configuration}.type`, ["BEDROCK_RERANKING_MODEL"]);
  const inner = readObject(outer.bedrockRerankingConfiguration, reranking, rerankingFields);
  const { numberOfResults, modelConfiguration } = inner;
  return {
    query,
    documents: readSome(fields.sources, "sources", readSource),
    topN: numberOfResults == null ? undefined : readCount(numberOfResults, `${reranking}.numberOfResults`),
    maxTokensPerDocument: readModel(modelConfiguration),
  };
}

/** The answer. @throws BedrockError ModelErrorException when a result is of no document of the request */
export function writeRerank(ranked: readonly Ranked[], request: RerankRequest): JsonObject {
  const results = checkRanking(ranked, request).map(({ index, score }) => ({ index, relevanceScore: score }));
  return { results };
}

function readQuery(value: unknown, path: string): string {
  const { type, textQuery } = readObject(value, path, queryFields);
  readWord(type, `${path}.type`, ["TEXT"]);
  return readTextMember(textQuery, `${path}.textQuery`);
}

function readSource(value: unknown, path: string): string {
  const source = readObject(value, path, sourceFields);
  readWord(source.type, `${path}.type`, ["INLINE"]);
  const place = `${path}.inlineDocumentSource`;
  const { type, textDocument, jsonDocument } = readObject(source.inlineDocumentSource, place, documentFields);
  if (readWord(type, `${place}.type`, ["TEXT", "JSON"]) === "TEXT") {
    if (jsonDocument != null) throw refuseField(`${place}.jsonDocument`, "goes with the type JSON");
    return readTextMember(textDocument, `${place}.textDocument`);
  }
  if (textDocument != null) throw refuseField(`${place}.textDocument`, "goes with the type TEXT");
  return JSON.stringify(readDocument(jsonDocument ?? undefined, `${place}.jsonDocument`));
}

function readTextMember(value: unknown, path: string): string {
  return readName(readObject(value, path, textFields).text, `${path}.text`);
}

function readModel(value: unknown): Placed<number> | undefined {
  const place = `${reranking}.modelConfiguration`;
  const { additionalModelRequestFields } = readObject(value, place, modelFields);
  if (additionalModelRequestFields == null) return undefined;
  const path = `${place}.additionalModelRequestFields`;
  const { max_tokens_per_doc } = readObject(additionalModelRequestFields, path, additionalFields);
  if (max_tokens_per_doc == null) return undefined;
  const where = `${path}.max_tokens_per_doc`;
  return { value: readCount(max_tokens_per_doc, where), path: where };
}
