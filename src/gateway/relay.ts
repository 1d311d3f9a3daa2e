/** The relay lane: one attempt at Bedrock with one key. Bytes up as they came, bytes down as they came. */
import { BedrockError, isErrorType, statusOf } from "../bedrock/errors.ts";
import { type Route, upstreamPath } from "../bedrock/operations.ts";
import { readUsage, type StreamUsage } from "../bedrock/stream-facts.ts";
import type { ReplyHeaders } from "../http/exchange.ts";
import { CredentialsError, type Resolved } from "../upstream/credentials.ts";
import type { Sent, Upstream, UpstreamAnswer, UpstreamRequest } from "../upstream/dispatch.ts";
import { UpstreamError } from "../upstream/dispatch.ts";
import { endpointFor, signingService } from "../upstream/endpoints.ts";
import { sha256Hex, sign } from "../upstream/sigv4.ts";
import type { ActiveRequest } from "./active-request.ts";
import type { Attempted, Failure, ReceivedError, RetryScope } from "./attempt.ts";
import { headersForClient } from "./headers.ts";
import type { BedrockKey, BedrockProvider } from "./providers.ts";
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
}

export interface RelayServices {
  readonly upstream: Upstream;
  /** SHA-256 of a body in hexadecimal; large ones are hashed off this thread. */
  readonly hash: (body: Buffer) => string | Promise<string>;
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
]);

export async function relay(
  request: ActiveRequest,
  call: RelayCall,
  provider: BedrockProvider,
  key: BedrockKey,
  services: RelayServices,
): Promise<Attempted> {
  let resolved: Resolved;
  try {
    const current = key.credentials.current();
    resolved = current instanceof Promise ? await current : current;
  } catch (error) {
    if (!(error instanceof CredentialsError)) throw error;
    return failure(
      "other_credential",
      new BedrockError("ServiceUnavailableException", error.message, { cause: error }),
    );
  }
  const upstreamRequest = await buildRequest(call, provider, key, resolved, services.hash);
  if (request.over) return cancelled(request);

  const sentAt = performance.now();
  try {
    const sent = services.upstream.send(upstreamRequest, provider.network);
    request.whenOver(() => sent.cancel());
    const answer = await sent.answer;
    request.adoptId(text(answer.headers["x-amzn-requestid"]));
    return await readAnswer(call.route, sent, answer, secretsOf(resolved));
  } catch (error) {
    if (!(error instanceof UpstreamError)) throw error;
    return request.over ? cancelled(request) : unreachable(error);
  } finally {
    request.upstreamMs += performance.now() - sentAt;
  }
}

async function buildRequest(
  call: RelayCall,
  provider: BedrockProvider,
  key: BedrockKey,
  resolved: Resolved,
  hash: RelayServices["hash"],
): Promise<UpstreamRequest> {
  const region = call.region ?? key.region;
  const endpoint = endpointFor(call.route.operation.service, region, key.overrides);
  const labels = call.model === undefined ? call.route.labels : [call.model, ...call.route.labels.slice(1)];
  const path = `${endpoint.pathPrefix}${upstreamPath({ operation: call.route.operation, labels })}`;
  const { method } = call.route.operation;
  const headers = [...call.headers, ...provider.extraHeaders];
  if (resolved.kind === "bearer") {
    headers.push(["authorization", `Bearer ${resolved.token.reveal()}`]);
  } else {
    const bodyHash = call.body.length === 0 ? emptyHash : await hash(call.body);
    const signable = { method, host: endpoint.host, path, query: call.query, headers, bodyHash };
    headers.push(...sign(signable, resolved.credentials, region, signingService, Date.now()));
  }
  headers.push(["user-agent", userAgent], ["accept-encoding", "identity"]);
  return {
    method,
    origin: endpoint.origin,
    path: call.query === "" ? path : `${path}?${call.query}`,
    headers,
    body: method === "GET" ? undefined : call.body,
  };
}

const emptyHash = sha256Hex("");
const userAgent = "bifrost-ts";

async function readAnswer(
  route: Route,
  sent: Sent,
  answer: UpstreamAnswer,
  secrets: readonly string[],
): Promise<Attempted> {
  const headers = headersForClient(answer.headers);
  if (answer.status >= 300) {
    return received(answer, headers, await answer.collect(maxErrorBytes), secrets);
  }
  if (!route.operation.streams) {
    const body = await answer.collect(maxAnswerBytes);
    const usage = route.operation.name === "Converse" ? readConverseUsage(body) : usageFromHeaders(answer.headers);
    if (usage === "not converse") return nonsense("The model's answer is not a Converse answer.");
    return { kind: "answer", status: answer.status, headers, body, usage };
  }
  if (!text(answer.headers["content-type"])?.includes("application/vnd.amazon.eventstream")) {
    await answer.collect(maxErrorBytes);
    return nonsense("The model's answer is not an event stream.");
  }
  const invoke = route.operation.name === "InvokeModelWithResponseStream";
  const stream = new RelayStream(
    answer,
    () => sent.cancel(),
    invoke,
    (payload) => redactedMessage(payload, secrets),
  );
  const beginning = await stream.beginning;
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

/** The usage of a Converse answer, or that it is none: an object with `output` (an answer without one crashes clients). */
function readConverseUsage(body: Buffer): StreamUsage | undefined | "not converse" {
  let parsed: unknown;
  try {
    parsed = JSON.parse(body.toString("utf8"));
  } catch {
    // Not JSON is one of the ways not to be a Converse answer.
    return "not converse";
  }
  if (typeof parsed !== "object" || parsed === null || !("output" in parsed)) return "not converse";
  return "usage" in parsed ? readUsage(parsed.usage) : undefined;
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

function received(answer: UpstreamAnswer, headers: ReplyHeaders, body: Buffer, secrets: readonly string[]): Failure {
  const type = errorTypeOf(answer, body);
  return {
    kind: "failure",
    retry: retryScope(answer.status, type),
    reply: { status: answer.status, headers, body: redact(body, secrets), type },
  };
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
  const parsed = parseObject(body);
  const name = parsed?.code ?? parsed?.__type;
  return typeof name === "string" ? bareName(name) : "";
}

function bareName(name: string): string {
  return (name.split(/[:,]/)[0] ?? "").replace(/^.*#/, "");
}

/** An exception as the first frame becomes the HTTP error it would have been. */
function firstException(type: string, payload: Uint8Array, headers: ReplyHeaders, secrets: readonly string[]): Failure {
  const name = type.charAt(0).toUpperCase() + type.slice(1);
  const status = statusOf(name) ?? 424;
  const reply: ReceivedError = {
    status,
    headers: [
      ...headers.filter(([header]) => header !== "content-type" && !header.startsWith("x-amzn-bedrock-content-type")),
      ["content-type", "application/json"],
      ["x-amzn-errortype", isErrorType(name) ? name : "ModelStreamErrorException"],
    ],
    body: redact(Buffer.from(payload), secrets),
    type: name,
  };
  return { kind: "failure", retry: retryScope(status, name), reply };
}

function nonsense(message: string): Failure {
  return failure("nobody", new BedrockError("ModelErrorException", message));
}

function failure(retry: RetryScope, reply: BedrockError): Failure {
  return { kind: "failure", retry, reply };
}

function cancelled(request: ActiveRequest): Failure {
  return failure("nobody", request.ended ?? new BedrockError("ServiceUnavailableException", "The client left."));
}

function unreachable(error: UpstreamError): Failure {
  const message = `${error.message.charAt(0).toUpperCase()}${error.message.slice(1)}.`;
  switch (error.fault) {
    case "timeout":
      return failure("nobody", new BedrockError("ModelTimeoutException", message, { cause: error }));
    case "connect":
    case "broken":
      return failure("same_key", new BedrockError("ServiceUnavailableException", message, { cause: error }));
    case "refused_address":
    case "cancelled":
      return failure("nobody", new BedrockError("ServiceUnavailableException", message, { cause: error }));
  }
}

function secretsOf(resolved: Resolved): string[] {
  if (resolved.kind === "bearer") return [resolved.token.reveal()];
  const { accessKeyId, secretAccessKey, sessionToken } = resolved.credentials;
  return sessionToken === undefined ? [secretAccessKey, accessKeyId] : [secretAccessKey, sessionToken, accessKeyId];
}

const redaction = "[redacted]";

/** An upstream that repeats one of our credentials in its message must not hand it to the client. */
function redact(body: Buffer, secrets: readonly string[]): Buffer {
  let clean = body;
  for (const secret of secrets) {
    if (clean.includes(secret)) clean = Buffer.from(clean.toString("utf8").replaceAll(secret, redaction));
  }
  return clean;
}

/** The message of an exception frame without our credentials; undefined when it repeats none. */
function redactedMessage(payload: Uint8Array, secrets: readonly string[]): string | undefined {
  const body = Buffer.from(payload);
  const clean = redact(body, secrets);
  if (clean === body) return undefined;
  const message = parseObject(clean)?.message;
  return typeof message === "string" ? message : redaction;
}

function parseObject(body: Buffer): { readonly [name: string]: unknown } | undefined {
  try {
    const parsed: unknown = JSON.parse(body.toString("utf8"));
    return typeof parsed === "object" && parsed !== null ? { ...parsed } : undefined;
  } catch {
    // An error body that is not JSON has no name and no message we could read; it is relayed as it is.
    return undefined;
  }
}

function text(value: string | string[] | undefined): string | undefined {
  return Array.isArray(value) ? value[0] : value;
}
