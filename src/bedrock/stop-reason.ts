/** Where the families of InvokeModel say why a model has stopped: in answers and in the chunks of a stream alike. */

type Fields = Readonly<Record<string, unknown>>;

/**
 * The reason in the words of its family, or of Converse; undefined where an object gives none.
 *
 * Anthropic `stop_reason` and `delta.stop_reason`, Llama `stop_reason`, Nova and Converse `stopReason` and
 * `messageStop.stopReason`, Titan `completionReason` (also in `results`), Mistral `outputs[].stop_reason`, Cohere
 * `finish_reason` (also in `generations`), AI21 `completions[].finishReason.reason`, chat shapes `choices[].finish_reason`.
 */
export function stopReasonIn(object: unknown): string | undefined {
  if (!isFields(object)) return undefined;
  const own = ownReason(object) ?? ownReason(object.delta) ?? ownReason(object.messageStop);
  if (own !== undefined) return own;
  for (const name of lists) {
    const list = object[name];
    if (!Array.isArray(list)) continue;
    for (const one of list) {
      const reason = ownReason(one);
      if (reason !== undefined) return reason;
    }
  }
  return undefined;
}

const lists = ["results", "outputs", "generations", "choices", "completions"] as const;
const names = ["stop_reason", "stopReason", "completionReason", "finish_reason"] as const;

function ownReason(object: unknown): string | undefined {
  if (!isFields(object)) return undefined;
  for (const name of names) {
    const reason = object[name];
    if (typeof reason === "string" && reason !== "") return reason;
  }
  const nested = object.finishReason;
  return isFields(nested) && typeof nested.reason === "string" ? nested.reason : undefined;
}

function isFields(value: unknown): value is Fields {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
