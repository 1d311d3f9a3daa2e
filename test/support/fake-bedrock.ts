/**
 * A fake AWS Bedrock on a loopback port, for all three of its services. It checks what it receives and collects what is
 * wrong in `violations`; it answers as scripted, else in the shapes of recorded AWS traffic.
 */
import { randomUUID } from "node:crypto";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import { buffer } from "node:stream/consumers";
import { type Answer, defaultAnswers, type Part, type StreamAnswer } from "./answers.ts";
import { verifySigV4 } from "./verify-sigv4.ts";
import { sleep, until } from "./wait.ts";

export interface Identity {
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  readonly sessionToken?: string;
}

/** A request as it came. */
export interface Recorded {
  readonly method: string;
  /** Raw, without the query. */
  readonly path: string;
  /** Raw, without the question mark. */
  readonly query: string;
  readonly headers: Readonly<Record<string, string | readonly string[] | undefined>>;
  /** Alternating names and values with the names' own case. */
  readonly rawHeaders: readonly string[];
  readonly body: Buffer;
  readonly operation: string;
  /** The path's label, decoded once; empty when the operation has none. */
  readonly label: string;
  /** `Date.now()` when the whole request had arrived. */
  readonly receivedAt: number;
  /** The client left before the answer was complete. */
  readonly aborted: boolean;
  /** `Date.now()` when the answer was complete or its connection closed. */
  readonly closedAt: number | undefined;
  /** Bytes of the answer's body given to the socket. */
  readonly bytesSent: number;
}

type Script = Answer | ((request: Recorded) => Answer | Promise<Answer>);

export interface FakeBedrock extends AsyncDisposable {
  /** `http://127.0.0.1:<port>` */
  readonly url: string;
  readonly requests: readonly Recorded[];
  /** What was wrong with requests. Tests expect it to be empty. */
  readonly violations: readonly string[];
  /** Answers every request for this model id (or other path label, or operation name) like this from now on. */
  when(label: string, script: Script): void;
  /** Answers the next requests that `when` does not know, one each. */
  queue(...scripts: Script[]): void;
  /** Waits for a request with this label. */
  seen(label: string, ms?: number): Promise<Recorded>;
  /** The requests with this label so far. */
  all(label: string): Recorded[];
  /** Forgets requests, violations and scripts. */
  reset(): void;
}

export const fakeIdentity: Identity = {
  accessKeyId: "AKIDEXAMPLE0000000000",
  secretAccessKey: "canarySecretKey/NeverInLogs+0123456789abcdef",
};

export const fakeBearer = "ABSKcanaryBearerTokenNeverInLogs0123456789";

const patterns: readonly (readonly [operation: string, method: string, pattern: RegExp])[] = [
  ["Converse", "POST", /^\/model\/([^/]+)\/converse$/],
  ["ConverseStream", "POST", /^\/model\/([^/]+)\/converse-stream$/],
  ["InvokeModel", "POST", /^\/model\/([^/]+)\/invoke$/],
  ["InvokeModelWithResponseStream", "POST", /^\/model\/([^/]+)\/invoke-with-response-stream$/],
  ["CountTokens", "POST", /^\/model\/([^/]+)\/count-tokens$/],
  ["ApplyGuardrail", "POST", /^\/guardrail\/([^/]+)\/version\/[^/]+\/apply$/],
  ["InvokeGuardrailChecks", "POST", /^\/guardrail-checks\/invoke$/],
  ["StartAsyncInvoke", "POST", /^\/async-invoke$/],
  ["ListAsyncInvokes", "GET", /^\/async-invoke$/],
  ["GetAsyncInvoke", "GET", /^\/async-invoke\/([^/]+)$/],
  ["Rerank", "POST", /^\/rerank$/],
  ["ListFoundationModels", "GET", /^\/foundation-models$/],
  ["GetFoundationModel", "GET", /^\/foundation-models\/([^/]+)$/],
  ["ListInferenceProfiles", "GET", /^\/inference-profiles$/],
  ["GetInferenceProfile", "GET", /^\/inference-profiles\/([^/]+)$/],
  ["CreateModelInvocationJob", "POST", /^\/model-invocation-job$/],
  ["ListModelInvocationJobs", "GET", /^\/model-invocation-jobs$/],
  ["GetModelInvocationJob", "GET", /^\/model-invocation-job\/([^/]+)$/],
  ["StopModelInvocationJob", "POST", /^\/model-invocation-job\/([^/]+)\/stop$/],
];

/** A gateway sends none of these: one connection's business, a client's credential, or the gateway's own control. */
const forbidden =
  /^(x-bf-.*|x-bifrost-.*|amz-sdk-.*|x-forwarded-.*|forwarded|keep-alive|proxy-.*|te|trailer|transfer-encoding|upgrade|expect|http2-settings|cookie|x-api-key|x-amz-user-agent|x-model-provider)$/;

interface Live extends Recorded {
  aborted: boolean;
  closedAt: number | undefined;
  bytesSent: number;
}

/** @param options the credentials that requests may be signed with; one identity and one bearer token by default */
export async function startFakeBedrock(
  options: { readonly identities?: readonly Identity[]; readonly bearers?: readonly string[] } = {},
): Promise<FakeBedrock> {
  const { identities = [fakeIdentity], bearers = [fakeBearer] } = options;
  const requests: Live[] = [];
  const violations: string[] = [];
  const scripts = new Map<string, Script>();
  const queued: Script[] = [];
  let host = "";

  const serve = async (message: IncomingMessage, response: ServerResponse) => {
    const live = await receive(message);
    response.on("close", () => {
      live.closedAt = Date.now();
      live.aborted = !response.writableFinished;
    });
    requests.push(live);
    const wrong = [...inspect(live, host), ...(await checkCredential(live, message.url ?? "", identities, bearers))];
    violations.push(...wrong.map((what) => `${live.method} ${live.path}: ${what}`));
    const script =
      scripts.get(live.label) ?? scripts.get(live.operation) ?? queued.shift() ?? defaultAnswers[live.operation]?.();
    if (script === undefined) {
      response.writeHead(404, { "x-amzn-errortype": "UnknownOperationException" }).end("{}");
      return;
    }
    await respond(response, live, typeof script === "function" ? await script(live) : script);
  };

  const server = createServer({ maxHeaderSize: 128 * 1024, keepAliveTimeout: 30_000, requestTimeout: 0 });
  server.on("request", (message, response) => {
    serve(message, response).catch((error: unknown) => {
      if (!message.complete || response.destroyed) return;
      violations.push(`the fake failed: ${String(error)}`);
      response.destroy();
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", 1024, resolve));
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("the fake has no port");
  host = `127.0.0.1:${address.port}`;

  const all = (label: string) => requests.filter((one) => one.label === label || one.operation === label);
  return {
    url: `http://${host}`,
    requests,
    violations,
    when: (label, script) => void scripts.set(label, script),
    queue: (...more) => void queued.push(...more),
    seen: (label, ms) => until(`a request for ${label}`, () => all(label).at(-1), ms),
    all,
    reset: () => {
      requests.length = 0;
      violations.length = 0;
      scripts.clear();
      queued.length = 0;
    },
    [Symbol.asyncDispose]: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

async function receive(message: IncomingMessage): Promise<Live> {
  const body = await buffer(message);
  const { method = "", url = "", headers, rawHeaders } = message;
  const mark = url.indexOf("?");
  const path = mark === -1 ? url : url.slice(0, mark);
  const [operation, label] = identify(method, path);
  return {
    method,
    path,
    query: mark === -1 ? "" : url.slice(mark + 1),
    headers,
    rawHeaders,
    body,
    operation,
    label,
    receivedAt: Date.now(),
    aborted: false,
    closedAt: undefined,
    bytesSent: 0,
  };
}

function identify(method: string, path: string): [operation: string, label: string] {
  for (const [operation, its, pattern] of patterns) {
    const match = its === method ? pattern.exec(path) : null;
    if (match !== null) return [operation, decode(match[1] ?? "")];
  }
  return ["unknown", ""];
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    // Reported by inspect(): the label is no percent-encoding.
    return text;
  }
}

/** What is wrong with a request apart from its credential. */
function inspect(request: Live, host: string): string[] {
  const wrong: string[] = [];
  if (request.operation === "unknown") wrong.push("no operation of Bedrock has this method and path");
  if (request.headers.host !== host) wrong.push(`host is ${String(request.headers.host)}, not ${host}`);
  const connection = request.headers.connection;
  if (connection !== undefined && connection !== "keep-alive" && connection !== "close") {
    wrong.push(`connection: ${String(connection)}`);
  }
  const names = request.rawHeaders.filter((_, index) => index % 2 === 0).map((name) => name.toLowerCase());
  for (const name of names) {
    if (forbidden.test(name)) wrong.push(`header ${name} went upstream`);
  }
  if (new Set(names).size !== names.length) wrong.push(`a header came twice: ${names.join(" ")}`);
  const encoded = encodeURIComponent(request.label).replace(/[!'()*]/g, hex);
  if (request.label !== "" && !request.path.split("/").includes(encoded)) {
    wrong.push(`the label is not percent-encoded once: ${request.label}`);
  }
  if (/%[0-9A-Fa-f]{2}/.test(request.label)) wrong.push(`the label is percent-encoded twice: ${request.label}`);
  return wrong;
}

function hex(char: string): string {
  return `%${char.charCodeAt(0).toString(16).toUpperCase()}`;
}

async function checkCredential(
  { method, headers, body }: Live,
  url: string,
  identities: readonly Identity[],
  bearers: readonly string[],
): Promise<string[]> {
  const authorization = String(headers.authorization ?? "");
  if (authorization.startsWith("Bearer ")) {
    return bearers.includes(authorization.slice(7)) ? [] : ["signed with a bearer token that is not configured"];
  }
  const reasons: string[] = [];
  for (const credentials of identities) {
    const verification = await verifySigV4({ method, url, headers, body }, { credentials });
    if (verification.ok) return [];
    reasons.push(verification.reason);
  }
  return reasons.slice(-1);
}

async function respond(response: ServerResponse, live: Live, answer: Answer): Promise<void> {
  if (answer.delayMs !== undefined) await sleep(answer.delayMs);
  if (response.destroyed) return;
  const headers = { "x-amzn-requestid": randomUUID(), ...answer.headers };
  if (answer.kind === "unary") {
    response.writeHead(answer.status, { ...headers, "content-length": String(answer.body.length) });
    response.end(answer.body);
    live.bytesSent = answer.body.length;
    return;
  }
  response.writeHead(200, headers);
  response.flushHeaders();
  response.socket?.setNoDelay(true);
  await writeParts(response, live, answer);
}

/** Writes a streamed answer's parts at the reader's speed, and ends as the answer says. */
export async function writeParts(
  response: ServerResponse,
  live: { bytesSent: number },
  answer: StreamAnswer,
): Promise<void> {
  for await (const part of answer.parts) {
    if (response.destroyed) return;
    if (typeof part === "number") await pause(response, part);
    else await write(response, live, part);
  }
  if (response.destroyed || answer.ending === "hang") return;
  if (answer.ending === "end") response.end();
  // What has been written must have left before the connection breaks.
  else response.write("", () => response.destroy());
}

/** Waits, but not for a client that has left. */
function pause(response: ServerResponse, ms: number): Promise<void> {
  return new Promise((resolve) => {
    const done = () => {
      clearTimeout(timer);
      response.off("close", done);
      resolve();
    };
    const timer = setTimeout(done, ms);
    response.on("close", done);
  });
}

/** Writes one chunk and waits while the reader is behind. */
function write(response: ServerResponse, live: { bytesSent: number }, part: Exclude<Part, number>): Promise<void> {
  live.bytesSent += part.length;
  if (response.write(part)) return Promise.resolve();
  return new Promise((resolve) => {
    const done = () => {
      response.off("drain", done);
      response.off("close", done);
      resolve();
    };
    response.on("drain", done);
    response.on("close", done);
  });
}
