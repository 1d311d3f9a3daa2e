/** Cohere's tools of Command R: parameters in Python's type names, calls and results without ids. */
import type { Tool, ToolUse } from "../converse.ts";
import { refuseField } from "../errors.ts";
import type { JsonObject } from "../json.ts";
import {
  at,
  quote,
  readAnyObject,
  readBoolean,
  readJsonObject,
  readList,
  readName,
  readObject,
  readText,
} from "../reading.ts";
import type { Turn } from "./turns.ts";

const toolFields = new Set(["name", "description", "parameter_definitions"]);
const parameterFields = new Set(["description", "type", "required"]);
const callFields = new Set(["name", "parameters"]);
const resultFields = new Set(["call", "outputs"]);

/** A type's name may hold others, `list[list[str]]`; a longer one is nobody's. */
const longestType = 64;

const types: ReadonlyMap<string, string> = new Map([
  ["str", "string"],
  ["string", "string"],
  ["int", "integer"],
  ["integer", "integer"],
  ["float", "number"],
  ["number", "number"],
  ["bool", "boolean"],
  ["boolean", "boolean"],
  ["dict", "object"],
  ["object", "object"],
  ["list", "array"],
  ["array", "array"],
]);

export function readTool(value: unknown, path: string): Tool {
  const { name, description, parameter_definitions } = readObject(value, path, toolFields);
  const place = `${path}.parameter_definitions`;
  const definitions = parameter_definitions == null ? {} : readAnyObject(parameter_definitions, place);
  return {
    toolSpec: {
      name: readName(name, `${path}.name`),
      // Converse refuses an empty description, and it says as much as none.
      ...(description != null && description !== "" && { description: readText(description, `${path}.description`) }),
      inputSchema: { json: readParameters(definitions, place) },
    },
  };
}

function readParameters(definitions: Readonly<Record<string, unknown>>, path: string): JsonObject {
  const properties: [string, JsonObject][] = [];
  const required: string[] = [];
  for (const [name, definition] of Object.entries(definitions)) {
    const place = at(path, name);
    if (name === "__proto__") throw refuseField(place, "is a name that is not accepted");
    const fields = readObject(definition, place, parameterFields);
    properties.push([
      name,
      {
        ...typeSchema(readName(fields.type, `${place}.type`), `${place}.type`),
        ...(fields.description != null && { description: readText(fields.description, `${place}.description`) }),
      },
    ]);
    if (fields.required != null && readBoolean(fields.required, `${place}.required`)) required.push(name);
  }
  return { type: "object", properties: Object.fromEntries(properties), ...(required.length > 0 && { required }) };
}

/** `str`, `int`, `List[str]`, `Dict[str, int]` … as JSON Schema. */
function typeSchema(name: string, path: string): JsonObject {
  const [, outer = "", inner] = (name.length <= longestType && /^(\w+)(?:\[(.*)\])?$/.exec(name.trim())) || [];
  const type = types.get(outer.toLowerCase());
  if (type === "array" && inner !== undefined) return { type, items: typeSchema(inner, path) };
  if (type === undefined || (type !== "object" && inner !== undefined)) {
    throw refuseField(path, `${quote(name)} is not a type known here`);
  }
  return { type };
}

interface Call {
  readonly name: string;
  readonly input: JsonObject;
}

function readCall(value: unknown, path: string): Call {
  const { name, parameters } = readObject(value, path, callFields);
  return {
    name: readName(name, `${path}.name`),
    input: parameters == null ? {} : readJsonObject(parameters, `${path}.parameters`),
  };
}

export function writeCall({ name, input }: Pick<ToolUse, "name" | "input">): JsonObject {
  return { name, parameters: input };
}

interface Result {
  readonly call: Call;
  readonly outputs: readonly JsonObject[];
}

function readResult(value: unknown, path: string): Result {
  const { call, outputs } = readObject(value, path, resultFields);
  return {
    call: readCall(call, `${path}.call`),
    outputs: readList(outputs, `${path}.outputs`, readJsonObject),
  };
}

/**
 * Gives calls the ids that Converse wants, and results the ids of their calls: a result answers the first open call of
 * its name. A result that repeats a call no message holds brings that call with it.
 */
export class CallIds {
  #count = 0;
  /** The calls of the last assistant's message that have no result yet, by name; the first one stands last. */
  readonly #open = new Map<string, ToolUse[]>();

  get open(): boolean {
    return this.#open.size > 0;
  }

  /** The calls of an assistant's message. */
  readCalls(value: unknown, path: string): readonly ToolUse[] {
    const calls = readList(value, path, readCall).map((call) => this.#use(call));
    this.#open.clear();
    for (const call of calls.toReversed()) {
      const others = this.#open.get(call.name);
      if (others === undefined) this.#open.set(call.name, [call]);
      else others.push(call);
    }
    return calls;
  }

  /** The results of calls, behind the calls that stand in no message. */
  readResults(value: unknown, path: string): readonly Turn[] {
    const missing: ToolUse[] = [];
    const answered = readList(value, path, readResult).map(({ call, outputs }) => {
      const found = this.#take(call.name);
      const use = found ?? this.#use(call);
      if (found === undefined) missing.push(use);
      return { toolUseId: use.toolUseId, content: outputs.map((json) => ({ json })) };
    });
    if (answered.length === 0) return [];
    const results: Turn = { role: "user", content: answered.map((toolResult) => ({ toolResult })) };
    if (missing.length === 0) return [results];
    return [{ role: "assistant", content: missing.map((toolUse) => ({ toolUse })) }, results];
  }

  #take(name: string): ToolUse | undefined {
    const calls = this.#open.get(name);
    const call = calls?.pop();
    if (calls?.length === 0) this.#open.delete(name);
    return call;
  }

  #use({ name, input }: Call): ToolUse {
    return { toolUseId: `call_${this.#count++}`, name, input };
  }
}
