/** What readers of InvokeModel's answers have in common. */
import type { ConverseResponse } from "../../bedrock/converse.ts";
import { isJsonObject, type JsonObject, type JsonValue } from "../../bedrock/json.ts";
import type { Usage } from "../../telemetry/usage.ts";

/** How a family's answers are read: its whole one, and its chunks put together into a whole one. */
export interface FamilyReader {
  /** @param usage what is known of it beside the body */
  read(answer: JsonObject, usage: Usage | undefined): ConverseResponse | undefined;
  assemble(chunks: readonly JsonObject[]): JsonObject | undefined;
  /** Members that are made anew for each answer, wherever they stand; `id` and `model` of the answer itself always are. */
  readonly fresh?: ReadonlySet<string>;
}

/** The only item of a list. */
export function first(list: JsonValue | undefined): JsonObject | undefined {
  const item: unknown = Array.isArray(list) && list.length === 1 ? list[0] : undefined;
  return isJsonObject(item) ? item : undefined;
}

export function countOf(value: JsonValue | undefined): number | undefined {
  return typeof value === "number" ? value : undefined;
}

/** What is null says nothing. */
export function hasOnly(object: JsonObject, names: ReadonlySet<string>): boolean {
  return Object.entries(object).every(([name, value]) => value === null || names.has(name));
}
