/** Asking a model on Bedrock for the vector of one text: the bodies of InvokeModel, out and back. */
import { isJsonObject, type JsonObject, type JsonValue } from "./json.ts";

export interface EmbeddingForm {
  /** @param dimension of the vector, for models that have several */
  request(text: string, dimension: number): JsonObject;
  /** Undefined when the answer has no vector. */
  vector(answer: unknown): readonly number[] | undefined;
}

const titan: EmbeddingForm = {
  request: (inputText) => ({ inputText }),
  vector: (answer) => (isJsonObject(answer) ? numbersOf(answer.embedding) : undefined),
};

/** Titan's second version, which makes vectors of several lengths. */
const titan2: EmbeddingForm = {
  ...titan,
  request: (inputText, dimensions) => ({ inputText, dimensions, normalize: true }),
};

const cohere: EmbeddingForm = {
  // Questions are compared with questions: neither side is a document.
  request: (text) => ({ texts: [text], input_type: "clustering" }),
  vector: (answer) => {
    const embeddings = isJsonObject(answer) ? answer.embeddings : undefined;
    return firstOf(isJsonObject(embeddings) ? embeddings.float : embeddings);
  },
};

const cohere4: EmbeddingForm = {
  ...cohere,
  request: (text, output_dimension) => ({ ...cohere.request(text, output_dimension), output_dimension }),
};

const forms: readonly (readonly [name: RegExp, form: EmbeddingForm])[] = [
  [/titan-embed-text-v2/, titan2],
  [/titan-embed/, titan],
  [/cohere\.embed-v4/, cohere4],
  [/cohere\.embed/, cohere],
];

/** The form of a model's bodies; undefined for one that is not known to make vectors. */
export function embeddingForm(model: string): EmbeddingForm | undefined {
  return forms.find(([name]) => name.test(model))?.[1];
}

function firstOf(list: JsonValue | undefined): readonly number[] | undefined {
  const vectors: readonly unknown[] = Array.isArray(list) ? list : [];
  return numbersOf(vectors[0]);
}

function numbersOf(value: unknown): readonly number[] | undefined {
  return Array.isArray(value) && value.every((item) => typeof item === "number") ? value : undefined;
}
