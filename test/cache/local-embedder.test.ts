import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, describe, expect, test } from "vitest";
import { loadLocalEmbedder, NoLocalEmbedder } from "../../src/cache/local-embedder.ts";
import { WordPiece } from "../../src/cache/wordpiece.ts";
import { rejection } from "../support/wait.ts";
import { configOf, temporaryFolder } from "./kit.ts";

const vocabulary = [
  "[PAD]",
  "[UNK]",
  "[CLS]",
  "[SEP]",
  "play",
  "##ing",
  "##ed",
  "un",
  "##play",
  "!",
  "cafe",
  "中",
  "国",
  "Play",
].join("\n");

const folders: (() => void)[] = [];
afterEach(() => {
  for (const clean of folders.splice(0)) clean();
});

function modelFolder(files: Readonly<Record<string, string>>): string {
  const [folder, clean] = temporaryFolder();
  folders.push(clean);
  for (const [name, text] of Object.entries(files)) {
    mkdirSync(join(folder, name, ".."), { recursive: true });
    writeFileSync(join(folder, name), text);
  }
  return folder;
}

const settingsFor = (path: string) =>
  configOf({ embedding: { provider: "local", model_path: path, dimension: 16 } }).embedding;

/** Stands for onnxruntime-node: each piece's vector has its id in all places. */
class FakeTensor {
  readonly data: BigInt64Array;
  readonly dims: readonly number[];
  constructor(_type: string, data: BigInt64Array, dims: readonly number[]) {
    this.data = data;
    this.dims = dims;
  }
}

function runtime(fed: Record<string, unknown>[] = [], path = "model.onnx") {
  return {
    Tensor: FakeTensor,
    InferenceSession: {
      create: async (file: string) => {
        if (!file.endsWith(path) || (path === "model.onnx" && file.includes("onnx/"))) throw new Error("no such file");
        return {
          inputNames: ["input_ids", "attention_mask"],
          outputNames: ["last_hidden_state"],
          run: async (feeds: { readonly input_ids: FakeTensor }) => {
            fed.push(feeds);
            const ids = [...feeds.input_ids.data].map(Number);
            const data = Float32Array.from(ids.flatMap((id) => Array.from({ length: 16 }, (_, at) => id * (at + 1))));
            return { last_hidden_state: { data, dims: [1, ids.length, 16] } };
          },
        };
      },
    },
  };
}

const missing = () => Promise.reject(new Error("Cannot find package 'onnxruntime-node'"));

describe("a local embedder", () => {
  test("feeds the pieces of a text to the model and takes the mean, with length 1", async () => {
    const fed: Record<string, unknown>[] = [];
    const settings = settingsFor(modelFolder({ "vocab.txt": vocabulary }));
    const embedder = await loadLocalEmbedder(settings, async () => ({ default: runtime(fed) }));
    const vector = await embedder.embed("Playing!", new AbortController().signal);
    expect(Object.keys(fed[0] ?? {})).toEqual(["input_ids", "attention_mask"]);
    expect(fed[0]?.input_ids).toMatchObject({ data: BigInt64Array.from([2n, 4n, 5n, 9n, 3n]), dims: [1, 5] });
    expect(Math.hypot(...vector)).toBeCloseTo(1, 5);
    expect((vector[3] ?? 0) / (vector[0] ?? 1)).toBeCloseTo(4, 5);
  });

  test("finds the model where exporters put it, and heeds the tokenizer's case", async () => {
    const fed: Record<string, unknown>[] = [];
    const folder = modelFolder({ "vocab.txt": vocabulary, "tokenizer_config.json": '{"do_lower_case":false}' });
    const embedder = await loadLocalEmbedder(settingsFor(folder), async () => runtime(fed, "onnx/model.onnx"));
    await embedder.embed("Play", new AbortController().signal);
    expect(fed[0]?.input_ids).toMatchObject({ data: BigInt64Array.from([2n, 13n, 3n]) });
  });

  test.each([
    ["onnxruntime-node is not installed", { "vocab.txt": vocabulary }, missing, /npm install onnxruntime-node/],
    ["the installed one is something else", { "vocab.txt": vocabulary }, async () => ({}), /InferenceSession/],
    ["there is no vocabulary", {}, async () => runtime(), /vocab\.txt/],
    ["there is no model", { "vocab.txt": vocabulary }, async () => runtime([], "none"), /model\.onnx/],
  ])("is refused with what to do when %s", async (_name, files, importModule, message) => {
    const error = await rejection(loadLocalEmbedder(settingsFor(modelFolder(files)), importModule));
    expect(error).toBeInstanceOf(NoLocalEmbedder);
    expect(String(error)).toMatch(message);
  });
});

describe("WordPiece", () => {
  const words = new WordPiece(vocabulary, true);

  test.each([
    ["play", [4]],
    ["unplayed", [7, 8, 6]],
    ["Café!", [10, 9]],
    ["中国", [11, 12]],
    ["xyz play", [1, 4]],
    ["playxyz", [1]],
    ["a".repeat(200), [1]],
    ["", []],
    ["\u0000\u200b", []],
  ])("splits %j into the longest known pieces", (text, pieces) => {
    expect(words.encode(text, 256)).toEqual([2, ...pieces, 3]);
  });

  test("keeps to the limit", () => {
    expect(words.encode("play ".repeat(1000), 8)).toEqual([2, 4, 4, 4, 4, 4, 4, 3]);
  });

  test("needs a vocabulary with the marks", () => {
    expect(() => new WordPiece("play", true)).toThrow(/\[CLS\]/);
  });
});
