/** What the configuration's `client` section asks of every request: headers that must be there, origins, sizes. */
import { BedrockError } from "../bedrock/errors.ts";
import type { ClientConfig } from "../config/schema.ts";
import type { Exchange, ReplyHeaders, RequestHeaders } from "../http/exchange.ts";
import type { HeaderFilter } from "./headers.ts";

export interface CompiledPolicy {
  readonly maxBodyBytes: number;
  readonly headerFilter: HeaderFilter;
  readonly required: readonly RequiredHeader[];
  readonly origins: ReadonlySet<string>;
}

interface RequiredHeader {
  readonly name: string;
  readonly allows: (value: string) => boolean;
}

const patternPrefix = "regex:";

export function compilePolicy(client: ClientConfig): CompiledPolicy {
  const named = Array.isArray(client.required_headers)
    ? client.required_headers.map((name): [string, string] => [name, "*"])
    : Object.entries(client.required_headers);
  return {
    maxBodyBytes: client.max_request_body_size_mb * 1024 * 1024,
    headerFilter: client.header_filter,
    required: named.map(([name, rule]) => ({ name: name.toLowerCase(), allows: compileRule(rule) })),
    origins: new Set(client.allowed_origins),
  };
}

/** `*` asks for presence, `regex:…` for a value that matches as a whole, anything else for that very value. */
function compileRule(rule: string): (value: string) => boolean {
  if (rule === "*") return () => true;
  if (!rule.startsWith(patternPrefix)) return (value) => value === rule;
  const pattern = new RegExp(`^(?:${rule.slice(patternPrefix.length)})$`);
  return (value) => pattern.test(value);
}

/** @throws BedrockError ValidationException that names every missing or unfit header */
export function checkRequiredHeaders(headers: RequestHeaders, policy: CompiledPolicy): void {
  const unfit = policy.required.filter(({ name, allows }) => {
    const value = headers.get(name);
    return value === undefined || !allows(value);
  });
  if (unfit.length === 0) return;
  const names = unfit.map(({ name }) => name).join(", ");
  throw new BedrockError("ValidationException", `Required headers are missing or have another value: ${names}.`);
}

/** What lets a page of an allowed origin read the answer; nothing for others. */
export function corsHeaders(origin: string | undefined, policy: CompiledPolicy): ReplyHeaders {
  if (origin === undefined || !(policy.origins.has(origin) || policy.origins.has("*"))) return [];
  return [
    ["access-control-allow-origin", origin],
    ["access-control-expose-headers", "*"],
    ["vary", "origin"],
  ];
}

/** Answers a browser's question before a request, for allowed origins. */
export function preflight(exchange: Exchange, cors: ReplyHeaders): boolean {
  if (exchange.method !== "OPTIONS" || cors.length === 0 || !exchange.headers.has("access-control-request-method"))
    return false;
  const asked = exchange.headers.get("access-control-request-headers");
  exchange.reply(
    204,
    [
      ...cors,
      ["access-control-allow-methods", "GET, POST, PUT, HEAD, DELETE"],
      ...(asked === undefined ? [] : ([["access-control-allow-headers", asked]] as const)),
      ["access-control-max-age", "600"],
    ],
    "",
  );
  return true;
}
