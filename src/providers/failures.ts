/**
 * A provider's failure in AWS's terms. What happened is recognised by the words of the error's body where they are
 * telling, else by the status; what follows from it stands in one table.
 */
import { BedrockError, type ErrorType } from "../bedrock/errors.ts";
import type { JsonObject } from "../bedrock/json.ts";
import type { FailedAnswer, ProviderFailure, RetryScope, Target } from "./dialect.ts";
import { type ErrorFacts, readErrorBody, readErrorObject } from "./error-bodies.ts";
import { retryAfter } from "./retry-after.ts";

/** What can have happened. */
export type Cause =
  | "invalid"
  | "too_long"
  | "filtered"
  | "credential"
  | "exhausted"
  | "forbidden"
  | "not_found"
  | "timeout"
  | "conflict"
  | "bad_call"
  | "throttled"
  | "no_capacity"
  | "failed"
  | "unavailable"
  | "loading"
  | "unknown";

interface Outcome {
  readonly type: ErrorType;
  readonly retry: RetryScope;
  readonly elsewhere: boolean;
  readonly exhausted?: true;
}

const outcomes: Readonly<Record<Cause, Outcome>> = {
  invalid: { type: "ValidationException", retry: "nobody", elsewhere: false },
  too_long: { type: "ValidationException", retry: "nobody", elsewhere: true },
  filtered: { type: "ValidationException", retry: "nobody", elsewhere: false },
  credential: { type: "ServiceUnavailableException", retry: "other_credential", elsewhere: true },
  exhausted: { type: "ThrottlingException", retry: "other_key", elsewhere: true, exhausted: true },
  forbidden: { type: "AccessDeniedException", retry: "other_key", elsewhere: true },
  not_found: { type: "ResourceNotFoundException", retry: "other_key", elsewhere: true },
  timeout: { type: "ModelTimeoutException", retry: "same_key", elsewhere: true },
  conflict: { type: "ServiceUnavailableException", retry: "same_key", elsewhere: true },
  bad_call: { type: "ModelErrorException", retry: "same_key", elsewhere: true },
  throttled: { type: "ThrottlingException", retry: "other_key", elsewhere: true },
  no_capacity: { type: "ThrottlingException", retry: "same_key", elsewhere: true },
  failed: { type: "ServiceUnavailableException", retry: "same_key", elsewhere: true },
  unavailable: { type: "ServiceUnavailableException", retry: "same_key", elsewhere: true },
  loading: { type: "ModelNotReadyException", retry: "same_key", elsewhere: true },
  unknown: { type: "ModelErrorException", retry: "nobody", elsewhere: true },
};

const byStatus: Readonly<Record<number, Cause>> = {
  400: "invalid",
  401: "credential",
  402: "exhausted",
  403: "forbidden",
  404: "not_found",
  408: "timeout",
  409: "conflict",
  413: "too_long",
  422: "invalid",
  424: "bad_call",
  429: "throttled",
  // Groq: no capacity for the flex tier.
  498: "no_capacity",
  500: "failed",
  502: "unavailable",
  503: "unavailable",
  504: "timeout",
  524: "timeout",
  529: "unavailable",
};

/** Words of `code`, `type`, `status` or `reason` that say more than the status beside them. */
const tellingWords: Readonly<Record<string, Cause>> = {
  context_length_exceeded: "too_long",
  string_above_max_length: "too_long",
  request_too_large: "too_long",
  content_filter: "filtered",
  content_policy_violation: "filtered",
  moderation_blocked: "filtered",
  ResponsibleAIPolicyViolation: "filtered",
  invalid_api_key: "credential",
  API_KEY_INVALID: "credential",
  insufficient_quota: "exhausted",
  billing_error: "exhausted",
  billing_hard_limit_reached: "exhausted",
  billing_not_active: "exhausted",
  model_not_found: "not_found",
  DeploymentNotFound: "not_found",
  // Groq: the model wrote a call that is none.
  tool_use_failed: "bad_call",
  overloaded_error: "unavailable",
  engine_overloaded: "unavailable",
  insufficient_system_resource: "unavailable",
  DEADLINE_EXCEEDED: "timeout",
  timeout_error: "timeout",
};

/** Words that repeat the status: they count where there is none, in a stream or in an answer of status 200. */
const plainWords: Readonly<Record<string, Cause>> = {
  invalid_request_error: "invalid",
  INVALID_ARGUMENT: "invalid",
  FAILED_PRECONDITION: "invalid",
  authentication_error: "credential",
  UNAUTHENTICATED: "credential",
  permission_error: "forbidden",
  PERMISSION_DENIED: "forbidden",
  not_found_error: "not_found",
  NOT_FOUND: "not_found",
  rate_limit_error: "throttled",
  rate_limit_exceeded: "throttled",
  requests: "throttled",
  tokens: "throttled",
  RESOURCE_EXHAUSTED: "throttled",
  api_error: "failed",
  server_error: "failed",
  INTERNAL: "failed",
  UNAVAILABLE: "unavailable",
};

/** Messages of providers that have no word for it. Only for 400-class statuses: elsewhere texts may say anything. */
const tellingTexts: readonly (readonly [RegExp, Cause])[] = [
  [
    /prompt is too long|maximum context length|context window|input is too long|exceeds the maximum number of tokens/i,
    "too_long",
  ],
  [/(?:incorrect|invalid) api key|api key (?:not valid|expired|not found)/i, "credential"],
  [/credit balance is too low|spend(?:ing)? limit|insufficient (?:credit|balance)/i, "exhausted"],
];

/** What a dialect knows of its provider beyond the tables here; its words and texts come first. */
export interface FailureHints {
  readonly words?: Readonly<Record<string, Cause>>;
  readonly texts?: readonly (readonly [RegExp, Cause])[];
}

const maxMessageLength = 2000;

/** Reads an answer whose status is not 200. */
export function readFailure(answer: FailedAnswer, target: Target, hints: FailureHints = {}): ProviderFailure {
  const facts = readErrorBody(answer.body);
  const cause = causeOf(answer.status, facts, hints);
  const wait = retryAfter(answer.headers, answer.now) ?? facts.retryDelaySeconds;
  return failureOf(cause, facts, target, answer.status, wait);
}

/**
 * Reads the failure in an event or in an answer of status 200: `{"error": …}` or Anthropic's `{"type": "error"}`.
 * Undefined when there is none.
 */
export function readInnerFailure(
  body: JsonObject,
  target: Target,
  hints: FailureHints = {},
): ProviderFailure | undefined {
  const hasError = (body.error != null && body.error !== "") || body.type === "error" || body.object === "error";
  if (!hasError) return undefined;
  const facts = readErrorObject(body);
  return failureOf(causeOf(facts.status, facts, hints), facts, target, facts.status, facts.retryDelaySeconds);
}

/** A failure of a known cause, for what a dialect recognises itself, e.g. a finish reason `error`. */
export function failureFor(cause: Cause, message: string, target: Target): ProviderFailure {
  return failureOf(cause, { message, words: [], perDay: false }, target, undefined, undefined);
}

function causeOf(status: number | undefined, facts: ErrorFacts, hints: FailureHints): Cause {
  const words = [{ ...tellingWords, ...hints.words }, status === undefined ? plainWords : {}];
  for (const known of words) {
    for (const word of facts.words) {
      if (!Object.hasOwn(known, word)) continue;
      const cause = known[word];
      if (cause !== undefined) return cause;
    }
  }
  if (status === undefined || (status >= 400 && status < 500 && status !== 429)) {
    for (const [pattern, cause] of [...(hints.texts ?? []), ...tellingTexts]) {
      if (pattern.test(facts.message)) return cause;
    }
  }
  if (status === 503 && /\bloading\b/i.test(facts.message)) return "loading";
  if (status === 429 && facts.perDay) return "exhausted";
  if (status === undefined) return "failed";
  return byStatus[status] ?? (status >= 500 ? "unavailable" : "unknown");
}

function failureOf(
  cause: Cause,
  facts: ErrorFacts,
  target: Target,
  status: number | undefined,
  retryAfterSeconds: number | undefined,
): ProviderFailure {
  const { type, retry, elsewhere, exhausted = false } = outcomes[cause];
  const isModelError = type === "ModelErrorException";
  const error = new BedrockError(type, messageFor(cause, facts, target, status), {
    ...(retryAfterSeconds !== undefined && { retryAfterSeconds }),
    ...(isModelError && status !== undefined && { members: { originalStatusCode: status } }),
  });
  return { kind: "failure", error, retry, elsewhere, exhausted, ...(cause === "filtered" && { filtered: true }) };
}

/** The client learns what it can act upon; of a refused key it learns nothing but that it was not its own. */
function messageFor(cause: Cause, facts: ErrorFacts, target: Target, status: number | undefined): string {
  const said =
    facts.message.length <= maxMessageLength ? facts.message : `${facts.message.slice(0, maxMessageLength)}…`;
  const answered = status === undefined ? "reported an error" : `answered with status ${status}`;
  if (cause === "too_long") return `Input is too long for requested model. ${said}`.trim();
  if (cause === "credential") return `The provider ${target.provider} refused the gateway's key.`;
  if (cause === "exhausted") {
    return `The quota or credit of the gateway's key at the provider ${target.provider} is used up.`;
  }
  return said === "" ? `The provider ${target.provider} ${answered}.` : said;
}
