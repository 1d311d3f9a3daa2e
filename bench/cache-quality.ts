/**
 * How often the cache serves an answer, and how often to another question: the pairs of `bench/cache-pairs.json`, of
 * which the first question is stored and the second is asked. `npx tsx bench/cache-quality.ts`.
 *
 * The pairs were written for this, and the gate's rules were made with them in sight. The figures say that the rules do
 * what they should on questions of that kind; they do not estimate how often users ask what.
 */
import { readFileSync } from "node:fs";
import { compare } from "../src/cache/gate.ts";
import { embedLexically } from "../src/cache/lexical.ts";
import { analyse } from "../src/cache/tokens.ts";
import { isStarted, type Part, printParts, type Row } from "./measure.ts";

interface Pair {
  /** `paraphrase`, or what makes the second another question; `hard` are several kinds at once. */
  readonly kind: string;
  readonly a: string;
  readonly b: string;
}

export interface Quality {
  readonly threshold: number;
  readonly hits: number;
  readonly falseHits: number;
  readonly gatedHits: number;
  readonly gatedFalseHits: number;
}

const dimension = 384;
const thresholds = [0.7, 0.8, 0.9, 0.95];

/** The lists of `bench/cache-pairs.json`. */
export function readPairs(): readonly Pair[] {
  return JSON.parse(readFileSync(new URL("./cache-pairs.json", import.meta.url), "utf8"));
}

/** Hits among the paraphrases and false hits among the others, by cosine alone and with the gate. */
export function qualityOf(pairs: readonly Pair[]): Quality[] {
  const judged = pairs.map(({ kind, a, b }) => ({
    same: kind === "paraphrase",
    cosine: cosine(embedLexically(a, dimension), embedLexically(b, dimension)),
    passes: compare(analyse(b), analyse(a)).same,
  }));
  return thresholds.map((threshold) => {
    const near = judged.filter(({ cosine }) => cosine >= threshold);
    const count = (same: boolean, gated: boolean) =>
      near.filter((pair) => pair.same === same && (!gated || pair.passes)).length;
    return {
      threshold,
      hits: count(true, false),
      falseHits: count(false, false),
      gatedHits: count(true, true),
      gatedFalseHits: count(false, true),
    };
  });
}

export const parts: readonly Part[] = [
  {
    name: "cache-quality",
    title: "What the semantic cache serves",
    text:
      `Pairs of questions that ask the same and pairs that do not, lexical embedder of ${dimension} dimensions. Cosine alone is\n` +
      "what a cache without the gate would serve. By kind, the threshold is 0.8.",
    study: true,
    measure: async () => rows(),
  },
];

function rows(): Row[] {
  const pairs = readPairs();
  const same = pairs.filter(({ kind }) => kind === "paraphrase").length;
  const count = (name: string, value: number, better: Row["better"]): Row => ({ name, unit: "count", better, value });
  const overall = qualityOf(pairs).flatMap(({ threshold, hits, falseHits, gatedHits, gatedFalseHits }) => [
    count(`at ${threshold}, of ${same} paraphrases served, cosine`, hits, "none"),
    count(`at ${threshold}, of ${pairs.length - same} others served, cosine`, falseHits, "none"),
    count(`at ${threshold}, of ${same} paraphrases served, gated`, gatedHits, "higher"),
    count(`at ${threshold}, of ${pairs.length - same} others served, gated`, gatedFalseHits, "lower"),
  ]);
  const kinds = [...new Set(pairs.map(({ kind }) => kind))].flatMap((kind) => {
    const of = pairs.filter((pair) => pair.kind === kind);
    const quality = qualityOf(of).find(({ threshold }) => threshold === 0.8);
    const wanted = kind === "paraphrase";
    const [plain, gated] = wanted ? [quality?.hits, quality?.gatedHits] : [quality?.falseHits, quality?.gatedFalseHits];
    return [
      count(`${kind}, of ${of.length} served, cosine`, plain ?? Number.NaN, "none"),
      count(`${kind}, of ${of.length} served, gated`, gated ?? Number.NaN, wanted ? "higher" : "lower"),
    ];
  });
  const [passed, compared] = crossed(pairs);
  const everyPair = `of ${compared} pairs of any two questions, passed by the gate at any similarity`;
  return [...overall, ...kinds, count(everyPair, passed, "lower")];
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

function cosine(a: Float32Array, b: Float32Array): number {
  let sum = 0;
  for (const [index, value] of a.entries()) sum += value * (b[index] ?? 0);
  return sum;
}

if (isStarted(import.meta.url)) await printParts(parts);
