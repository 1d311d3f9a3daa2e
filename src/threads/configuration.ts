/** The configuration with everything that can be said about it before it is in force. */
import { embeddingForm } from "../bedrock/embedding-bodies.ts";
import { embedsAtOwner } from "../cache/embedder.ts";
import { type CheckConfig, type Loaded, loadConfig } from "../config/load.ts";
import type { Config, ProviderConfig } from "../config/schema.ts";
import type { Settings } from "../config/settings.ts";
import { checkGovernance } from "../governance/check.ts";
import { dialects } from "../providers/dialects.ts";
import { dialectNameFor, providerTable } from "../providers/table.ts";

/** @throws ConfigError naming the path of each wrong or unknown field */
export function loadConfiguration(settings: Pick<Settings, "configPath">): Promise<Loaded> {
  return loadConfig(settings, process.env, providerTable, (config) => [
    ...checkGovernance(config.governance).map(({ path, message }) => ({ path: ["governance", ...path], message })),
    ...checkEmbedding(config),
  ]);
}

/** An embedder that is not built in has to be a provider that is configured and makes embeddings. */
function checkEmbedding({ semantic_cache: { enabled, embedding }, providers }: Config): ReturnType<CheckConfig> {
  const { provider: name } = embedding;
  if (!enabled || embedsAtOwner(embedding)) return [];
  const at = (message: string) => [{ path: ["semantic_cache", "embedding", "provider"], message }];
  const provider = Object.hasOwn(providers, name) ? providers[name] : undefined;
  if (provider === undefined) return at(`must be lexical, local, or a configured provider; ${name} is none`);
  if (makesEmbeddings(provider, embedding.embedding_model)) return [];
  return at(`the provider ${name} makes no embeddings with the model ${embedding.embedding_model}`);
}

function makesEmbeddings(provider: ProviderConfig, model: string | null): boolean {
  if (provider.kind === "mock") return false;
  if (provider.kind === "bedrock") return embeddingForm(model ?? "") !== undefined;
  const dialect = dialectNameFor({ kind: provider.type, model: model ?? "" });
  return dialect !== undefined && dialects[dialect].embed !== undefined;
}
