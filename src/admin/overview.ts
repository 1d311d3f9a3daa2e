/** The configuration file as it is in force, without secrets. */
import type { Config } from "../config/schema.ts";
import type { Document } from "../store/store.ts";
import { mask } from "./mask.ts";

export function showProviders({ providers }: Config): Document {
  const shown = Object.entries(providers).map(([name, provider]) => {
    if (provider.kind === "mock") return { name, type: "mock", keys: 0 };
    const { load_balancing, network_config, keys } = provider;
    const type = provider.kind === "bedrock" ? "bedrock" : provider.type;
    return { name, type, load_balancing, network_config: mask(network_config), keys: keys.length };
  });
  return { providers: shown };
}

export function showKeys({ providers }: Config): Document {
  const shown = Object.entries(providers).flatMap(([name, provider]) =>
    "keys" in provider ? provider.keys.map((key) => ({ provider: name, ...maskedFields(key) })) : [],
  );
  return { keys: shown };
}

export function showConfig(config: Config): unknown {
  return mask(config);
}

function maskedFields(value: object): Document {
  return Object.fromEntries(Object.entries(value).map(([name, member]) => [name, mask(member, name)]));
}
