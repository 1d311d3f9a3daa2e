/** A client's request for a provider that is not Bedrock: read, and encoded for one target. Pure. */
import type { ConverseRequest } from "../bedrock/converse.ts";
import { BedrockError } from "../bedrock/errors.ts";
import type { Route } from "../bedrock/operations.ts";
import type { Dialect, Encoded, Target } from "../providers/dialect.ts";
import { dialects } from "../providers/dialects.ts";
import { dialectNameFor } from "../providers/table.ts";
import {
  type AnswerFormat,
  type ClientFormat,
  type EmbeddingFormat,
  type ImagesFormat,
  type ReadContext,
  type RerankFormat,
  readClientRequest,
  readCountTokens,
  readRerankRequest,
  type TextFormat,
} from "./client-format.ts";

/** What a client asks, and how it is answered. */
export type ReadRequest = ClientFormat | CountFormat;

/** CountTokens, whose answer is a number. */
export interface CountFormat {
  readonly kind: "count";
  readonly request: ConverseRequest;
}

/** A request as one target gets it, and what the way back has to know. */
export interface Prepared {
  readonly request: Omit<Encoded["request"], "body">;
  /** Undefined for none. */
  readonly body: Uint8Array | undefined;
  readonly ignored: Encoded["ignored"];
  readonly memo: Encoded["memo"];
  readonly format: AnswerFormat | Pick<CountFormat, "kind">;
}

/**
 * Reads a request.
 *
 * @param asked the model id
 * @param provider its name, for the refusal of what it cannot do
 * @throws BedrockError ValidationException when the request is wrong, or asks for what only Bedrock has
 */
export function readForeignRequest(
  route: Route,
  asked: string,
  body: Buffer,
  context: Omit<ReadContext, "foreign">,
  provider: string,
): ReadRequest {
  const { name } = route.operation;
  switch (name) {
    case "Converse":
    case "ConverseStream":
    case "InvokeModel":
    case "InvokeModelWithResponseStream":
      return readClientRequest(route, asked, body, { foreign: true, ...context });
    case "CountTokens":
      return { kind: "count", request: readCountTokens(asked, body, true) };
    case "Rerank":
      return readRerankRequest(body);
    case "ApplyGuardrail":
    case "InvokeGuardrailChecks":
    case "StartAsyncInvoke":
    case "GetAsyncInvoke":
    case "ListAsyncInvokes":
    case "ListFoundationModels":
    case "GetFoundationModel":
    case "ListInferenceProfiles":
    case "GetInferenceProfile":
    case "CreateModelInvocationJob":
    case "ListModelInvocationJobs":
    case "GetModelInvocationJob":
    case "StopModelInvocationJob":
    case "PutObject":
    case "GetObject":
    case "HeadObject":
    case "DeleteObject":
    case "ListObjectsV2":
      throw new BedrockError("ValidationException", `The provider ${provider} does not serve ${name}.`);
  }
}

/** The same, for a model whose answers somebody else guards. */
export function withoutGuardrail<Format extends TextFormat>(format: Format): Format {
  const { guardrailConfig: _applied, ...request } = format.request;
  return { ...format, request };
}

/** @throws BedrockError ValidationException for what the target cannot carry */
export function encodeFor(target: Target, format: ReadRequest): Encoded {
  const dialect = dialectOf(target);
  switch (format.kind) {
    case "text":
      return dialect.encode(format.request, target);
    case "count":
      return (dialect.countTokens ?? dialect).encode(format.request, target);
    case "embedding": {
      if (dialect.embed === undefined) {
        const message = `The provider ${target.provider} makes no embeddings.`;
        throw new BedrockError("ValidationException", message);
      }
      return dialect.embed.encode(embedRequest(format), target);
    }
    case "image":
      return alsoIgnored(format, imagesBy(dialect, target.provider).encode(format.request, target));
    case "rerank":
      return alsoIgnored(format, rerankBy(dialect, target.provider).encode(format.request, target));
  }
}

export function dialectOf(target: Target): Dialect {
  const name = dialectNameFor(target);
  if (name === undefined) throw new Error(`no dialect for ${target.kind}`);
  return dialects[name];
}

/** @throws BedrockError ValidationException where the provider makes none */
export function imagesBy({ image }: Dialect, provider: string): NonNullable<Dialect["image"]> {
  if (image !== undefined) return image;
  throw new BedrockError("ValidationException", `The provider ${provider} makes no images.`);
}

/** @throws BedrockError ValidationException where the provider does not rank */
export function rerankBy({ rerank }: Dialect, provider: string): NonNullable<Dialect["rerank"]> {
  if (rerank !== undefined) return rerank;
  throw new BedrockError("ValidationException", `The provider ${provider} does not rank documents.`);
}

/** What was left out in reading comes before what the provider has no place for. */
function alsoIgnored({ ignored }: ImagesFormat | RerankFormat, encoded: Encoded): Encoded {
  return { ...encoded, ignored: [...ignored, ...encoded.ignored] };
}

function embedRequest({ request }: EmbeddingFormat) {
  const { texts, dimensions, purpose, truncate } = request;
  const purposes = ["search_document", "search_query", "classification", "clustering"] as const;
  const known = purposes.find((one) => one === purpose);
  const cut = { NONE: "none", START: "start", END: "end" } as const;
  return {
    texts,
    ...(dimensions !== undefined && { dimensions }),
    ...(known !== undefined && { purpose: known }),
    ...(truncate !== undefined && { truncate: cut[truncate] }),
  };
}
