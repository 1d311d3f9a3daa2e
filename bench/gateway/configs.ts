/** The gateways that are measured: one configuration each, all in front of the fake upstream as Bedrock and as OpenAI. */
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { relayConfig } from "../../test/support/gateway.ts";
import { planPrefix } from "../load/traffic.ts";

/**
 * - `bare`: no virtual keys
 * - `standard`: a virtual key with one budget and one rate limit
 * - `governed`: a virtual key and its team, with two budgets and two rate limits
 * - `observed`: `standard`, with the request log on and traces of one request in ten
 * - `ungoverned`, `unobserved`: `bare` and `standard` as their twins, which see only what the other sees
 * - `crowd`, `large`: `standard`, for very many connections and for very large bodies: what they leave behind is not to
 *   weigh on other measurements
 */
export const gatewayNames = [
  "bare",
  "standard",
  "ungoverned",
  "governed",
  "unobserved",
  "observed",
  "crowd",
  "large",
] as const;
export type GatewayName = (typeof gatewayNames)[number];

export const root = fileURLToPath(new URL("../..", import.meta.url));

/** The compiled gateway. */
export const gatewayEntry = join(root, "dist", "server.js");

/** A second OpenAI, for upstreams that fail. */
export const failingProvider = "failing";

const virtualKey = "sk-bf-bench";
const unobserved = { request_log: { enabled: false } };
const tracedPart = 0.1;
const tooMuch = 1_000_000_000;

/** Sent with every request to that gateway. */
export function headersFor(name: GatewayName): Readonly<Record<string, string>> {
  return name === "bare" || name === "ungoverned" ? {} : { "x-bf-vk": virtualKey };
}

/** @param origin of the fake upstream */
export function configFor(name: GatewayName, origin: string): object {
  switch (name) {
    case "bare":
    case "ungoverned":
      return gateway(origin, { observability: unobserved });
    case "standard":
    case "unobserved":
    case "crowd":
    case "large":
      return gateway(origin, { governance: oneBudget(), observability: unobserved });
    case "governed":
      return gateway(origin, { governance: twoBudgets(), observability: unobserved });
    case "observed":
      return gateway(origin, {
        governance: oneBudget(),
        observability: { request_log: { enabled: true }, otel: { endpoint: origin, sample_ratio: tracedPart } },
      });
  }
}

function gateway(origin: string, more: object): object {
  const network = { max_retries: 0, max_conns_per_host: 10_000 };
  const openai = {
    keys: [{ name: "main", value: "sk-bench", models: ["*"] }],
    network_config: { ...network, base_url: origin },
  };
  // What fails on purpose has a provider of its own: its key rests while nobody else's does.
  const failing = { ...openai, custom_provider_config: { base_provider_type: "openai" } };
  const config = relayConfig(origin, { network, more });
  const bedrock = "providers" in config && typeof config.providers === "object" ? config.providers : {};
  return { ...config, providers: { ...bedrock, openai, [failingProvider]: failing } };
}

function oneBudget(): object {
  return { virtual_keys: [{ ...key(), budgets: [budget()], rate_limit: limit() }], ...prices() };
}

function twoBudgets(): object {
  return {
    teams: [{ id: "team", name: "team", budgets: [budget()], rate_limit: limit() }],
    virtual_keys: [{ ...key(), team_id: "team", budgets: [budget()], rate_limit: limit() }],
    ...prices(),
  };
}

function key(): object {
  return { id: "app", name: "app", value: virtualKey, allow_all_providers: true };
}

function budget(): object {
  return { max_limit: tooMuch, reset_duration: "1d" };
}

function limit(): object {
  return {
    request_max_limit: tooMuch,
    request_reset_duration: "1d",
    token_max_limit: tooMuch * 1000,
    token_reset_duration: "1d",
  };
}

/** For the models that tell the fake what to do: a budget has nothing to do with a model without a price. */
function prices(): object {
  const cost = { input_cost_per_token: 0.000_001, output_cost_per_token: 0.000_002 };
  return { pricing_overrides: [{ model: `${planPrefix}*`, match_type: "wildcard", ...cost }] };
}
