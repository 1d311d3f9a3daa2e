/**
 * How often the cache serves an answer, and how often to another question: the pairs of `bench/cache-pairs.json`, of
 * which the first question is stored and the second is asked. `npx tsx bench/cache-quality.ts`.
 *
 * The pairs were written for this, and the gate's rules were made with them in sight. The figures say that the rules do
 * what they should on questions of that kind; they do not estimate how often users ask what.
 */
import { readFileSync } from "node:fs";
import { type Embedder, lexicalEmbedder } from "../src/cache/embedder.ts";
import { compare } from "../src/cache/gate.ts";
import { placeOf } from "../src/cache/partition.ts";
import { BadVector } from "../src/cache/partition-index.ts";
import { analyse } from "../src/cache/tokens.ts";
import { semanticCacheSchema } from "../src/config/cache.ts";
import { isStarted, type Part, printParts, type Row } from "./measure.ts";
import { wordVectorEmbedder } from "./word-vectors.ts";

interface Pair {
  /** `paraphrase`, or what makes the second another question; `hard` are several kinds at once. */
  readonly kind: string;
  readonly a: string;
  readonly b: string;
}

/** A pair, and what would become of its second question. */
interface Judged extends Pair {
  /** Of the vectors. */
  readonly cosine: number;
  /** The gate takes them for the same. */
  readonly passes: boolean;
}

const config = semanticCacheSchema.parse({ enabled: true });
const thresholds = [0.7, 0.8, 0.9, 0.95];

/** The lists of `bench/cache-pairs.json`. */
function readPairs(): readonly Pair[] {
  return JSON.parse(readFileSync(new URL("./cache-pairs.json", import.meta.url), "utf8"));
}

export const parts: readonly Part[] = [
  {
    name: "cache-quality",
    title: "What the semantic cache serves",
    text:
      `Pairs of questions that ask the same and pairs that do not, lexical embedder of ${config.embedding.dimension} dimensions. Cosine alone is\n` +
      "what a cache without the gate would serve; direct is what is served without any vector. By kind, the threshold is 0.8.",
    study: true,
    measure: async () => {
      const pairs = readPairs();
      const [passed, compared] = crossed(pairs);
      const everyPair = `of ${compared} pairs of any two questions, passed by the gate at any similarity`;
      return [
        ...directRows(pairs),
        ...(await embeddedRows(pairs, lexicalEmbedder(config.embedding))),
        count(everyPair, passed, "lower"),
      ];
    },
  },
  {
    name: "cache-quality-local",
    title: "What the semantic cache serves with word vectors",
    text:
      "The same pairs with the embedder `local` and onnxruntime-node: a model that takes the mean of trained word vectors\n" +
      "(GloVe, 100 dimensions, rare words weighing more). It knows words, not their order: a sentence transformer sees more\n" +
      "and takes longer. To mean vectors of this kind nearly all of these pairs are alike; what keeps them apart is the gate.",
    study: true,
    measure: async () => embeddedRows(readPairs(), await wordVectorEmbedder()),
  },
];

function count(name: string, value: number, better: Row["better"]): Row {
  return { name, unit: "count", better, value };
}

/** A direct hit needs the same request. */
function directRows(pairs: readonly Pair[]): Row[] {
  const exact = (text: string) => {
    const request = { messages: [{ role: "user", content: [{ text }] }] };
    return placeOf({ virtualKey: null, provider: "p", model: "m", operation: "converse", request }, "key", config)
      .exact;
  };
  const [same, others] = bySameness(pairs);
  const served = (of: readonly Pair[]) => of.filter(({ a, b }) => exact(a) === exact(b)).length;
  const again = pairs.map(({ kind, a }) => ({ kind, a, b: a }));
  return [
    count(`of ${again.length} questions asked again word for word served, direct`, served(again), "higher"),
    count(`of ${same.length} paraphrases served, direct`, served(same), "none"),
    count(`of ${others.length} others served, direct`, served(others), "lower"),
  ];
}

async function embeddedRows(pairs: readonly Pair[], embedder: Embedder): Promise<Row[]> {
  const [judged, micros] = await judge(pairs, embedder);
  const [same, others] = bySameness(judged);
  const overall = thresholds.flatMap((threshold) => [
    count(`at ${threshold}, of ${same.length} paraphrases served, cosine`, served(same, threshold, false), "none"),
    count(`at ${threshold}, of ${others.length} others served, cosine`, served(others, threshold, false), "none"),
    count(`at ${threshold}, of ${same.length} paraphrases served, gated`, served(same, threshold, true), "higher"),
    count(`at ${threshold}, of ${others.length} others served, gated`, served(others, threshold, true), "lower"),
  ]);
  const kinds = [...new Set(pairs.map(({ kind }) => kind))].flatMap((kind) => {
    const of = judged.filter((pair) => pair.kind === kind);
    const better = kind === "paraphrase" ? "higher" : "lower";
    return [
      count(`${kind}, of ${of.length} served, cosine`, served(of, config.threshold, false), "none"),
      count(`${kind}, of ${of.length} served, gated`, served(of, config.threshold, true), better),
    ];
  });
  return [{ name: "embedding a question, median", unit: "µs", better: "lower", value: micros }, ...overall, ...kinds];
}

function served(pairs: readonly Judged[], threshold: number, gated: boolean): number {
  return pairs.filter(({ cosine, passes }) => cosine >= threshold && (!gated || passes)).length;
}

function bySameness<P extends Pair>(pairs: readonly P[]): [same: P[], others: P[]] {
  const isSame = ({ kind }: P) => kind === "paraphrase";
  return [pairs.filter(isSame), pairs.filter((pair) => !isSame(pair))];
}

/** @returns what becomes of each pair, and the median time of embedding a question in µs */
async function judge(pairs: readonly Pair[], embedder: Embedder): Promise<[readonly Judged[], number]> {
  const never = new AbortController().signal;
  const taken: number[] = [];
  const embed = async (text: string) => {
    const start = performance.now();
    const vector = await embedder.embed(text, never).catch(unlessWordless);
    taken.push((performance.now() - start) * 1000);
    return vector;
  };
  const judged: Judged[] = [];
  for (const pair of pairs) {
    const [a, b] = [await embed(pair.a), await embed(pair.b)];
    const passes = compare(analyse(pair.b), analyse(pair.a)).same;
    judged.push({ ...pair, cosine: a && b ? cosine(a, b) : -1, passes });
  }
  taken.sort((a, b) => a - b);
  return [judged, taken[Math.floor(taken.length / 2)] ?? Number.NaN];
}

/** How many of all pairs of different questions the gate passes, and how many there are. */
function crossed(pairs: readonly Pair[]): [number, number] {
  const texts = [...new Set(pairs.flatMap(({ a, b }) => [a, b]))].map(analyse);
  let passed = 0;
  let compared = 0;
  for (const [index, one] of texts.entries()) {
    for (const other of texts.slice(index + 1)) {
      compared++;
      if (compare(one, other).same) passed++;
    }
  }
  return [passed, compared];
}

/** A text of words that the embedder does not know has no vector, which is a miss. */
function unlessWordless(error: unknown): undefined {
  if (!(error instanceof BadVector)) throw error;
}

function cosine(a: Float32Array, b: Float32Array): number {
  let sum = 0;
  for (const [index, value] of a.entries()) sum += value * (b[index] ?? 0);
  return sum;
}

if (isStarted(import.meta.url)) await printParts(parts);
