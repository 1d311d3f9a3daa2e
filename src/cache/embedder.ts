/** From text to vector, by whatever means. */
import type { SemanticCacheConfig } from "../config/cache.ts";
import { embedLexically, lexicalVersion } from "./lexical.ts";
import { checkedVector } from "./partition-index.ts";

export interface Embedder {
  /** Names the embedder, its model and dimension: vectors of different spaces are never compared. */
  readonly space: string;
  /**
   * @returns a vector of length 1
   * @throws (as a rejection) whatever went wrong, and the signal's reason
   */
  embed(text: string, signal: AbortSignal): Promise<Float32Array>;
}

export type EmbeddingSettings = SemanticCacheConfig["embedding"];

/** Where embedding happens: beside the indexes, or on the front end, which can call providers. */
export function embedsAtOwner({ provider }: EmbeddingSettings): boolean {
  return provider === "lexical" || provider === "local";
}

export function spaceOf({ provider, embedding_model: model, model_path: path, dimension }: EmbeddingSettings): string {
  if (provider === "lexical") return JSON.stringify(["lexical", lexicalVersion, dimension]);
  return JSON.stringify([provider, provider === "local" ? path : model, dimension]);
}

export function lexicalEmbedder(settings: EmbeddingSettings): Embedder {
  return {
    space: spaceOf(settings),
    embed: async (text) => checkedVector(embedLexically(text, settings.dimension), settings.dimension),
  };
}

/**
 * An embedder that asks a provider.
 *
 * @param call what the provider's model gives for a text: numbers of any scale
 */
export function remoteEmbedder(
  settings: EmbeddingSettings,
  call: (text: string, signal: AbortSignal) => Promise<ArrayLike<number>>,
): Embedder {
  return {
    space: spaceOf(settings),
    embed: async (text, signal) => checkedVector(await call(text, signal), settings.dimension),
  };
}

/** Too late. */
export class TimeCap extends Error {
  override readonly name = "TimeCap";

  constructor(ms: number) {
    super(`no answer within ${Math.round(ms)} ms`);
  }
}

/**
 * Waits for work, but no longer than `ms` and no longer than the signal allows, even when the work heeds neither.
 *
 * @throws (as a rejection) TimeCap, the signal's reason, or what the work threw
 */
export async function within<T>(
  ms: number,
  signal: AbortSignal | undefined,
  work: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  signal?.throwIfAborted();
  const controller = new AbortController();
  let leave: (reason: unknown) => void = () => undefined;
  const left = new Promise<never>((_resolve, reject) => {
    leave = (reason) => {
      controller.abort(reason);
      reject(reason);
    };
  });
  const onAbort = () => leave(signal?.reason);
  signal?.addEventListener("abort", onAbort);
  const timer = setTimeout(() => leave(new TimeCap(ms)), ms);
  try {
    return await Promise.race([work(controller.signal), left]);
  } finally {
    clearTimeout(timer);
    signal?.removeEventListener("abort", onAbort);
  }
}
