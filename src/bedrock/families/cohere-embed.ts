/** Cohere Embed, v3 and v4, for texts. */
import { BedrockError, refuseField } from "../errors.ts";
import { readCount, readName, readObject, readSome, readWord } from "../reading.ts";
import type { EmbeddingFamily } from "./family.ts";

const bodyFields = new Set([
  "texts",
  "images",
  "inputs",
  "input_type",
  "truncate",
  "embedding_types",
  "output_dimension",
]);
const purposes = ["search_document", "search_query", "classification", "clustering"] as const;
const cuts = ["NONE", "START", "END"] as const;

/**
 * `{texts, input_type, truncate, embedding_types, output_dimension}` →
 * `{id, response_type, embeddings, texts}`; the embeddings are lists, or `{float: lists}` when the body names types.
 *
 * `input_type` may be missing: not every model wants to know.
 */
export const cohereEmbed: EmbeddingFamily = {
  kind: "embedding",
  name: "cohere-embed",

  read(body) {
    const fields = readObject(body, "", bodyFields);
    const { texts, images, inputs, input_type, truncate, embedding_types, output_dimension } = fields;
    if (images != null) throw refuseField("images", "cannot be served: only texts are embedded");
    if (inputs != null) throw refuseField("inputs", "cannot be served: give the texts in texts");
    return {
      texts: readSome(texts, "texts", readName),
      dimensions: output_dimension == null ? undefined : readCount(output_dimension, "output_dimension"),
      normalize: false,
      purpose: input_type == null ? undefined : readWord(input_type, "input_type", purposes),
      truncate: truncate == null ? undefined : readWord(truncate, "truncate", cuts),
      types: embedding_types == null ? [] : readSome(embedding_types, "embedding_types", readFloat),
    };
  },

  write(vectors, _inputTokens, request, context) {
    const { texts, types } = request;
    if (vectors.length !== texts.length) {
      const message = `The model gave ${vectors.length} embeddings for ${texts.length} texts.`;
      throw new BedrockError("ModelErrorException", message);
    }
    const byType = types.length > 0;
    return {
      id: context.requestId,
      response_type: byType ? "embeddings_by_type" : "embeddings_floats",
      embeddings: byType ? { float: vectors } : vectors,
      texts,
    };
  },
};

function readFloat(value: unknown, path: string): "float" {
  return readWord(value, path, ["float"]);
}
