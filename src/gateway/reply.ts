/** Writing answers: errors in AWS's shape, whole answers, and streams with their pace and their end. */
import { type BedrockError, errorBody } from "../bedrock/errors.ts";
import { encodeException, firstFrameByte } from "../bedrock/event-stream.ts";
import type { ReplyHeaders } from "../http/exchange.ts";
import type { Outcome } from "../telemetry/metrics.ts";
import type { ActiveRequest } from "./active-request.ts";
import type { OpenStream, ReceivedError, WholeAnswer } from "./attempt.ts";

/** How a request ended, for the log and the metrics. */
export interface Ending {
  readonly status: number;
  readonly outcome: Outcome;
  readonly errorType?: string;
  readonly message?: string;
}

export function replyWhole(request: ActiveRequest, answer: WholeAnswer, extra: ReplyHeaders): Ending {
  const headers = [...answer.headers, ...request.ownHeaders(), request.serverTiming(), ...extra];
  if (request.exchange.aborted) return { status: answer.status, outcome: "cancelled" };
  request.exchange.reply(answer.status, headers, answer.body);
  request.content?.answer(answer.body);
  return { status: answer.status, outcome: "success" };
}

/** An upstream's own error, as it came. */
export function replyReceived(request: ActiveRequest, error: ReceivedError, extra: ReplyHeaders): Ending {
  const headers = [...error.headers, ...request.ownHeaders(), request.serverTiming(), ...extra];
  request.exchange.reply(error.status, headers, error.body);
  return { status: error.status, outcome: request.exchange.aborted ? "cancelled" : "error", errorType: error.type };
}

/** An error of the catalogue, in AWS's shape. */
export function replyError(request: ActiveRequest, error: BedrockError, extra: ReplyHeaders): Ending {
  const headers: [string, string][] = [
    ["content-type", "application/json"],
    ["x-amzn-errortype", error.type],
    ...request.ownHeaders(),
  ];
  if (error.retryAfterSeconds !== undefined) {
    headers.push(["retry-after", String(Math.ceil(error.retryAfterSeconds))]);
    headers.push(["x-amz-retry-after", String(Math.ceil(error.retryAfterSeconds * 1000))]);
  }
  request.exchange.reply(error.status, [...headers, ...extra], errorBody(error));
  const outcome = request.exchange.aborted ? "cancelled" : "error";
  return { status: error.status, outcome, errorType: error.type, message: error.message };
}

/**
 * Passes a stream on at its reader's speed, and never lets it end silently: a stream that breaks, is cut, or runs
 * into its deadline ends with an exception frame.
 *
 * @returns when the last byte has been handed to the connection, or the client has left
 */
export function replyStream(request: ActiveRequest, open: OpenStream, extra: ReplyHeaders): Promise<Ending> {
  const { source } = open;
  const stream = request.exchange.open(200, [...open.headers, ...request.ownHeaders(), ...extra]);
  return new Promise((resolve) => {
    let done = false;
    const finish = (ending: Ending): void => {
      if (done) return;
      done = true;
      request.whenOver(undefined);
      const { usage, estimated } = source.usage();
      request.usage = usage;
      request.usageEstimated = estimated;
      request.stopReason = source.stopReason();
      resolve(ending);
    };
    const fail = (error: BedrockError): void => {
      stream.write(encodeException(error, request.operation));
      stream.end();
      finish({ status: 200, outcome: "error", errorType: error.type, message: error.message });
    };
    stream.onDrain(() => source.resume());
    source.start({
      frames: (bytes, complete) => {
        if (done) return true;
        request.content?.frames(bytes);
        return stream.write(bytes, complete ? undefined : firstFrameByte);
      },
      end: (failure) => {
        if (done) return;
        if (failure !== undefined) fail(failure);
        else {
          stream.end();
          const exception = source.exception();
          finish(
            exception === undefined
              ? { status: 200, outcome: "success" }
              : { status: 200, outcome: "error", errorType: exception },
          );
        }
      },
    });
    request.whenOver(() => {
      source.cancel();
      if (request.exchange.aborted) finish({ status: 200, outcome: "cancelled" });
      else if (!done && request.ended !== undefined) fail(request.ended);
    });
  });
}
