/** From the file, or from what the environment holds, to the configuration in force. */
import { readFile } from "node:fs/promises";
import { ZodError, type z } from "zod";
import { ConfigError, pathText } from "./problems.ts";
import { resolveReferences } from "./references.ts";
import {
  type Config,
  customSchema,
  fileSchema,
  type Named,
  type ProviderConfig,
  providerSchemas,
  type TranslatedConfig,
} from "./schema.ts";
import type { Settings } from "./settings.ts";

/** What the configuration has to know of the providers that are built in, beside Bedrock and the mock. */
export interface Catalogue {
  readonly [type: string]: {
    /** Undefined when only the operator knows it. */
    readonly baseUrl: string | undefined;
    readonly keyOptional: boolean;
    /** The environment variable that holds its key. */
    readonly environment: string | undefined;
  };
}

/** What only others can check: the references between entities, expressions, patterns. */
export type CheckConfig = (
  config: Config,
) => readonly { readonly path: readonly PropertyKey[]; readonly message: string }[];

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
  catalogue: Catalogue,
  check: CheckConfig = () => [],
): Promise<Loaded> {
  if (settings.configPath !== undefined) {
    const config = readConfig(await readJson(settings.configPath), environment, catalogue);
    const problems = check(config);
    if (problems.length > 0)
      throw new ConfigError(problems.map(({ path, message }) => `${pathText(path)}: ${message}`));
    return Object.keys(config.providers).length > 0 ? { config, source: "file" } : withMock(config);
  }
  const found = providersOf(environment, catalogue);
  const config = readConfig({ providers: found }, environment, catalogue);
  return Object.keys(found).length > 0 ? { config, source: "environment" } : withMock(config);
}

/**
 * Reads a configuration from the value of its JSON.
 *
 * @throws ConfigError
 */
export function readConfig(json: unknown, environment: NodeJS.ProcessEnv, catalogue: Catalogue): Config {
  const problems: string[] = [];
  const resolved = resolveReferences(json, environment, problems);
  const file = parse(fileSchema, resolved, [], problems);
  const providers: [string, ProviderConfig][] = [];
  // From what was written, so that a fault elsewhere does not hide those of the providers.
  const written = isObject(resolved) && isObject(resolved.providers) ? resolved.providers : {};
  for (const [name, value] of Object.entries(written)) {
    const provider = readProvider(name, value, catalogue, problems);
    if (provider !== undefined) providers.push([name, provider]);
  }
  if (file === undefined || problems.length > 0) throw new ConfigError(problems);
  const { $schema: _editorOnly, ...rest } = file;
  return { ...rest, providers: Object.fromEntries(providers) };
}

function readProvider(
  name: string,
  value: unknown,
  catalogue: Catalogue,
  problems: string[],
): ProviderConfig | undefined {
  const path = ["providers", name];
  if (!/^[\w.-]+$/.test(name)) {
    problems.push(`${pathText(path)}: a provider's name must consist of letters, digits, dots, dashes and underscores`);
    return undefined;
  }
  const { custom_provider_config: custom, ...own } = isObject(value) ? value : {};
  const type = typeOf(name, custom, path, catalogue, problems);
  if (type === undefined) return undefined;
  const body = isObject(value) ? own : value;
  switch (type) {
    case "mock": {
      const mock = parse(providerSchemas.mock, body, path, problems);
      return mock && { kind: "mock", ...mock };
    }
    case "bedrock": {
      const bedrock = parse(providerSchemas.bedrock, body, path, problems);
      return bedrock && { kind: "bedrock", ...bedrock, keys: named(bedrock.keys, [...path, "keys"], problems) };
    }
    default: {
      const read = parse(providerSchemas.translated, body, path, problems);
      if (read === undefined) return undefined;
      const keys = named(read.keys, [...path, "keys"], problems);
      const provider: TranslatedConfig = { kind: "translated", type, ...read, keys };
      checkReach(provider, catalogue, path, problems);
      return provider;
    }
  }
}

function typeOf(
  name: string,
  custom: unknown,
  path: readonly PropertyKey[],
  catalogue: Catalogue,
  problems: string[],
): string | undefined {
  const types = ["bedrock", "mock", ...Object.keys(catalogue)];
  if (custom == null) {
    if (types.includes(name)) return name;
    problems.push(
      `${pathText(path)}: is not a known provider (${types.join(", ")}); ` +
        "a name of your own needs custom_provider_config.base_provider_type",
    );
    return undefined;
  }
  const customPath = [...path, "custom_provider_config"];
  if (types.includes(name)) {
    problems.push(`${pathText(customPath)}: ${name} is a provider of its own kind already`);
    return undefined;
  }
  const type = parse(customSchema, custom, customPath, problems)?.base_provider_type;
  if (type === undefined || types.includes(type)) return type;
  problems.push(`${pathText([...customPath, "base_provider_type"])}: must be one of ${types.join(", ")}`);
  return undefined;
}

/** Sees that every key knows where to go, and with which credential. */
function checkReach(
  { type, keys, network_config: network }: TranslatedConfig,
  catalogue: Catalogue,
  path: readonly PropertyKey[],
  problems: string[],
): void {
  const known = catalogue[type];
  for (const [index, key] of keys.entries()) {
    const keyPath = [...path, "keys", index];
    if (type === "vertex") {
      if (key.vertex_key_config == null) problems.push(`${pathText([...keyPath, "vertex_key_config"])}: is required`);
      continue;
    }
    if (key.value == null && known?.keyOptional !== true)
      problems.push(`${pathText([...keyPath, "value"])}: is required`);
    if (known?.baseUrl !== undefined || network.base_url !== null) continue;
    if (type !== "azure") problems.push(`${pathText([...path, "network_config", "base_url"])}: is required`);
    else if (key.azure_key_config?.endpoint == null)
      problems.push(`${pathText([...keyPath, "azure_key_config", "endpoint"])}: is required`);
  }
}

/** Gives every key its id, and sees that no id or name stands twice. */
function named<Key extends { readonly id?: string | null | undefined; readonly name: string }>(
  keys: readonly Key[],
  path: readonly PropertyKey[],
  problems: string[],
): Named<Key>[] {
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
function providersOf(environment: NodeJS.ProcessEnv, catalogue: Catalogue): Record<string, unknown> {
  const found: Record<string, unknown> = {};
  const token = environment.AWS_BEARER_TOKEN_BEDROCK;
  if (token) found.bedrock = { keys: [{ name: "environment", value: token }] };
  else if (environment.AWS_REGION || environment.AWS_PROFILE) found.bedrock = { keys: [{ name: "environment" }] };
  for (const [type, { environment: variable, baseUrl }] of Object.entries(catalogue)) {
    if (variable === undefined || baseUrl === undefined || !environment[variable]) continue;
    found[type] = { keys: [{ name: "environment", value: environment[variable] }] };
  }
  return found;
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
