/** Whose fault a failure was, from how it looked to the client. */
import type { ErrorClass } from "./request-record.ts";

const byType: ReadonlyMap<string, ErrorClass> = new Map([
  ["AccessDeniedException", "policy_access_denied"],
  ["InvalidSignatureException", "policy_access_denied"],
  ["UnrecognizedClientException", "policy_access_denied"],
  ["ServiceQuotaExceededException", "policy_budget_exceeded"],
  ["ResourceNotFoundException", "caller_model_unknown"],
  ["UnknownOperationException", "caller_invalid_request"],
  ["ValidationException", "caller_invalid_request"],
  ["ConflictException", "caller_invalid_request"],
  ["ThrottlingException", "provider_rate_limited"],
  ["ModelTimeoutException", "provider_timeout"],
  ["ModelErrorException", "provider_server_error"],
  ["ModelStreamErrorException", "provider_server_error"],
  ["ModelNotReadyException", "provider_overloaded"],
  ["ServiceUnavailableException", "provider_overloaded"],
  ["InternalServerException", "bifrost_internal"],
]);

/** The class of an error that no attempt of the request accounts for. */
export function errorClassOfType(type: string | undefined, status: number): ErrorClass {
  const known = type === undefined ? undefined : byType.get(type);
  if (known !== undefined) return known;
  return status >= 500 ? "provider_server_error" : "caller_invalid_request";
}

/** How an attempt failed, in the terms of the keys. */
export type AttemptFailure =
  | "network"
  | "server"
  | "timeout"
  | "throttled"
  | "credential"
  | "payment"
  | "client"
  | "cancelled";

/** @param status of the upstream's answer, or of the error that stands for it */
export function errorClassOfAttempt(failure: AttemptFailure, status: number): ErrorClass {
  switch (failure) {
    case "network":
      return "provider_connection_failed";
    case "server":
      return status === 503 || status === 529 ? "provider_overloaded" : "provider_server_error";
    case "timeout":
      return "provider_timeout";
    case "throttled":
      return "provider_rate_limited";
    case "credential":
      return "provider_auth_failed";
    case "payment":
      return "provider_billing";
    case "client":
      return "caller_invalid_request";
    case "cancelled":
      return "caller_cancelled";
  }
}
