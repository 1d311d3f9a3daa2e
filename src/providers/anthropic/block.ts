/** The blocks of an answer, whole ones and the beginnings of streamed ones. */
import { isJsonObject, type JsonObject, type JsonValue } from "../../bedrock/json.ts";
import { listOf, textOf } from "../answer.ts";

export type ReadBlock =
  | { readonly type: "text"; readonly text: string; readonly citations: readonly JsonValue[] }
  | { readonly type: "thinking"; readonly thinking: string; readonly signature: string }
  | { readonly type: "redacted_thinking"; readonly data: string }
  | { readonly type: "tool_use"; readonly id: JsonValue | undefined; readonly name: string; readonly input: JsonObject }
  /** What the provider keeps for itself: its own tools, compaction. */
  | { readonly type: "other" };

/** Undefined for what cannot be read. */
export function blockOf(value: JsonValue | undefined): ReadBlock | undefined {
  if (!isJsonObject(value)) return undefined;
  const { type, text, thinking, data, id, name, input = {} } = value;
  switch (textOf(type)) {
    case "text":
      return typeof text === "string" ? { type: "text", text, citations: listOf(value.citations) } : undefined;
    case "thinking":
      return typeof thinking === "string"
        ? { type: "thinking", thinking, signature: textOf(value.signature) }
        : undefined;
    case "redacted_thinking":
      return typeof data === "string" ? { type: "redacted_thinking", data } : undefined;
    case "tool_use":
      return typeof name === "string" && name !== "" && isJsonObject(input)
        ? { type: "tool_use", id, name, input }
        : undefined;
    default:
      return typeof type === "string" ? { type: "other" } : undefined;
  }
}
