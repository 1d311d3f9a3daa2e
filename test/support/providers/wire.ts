/** What a fake provider knows of its own API. */
import type { JsonObject } from "../../../src/bedrock/json.ts";
import type { Said } from "./said.ts";

export type Operation = "chat" | "count" | "embed";

/** A request as far as an API looks at it. */
export interface Asked {
  readonly operation: Operation;
  /** Raw, without the query. */
  readonly path: string;
  readonly query: string;
  readonly headers: Readonly<Record<string, string | readonly string[] | undefined>>;
  readonly body: JsonObject;
}

export interface Wire {
  /** Path and query by operation; a group in the pattern is the model's name, where the path has it. */
  readonly operations: readonly (readonly [operation: Operation, pattern: RegExp])[];
  /** The header that carries the key. */
  auth(key: string): readonly [name: string, value: string];
  /** Whether the client wants a stream. */
  streams(asked: Asked): boolean;
  /** @throws an error that says what the API would refuse */
  check(asked: Asked, model: string): void;
  whole(said: Said, model: string): JsonObject;
  /** The events of a stream, each with the blank line that closes it. */
  events(said: Said, model: string): readonly string[];
  count(tokens: number): JsonObject;
  /** A vector for each text of the request. */
  embeddings(asked: Asked, vector: (text: string) => readonly number[]): JsonObject;
  /** The body of an error. @param word the API's own word for it, where it has any */
  refusal(status: number, message: string, word?: string): JsonObject;
  /** An error as an event of a stream of status 200. */
  errorEvent(message: string, word: string): string;
}

/** A server-sent event without a name. */
export function dataEvent(value: object | string): string {
  return `data: ${typeof value === "string" ? value : JSON.stringify(value)}\n\n`;
}

/** @throws Error unless the body has only these members, and all that are required */
export function onlyMembers(body: object, known: readonly string[], required: readonly string[] = []): void {
  for (const name of Object.keys(body)) if (!known.includes(name)) throw new Error(`${name}: unknown field`);
  for (const name of required) if (!Object.hasOwn(body, name)) throw new Error(`${name}: field required`);
}

/** @throws Error unless the value is a list of texts with something in each */
export function someTexts(value: unknown, at: string): readonly string[] {
  const texts: unknown[] = Array.isArray(value) ? value : [];
  const found = texts.filter((text) => typeof text === "string").filter((text) => text !== "");
  if (found.length === 0 || found.length < texts.length) throw new Error(`${at}: must be a list of texts`);
  return found;
}
