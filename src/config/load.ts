/** From the file, or from what the environment holds, to the configuration in force. */
import { readFile } from "node:fs/promises";
import { ZodError, type z } from "zod";
import { ConfigError, pathText } from "./problems.ts";
import { resolveReferences } from "./references.ts";
import {
  type BedrockKeyConfig,
  type Config,
  customSchema,
  fileSchema,
  type ProviderConfig,
  type ProviderKind,
  providerKinds,
} from "./schema.ts";
import type { Settings } from "./settings.ts";

export interface Loaded {
  readonly config: Config;
  /** Where the providers come from; `none`: there are none, so the mock provider answers for every model. */
  readonly source: "file" | "environment" | "none";
}

/**
 * Loads the configuration.
 *
 * @throws ConfigError naming the path of each wrong or unknown field
 */
export async function loadConfig(
  settings: Pick<Settings, "configPath">,
  environment: NodeJS.ProcessEnv,
): Promise<Loaded> {
  if (settings.configPath !== undefined) {
    const config = readConfig(await readJson(settings.configPath), environment);
    return Object.keys(config.providers).length > 0 ? { config, source: "file" } : withMock(config);
  }
  const found = providersOf(environment);
  const config = readConfig({ providers: found }, environment);
  return Object.keys(found).length > 0 ? { config, source: "environment" } : withMock(config);
}

/**
 * Reads a configuration from the value of its JSON.
 *
 * @throws ConfigError
 */
export function readConfig(json: unknown, environment: NodeJS.ProcessEnv): Config {
  const problems: string[] = [];
  const resolved = resolveReferences(json, environment, problems);
  const file = parse(fileSchema, resolved, [], problems);
  const providers: [string, ProviderConfig][] = [];
  // From what was written, so that a fault elsewhere does not hide those of the providers.
  const written = isObject(resolved) && isObject(resolved.providers) ? resolved.providers : {};
  for (const [name, value] of Object.entries(written)) {
    const provider = readProvider(name, value, problems);
    if (provider !== undefined) providers.push([name, provider]);
  }
  if (file === undefined || problems.length > 0) throw new ConfigError(problems);
  const { $schema: _editorOnly, ...rest } = file;
  return { ...rest, providers: Object.fromEntries(providers) };
}

function readProvider(name: string, value: unknown, problems: string[]): ProviderConfig | undefined {
  const path = ["providers", name];
  if (!/^[\w.-]+$/.test(name)) {
    problems.push(`${pathText(path)}: a provider's name must consist of letters, digits, dots, dashes and underscores`);
    return undefined;
  }
  const { custom_provider_config: custom, ...own } = isObject(value) ? value : {};
  const kind = kindOf(name, custom, path, problems);
  if (kind === undefined) return undefined;
  const body = isObject(value) ? own : value;
  if (kind === "mock") {
    const mock = parse(providerKinds.mock, body, path, problems);
    return mock && { kind, ...mock };
  }
  const bedrock = parse(providerKinds.bedrock, body, path, problems);
  return bedrock && { kind, ...bedrock, keys: named(bedrock.keys, [...path, "keys"], problems) };
}

function kindOf(
  name: string,
  custom: unknown,
  path: readonly PropertyKey[],
  problems: string[],
): ProviderKind | undefined {
  const builtIn = name === "bedrock" || name === "mock" ? name : undefined;
  if (custom == null) {
    if (builtIn !== undefined) return builtIn;
    const known = Object.keys(providerKinds).join(", ");
    problems.push(
      `${pathText(path)}: is not a provider of this version (${known}); ` +
        "a name of your own needs custom_provider_config.base_provider_type",
    );
    return undefined;
  }
  if (builtIn !== undefined) {
    problems.push(`${pathText([...path, "custom_provider_config"])}: ${name} is a provider of its own kind already`);
    return undefined;
  }
  return parse(customSchema, custom, [...path, "custom_provider_config"], problems)?.base_provider_type;
}

/** Gives every key its id, and sees that no id or name stands twice. */
function named(
  keys: z.output<typeof providerKinds.bedrock>["keys"],
  path: readonly PropertyKey[],
  problems: string[],
): BedrockKeyConfig[] {
  const ids = new Set<string>();
  const names = new Set<string>();
  return keys.map((key, index) => {
    const id = key.id ?? key.name.toLowerCase().replace(/[^a-z0-9_-]+/g, "-");
    if (names.has(key.name)) problems.push(`${pathText([...path, index, "name"])}: another key has the same name`);
    else if (ids.has(id)) problems.push(`${pathText([...path, index, "id"])}: another key has the same id`);
    names.add(key.name);
    ids.add(id);
    return { ...key, id };
  });
}

/** What a gateway without a file finds to serve with. */
function providersOf(environment: NodeJS.ProcessEnv): Record<string, unknown> {
  const token = environment.AWS_BEARER_TOKEN_BEDROCK;
  if (!token && !environment.AWS_REGION && !environment.AWS_PROFILE) return {};
  return { bedrock: { keys: [token ? { name: "environment", value: token } : { name: "environment" }] } };
}

function withMock(config: Config): Loaded {
  return { config: { ...config, providers: { mock: { kind: "mock", rules: [] } } }, source: "none" };
}

async function readJson(path: string): Promise<unknown> {
  let text: string;
  try {
    text = await readFile(path, "utf8");
  } catch (error) {
    const code = error instanceof Error && "code" in error ? String(error.code) : "unknown reason";
    throw new ConfigError([`${path}: cannot be read (${code})`]);
  }
  try {
    return JSON.parse(text.replace(/^\uFEFF/, ""));
  } catch (error) {
    throw new ConfigError([`${path}: is not JSON${positionOf(error)}`]);
  }
}

/** Where the parser stopped, without the text around it, which may hold a secret. */
function positionOf(error: unknown): string {
  const place = error instanceof Error ? /line \d+ column \d+|position \d+/.exec(error.message)?.[0] : undefined;
  return place === undefined ? "" : ` (at ${place})`;
}

function parse<Schema extends z.ZodType>(
  schema: Schema,
  value: unknown,
  path: readonly PropertyKey[],
  problems: string[],
): z.output<Schema> | undefined {
  const result = schema.safeParse(value);
  if (result.success) return result.data;
  problems.push(...describe(result.error, path));
  return undefined;
}

function describe(error: ZodError, path: readonly PropertyKey[]): string[] {
  return error.issues.flatMap((issue) => {
    if (issue.code === "unrecognized_keys")
      return issue.keys.map((key) => `${pathText([...path, ...issue.path, key])}: is not a known field`);
    if (issue.code === "invalid_union" && issue.errors.length > 0)
      return describe(new ZodError([...closest(issue.errors)]), [...path, ...issue.path]);
    return [`${pathText([...path, ...issue.path])}: ${plain(issue.message)}`];
  });
}

/** Of a union's alternatives, the one with the least to complain about. */
function closest(errors: readonly (readonly z.core.$ZodIssue[])[]): readonly z.core.$ZodIssue[] {
  return errors.reduce((best, candidate) => (candidate.length < best.length ? candidate : best));
}

function plain(message: string): string {
  return message.charAt(0).toLowerCase() + message.slice(1);
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
