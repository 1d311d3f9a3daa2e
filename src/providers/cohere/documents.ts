/** Documents: they stand beside the conversation, and are what the model cites. */
import { refuseField } from "../../bedrock/errors.ts";
import { isJsonObject, type JsonObject, type JsonValue } from "../../bedrock/json.ts";
import { documentText } from "../media.ts";
import type { DocumentPart, Prepared, SearchResultPart } from "../prepared.ts";

type Citable = DocumentPart | SearchResultPart;

export interface Documents {
  readonly list: readonly JsonValue[];
  /** What the message says where the document stood. */
  readonly ids: ReadonlyMap<Citable, string>;
  /** The client wants to be told what comes from where. */
  readonly cited: boolean;
}

const ownPath = "additionalModelRequestFields.documents";

/**
 * The documents and search results of the users' turns, and behind them those the client gave in the model's own
 * field: `[{title, snippet, …}]` as for Command R, or Cohere's `[{id, data}]`.
 *
 * @throws BedrockError ValidationException when the field has another shape
 */
export function collectDocuments({ turns }: Prepared, own: JsonValue | undefined): Documents {
  const ids = new Map<Citable, string>();
  const list: JsonValue[] = [];
  let cited = false;
  let results = 0;
  for (const block of turns.flatMap((turn) => (turn.role === "user" ? turn.blocks : []))) {
    if (block.kind !== "document" && block.kind !== "searchResult") continue;
    const id = block.kind === "document" ? block.name : `search-result-${++results}`;
    ids.set(block, id);
    list.push({ id, data: dataOf(block) });
    cited ||= block.citations;
  }
  const given = readOwn(own);
  return { list: [...list, ...given], ids, cited: cited || given.length > 0 };
}

function dataOf(block: Citable): JsonObject {
  if (block.kind === "searchResult") {
    return { title: block.title, source: block.source, text: block.content.join("\n") };
  }
  const { name, context } = block;
  return { title: name, ...(context !== undefined && { context }), text: documentText(block) };
}

function readOwn(own: JsonValue | undefined): readonly JsonValue[] {
  if (own === undefined) return [];
  if (!Array.isArray(own)) throw refuseField(ownPath, "must be a list");
  return own.map((document, index) => {
    if (typeof document === "string") return document;
    if (!isJsonObject(document)) throw refuseField(`${ownPath}[${index}]`, "must be a text or an object");
    return "data" in document ? document : { data: document };
  });
}
