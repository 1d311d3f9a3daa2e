/** What was decided about a request, in plain words, in the order in which it was decided. */
import { isCostMissing, type LogAttempt, type LogRow } from "../store/log-store.ts";

export function trailOf(row: LogRow, attempts: readonly LogAttempt[]): readonly string[] {
  return [
    asked(row),
    who(row),
    ...rules(row),
    ...cache(row),
    ...limit(row),
    ...attempts.flatMap((attempt, index) => tried(attempt, attempts[index - 1])),
    ...notTried(row),
    ending(row),
    ...cost(row),
  ];
}

function asked({ operation, askedModel, streams }: LogRow): string {
  if (operation === "none") return "The request named no operation that there is.";
  const model = askedModel === null ? "" : ` of the model ${askedModel}`;
  return `${operation} was asked${model}${streams ? ", as a stream" : ""}.`;
}

function who({ virtualKeyId, virtualKeyName, teamName, customerName }: LogRow): string {
  if (virtualKeyId === null) return "No virtual key was used.";
  const team = teamName === null ? "" : `, of the team ${teamName}`;
  const customer = customerName === null ? "" : `, of the customer ${customerName}`;
  return `It came with the virtual key ${virtualKeyName ?? virtualKeyId}${team}${customer}.`;
}

function rules({ rules: matched }: LogRow): string[] {
  const [first, ...others] = matched;
  if (first === undefined) return [];
  return [`The routing rule ${first} matched${others.map((rule) => `, and then the rule ${rule}`).join("")}.`];
}

function cache({ cacheKind, cacheReason, cacheSimilarity, cacheEntryId }: LogRow): string[] {
  const why = cacheReason === null ? "" : `: ${cacheReason}`;
  const entry = cacheEntryId === null ? "" : ` (entry ${cacheEntryId})`;
  switch (cacheKind) {
    case null:
      return [];
    case "direct":
      return [`The cache had the answer to exactly this request${entry}.`];
    case "semantic": {
      const like = cacheSimilarity === null ? "" : ` of similarity ${cacheSimilarity.toFixed(3)}`;
      return [`The cache had the answer to a request${like}${entry}.`];
    }
    case "miss":
      return [`The cache had no answer${why}.`];
    default:
      return [`The cache was not used${why}.`];
  }
}

/** What a limit is called where it is short. */
const limits: Readonly<Record<string, string>> = {
  budget: "budget was used up",
  tokens: "limit of tokens had no room",
  requests: "limit of requests had no room",
  concurrency: "limit of requests at a time had no room",
};

function limit({ limit: kind }: LogRow): string[] {
  return kind === null ? [] : [`It was refused: a ${limits[kind] ?? `limit (${kind}) had no room`}.`];
}

/** Why an attempt was made with its key. */
const choices: Readonly<Record<string, string>> = {
  pinned: "which the client had named",
  session: "which the session had used before",
  weighted: "chosen by weight",
  adaptive: "chosen by how well the keys were doing",
  "least-busy": "chosen for having the least to do",
  latency: "chosen for its speed",
  only: "the only one that was available",
  probe: "to see whether it works again",
  last_resort: "though all were cooling down",
  direct: "the client's own",
};

function tried(attempt: LogAttempt, before: LogAttempt | undefined): string[] {
  const { provider, model, keyName, fallbackIndex, choice } = attempt;
  const at = model === null ? provider : `${provider} with the model ${model}`;
  const why = choice !== null && choices[choice] !== undefined ? `, ${choices[choice]}` : "";
  const sentences: string[] = [];
  if (before !== undefined && before.fallbackIndex !== fallbackIndex)
    sentences.push(`Fallback ${fallbackIndex} came next: ${provider}.`);
  else if (before === undefined && fallbackIndex > 0)
    sentences.push(`Fallback ${fallbackIndex} was tried: ${provider}.`);
  const isRetry = before !== undefined && before.fallbackIndex === fallbackIndex;
  if (isRetry && before.keyId === attempt.keyId) sentences.push(`The key ${keyName} was tried once more.`);
  else if (isRetry) sentences.push(`Another key was tried: ${keyName}${why}.`);
  else sentences.push(`The key ${keyName} of ${at} was used${why}.`);
  return [...sentences, result(attempt)];
}

function result({ outcome, status, errorType, durationMs }: LogAttempt): string {
  const after = timeOf(durationMs);
  if (outcome === "success") return `It answered within ${after}.`;
  if (outcome === "cancelled") return `It was broken off after ${after}.`;
  return `It failed after ${after} with ${status}${errorType === null ? "" : ` ${errorType}`}.`;
}

function notTried({ attemptCount, cacheKind, outcome }: LogRow): string[] {
  if (attemptCount > 0 || outcome === "success" || cacheKind === "direct" || cacheKind === "semantic") return [];
  return ["No provider was asked."];
}

function ending(row: LogRow): string {
  const after = timeOf(row.durationMs);
  const first = row.firstEventMs === null ? "" : `; its first event came after ${timeOf(row.firstEventMs)}`;
  if (row.outcome === "cancelled") return `The client left after ${after}${first}.`;
  if (row.outcome === "success") {
    const stop = row.stopReason === null ? "" : ` with the stop reason ${row.stopReason}`;
    return `The client had the whole answer after ${after}${stop}${first}.`;
  }
  const type = row.errorType === null ? "" : ` ${row.errorType}`;
  const message = row.message === null ? "." : `: ${row.message}`;
  return `After ${after} the client was told ${row.status}${type}${first}${message}`;
}

function cost(row: LogRow): string[] {
  const { inputTokens, outputTokens, cacheReadTokens, cacheWriteTokens, costMicroUsd } = row;
  if (inputTokens === null || outputTokens === null) return [];
  const cached = (cacheReadTokens ?? 0) + (cacheWriteTokens ?? 0);
  const besides = cached === 0 ? "" : `, and ${cached} tokens of prompt caches`;
  const used = `${inputTokens} tokens in and ${outputTokens} out were ${row.usageEstimated ? "estimated" : "used"}${besides}`;
  if (costMicroUsd !== null) return [`${used}, at a cost of $${priceText(costMicroUsd)}.`];
  return [isCostMissing(row) ? `${used}; the price is not known.` : `${used}.`];
}

function priceText(micro: number): string {
  return (micro / 1e6).toFixed(6).replace(/0{1,4}$/, "");
}

function timeOf(ms: number): string {
  if (ms >= 10_000) return `${(ms / 1000).toFixed(1)} s`;
  return ms >= 1000 ? `${(ms / 1000).toFixed(2)} s` : `${ms >= 100 ? ms.toFixed(0) : ms.toFixed(1)} ms`;
}
