/**
 * A family is one vendor's own request and answer format on InvokeModel. It reads a body into Converse and writes the
 * Converse answer back in its own shape, whoever served it. Families are pure: values in, values out.
 */
import type { ConverseEvent, ConverseRequest, ConverseResponse } from "../converse.ts";
import type { JsonObject } from "../json.ts";

/** What a family needs to know of the request when it writes the answer. */
export interface FamilyContext {
  readonly modelId: string;
  /** Ids in the answer are made from it. */
  readonly requestId: string;
  /** The request's body, for the families whose answer repeats parts of it (Cohere). */
  readonly body?: JsonObject;
}

/** What AWS puts into the last chunk as `amazon-bedrock-invocationMetrics`: tokens, and milliseconds. */
export type InvocationMetrics = {
  readonly inputTokenCount: number;
  readonly outputTokenCount: number;
  readonly invocationLatency: number;
  readonly firstByteLatency: number;
  readonly cacheReadInputTokenCount?: number;
  readonly cacheWriteInputTokenCount?: number;
};

export interface Family {
  readonly kind: "text";
  readonly name: string;
  /**
   * Reads a body. Inference parameters that Converse has no member for become `additionalModelRequestFields`.
   *
   * @throws BedrockError ValidationException naming the path of a field that is wrong, or that Converse cannot carry
   */
  read(body: JsonObject): ConverseRequest;
  /**
   * Reasoning is left out by a family that has no form for it: its body could not ask for any.
   *
   * @throws BedrockError ModelErrorException when the answer holds another block this family has no form for
   */
  write(answer: ConverseResponse, context: FamilyContext): JsonObject;
  stream(context: FamilyContext): FamilyStream;
}

/** Writes one streamed answer. Each object becomes the payload of one `chunk` frame. */
export interface FamilyStream {
  /** @throws BedrockError ModelErrorException as `Family.write` */
  push(event: ConverseEvent): readonly JsonObject[];
  /** Called once, after `messageStop` and `metadata`. The last object carries the metrics. */
  end(metrics: InvocationMetrics): readonly JsonObject[];
}

export interface EmbeddingRequest {
  readonly texts: readonly string[];
  /** Length of each vector; undefined leaves it to the model. */
  readonly dimensions: number | undefined;
  /** Vectors of length 1 are wanted. */
  readonly normalize: boolean;
  /** What the vectors are for, in Cohere's words (`search_document`, `search_query`, …); undefined when not said. */
  readonly purpose: string | undefined;
  /** What to do with a text that is too long, in Cohere's words; undefined leaves it to the model. */
  readonly truncate: "NONE" | "START" | "END" | undefined;
  /** The number formats asked for by name; empty when none was. Only floats are served. */
  readonly types: readonly "float"[];
}

export interface EmbeddingFamily {
  readonly kind: "embedding";
  readonly name: string;
  /** @throws BedrockError ValidationException naming the path of a field that is wrong or cannot be served */
  read(body: JsonObject): EmbeddingRequest;
  /** @param vectors one for each text, in the order of the request */
  write(
    vectors: readonly (readonly number[])[],
    inputTokens: number,
    request: EmbeddingRequest,
    context: FamilyContext,
  ): JsonObject;
}

/** The key of the metrics in the last chunk. */
export const metricsKey = "amazon-bedrock-invocationMetrics";
