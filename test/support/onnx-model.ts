/**
 * Folders that the `local` embedder reads, made here: a tokenizer's vocabulary and an ONNX model that looks up a vector for
 * each piece of a text. Written as protobuf by hand. https://onnx.ai/onnx/repo-docs/IR.html
 */
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";

/** What BERT's tokenizer needs before the words; the number of each is its id. */
export const marks = ["[PAD]", "[UNK]", "[CLS]", "[SEP]"] as const;

export interface WordModel {
  /** Without {@link marks}, which have vectors of zeros. */
  readonly words: readonly string[];
  /** One vector after the other, in the order of the words. */
  readonly vectors: Float32Array;
  readonly dimension: number;
  /**
   * How it goes on after the look-up: `none`; `slow`: multiplies two matrices of so many rows, which takes as long as one
   * likes; `integers`: gives whole numbers, which are no embedding.
   */
  readonly ending?: { readonly kind: "none" | "integers" } | { readonly kind: "slow"; readonly rows: number };
}

/** Writes `model.onnx` and `vocab.txt`. */
export function writeWordModel(folder: string, model: WordModel): void {
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, "vocab.txt"), [...marks, ...model.words].join("\n"));
  writeFileSync(join(folder, "model.onnx"), onnxOf(model));
}

const types = { float: 1, int64: 7 } as const;

function onnxOf({ words, vectors, dimension, ending = { kind: "none" } }: WordModel): Buffer {
  const rows = marks.length + words.length;
  const table = new Float32Array(rows * dimension);
  table.set(vectors, marks.length * dimension);
  const nodes = [node("Gather", ["vectors", "input_ids"], ending.kind === "none" ? "last_hidden_state" : "found")];
  const tensors = [tensor("vectors", types.float, [rows, dimension], table)];
  if (ending.kind === "integers")
    nodes.push(node("Cast", ["found"], "last_hidden_state", intAttribute("to", types.int64)));
  if (ending.kind === "slow") {
    // The sum over a product that depends on what is asked; times nothing, so that the answer stays what it is.
    tensors.push(tensor("square", types.int64, [2], BigInt64Array.of(BigInt(ending.rows), BigInt(ending.rows))));
    tensors.push(tensor("nothing", types.float, [], Float32Array.of(0)));
    nodes.push(
      node("ReduceMax", ["found"], "most", intAttribute("keepdims", 0)),
      node("Expand", ["most", "square"], "matrix"),
      node("MatMul", ["matrix", "matrix"], "product"),
      node("ReduceMax", ["product"], "mostOfAll", intAttribute("keepdims", 0)),
      node("Mul", ["mostOfAll", "nothing"], "zero"),
      node("Add", ["found", "zero"], "last_hidden_state"),
    );
  }
  const graph = [
    ...nodes.map((one) => field(1, one)),
    field(2, text("word vectors")),
    ...tensors.map((one) => field(5, one)),
    field(11, valueInfo("input_ids", types.int64, ["batch", "pieces"])),
    field(
      12,
      valueInfo("last_hidden_state", ending.kind === "integers" ? types.int64 : types.float, [
        "batch",
        "pieces",
        dimension,
      ]),
    ),
  ];
  const opset = Buffer.concat([field(1, text("")), number(2, 17)]);
  return Buffer.concat([number(1, 8), field(2, text("bifrost")), field(8, opset), field(7, Buffer.concat(graph))]);
}

function node(operation: string, inputs: readonly string[], output: string, attribute?: Buffer): Buffer {
  const parts = [...inputs.map((input) => field(1, text(input))), field(2, text(output)), field(4, text(operation))];
  return Buffer.concat(attribute === undefined ? parts : [...parts, field(5, attribute)]);
}

/** Type 2 is a whole number. */
function intAttribute(name: string, value: number): Buffer {
  return Buffer.concat([field(1, text(name)), number(3, value), number(20, 2)]);
}

function tensor(name: string, type: number, shape: readonly number[], values: Float32Array | BigInt64Array): Buffer {
  const bytes = Buffer.from(values.buffer, values.byteOffset, values.byteLength);
  return Buffer.concat([
    ...shape.map((size) => number(1, size)),
    number(2, type),
    field(8, text(name)),
    field(9, bytes),
  ]);
}

function valueInfo(name: string, type: number, shape: readonly (number | string)[]): Buffer {
  const sizes = shape.map((size) => field(1, typeof size === "number" ? number(1, size) : field(2, text(size))));
  const tensorType = Buffer.concat([number(1, type), field(2, Buffer.concat(sizes))]);
  return Buffer.concat([field(1, text(name)), field(2, field(1, tensorType))]);
}

/** A field of bytes, of text or of a message. */
function field(id: number, bytes: Buffer): Buffer {
  return Buffer.concat([varint(id * 8 + 2), varint(bytes.length), bytes]);
}

function number(id: number, value: number): Buffer {
  return Buffer.concat([varint(id * 8), varint(value)]);
}

function varint(value: number): Buffer {
  const bytes: number[] = [];
  let left = value;
  for (; left > 127; left = Math.floor(left / 128)) bytes.push((left % 128) + 128);
  bytes.push(left);
  return Buffer.from(bytes);
}

function text(value: string): Buffer {
  return Buffer.from(value);
}
