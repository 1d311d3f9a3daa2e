/**
 * How often the cache serves an answer, and how often to another question: the pairs of `bench/cache-pairs.json`, of
 * which the first question is stored and the second is asked. `npx tsx bench/cache-quality.ts`.
 *
 * The pairs were written for this, and the gate's rules were made with them in sight. The figures say that the rules do
 * what they should on questions of that kind; they do not estimate how often users ask what.
 */
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { compare } from "../src/cache/gate.ts";
import { embedLexically } from "../src/cache/lexical.ts";
import { analyse } from "../src/cache/tokens.ts";
import { markdownTable, renderSection, type Section } from "./report.ts";

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

export async function run(): Promise<Section[]> {
  const pairs = readPairs();
  const same = pairs.filter(({ kind }) => kind === "paraphrase");
  const equal = (list: readonly Pair[]) => list.filter(({ a, b }) => a === b).length;
  const others = pairs.length - same.length;
  const of = (count: number, all: number) => `${count} of ${all}`;
  const rows = qualityOf(pairs).map((quality) => [
    String(quality.threshold),
    of(quality.hits, same.length),
    of(quality.falseHits, others),
    of(quality.gatedHits, same.length),
    of(quality.gatedFalseHits, others),
  ]);
  rows.unshift(["direct only", of(equal(same), same.length), of(equal(pairs) - equal(same), others), "", ""]);
  const kinds = [...new Set(pairs.map(({ kind }) => kind))];
  const byKind = kinds.map((kind) => {
    const quality = qualityOf(pairs.filter((pair) => pair.kind === kind)).find(({ threshold }) => threshold === 0.8);
    const [plain, gated] =
      kind === "paraphrase" ? (["hits", "gatedHits"] as const) : (["falseHits", "gatedFalseHits"] as const);
    return [
      kind,
      String(pairs.filter((pair) => pair.kind === kind).length),
      String(quality?.[plain]),
      String(quality?.[gated]),
    ];
  });
  const [acceptedAtAll, compared] = crossed(pairs);
  return [
    {
      title: "What the semantic cache serves",
      text:
        `${same.length} pairs of questions that ask the same and ${others} that do not, lexical embedder of ${dimension} ` +
        "dimensions. Cosine alone is what a cache without the gate would serve.",
      table: markdownTable(
        ["threshold", "hits, cosine", "false hits, cosine", "hits, gated", "false hits, gated"],
        rows,
      ),
    },
    {
      title: "By kind, at 0.8",
      text: `Every question against every other one: of ${compared} pairs the gate alone, at any similarity, passes ${acceptedAtAll}.`,
      table: markdownTable(["kind", "pairs", "served, cosine", "served, gated"], byKind),
    },
  ];
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

if (process.argv[1] === fileURLToPath(import.meta.url)) console.log((await run()).map(renderSection).join("\n"));
