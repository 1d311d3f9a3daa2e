/** Encodes with the dialect, and insists that the server would take it. */
import type { ConverseRequest } from "../../../src/bedrock/converse.ts";
import type { JsonObject, JsonValue } from "../../../src/bedrock/json.ts";
import type { Encoded, Target } from "../../../src/providers/dialect.ts";
import { openai } from "../../../src/providers/openai/openai.ts";
import { requestOf, targetOf, user } from "../fixtures.ts";
import { expectAccepted } from "./server.ts";

export interface Sent extends Encoded {
  readonly body: JsonObject;
  readonly messages: readonly JsonObject[];
}

/** @param own members of the server's own that the request brings along */
export function send(request: ConverseRequest, target: Partial<Target> = {}, own: readonly string[] = []): Sent {
  const encoded = openai.encode(request, targetOf(target));
  const body = JSON.parse(encoded.request.body);
  expectAccepted(body, target.kind ?? "openai", own);
  return { ...encoded, body, messages: body.messages };
}

/** A request that says hello, and whatever a test is about. */
export function hello(changes: Omit<Partial<ConverseRequest>, "messages"> = {}): ConverseRequest {
  return requestOf([user({ text: "hello" })], changes);
}

export function toolConfig(...names: readonly string[]): NonNullable<ConverseRequest["toolConfig"]> {
  return { tools: names.map((name) => ({ toolSpec: { name, inputSchema: { json: { type: "object" } } } })) };
}

export function schemaConfig(schema: JsonValue, name = "answer"): NonNullable<ConverseRequest["outputConfig"]> {
  const jsonSchema = { schema: JSON.stringify(schema), name };
  return { textFormat: { type: "json_schema", structure: { jsonSchema } } };
}
