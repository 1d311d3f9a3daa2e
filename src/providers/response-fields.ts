import type { JsonObject, JsonValue } from "../bedrock/json.ts";
import { isJsonObject } from "../bedrock/json.ts";

/**
 * `additionalModelResponseFields`: the members of the provider's own answer that the client asked for, each at its own
 * path. Pointers that lead nowhere are left out, as Bedrock does; undefined when nothing is left.
 *
 * @param paths JSON pointers (RFC 6901)
 */
export function pickFields(paths: readonly string[], native: JsonValue): JsonObject | undefined {
  const picked: Tree = new Map();
  for (const path of paths) {
    const names = path
      .split("/")
      .slice(1)
      .map((name) => name.replaceAll("~1", "/").replaceAll("~0", "~"));
    const value = valueAt(native, names);
    if (value !== undefined) put(picked, names, value);
  }
  return picked.size === 0 ? undefined : toObject(picked);
}

type Tree = Map<string, Tree | { readonly value: JsonValue }>;

function valueAt(native: JsonValue, names: readonly string[]): JsonValue | undefined {
  let value: JsonValue | undefined = native;
  for (const name of names) {
    if (isJsonObject(value)) value = Object.hasOwn(value, name) ? value[name] : undefined;
    else value = Array.isArray(value) && /^(?:0|[1-9]\d*)$/.test(name) ? value[Number(name)] : undefined;
  }
  return value;
}

function put(tree: Tree, names: readonly string[], value: JsonValue): void {
  const [name, ...rest] = names;
  if (name === undefined) return;
  if (rest.length === 0) {
    tree.set(name, { value });
    return;
  }
  const known = tree.get(name);
  // A pointer to the whole says more than one to a part of it.
  if (known !== undefined && !(known instanceof Map)) return;
  const below: Tree = known ?? new Map();
  tree.set(name, below);
  put(below, rest, value);
}

function toObject(tree: Tree): JsonObject {
  return Object.fromEntries(
    [...tree].map(([name, below]) => [name, below instanceof Map ? toObject(below) : below.value]),
  );
}
