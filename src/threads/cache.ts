/** The supervisor's side of the cache: its owner's thread runs while the configuration wants it. */
import { loadLocalEmbedder, NoLocalEmbedder } from "../cache/local-embedder.ts";
import type { Ask } from "../cache/messages.ts";
import { type OwnerThread, startOwner } from "../cache/owner-thread.ts";
import type { SemanticCacheConfig } from "../config/cache.ts";
import { ConfigError } from "../config/problems.ts";
import { taskFile } from "./worker-pool.ts";

export interface CacheThreadOptions {
  /** BIFROST_DATA_DIR; null keeps entries in memory only. */
  readonly folder: string | null;
  /** 32 bytes that what is saved is encrypted with; null saves it in the clear. */
  readonly key: Uint8Array | null;
  readonly onProblem: (message: string) => void;
}

export class CacheThread {
  readonly #options: CacheThreadOptions;
  #owner: OwnerThread | undefined;

  constructor(options: CacheThreadOptions) {
    this.#options = options;
  }

  /**
   * Sees whether a configuration's embedder is there, before it is in force.
   *
   * @throws (as a rejection) ConfigError
   */
  async check({ enabled, embedding }: SemanticCacheConfig): Promise<void> {
    if (!enabled || embedding.provider !== "local") return;
    try {
      await loadLocalEmbedder(embedding);
    } catch (error) {
      if (error instanceof NoLocalEmbedder) throw new ConfigError([`semantic_cache.embedding: ${error.message}`]);
      throw error;
    }
  }

  /** Puts a configuration in force: starts the owner, tells it, or ends it. */
  async use(config: SemanticCacheConfig): Promise<void> {
    if (!config.enabled) {
      const owner = this.#owner;
      this.#owner = undefined;
      await owner?.close();
    } else if (this.#owner === undefined) {
      const { folder, key, onProblem } = this.#options;
      this.#owner = startOwner({ ...taskFile("vector-index"), config, folder, key, onProblem });
    } else this.#owner.configure(config);
  }

  /** For front ends. Without an owner it fails, which is a miss to them. */
  readonly ask: Ask = async (message) => this.#running().ask(message);

  /** Undefined while the cache is off. */
  get owner(): OwnerThread | undefined {
    return this.#owner;
  }

  async close(): Promise<void> {
    await this.#owner?.close();
  }

  #running(): OwnerThread {
    if (this.#owner === undefined) throw new Error("the cache is off");
    return this.#owner;
  }
}
