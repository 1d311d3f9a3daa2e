/** The relay lane: one attempt at Bedrock with one key. Bytes up as they came, bytes down as they came. */
import { BedrockError, isErrorType, statusOf } from "../bedrock/errors.ts";
import { tryParseObject } from "../bedrock/json.ts";
import { type OperationName, type Route, upstreamPath } from "../bedrock/operations.ts";
import { readUsage, type StreamUsage } from "../bedrock/stream-facts.ts";
import type { ReplyHeaders } from "../http/exchange.ts";
import { retryAfter } from "../providers/retry-after.ts";
import { CredentialsError, type Resolved } from "../upstream/credentials.ts";
import type { Sent, Upstream, UpstreamAnswer, UpstreamRequest } from "../upstream/dispatch.ts";
import { UpstreamError } from "../upstream/dispatch.ts";
import { endpointFor, signingService } from "../upstream/endpoints.ts";
import { sign } from "../upstream/sigv4.ts";
import type { ActiveRequest } from "./active-request.ts";
import type { Attempted, Failure, ReceivedError, RetryScope } from "./attempt.ts";
import { ByteStream } from "./byte-stream.ts";
import { cancelled, failure, inTime, nonsense, silent, unreachable } from "./failures.ts";
import { headersForClient } from "./headers.ts";
import type { BedrockKey, BedrockProvider } from "./providers.ts";
import { redact, redaction } from "./redact.ts";
import type { AnswerFacts } from "./relay-facts.ts";
import { RelayStream } from "./relay-stream.ts";

/** What goes up, the same for every key but for the model's alias and the signature. */
export interface RelayCall {
  readonly route: Route;
  /** The model id the key calls it by, or undefined for operations that have none in their path. */
  readonly model: string | undefined;
  /** Named by the model id (`eu-west-1/…`, an ARN); wins over the key's region. */
  readonly region: string | undefined;
  readonly query: string;
  readonly headers: readonly (readonly [string, string])[];
  readonly body: Buffer;
  /** SHA-256 of the body in hexadecimal, computed when it is first asked for. */
  readonly bodyHash: () => string | Promise<string>;
  /** Milliseconds a stream may take to begin with content, while somebody else could be asked; undefined: no limit. */
  readonly patienceMs: number | undefined;
  /** As `readAnswerFacts`, which a worker does for a large answer. */
  readonly readFacts: (
    operation: OperationName,
    body: Buffer,
  ) => AnswerFacts | undefined | Promise<AnswerFacts | undefined>;
  /** As `imagesIn`, likewise. */
  readonly countImages: (body: Buffer) => number | Promise<number>;
}

const maxAnswerBytes = 128 * 1024 * 1024;
const maxErrorBytes = 1024 * 1024;

/** Names and statuses that mean: Bedrock did not accept our credential (bedrock-wire errors of SigV4 and API keys). */
const credentialErrors = new Set([
  "UnrecognizedClientException",
  "ExpiredTokenException",
  "InvalidSignatureException",
  "InvalidClientTokenId",
  "MissingAuthenticationTokenException",
  // S3's words for the same.
  "InvalidAccessKeyId",
  "SignatureDoesNotMatch",
  "ExpiredToken",
  "InvalidToken",
]);

export async function relay(
  request: ActiveRequest,
  call: RelayCall,
  provider: BedrockProvider,
  key: BedrockKey,
  upstream: Upstream,
): Promise<Attempted> {
  let resolved: Resolved;
  try {
    const current = key.credentials.current();
    const awaited = current instanceof Promise ? await request.whileAlive(current) : current;
    if (awaited === undefined) return cancelled(request);
    resolved = awaited;
  } catch (error) {
    if (!(error instanceof CredentialsError)) throw error;
    return failure(
      "other_credential",
      new BedrockError("ServiceUnavailableException", error.message, { cause: error }),
    );
  }
  const upstreamRequest = await buildRequest(request, call, provider, key, resolved);
  if (request.over) return cancelled(request);

  const sentAt = performance.now();
  try {
    const sent = upstream.send(upstreamRequest, provider.network);
    request.whenOver(() => sent.cancel());
    const answer = await inTime(sent.answer, call.route.operation.streams ? call.patienceMs : undefined);
    if (answer === undefined) {
      sent.cancel();
      return silent();
    }
    request.adoptId(text(answer.headers["x-amzn-requestid"] ?? answer.headers["x-amz-request-id"]));
    const secrets = () => [...secretsOf(resolved), ...provider.secrets];
    return await readAnswer(call, sent, answer, secrets, request.pieces?.images !== undefined);
  } catch (error) {
    if (!(error instanceof UpstreamError)) throw error;
    return request.over ? cancelled(request) : unreachable(error);
  } finally {
    request.upstreamMs += performance.now() - sentAt;
  }
}

async function buildRequest(
  request: ActiveRequest,
  call: RelayCall,
  provider: BedrockProvider,
  key: BedrockKey,
  resolved: Resolved,
): Promise<UpstreamRequest> {
  const region = call.region ?? key.region;
  const endpoint = endpointFor(call.route.operation.service, region, key.overrides);
  const { operation } = call.route;
  const inPath = operation.model === "path" && call.model !== undefined;
  const labels = inPath ? [call.model, ...call.route.labels.slice(1)] : call.route.labels;
  const path = `${endpoint.pathPrefix}${upstreamPath({ operation, labels })}`;
  const { method } = operation;
  const headers: (readonly [string, string])[] = [...new Map([...call.headers, ...provider.extraHeaders])];
  if (resolved.kind === "bearer") {
    headers.push(["authorization", `Bearer ${resolved.token.reveal()}`]);
  } else {
    const bodyHash = await call.bodyHash();
    const signable = { method, host: endpoint.host, path, query: call.query, headers, bodyHash };
    const service = signingService(operation.service);
    headers.push(...sign(signable, resolved.credentials, region, service, Date.now()));
  }
  // Not signed: whoever stands between may take part in the trace.
  headers.push(...request.sendTo(endpoint.origin), ["user-agent", userAgent], ["accept-encoding", "identity"]);
  return {
    method,
    origin: endpoint.origin,
    path: call.query === "" ? path : `${path}?${call.query}`,
    headers,
    body: method === "POST" || method === "PUT" ? call.body : undefined,
  };
}

const userAgent = "bifrost-ts";

async function readAnswer(
  { route, patienceMs, readFacts, countImages }: RelayCall,
  sent: Sent,
  answer: UpstreamAnswer,
  secrets: () => readonly string[],
  makesImages: boolean,
): Promise<Attempted> {
  const headers = headersForClient(answer.headers);
  const { name } = route.operation;
  if (answer.status >= 300) {
    const failed = received(answer, headers, await answer.collect(maxErrorBytes), secrets);
    return isForeignJob(name, failed) ? { ...failed, retry: "other_key" } : failed;
  }
  if (name === "GetObject" || name === "HeadObject") {
    const { status } = answer;
    const source = new ByteStream(answer, () => sent.cancel());
    return { kind: "bytes", status, headers, length: lengthOf(answer), source };
  }
  if (!route.operation.streams) {
    const body = await answer.collect(maxAnswerBytes);
    const { status } = answer;
    if (makesImages && name === "InvokeModel") {
      const images = await countImages(body);
      const usage = { inputTokens: 0, outputTokens: 0, ...usageFromHeaders(answer.headers), images };
      return { kind: "answer", status, headers, body, usage, stopReason: undefined };
    }
    const made = readFacts(name, body);
    const facts = made instanceof Promise ? await made : made;
    if (facts === undefined) return nonsense("The model's answer is not a Converse answer.");
    const usage = facts.usage ?? usageFromHeaders(answer.headers);
    return { kind: "answer", status, headers, body, usage, stopReason: facts.stopReason };
  }
  if (!text(answer.headers["content-type"])?.includes("application/vnd.amazon.eventstream")) {
    await answer.collect(maxErrorBytes);
    return nonsense("The model's answer is not an event stream.");
  }
  const invoke = name === "InvokeModelWithResponseStream";
  const stream = new RelayStream(
    answer,
    () => sent.cancel(),
    invoke,
    (payload) => redactedMessage(payload, secrets),
    patienceMs !== undefined,
  );
  const beginning = await inTime(stream.beginning, patienceMs);
  if (beginning === undefined) {
    sent.cancel();
    return silent();
  }
  switch (beginning.kind) {
    case "event":
      return { kind: "stream", headers, source: stream };
    case "exception":
      sent.cancel();
      return firstException(beginning.type, beginning.payload, headers, secrets);
    case "nothing":
      if (beginning.error instanceof UpstreamError) throw beginning.error;
      return failure(
        "same_key",
        new BedrockError("ModelStreamErrorException", "The model's stream ended before its first event."),
      );
  }
}

/** A job is known to the account that made it, and keys may be of several: another one may know it. */
function isForeignJob(operation: OperationName, { retry, reply }: Failure): boolean {
  if (operation !== "GetModelInvocationJob" && operation !== "StopModelInvocationJob") return false;
  return retry === "nobody" && (reply.type === "ResourceNotFoundException" || reply.type === "AccessDeniedException");
}

/** The `content-length` of an object, undefined when its head has none. */
function lengthOf({ headers }: UpstreamAnswer): number | undefined {
  const length = text(headers["content-length"]);
  return length !== undefined && /^\d{1,15}$/.test(length) ? Number(length) : undefined;
}

/** Bedrock counts tokens of InvokeModel in headers (seen in recorded traffic, not in the service model). */
function usageFromHeaders(headers: UpstreamAnswer["headers"]): StreamUsage | undefined {
  const count = (name: string): number | undefined => {
    const value = text(headers[`x-amzn-bedrock-${name}-token-count`]);
    return value === undefined ? undefined : Number(value);
  };
  const inputTokens = count("input");
  if (inputTokens === undefined) return undefined;
  return readUsage({
    inputTokens,
    outputTokens: count("output") ?? 0,
    cacheReadInputTokens: count("cache-read-input"),
    cacheWriteInputTokens: count("cache-write-input"),
  });
}

function received(
  answer: UpstreamAnswer,
  headers: ReplyHeaders,
  body: Buffer,
  secrets: () => readonly string[],
): Failure {
  const type = errorTypeOf(answer, body);
  const reply = { status: answer.status, headers, body: redact(body, secrets()), type };
  const seconds = answer.status === 429 ? retryAfter(answer.headers, Date.now()) : undefined;
  return failure(retryScope(answer.status, type), reply, {
    elsewhere: answer.status !== 400,
    retryAfterMs: seconds === undefined ? undefined : seconds * 1000,
  });
}

function retryScope(status: number, type: string): RetryScope {
  if (status === 401 || credentialErrors.has(type)) return "other_credential";
  if (status === 429) return "other_key";
  return status === 500 || status === 502 || status === 503 || status === 504 ? "same_key" : "nobody";
}

/** The error's name: the header wins, then the body's `code`, then its `__type`, as in the SDKs; namespaces are cut off. */
function errorTypeOf(answer: UpstreamAnswer, body: Buffer): string {
  const header = text(answer.headers["x-amzn-errortype"]);
  if (header !== undefined) return bareName(header);
  // S3 has it in XML.
  if (body[0] === 0x3c) return /<Code>([A-Za-z0-9.]{1,128})<\/Code>/.exec(body.toString("utf8"))?.[1] ?? "";
  const parsed = tryParseObject(body);
  const name = parsed?.code ?? parsed?.__type;
  return typeof name === "string" ? bareName(name) : "";
}

function bareName(name: string): string {
  return (name.split(/[:,]/)[0] ?? "").replace(/^.*#/, "");
}

/** An exception as the first frame becomes the HTTP error it would have been. */
function firstException(
  type: string,
  payload: Uint8Array,
  headers: ReplyHeaders,
  secrets: () => readonly string[],
): Failure {
  const name = type.charAt(0).toUpperCase() + type.slice(1);
  const status = statusOf(name) ?? 424;
  const reply: ReceivedError = {
    status,
    headers: [
      ...headers.filter(([header]) => header !== "content-type" && !header.startsWith("x-amzn-bedrock-content-type")),
      ["content-type", "application/json"],
      ["x-amzn-errortype", isErrorType(name) ? name : "ModelStreamErrorException"],
    ],
    body: redact(Buffer.from(payload), secrets()),
    type: name,
  };
  return failure(retryScope(status, name), reply, { elsewhere: status !== 400 });
}

function secretsOf(resolved: Resolved): string[] {
  if (resolved.kind === "bearer") return [resolved.token.reveal()];
  const { accessKeyId, secretAccessKey, sessionToken } = resolved.credentials;
  return sessionToken === undefined ? [secretAccessKey, accessKeyId] : [secretAccessKey, sessionToken, accessKeyId];
}

/** The message of an exception frame without our credentials; undefined when it repeats none. */
function redactedMessage(payload: Uint8Array, secrets: () => readonly string[]): string | undefined {
  const body = Buffer.from(payload);
  const clean = redact(body, secrets());
  if (clean === body) return undefined;
  const message = tryParseObject(clean)?.message;
  return typeof message === "string" ? message : redaction;
}

function text(value: string | string[] | undefined): string | undefined {
  return Array.isArray(value) ? value[0] : value;
}
