/** Amazon Titan Text Embeddings, G1 and V2. */
import { BedrockError, refuseField } from "../errors.ts";
import { readBoolean, readCount, readName, readObject, readSome, readWord } from "../reading.ts";
import type { EmbeddingFamily } from "./family.ts";

const bodyFields = new Set(["inputText", "inputImage", "dimensions", "normalize", "embeddingTypes"]);

/**
 * `{inputText, dimensions, normalize, embeddingTypes}` → `{embedding, inputTextTokenCount, embeddingsByType?}`.
 *
 * `normalize` is true unless the body says otherwise, as in V2. `embeddingsByType` stands in the answer when the body
 * names types, and for V2's model id.
 */
export const titanEmbed: EmbeddingFamily = {
  kind: "embedding",
  name: "titan-embed",

  read(body) {
    const { inputText, inputImage, dimensions, normalize, embeddingTypes } = readObject(body, "", bodyFields);
    if (inputImage != null) throw refuseField("inputImage", "cannot be served: only text is embedded");
    return {
      texts: [readName(inputText, "inputText")],
      dimensions: dimensions == null ? undefined : readCount(dimensions, "dimensions"),
      normalize: normalize == null || readBoolean(normalize, "normalize"),
      purpose: undefined,
      truncate: undefined,
      types: embeddingTypes == null ? [] : readSome(embeddingTypes, "embeddingTypes", readFloat),
    };
  },

  write(vectors, inputTokens, request, context) {
    const [embedding] = vectors;
    if (embedding === undefined || vectors.length > 1) {
      throw new BedrockError("ModelErrorException", `The model gave ${vectors.length} embeddings for one text.`);
    }
    const byType = request.types.length > 0 || context.modelId.includes("titan-embed-text-v2");
    return {
      embedding,
      inputTextTokenCount: inputTokens,
      ...(byType && { embeddingsByType: { float: embedding } }),
    };
  },
};

function readFloat(value: unknown, path: string): "float" {
  return readWord(value, path, ["float"]);
}
