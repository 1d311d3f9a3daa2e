/**
 * Reading parsed JSON into types. Every function takes a value and the path where it stands, gives back what it must
 * be, or throws a ValidationException that names the path. A member that is null counts as absent.
 */
import { refuseField } from "./errors.ts";
import { isJsonObject, isJsonValue, type JsonObject, type JsonValue } from "./json.ts";

export type Fields = Readonly<Record<string, unknown>>;
export type Read<T> = (value: unknown, path: string) => T;

/** Deeper documents are refused: whoever walks or writes them later may do so by recursion. */
export const maxDocumentDepth = 100;

const maxQuotedLength = 64;

/** The path of a member. The body itself has the path `""`. */
export function at(path: string, name: string): string {
  const shown = name.length <= maxQuotedLength ? name : `${name.slice(0, maxQuotedLength)}…`;
  if (!/^[\w-]+…?$/.test(shown)) return `${path}[${JSON.stringify(shown)}]`;
  return path === "" ? shown : `${path}.${shown}`;
}

/** An object without members other than the known ones. */
export function readObject(value: unknown, path: string, known: ReadonlySet<string>): Fields {
  const fields = readAnyObject(value, path);
  for (const name of Object.keys(fields)) {
    if (known.has(name) || fields[name] == null) continue;
    throw refuseField(at(path, name), "is not a field known here");
  }
  return fields;
}

/** An object with members of any name. */
export function readAnyObject(value: unknown, path: string): Fields {
  if (isJsonObject(value)) return value;
  throw wrongType(value, path === "" ? "body" : path, "an object");
}

/** A union: an object with exactly one member. */
export function readMember(value: unknown, path: string): readonly [name: string, member: unknown] {
  const fields = readAnyObject(value, path);
  let found: string | undefined;
  for (const name of Object.keys(fields)) {
    if (fields[name] == null) continue;
    if (found !== undefined) {
      throw refuseField(path, `must have exactly one member, not both ${at("", found)} and ${at("", name)}`);
    }
    found = name;
  }
  if (found === undefined) throw refuseField(path, "must have exactly one member, not none");
  return [found, fields[found]];
}

/** For a union's member that is none of those it may have. */
export function refuseMember(path: string, name: string): Error {
  return refuseField(at(path, name), "is not a member known here");
}

export function readText(value: unknown, path: string): string {
  if (typeof value === "string") return value;
  throw wrongType(value, path, "a string");
}

/** A string of at least one character. */
export function readName(value: unknown, path: string): string {
  const text = readText(value, path);
  if (text === "") throw refuseField(path, "must not be empty");
  return text;
}

export function readBoolean(value: unknown, path: string): boolean {
  if (typeof value === "boolean") return value;
  throw wrongType(value, path, "true or false");
}

/** A number that is finite: JSON may say `1e999`. */
export function readNumber(value: unknown, path: string): number {
  if (typeof value === "number" && Number.isFinite(value)) return value;
  throw wrongType(value, path, "a number");
}

export function readInteger(value: unknown, path: string): number {
  if (typeof value === "number" && Number.isSafeInteger(value)) return value;
  throw wrongType(value, path, "an integer");
}

/** An integer of at least 1. */
export function readCount(value: unknown, path: string): number {
  const count = readInteger(value, path);
  if (count < 1) throw refuseField(path, `must be at least 1, not ${count}`);
  return count;
}

/** A number from 0 to 1. */
export function readFraction(value: unknown, path: string): number {
  const fraction = readNumber(value, path);
  if (fraction < 0 || fraction > 1) throw refuseField(path, `must be from 0 to 1, not ${fraction}`);
  return fraction;
}

/** One of a few words. */
export function readWord<Word extends string>(value: unknown, path: string, words: readonly Word[]): Word {
  const text = readText(value, path);
  const word = words.find((candidate) => candidate === text);
  if (word !== undefined) return word;
  throw refuseField(path, `must be ${words.join(", ")}, not ${quote(text)}`);
}

export function readList<T>(value: unknown, path: string, readItem: Read<T>): readonly T[] {
  if (!Array.isArray(value)) throw wrongType(value, path, "a list");
  const list: T[] = [];
  for (const [index, item] of value.entries()) list.push(readItem(item, `${path}[${index}]`));
  return list;
}

/** A list of at least one item. */
export function readSome<T>(value: unknown, path: string, readItem: Read<T>): readonly T[] {
  const list = readList(value, path, readItem);
  if (list.length === 0) throw refuseField(path, "must have at least one item");
  return list;
}

/** Any JSON, kept as it is: a schema, a tool's input. */
export function readDocument(value: unknown, path: string): JsonValue {
  if (!isJsonValue(value)) throw wrongType(value, path, "a JSON value");
  const fault = findFault(value, 1);
  if (fault !== undefined) throw refuseField(clip(path + fault.path), fault.reason);
  return value;
}

/** A JSON object, kept as it is. */
export function readJsonObject(value: unknown, path: string): JsonObject {
  if (!isJsonObject(value)) throw wrongType(value, path, "an object");
  readDocument(value, path);
  return value;
}

/** The members of an object that are none of the known ones, each kept as it is. */
export function readRest(fields: Fields, known: ReadonlySet<string>, path = ""): JsonObject {
  const rest: [string, JsonValue][] = [];
  for (const [name, member] of Object.entries(fields)) {
    if (known.has(name) || member == null) continue;
    const place = at(path, name);
    if (name === "__proto__") throw refuseField(place, "is a name that is not accepted");
    rest.push([name, readDocument(member, place)]);
  }
  return Object.fromEntries(rest);
}

interface Fault {
  readonly path: string;
  readonly reason: string;
}

/** What would not survive being walked and written again. The path is built only when there is something to say. */
function findFault(value: JsonValue, depth: number): Fault | undefined {
  if (typeof value === "number" && !Number.isFinite(value)) return { path: "", reason: "is a number out of range" };
  if (typeof value !== "object" || value === null) return undefined;
  if (depth > maxDocumentDepth) return { path: "", reason: `is nested deeper than ${maxDocumentDepth} levels` };
  if (!isJsonObject(value)) {
    for (const [index, item] of value.entries()) {
      const fault = findFault(item, depth + 1);
      if (fault !== undefined) return { path: `[${index}]${fault.path}`, reason: fault.reason };
    }
    return undefined;
  }
  for (const [name, member] of Object.entries(value)) {
    if (name === "__proto__") return { path: `.${name}`, reason: "is a name that is not accepted" };
    const fault = findFault(member, depth + 1);
    if (fault !== undefined) return { path: at("", name).replace(/^(?!\[)/, ".") + fault.path, reason: fault.reason };
  }
  return undefined;
}

/** The refusal of a value of the wrong type, or of one that is missing. */
export function wrongType(value: unknown, path: string, wanted: string): Error {
  if (value == null) return refuseField(path, `is required and must be ${wanted}`);
  return refuseField(path, `must be ${wanted}, not ${describe(value)}`);
}

function describe(value: unknown): string {
  if (Array.isArray(value)) return "a list";
  if (typeof value === "string") return "a string";
  if (typeof value === "number" || typeof value === "boolean") return String(value);
  return "an object";
}

/** A client's text as it may stand in a message. */
export function quote(text: string): string {
  return JSON.stringify(text.length <= maxQuotedLength ? text : `${text.slice(0, maxQuotedLength)}…`);
}

function clip(path: string): string {
  const most = 200;
  return path.length <= most ? path : `${path.slice(0, most)}…`;
}
