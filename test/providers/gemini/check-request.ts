/**
 * Stands for Google's server, which refuses a request with a field it does not know: the documented shape of
 * `generateContent`, and the rules of its conversations. Throws with the place of the first fault.
 */
import { isJsonObject, type JsonObject, type JsonValue } from "../../../src/bedrock/json.ts";

export interface ServerKind {
  readonly vertex: boolean;
  /** Gemini 3 and later refuse a step of calls whose first has no signature. */
  readonly signsCalls: boolean;
}

type Check = (value: JsonValue, path: string) => void;

export function checkRequest(body: JsonValue, server: ServerKind): void {
  members(
    body,
    "",
    {
      contents: (value, path) => checkContents(value, path, server),
      systemInstruction: (value, path) =>
        members(value, path, { parts: list((part, at) => members(part, at, { text: nonEmpty }, ["text"])) }, ["parts"]),
      tools: list(checkTool),
      toolConfig: (value, path) =>
        members(value, path, {
          functionCallingConfig: (config, at) =>
            members(config, at, { mode: word("AUTO", "ANY", "VALIDATED"), allowedFunctionNames: list(nonEmpty) }, [
              "mode",
            ]),
        }),
      generationConfig: (value, path) => members(value, path, generationConfig),
      safetySettings: anything,
      cachedContent: text,
      ...(server.vertex ? { labels: anything } : { serviceTier: word("standard", "flex", "priority") }),
    },
    ["contents"],
  );
}

const generationConfig: Record<string, Check> = {
  maxOutputTokens: count,
  temperature: between(0, 2),
  topP: between(0, 1),
  topK: count,
  stopSequences: (value, path) => {
    list(nonEmpty)(value, path);
    if (Array.isArray(value) && value.length > 5) throw fault(path, "more than five");
  },
  responseMimeType: word("application/json"),
  responseJsonSchema: checkResponseSchema,
  thinkingConfig: (value, path) => {
    members(value, path, {
      thinkingBudget: number,
      thinkingLevel: word("minimal", "low", "medium", "high"),
      includeThoughts: boolean,
    });
    if (isJsonObject(value) && value.thinkingBudget !== undefined && value.thinkingLevel !== undefined) {
      throw fault(path, "budget and level together");
    }
  },
  seed: number,
};

const responseWords: Record<string, Check> = {
  $id: anything,
  $anchor: anything,
  $ref: anything,
  $defs: mapOf(checkResponseSchema),
  type: anything,
  format: anything,
  title: anything,
  description: anything,
  enum: anything,
  items: checkResponseSchema,
  prefixItems: each,
  minItems: anything,
  maxItems: anything,
  minimum: anything,
  maximum: anything,
  anyOf: each,
  oneOf: each,
  properties: mapOf(checkResponseSchema),
  additionalProperties: checkResponseSchema,
  required: anything,
  propertyOrdering: anything,
};

function each(value: JsonValue, path: string): void {
  if (Array.isArray(value)) for (const [index, item] of value.entries()) checkResponseSchema(item, `${path}[${index}]`);
}

/** The words that Google documents for `responseJsonSchema`. */
export function checkResponseSchema(value: JsonValue, path: string): void {
  // Shapes that are no schema at all are the client's fault, and Google's to refuse.
  if (!isJsonObject(value)) return;
  for (const [name, member] of Object.entries(value)) {
    const check = Object.hasOwn(responseWords, name) ? responseWords[name] : undefined;
    if (check === undefined) throw fault(`${path}.${name}`, "is no word of responseJsonSchema");
    if (typeof member === "object") check(member, `${path}.${name}`);
    if (value.$ref !== undefined && !name.startsWith("$")) throw fault(path, `${name} beside $ref`);
  }
}

// Contents

function checkContents(value: JsonValue, path: string, server: ServerKind): void {
  const contents = objects(value, path);
  let role = "model";
  let calls: readonly JsonObject[] = [];
  for (const [index, content] of contents.entries()) {
    const at = `${path}[${index}]`;
    members(
      content,
      at,
      { role: word("user", "model"), parts: list((part, place) => checkPart(part, place, server)) },
      ["role", "parts"],
    );
    if (content.role === role) throw fault(at, "the same role twice, or the model first");
    role = content.role === "model" ? "model" : "user";
    const parts = objects(content.parts ?? null, at);
    if (parts.length === 0) throw fault(at, "no parts");
    checkResponses(parts, calls, at, server);
    calls = parts.flatMap((part) => (isJsonObject(part.functionCall) ? [part.functionCall] : []));
    if (role === "user" && calls.length > 0) throw fault(at, "a call in a user's turn");
    const first = parts.find((part) => part.functionCall !== undefined);
    if (server.signsCalls && first !== undefined && first.thoughtSignature === undefined) {
      throw fault(at, "function call is missing a thought_signature");
    }
  }
  if (calls.length > 0) throw fault(path, "calls without responses");
}

function checkResponses(
  parts: readonly JsonObject[],
  calls: readonly JsonObject[],
  path: string,
  server: ServerKind,
): void {
  const responses = parts.flatMap((part) => (isJsonObject(part.functionResponse) ? [part.functionResponse] : []));
  if (responses.length !== calls.length) throw fault(path, "number of function responses is not that of the calls");
  for (const [index, response] of responses.entries()) {
    const call = calls[index];
    if (response.name !== call?.name) throw fault(path, "a response of another function");
    if (!server.vertex && response.id !== call?.id) throw fault(path, "a response of another call");
    if (parts[index]?.functionResponse !== response) throw fault(path, "responses do not come first");
  }
}

const sounds = ["mp3", "opus", "wav", "aac", "x-aac", "flac", "mp4", "ogg", "m4a", "mpeg", "mpga", "pcm", "webm"];
const videos = ["quicktime", "mp4", "webm", "x-flv", "mpeg", "wmv", "3gpp"];
const resultTypes = new Set(["image/png", "image/jpeg", "image/webp", "application/pdf", "text/plain"]);
const mediaTypes = new Set([
  ...resultTypes,
  ...sounds.map((name) => `audio/${name}`),
  ...videos.map((name) => `video/${name}`),
]);

function blob(types: ReadonlySet<string>): Check {
  return (value, path) =>
    members(
      value,
      path,
      {
        mimeType: (type, at) => {
          if (typeof type !== "string" || !types.has(type))
            throw fault(at, `Unsupported MIME type: ${JSON.stringify(type)}`);
        },
        data: nonEmpty,
      },
      ["mimeType", "data"],
    );
}

const dataFields = ["text", "inlineData", "functionCall", "functionResponse"];

function checkPart(value: JsonValue, path: string, { vertex }: ServerKind): void {
  const id = vertex ? {} : { id: nonEmpty };
  members(value, path, {
    text,
    thought: boolean,
    thoughtSignature: nonEmpty,
    inlineData: blob(mediaTypes),
    functionCall: (call, at) => members(call, at, { ...id, name: functionName, args: object }, ["name", "args"]),
    functionResponse: (response, at) =>
      members(
        response,
        at,
        {
          ...id,
          name: functionName,
          response: object,
          parts: list((part, place) => members(part, place, { inlineData: blob(resultTypes) }, ["inlineData"])),
        },
        ["name", "response"],
      ),
  });
  const found = dataFields.filter((name) => isJsonObject(value) && value[name] !== undefined);
  if (found.length !== 1) throw fault(path, `must have one of ${dataFields.join(", ")}`);
  if (isJsonObject(value) && value.text === "" && value.thoughtSignature === undefined) throw fault(path, "empty text");
}

function checkTool(value: JsonValue, path: string): void {
  members(value, path, {
    functionDeclarations: list((declaration, at) =>
      members(
        declaration,
        at,
        {
          name: functionName,
          description: nonEmpty,
          parametersJsonSchema: (schema, place) => {
            object(schema, place);
            if (isJsonObject(schema) && schema.type !== "object" && schema.$ref == null)
              throw fault(place, "is no object");
          },
        },
        ["name", "parametersJsonSchema"],
      ),
    ),
    googleSearch: (search, at) => members(search, at, {}),
    codeExecution: (code, at) => members(code, at, {}),
  });
}

// Small checks

function members(value: JsonValue, path: string, known: Record<string, Check>, required: readonly string[] = []): void {
  if (!isJsonObject(value)) throw fault(path, "is no object");
  for (const [name, member] of Object.entries(value)) {
    const check = Object.hasOwn(known, name) ? known[name] : undefined;
    if (check === undefined) throw fault(`${path}.${name}`, "Unknown name");
    check(member, `${path}.${name}`);
  }
  for (const name of required) if (!Object.hasOwn(value, name)) throw fault(`${path}.${name}`, "is missing");
}

function list(check: Check): Check {
  return (value, path) => {
    if (!Array.isArray(value)) throw fault(path, "is no list");
    for (const [index, item] of value.entries()) check(item, `${path}[${index}]`);
  };
}

function mapOf(check: Check): Check {
  return (value, path) => {
    if (isJsonObject(value)) for (const [name, member] of Object.entries(value)) check(member, `${path}.${name}`);
  };
}

function objects(value: JsonValue, path: string): readonly JsonObject[] {
  if (!Array.isArray(value)) throw fault(path, "is no list");
  return value.filter(isJsonObject);
}

function word(...words: readonly string[]): Check {
  return (value, path) => {
    if (typeof value !== "string" || !words.includes(value))
      throw fault(path, `${JSON.stringify(value)} is no such word`);
  };
}

function between(least: number, most: number): Check {
  return (value, path) => {
    if (typeof value !== "number" || value < least || value > most)
      throw fault(path, `is not from ${least} to ${most}`);
  };
}

function text(value: JsonValue, path: string): void {
  if (typeof value !== "string") throw fault(path, "is no string");
}

function nonEmpty(value: JsonValue, path: string): void {
  if (typeof value !== "string" || value === "") throw fault(path, "is no string, or empty");
}

function functionName(value: JsonValue, path: string): void {
  if (typeof value !== "string" || !/^[a-zA-Z_][\w.-]{0,63}$/.test(value)) throw fault(path, "Invalid function name");
}

function number(value: JsonValue, path: string): void {
  if (typeof value !== "number") throw fault(path, "is no number");
}

function count(value: JsonValue, path: string): void {
  if (!Number.isInteger(value)) throw fault(path, "is no integer");
}

function boolean(value: JsonValue, path: string): void {
  if (typeof value !== "boolean") throw fault(path, "is neither true nor false");
}

function object(value: JsonValue, path: string): void {
  if (!isJsonObject(value)) throw fault(path, "is no object");
}

function anything(): void {}

function fault(path: string, what: string): Error {
  return new Error(`Invalid JSON payload received. ${path}: ${what}`);
}
