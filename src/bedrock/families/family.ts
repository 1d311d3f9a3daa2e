/**
 * A family is one vendor's own request and answer format on InvokeModel. It reads a body into Converse and writes the
 * Converse answer back in its own shape, whoever served it. Families are pure: values in, values out.
 */
import type { ConverseEvent, ConverseRequest, ConverseResponse } from "../converse.ts";
import type { JsonObject } from "../json.ts";
import type { SentImage } from "./images.ts";

/** What a family needs to know of the request when it writes the answer. */
export interface FamilyContext {
  readonly modelId: string;
  /** Ids in the answer are made from it. */
  readonly requestId: string;
  /** Of the request's body what `Family.echoes` names, for the families whose answer depends on it. */
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
  /** The members of a body that its answer repeats, or that say how it is written. Default: none. */
  readonly echoes?: readonly string[];
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

/** A member of a body together with the path where it stands, for whoever has to refuse or leave it out. */
export interface Placed<T> {
  readonly value: T;
  readonly path: string;
}

export interface ImageRequest {
  /** From words alone, from images with or without words, or by the words' change of one image. */
  readonly task: "generate" | "vary" | "edit";
  /** Undefined only where nothing but images was sent. */
  readonly prompt: string | undefined;
  readonly promptPath: string;
  readonly negativePrompt: Placed<string> | undefined;
  readonly images: readonly Placed<SentImage>[];
  readonly count: Placed<number>;
  readonly size: ImageSize | undefined;
  readonly seed: Placed<number> | undefined;
  readonly quality: Placed<"standard" | "premium"> | undefined;
  readonly format: Placed<"png" | "jpeg" | "webp"> | undefined;
  /** Paths of the sampler's knobs, which only the model they were made for has. */
  readonly ignored: readonly string[];
}

/** Pixels, or with `isRatio` only how they relate. */
export interface ImageSize {
  readonly width: number;
  readonly height: number;
  readonly isRatio: boolean;
  readonly paths: readonly string[];
}

export interface ImageFamily {
  readonly kind: "image";
  readonly name: string;
  /** @throws BedrockError ValidationException naming the path of a field that is wrong or that nobody else can be told */
  read(body: JsonObject): ImageRequest;
  /**
   * @param images base64, at least one
   * @param withheld why there are fewer than were asked for, if the provider said so
   */
  write(images: readonly string[], withheld: string | undefined, request: ImageRequest): JsonObject;
}

export interface RerankRequest {
  readonly query: string;
  readonly documents: readonly string[];
  /** How many results are wanted; undefined wants all. */
  readonly topN: number | undefined;
  /** Tokens after which a document is cut. */
  readonly maxTokensPerDocument: Placed<number> | undefined;
}

/** One document's relevance. */
export interface Ranked {
  /** Its place in the request. */
  readonly index: number;
  /** The more the better. */
  readonly score: number;
}

export interface RerankFamily {
  readonly kind: "rerank";
  readonly name: string;
  /** @throws BedrockError ValidationException naming the path of a field that is wrong or cannot be served */
  read(body: JsonObject): RerankRequest;
  /**
   * @param ranked best first
   * @throws BedrockError ModelErrorException when a result is of no document of the request
   */
  write(ranked: readonly Ranked[], request: RerankRequest): JsonObject;
}

/** The key of the metrics in the last chunk. */
export const metricsKey = "amazon-bedrock-invocationMetrics";
