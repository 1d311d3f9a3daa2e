/**
 * The one table of operations: path, upstream service, whether the answer streams. The relay serves all of them from
 * it, the front end matches requests against it, and tests walk it so that no route is forgotten.
 * Source: the service models of bedrock-runtime (2023-09-30), bedrock (2023-04-20), bedrock-agent-runtime (2023-07-26).
 */

/** Which AWS host serves the operation. All three sign as service `bedrock`. */
export type Service = "runtime" | "control" | "agent_runtime";

export interface Operation {
  readonly name: OperationName;
  readonly method: "GET" | "POST";
  readonly service: Service;
  /** The answer is `application/vnd.amazon.eventstream`. */
  readonly streams: boolean;
  /** Where the model id stands: in the path, in the body (found by the gateway when it must), or nowhere. */
  readonly model: "path" | "body" | "none";
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
  | "GetInferenceProfile";

/** An operation with the part of the path that varies. */
export interface Route {
  readonly operation: Operation;
  /** The path labels, percent-decoded once, in order: `[modelId]`, `[guardrailId, version]`, `[arn]`, or none. */
  readonly labels: readonly string[];
}

interface Row extends Operation {
  readonly pattern: RegExp;
  /** Rebuilds the upstream path from labels that are already encoded. */
  readonly path: (labels: readonly string[]) => string;
}

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
];

/** Every operation, for tests and documentation that must cover all of them. */
export const operations: readonly Operation[] = rows;

/**
 * Finds the operation of a request.
 *
 * @param path the raw path below `/bedrock`, without the query; duplicate slashes are collapsed here. The model id is
 *   everything between `/model/` and the last segment, so that ids with raw slashes and colons match as well.
 * @returns undefined when no operation has this method and path, or a label cannot be percent-decoded
 */
export function matchOperation(method: string, path: string): Route | undefined {
  const collapsed = path.includes("//") ? path.replace(/\/{2,}/g, "/") : path;
  for (const row of rows) {
    if (row.method !== method) continue;
    const match = row.pattern.exec(collapsed);
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
  const row = rows.find((candidate) => candidate.name === route.operation.name);
  if (row === undefined) throw new Error(`no row for ${route.operation.name}`);
  return row.path(route.labels.map(encodeLabel));
}

/** RFC 3986 percent-encoding of everything but unreserved characters: `:` becomes `%3A`, `/` becomes `%2F`. */
export function encodeLabel(text: string): string {
  return encodeURIComponent(text).replace(/[!'()*]/g, (char) => `%${char.charCodeAt(0).toString(16).toUpperCase()}`);
}

function plain(name: OperationName, method: "GET" | "POST", service: Service): Operation {
  return { name, method, service, streams: false, model: "none" };
}

function modelRow(name: OperationName, action: string, streams: boolean): Row {
  return {
    name,
    method: "POST",
    service: "runtime",
    streams,
    model: "path",
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
