/** Which answers may be served again. */

/** Why an answer is not kept. */
export type NotKept = "incomplete" | "filtered" | "tool_calls" | "empty" | "too_large";

const complete: ReadonlySet<unknown> = new Set(["end_turn", "stop_sequence"]);
const filtered: ReadonlySet<unknown> = new Set(["guardrail_intervened", "content_filtered"]);

/**
 * Whether a Converse response is complete, unfiltered and more than nothing; with tool calls only where those are wanted.
 *
 * @param answer the body of a successful answer, or the same put together from a stream that reached its end
 * @returns why it is not kept, or undefined
 */
export function whyNotKept(answer: Readonly<Record<string, unknown>>, storeToolCalls: boolean): NotKept | undefined {
  const content = contentOf(answer);
  const calls = content.some((block) => isObject(block) && "toolUse" in block);
  if (answer.stopReason === "tool_use" || calls) {
    if (!storeToolCalls) return "tool_calls";
    if (answer.stopReason !== "tool_use" && !complete.has(answer.stopReason)) return "incomplete";
  } else if (!complete.has(answer.stopReason)) return filtered.has(answer.stopReason) ? "filtered" : "incomplete";
  return content.length === 0 ? "empty" : undefined;
}

function contentOf({ output }: Readonly<Record<string, unknown>>): readonly unknown[] {
  const message = isObject(output) ? output.message : undefined;
  const content = isObject(message) ? message.content : undefined;
  return Array.isArray(content) ? content : [];
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null;
}
