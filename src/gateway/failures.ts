/** Failures of attempts, in the words both lanes use. */
import { BedrockError } from "../bedrock/errors.ts";
import type { FailureKind } from "../keys/attempt.ts";
import type { UpstreamError } from "../upstream/dispatch.ts";
import type { ActiveRequest } from "./active-request.ts";
import type { Failure, RetryScope } from "./attempt.ts";

/** What follows from who may try again, where nothing more is known. */
const causes: Readonly<Record<RetryScope, FailureKind>> = {
  same_key: "server",
  other_key: "throttled",
  other_credential: "credential",
  nobody: "client",
};

interface Known {
  /** By default it may. */
  readonly elsewhere?: boolean;
  /** By default what follows from `retry`. */
  readonly cause?: FailureKind;
  readonly stale?: boolean;
  readonly retryAfterMs?: number | undefined;
}

export function failure(retry: RetryScope, reply: Failure["reply"], known: Known = {}): Failure {
  // Another key may be worth a try after a 403 or 404 of one as well; that says nothing of how much it is asked.
  const told = retry === "other_key" && reply.status !== 429 ? "client" : causes[retry];
  const { elsewhere = true, cause = told, stale = false, retryAfterMs } = known;
  return { kind: "failure", retry, reply, elsewhere, cause, stale, retryAfterMs };
}

/** The client has left, or the gateway has ended the request. */
export function cancelled(request: ActiveRequest): Failure {
  const reply = request.ended ?? new BedrockError("ServiceUnavailableException", "The client left.");
  return failure("nobody", reply, { elsewhere: false, cause: "cancelled" });
}

/** The upstream gave no answer, or not all of it. */
export function unreachable(error: UpstreamError): Failure {
  const message = sentence(error.message);
  switch (error.fault) {
    case "timeout":
      return failure("nobody", new BedrockError("ModelTimeoutException", message, { cause: error }), {
        cause: "timeout",
      });
    case "connect":
    case "broken": {
      const reply = new BedrockError("ServiceUnavailableException", message, { cause: error });
      return failure("same_key", reply, { cause: "network", stale: error.stale });
    }
    case "unsendable":
      return failure("nobody", new BedrockError("ValidationException", message, { cause: error }), {
        elsewhere: false,
      });
    case "too_large":
    case "refused_address":
    case "cancelled":
      return failure("nobody", new BedrockError("ServiceUnavailableException", message, { cause: error }));
  }
}

/** The stream opened and then said nothing, while another key or target could be asked. */
export function silent(): Failure {
  const reply = new BedrockError("ModelTimeoutException", "The model did not begin its answer in time.");
  return failure("other_key", reply, { cause: "timeout" });
}

/** @returns undefined when the work takes longer; without a limit it may take as long as it likes */
export function inTime<T>(work: Promise<T>, ms: number | undefined): Promise<T | undefined> {
  if (ms === undefined) return work;
  let timer: NodeJS.Timeout;
  const late = new Promise<undefined>((resolve) => {
    timer = setTimeout(() => resolve(undefined), ms);
  });
  return Promise.race([work, late]).finally(() => clearTimeout(timer));
}

/** The upstream's answer is not what it has to be. */
export function nonsense(message: string): Failure {
  return failure("nobody", new BedrockError("ModelErrorException", message), { cause: "server" });
}

/** An error's message as a sentence for the client. */
export function sentence(message: string): string {
  return `${message.charAt(0).toUpperCase()}${message.slice(1)}.`;
}
