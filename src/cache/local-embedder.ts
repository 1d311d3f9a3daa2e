/** A sentence-transformer in ONNX that runs on this machine: BERT's tokenizer, the mean of the last layer, length 1. */
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { type Embedder, type EmbeddingSettings, spaceOf } from "./embedder.ts";
import { checkedVector } from "./partition-index.ts";
import { WordPiece } from "./wordpiece.ts";

/** Not a dependency: two hundred megabytes that only this embedder needs. */
const runtimeName: string = "onnxruntime-node";
/** What sentence-transformers read of a text. */
const maxPieces = 256;
/** One core and no more: the others are for requests. */
const oneThread: SessionOptions = { intraOpNumThreads: 1, interOpNumThreads: 1 };

/** As much of onnxruntime-node as is used here. */
interface Runtime {
  readonly Tensor: new (type: "int64", data: BigInt64Array, shape: readonly number[]) => unknown;
  readonly InferenceSession: { create(path: string, options: SessionOptions): Promise<Session> };
}

interface SessionOptions {
  readonly intraOpNumThreads: number;
  readonly interOpNumThreads: number;
}

interface Session {
  readonly inputNames: readonly string[];
  readonly outputNames: readonly string[];
  run(feeds: Readonly<Record<string, unknown>>): Promise<Readonly<Record<string, unknown>>>;
}

/** Why there is no local embedder, and what to do. */
export class NoLocalEmbedder extends Error {
  override readonly name = "NoLocalEmbedder";
}

/**
 * Opens the model in `model_path`: `model.onnx` (or `onnx/model.onnx`) and `vocab.txt`.
 *
 * @param importModule loads onnxruntime-node
 * @throws (as a rejection) NoLocalEmbedder
 */
export async function loadLocalEmbedder(
  settings: EmbeddingSettings,
  importModule: (name: string) => Promise<unknown> = (name) => import(name),
): Promise<Embedder> {
  const folder = settings.model_path;
  if (folder === null) throw new NoLocalEmbedder("semantic_cache.embedding.model_path is missing");
  const runtime = await loadRuntime(importModule);
  const words = await loadTokenizer(folder);
  const session = await openModel(runtime, folder);
  return {
    space: spaceOf(settings),
    embed: async (text) => {
      const ids = words.encode(text, maxPieces);
      const output = await session.run(feedsFor(runtime, session, ids));
      return checkedVector(meanOf(output[session.outputNames[0] ?? ""], ids.length), settings.dimension);
    },
  };
}

async function loadRuntime(importModule: (name: string) => Promise<unknown>): Promise<Runtime> {
  let loaded: unknown;
  try {
    loaded = await importModule(runtimeName);
  } catch (error) {
    const hint = `semantic_cache.embedding.provider "local" needs the package ${runtimeName}: npm install ${runtimeName}`;
    throw new NoLocalEmbedder(hint, { cause: error });
  }
  for (const candidate of [loaded, isObject(loaded) ? loaded.default : undefined]) {
    if (isRuntime(candidate)) return candidate;
  }
  throw new NoLocalEmbedder(`the installed ${runtimeName} has no InferenceSession`);
}

async function loadTokenizer(folder: string): Promise<WordPiece> {
  let vocabulary: string;
  try {
    vocabulary = await readFile(join(folder, "vocab.txt"), "utf8");
  } catch (error) {
    throw new NoLocalEmbedder(`there is no ${join(folder, "vocab.txt")}: only BERT's tokenizer is known`, {
      cause: error,
    });
  }
  const lowerCase = await isLowerCase(folder);
  try {
    return new WordPiece(vocabulary, lowerCase);
  } catch (error) {
    throw new NoLocalEmbedder(`${join(folder, "vocab.txt")}: ${String(error)}`, { cause: error });
  }
}

/** Models without the file, or without the setting, are of the lower-case kind. */
async function isLowerCase(folder: string): Promise<boolean> {
  let text: string;
  try {
    text = await readFile(join(folder, "tokenizer_config.json"), "utf8");
  } catch {
    // The file is optional.
    return true;
  }
  try {
    const settings: unknown = JSON.parse(text);
    return !(isObject(settings) && settings.do_lower_case === false);
  } catch (error) {
    throw new NoLocalEmbedder(`${join(folder, "tokenizer_config.json")}: ${String(error)}`, { cause: error });
  }
}

async function openModel(runtime: Runtime, folder: string): Promise<Session> {
  const failures: unknown[] = [];
  for (const file of [join(folder, "model.onnx"), join(folder, "onnx", "model.onnx")]) {
    try {
      return await runtime.InferenceSession.create(file, oneThread);
    } catch (error) {
      failures.push(error);
    }
  }
  throw new NoLocalEmbedder(`there is no usable model.onnx in ${folder}: ${failures.map(String).join("; ")}`, {
    cause: failures[0],
  });
}

function feedsFor(runtime: Runtime, session: Session, ids: readonly number[]): Record<string, unknown> {
  const tensor = (values: readonly number[]) =>
    new runtime.Tensor(
      "int64",
      BigInt64Array.from(values, (value) => BigInt(value)),
      [1, ids.length],
    );
  const known: Readonly<Record<string, () => unknown>> = {
    input_ids: () => tensor(ids),
    attention_mask: () => tensor(ids.map(() => 1)),
    token_type_ids: () => tensor(ids.map(() => 0)),
  };
  return Object.fromEntries(session.inputNames.map((name) => [name, known[name]?.()]));
}

/** @param tensor one vector for each piece, or one for the whole text */
function meanOf(tensor: unknown, pieces: number): Float32Array {
  if (!isObject(tensor) || !(tensor.data instanceof Float32Array)) throw new Error("the model's answer is no vector");
  const { data } = tensor;
  if (!Array.isArray(tensor.dims) || tensor.dims.length !== 3) return data;
  const dimension = data.length / pieces;
  const sum = new Float32Array(dimension);
  for (const [index, value] of data.entries()) sum[index % dimension] = (sum[index % dimension] ?? 0) + value;
  return sum;
}

function isRuntime(value: unknown): value is Runtime {
  return isObject(value) && "InferenceSession" in value && "Tensor" in value;
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return (typeof value === "object" || typeof value === "function") && value !== null;
}
