/** `env.NAME` in the configuration file stands for the value of that environment variable. */
import { pathText } from "./problems.ts";

const reference = /^env\.([A-Za-z_][A-Za-z0-9_]*)$/;

/**
 * Puts values in the place of all references.
 *
 * @param value what `JSON.parse` gave
 * @param problems takes a line for each variable that is not set
 */
export function resolveReferences(
  value: unknown,
  environment: NodeJS.ProcessEnv,
  problems: string[],
  path: readonly PropertyKey[] = [],
): unknown {
  if (typeof value === "string") {
    const name = reference.exec(value)?.[1];
    if (name === undefined) return value;
    const found = environment[name];
    if (found !== undefined) return found;
    problems.push(`${pathText(path)}: the environment variable ${name} is not set`);
    return value;
  }
  if (Array.isArray(value))
    return value.map((item, index) => resolveReferences(item, environment, problems, [...path, index]));
  if (typeof value !== "object" || value === null) return value;
  const entries = Object.entries(value).map(([name, member]): [string, unknown] => [
    name,
    resolveReferences(member, environment, problems, [...path, name]),
  ]);
  return Object.fromEntries(entries);
}
