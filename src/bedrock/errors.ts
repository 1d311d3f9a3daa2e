/**
 * The one error catalogue. Every failure a client can see is one of these names, with the status and shape that
 * the Bedrock service models give it (bedrock-runtime 2023-09-30, bedrock 2023-04-20, and the common SigV4 errors).
 */

/** Name, HTTP status, and whether an SDK or a caller may usefully send the same request again. */
interface CatalogueEntry {
  readonly status: number;
  readonly retryable: boolean;
}

const catalogue = {
  AccessDeniedException: { status: 403, retryable: false },
  ConflictException: { status: 400, retryable: false },
  ExpiredTokenException: { status: 403, retryable: false },
  IncompleteSignatureException: { status: 400, retryable: false },
  InternalServerException: { status: 500, retryable: true },
  InvalidSignatureException: { status: 403, retryable: false },
  ModelErrorException: { status: 424, retryable: true },
  ModelNotReadyException: { status: 429, retryable: true },
  ModelStreamErrorException: { status: 424, retryable: true },
  ModelTimeoutException: { status: 408, retryable: true },
  ResourceNotFoundException: { status: 404, retryable: false },
  ServiceQuotaExceededException: { status: 400, retryable: false },
  ServiceUnavailableException: { status: 503, retryable: true },
  ThrottlingException: { status: 429, retryable: true },
  UnknownOperationException: { status: 404, retryable: false },
  UnrecognizedClientException: { status: 403, retryable: false },
  ValidationException: { status: 400, retryable: false },
} as const satisfies Record<string, CatalogueEntry>;

export type ErrorType = keyof typeof catalogue;

/** Extra facts an error may carry beside its type and message. */
export interface ErrorDetails {
  /** Overrides the catalogue's status: 413 for an oversized body is still a `ValidationException`. */
  readonly status?: number;
  /** Seconds after which the same request may succeed; becomes `retry-after` and `x-amz-retry-after`. */
  readonly retryAfterSeconds?: number;
  /** Modelled members beside `message`, e.g. `originalStatusCode` of `ModelErrorException`. */
  readonly members?: Readonly<Record<string, string | number>>;
  /** What went wrong underneath. Never shown to the client. */
  readonly cause?: unknown;
}

/** A failure in AWS's own terms: throw it anywhere on the road, the front end writes it in AWS's shape. */
export class BedrockError extends Error {
  override readonly name = "BedrockError";
  readonly type: ErrorType;
  readonly status: number;
  readonly retryable: boolean;
  readonly retryAfterSeconds: number | undefined;
  readonly members: Readonly<Record<string, string | number>> | undefined;

  constructor(type: ErrorType, message: string, details: ErrorDetails = {}) {
    super(message, details.cause === undefined ? undefined : { cause: details.cause });
    this.type = type;
    this.status = details.status ?? catalogue[type].status;
    this.retryable = catalogue[type].retryable;
    this.retryAfterSeconds = details.retryAfterSeconds;
    this.members = details.members;
  }
}

/**
 * The refusal of a field: a `ValidationException` that names the field's path and says what to do.
 *
 * @param path the field as the client wrote it, e.g. `messages[2].content[0].image.source.s3Location`
 */
export function refuseField(path: string, reason: string): BedrockError {
  return new BedrockError("ValidationException", `${path}: ${reason}`);
}

/** True when the name is one of the catalogue's. */
export function isErrorType(name: string): name is ErrorType {
  return Object.hasOwn(catalogue, name);
}

/** The HTTP status AWS gives an error of this name; undefined for names the catalogue does not know. */
export function statusOf(name: string): number | undefined {
  return isErrorType(name) ? catalogue[name].status : undefined;
}

/** The body of an AWS JSON error: `{"message": …}` plus modelled members. */
export function errorBody(error: BedrockError): string {
  return JSON.stringify({ message: error.message, ...error.members });
}

/** The body of an error as S3's clients read it. */
export function xmlErrorBody(error: BedrockError, requestId: string): string {
  const members = [
    ["Code", error.type],
    ["Message", error.message],
    ["RequestId", requestId],
  ] as const;
  const elements = members.map(([name, value]) => `<${name}>${xmlText(value)}</${name}>`);
  return `<?xml version="1.0" encoding="UTF-8"?>\n<Error>${elements.join("")}</Error>`;
}

/** Characters that XML cannot hold, not even by number, become the one that stands for them. */
function xmlText(text: string): string {
  return text
    .replaceAll("&", "&amp;")
    .replaceAll("<", "&lt;")
    .replaceAll(">", "&gt;")
    .replace(/[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\u{10000}-\u{10ffff}]/gu, "\ufffd");
}
