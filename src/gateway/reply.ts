/** Writing answers: errors in AWS's shape, whole answers, and streams with their pace and their end. */
import { type BedrockError, errorBody, xmlErrorBody } from "../bedrock/errors.ts";
import { encodeException, firstFrameByte } from "../bedrock/event-stream.ts";
import type { ReplyHeaders } from "../http/exchange.ts";
import type { Outcome } from "../telemetry/usage.ts";
import type { ActiveRequest } from "./active-request.ts";
import type { FrameSource, OpenBytes, OpenStream, ReceivedError, WholeAnswer } from "./attempt.ts";

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

/** Whoever asks for files, those served or others, reads S3's XML. */
const filesPath = /^\/+bedrock\/+files(?:\/|$)/;

/** An error of the catalogue, in the shape of AWS's JSON services, or of S3. */
export function replyError(request: ActiveRequest, error: BedrockError, extra: ReplyHeaders): Ending {
  const isXml = filesPath.test(request.exchange.path);
  const headers: [string, string][] = [
    ["content-type", isXml ? "application/xml" : "application/json"],
    ["x-amzn-errortype", error.type],
    ...request.ownHeaders(),
  ];
  if (error.retryAfterSeconds !== undefined) {
    headers.push(["retry-after", String(Math.ceil(error.retryAfterSeconds))]);
    headers.push(["x-amz-retry-after", String(Math.ceil(error.retryAfterSeconds * 1000))]);
  }
  request.exchange.reply(
    error.status,
    [...headers, ...extra],
    isXml ? xmlErrorBody(error, request.id) : errorBody(error),
  );
  const outcome = request.exchange.aborted ? "cancelled" : "error";
  return { status: error.status, outcome, errorType: error.type, message: error.message };
}

/**
 * Passes a stream on at its reader's speed, and never lets it end silently: an event stream that breaks, is cut, or runs
 * into its deadline ends with an exception frame, and the bytes of an object with a broken connection.
 *
 * @param charge called with what has been used before the client can see the end, so that whoever has seen it sees it
 *   counted; maybe more than once
 * @returns when the last byte has been handed to the connection, or the client has left
 */
export function replyStream(
  request: ActiveRequest,
  open: OpenStream | OpenBytes,
  extra: ReplyHeaders,
  charge: (outcome: Outcome) => void,
): Promise<Ending> {
  const { source } = open;
  const isEvents = open.kind === "stream";
  const status = isEvents ? 200 : open.status;
  const headers = [...open.headers, ...request.ownHeaders(), ...extra];
  const stream = request.exchange.open(status, headers, isEvents ? undefined : open.length);
  return new Promise((resolve) => {
    let done = false;
    const take = (outcome: Outcome): void => {
      const { usage, estimated } = source.usage();
      request.usage = usage;
      request.usageEstimated = estimated;
      request.stopReason = source.stopReason();
      charge(outcome);
    };
    const finish = (ending: Ending, last?: () => void): void => {
      if (done) return;
      done = true;
      request.whenOver(undefined);
      take(ending.outcome);
      last?.();
      resolve(ending);
    };
    const fail = (error: BedrockError): void =>
      finish({ status, outcome: "error", errorType: error.type, message: error.message }, () => {
        if (isEvents) {
          stream.write(encodeException(error, request.operation));
          stream.end();
        } else {
          stream.destroy();
        }
      });
    stream.onDrain(() => source.resume());
    source.start({
      frames: (bytes, complete) => {
        if (done) return true;
        if (isEvents) request.content?.frames(bytes);
        // Some streams tell their usage behind the event that ends them.
        if (complete && isTold(source)) take("success");
        return stream.write(bytes, complete || !isEvents ? undefined : firstFrameByte);
      },
      end: (failure) => {
        if (done) return;
        if (failure !== undefined) fail(failure);
        else {
          const exception = source.exception();
          finish(
            exception === undefined
              ? { status, outcome: "success" }
              : { status, outcome: "error", errorType: exception },
            () => stream.end(),
          );
        }
      },
    });
    request.whenOver(() => {
      source.cancel();
      if (request.exchange.aborted) finish({ status, outcome: "cancelled" });
      else if (!done && request.ended !== undefined) fail(request.ended);
    });
  });
}

function isTold(source: FrameSource): boolean {
  const { usage, estimated } = source.usage();
  return usage !== undefined && !estimated;
}
