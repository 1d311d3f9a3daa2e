/**
 * The one table of operations: path, upstream service, whether the answer streams. The relay serves all of them from
 * it, the front end matches requests against it, and tests walk it so that no route is forgotten.
 * Source: the service models of bedrock-runtime (2023-09-30), bedrock (2023-04-20), bedrock-agent-runtime (2023-07-26),
 * s3 (2006-03-01).
 */

/** Which AWS host serves the operation. */
export type Service = "runtime" | "control" | "agent_runtime" | "s3";

export type Method = "GET" | "POST" | "PUT" | "HEAD" | "DELETE";

export interface Operation {
  readonly name: OperationName;
  readonly method: Method;
  readonly service: Service;
  /** The answer is `application/vnd.amazon.eventstream`. */
  readonly streams: boolean;
  /** Where the model id stands: in the path, in the body (found by the gateway when it must), or nowhere. */
  readonly model: "path" | "body" | "none";
  /** Of batch inference or its files: the client may name the provider in `x-model-provider`, and it has to be Bedrock. */
  readonly batch: boolean;
}

export type OperationName =
  | "Converse"
  | "ConverseStream"
  | "InvokeModel"
  | "InvokeModelWithResponseStream"
  | "CountTokens"
  | "ApplyGuardrail"
  | "InvokeGuardrailChecks"
  | "StartAsyncInvoke"
  | "GetAsyncInvoke"
  | "ListAsyncInvokes"
  | "Rerank"
  | "ListFoundationModels"
  | "GetFoundationModel"
  | "ListInferenceProfiles"
  | "GetInferenceProfile"
  | "CreateModelInvocationJob"
  | "ListModelInvocationJobs"
  | "GetModelInvocationJob"
  | "StopModelInvocationJob"
  | "PutObject"
  | "GetObject"
  | "HeadObject"
  | "DeleteObject"
  | "ListObjectsV2";

/** An operation with the part of the path that varies. */
export interface Route {
  readonly operation: Operation;
  /** The path labels, percent-decoded once, in order: `[modelId]`, `[guardrailId, version]`, `[arn]`, `[bucket, key]`, or none. */
  readonly labels: readonly string[];
}

interface Row extends Operation {
  readonly pattern: RegExp;
  /** Rebuilds the path below `/bedrock` from labels that are already encoded. */
  readonly path: (labels: readonly string[]) => string;
}

/** Where the objects of S3 lie below `/bedrock`; at S3 itself their paths begin behind it. */
const filesPrefix = "/files";

const rows: readonly Row[] = [
  modelRow("Converse", "converse", false),
  modelRow("ConverseStream", "converse-stream", true),
  modelRow("InvokeModel", "invoke", false),
  modelRow("InvokeModelWithResponseStream", "invoke-with-response-stream", true),
  modelRow("CountTokens", "count-tokens", false),
  {
    ...plain("ApplyGuardrail", "POST", "runtime"),
    pattern: /^\/guardrail\/(.+)\/version\/([^/]+)\/apply$/,
    path: ([id, version]) => `/guardrail/${id}/version/${version}/apply`,
  },
  { ...plain("InvokeGuardrailChecks", "POST", "runtime"), ...fixed("/guardrail-checks/invoke") },
  { ...plain("StartAsyncInvoke", "POST", "runtime"), ...fixed("/async-invoke"), model: "body" },
  { ...plain("ListAsyncInvokes", "GET", "runtime"), ...fixed("/async-invoke") },
  { ...plain("GetAsyncInvoke", "GET", "runtime"), ...rest("/async-invoke") },
  { ...plain("Rerank", "POST", "agent_runtime"), ...fixed("/rerank"), model: "body" },
  { ...plain("ListFoundationModels", "GET", "control"), ...fixed("/foundation-models") },
  { ...plain("GetFoundationModel", "GET", "control"), ...rest("/foundation-models") },
  { ...plain("ListInferenceProfiles", "GET", "control"), ...fixed("/inference-profiles") },
  { ...plain("GetInferenceProfile", "GET", "control"), ...rest("/inference-profiles") },
  { ...batch("CreateModelInvocationJob", "POST"), ...fixed("/model-invocation-job"), model: "body" },
  { ...batch("ListModelInvocationJobs", "GET"), ...fixed("/model-invocation-jobs") },
  { ...batch("GetModelInvocationJob", "GET"), ...rest("/model-invocation-job") },
  {
    ...batch("StopModelInvocationJob", "POST"),
    pattern: /^\/model-invocation-job\/(.+)\/stop$/,
    path: ([job]) => `/model-invocation-job/${job}/stop`,
  },
  object("PutObject", "PUT"),
  object("GetObject", "GET"),
  object("HeadObject", "HEAD"),
  object("DeleteObject", "DELETE"),
  {
    ...batch("ListObjectsV2", "GET", "s3"),
    pattern: /^\/+files\/+([^/]+)\/?$/,
    path: ([bucket]) => `${filesPrefix}/${bucket}`,
  },
];

/** Every operation, for tests and documentation that must cover all of them. */
export const operations: readonly Operation[] = rows;

/**
 * Finds the operation of a request.
 *
 * @param path the raw path below `/bedrock`, without the query; duplicate slashes are collapsed here, except in the key
 *   of an object, where they have a meaning. The model id is everything between `/model/` and the last segment, so that
 *   ids with raw slashes and colons match as well.
 * @returns undefined when no operation has this method and path, or a label cannot be percent-decoded
 */
export function matchOperation(method: string, path: string): Route | undefined {
  const collapsed = path.includes("//") ? path.replace(/\/{2,}/g, "/") : path;
  for (const row of rows) {
    if (row.method !== method) continue;
    const match = row.pattern.exec(row.service === "s3" ? path : collapsed);
    if (match === null) continue;
    const labels = decodeLabels(match.slice(1));
    return labels === undefined ? undefined : { operation: row, labels };
  }
  return undefined;
}

/** Undefined when a label is no percent-encoding, or a dot segment, which would climb out of its place in the path. */
function decodeLabels(raw: readonly string[]): string[] | undefined {
  try {
    const labels = raw.map(decodeURIComponent);
    return labels.some((label) => label === "." || label === "..") ? undefined : labels;
  } catch {
    return undefined;
  }
}

/** The path of a route at the AWS service: labels percent-encoded once, as the AWS SDKs do. */
export function upstreamPath(route: Route): string {
  const path = operationPath(route);
  return route.operation.service === "s3" ? path.slice(filesPrefix.length) : path;
}

/** The path of a route below `/bedrock`, as the AWS SDKs write it. */
export function operationPath(route: Route): string {
  const row = rows.find((candidate) => candidate.name === route.operation.name);
  if (row === undefined) throw new Error(`no row for ${route.operation.name}`);
  return row.path(route.labels.map(encodeLabel));
}

/** An operation's path with `{id}` and the like for what varies, for metrics and traces. */
export function pathTemplate(operation: Operation): string {
  const row = rows.find((candidate) => candidate.name === operation.name);
  if (row === undefined) throw new Error(`no row for ${operation.name}`);
  if (operation.service === "s3") return row.path(["{bucket}", "{key}"]);
  return row.path([operation.model === "path" ? "{modelId}" : "{id}", "{version}"]);
}

/** RFC 3986 percent-encoding of everything but unreserved characters: `:` becomes `%3A`, `/` becomes `%2F`. */
export function encodeLabel(text: string): string {
  return encodeURIComponent(text).replace(/[!'()*]/g, (char) => `%${char.charCodeAt(0).toString(16).toUpperCase()}`);
}

function plain(name: OperationName, method: Method, service: Service): Operation {
  return { name, method, service, streams: false, model: "none", batch: false };
}

function batch(name: OperationName, method: Method, service: Service = "control"): Operation {
  return { ...plain(name, method, service), batch: true };
}

/** The slashes of a key are those of its path, be they encoded or not: S3 knows no difference. */
function object(name: OperationName, method: Method): Row {
  return {
    ...batch(name, method, "s3"),
    pattern: /^\/+files\/+([^/]+)\/(.+)$/,
    path: ([bucket, key = ""]) => `${filesPrefix}/${bucket}/${key.replaceAll("%2F", "/")}`,
  };
}

function modelRow(name: OperationName, action: string, streams: boolean): Row {
  return {
    name,
    method: "POST",
    service: "runtime",
    streams,
    model: "path",
    batch: false,
    pattern: new RegExp(`^/model/(.+)/${action}$`),
    path: ([model]) => `/model/${model}/${action}`,
  };
}

function fixed(path: string): Pick<Row, "pattern" | "path"> {
  return { pattern: new RegExp(`^${path}/?$`), path: () => path };
}

function rest(prefix: string): Pick<Row, "pattern" | "path"> {
  return { pattern: new RegExp(`^${prefix}/(.+)$`), path: ([label]) => `${prefix}/${label}` };
}
