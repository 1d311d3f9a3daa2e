/**
 * The built-in embedder. It needs no model and no network, and it knows no meaning: two texts are close when they share
 * words and spelling. It finds a question again that was asked in other words around the same content words; it does not
 * find "how do I get my money back" for "refund policy", which takes a real embedding model.
 */
import { analyse } from "./tokens.ts";

/** Changes whenever the same text would get another vector. */
export const lexicalVersion = 1;

/** What a feature counts: content words carry the question, neighbours its order, pieces its spelling. */
const weights = { token: 1, pair: 0.35, piece: 0.12, other: 0.06 } as const;
/** Of how many characters pieces are. */
const pieceLength = 3;
const places = 2;

/**
 * Content words, pairs of neighbouring content words, pieces of words and function words, each hashed into two places of
 * the vector. Deterministic, for every script.
 *
 * @returns a vector of length 1, or of length 0 for a text without any word
 */
export function embedLexically(text: string, dimension: number): Float32Array {
  const vector = new Float32Array(dimension);
  const { tokens, others } = analyse(text);
  let last = "";
  const counts = new Map<string, number>();
  for (const { key } of tokens) {
    count(counts, `t ${key}`, weights.token);
    if (last !== "") count(counts, `p ${last} ${key}`, weights.pair);
    last = key;
    const padded = `<${key}>`;
    if (padded.length > 80) continue;
    for (let start = 0; start + pieceLength <= padded.length; start++) {
      count(counts, `c ${padded.slice(start, start + pieceLength)}`, weights.piece);
    }
  }
  for (const word of others) count(counts, `o ${word}`, weights.other);
  for (const [feature, weight] of counts) spread(feature, weight, vector);
  return normalised(vector);
}

function count(counts: Map<string, number>, feature: string, weight: number): void {
  counts.set(feature, (counts.get(feature) ?? 0) + weight);
}

/** A feature that comes often counts more, but not as often as it comes. */
function spread(feature: string, weight: number, vector: Float32Array): void {
  const amount = weight < 1 ? weight : 1 + Math.log(weight);
  let hash = hashOf(feature);
  for (let place = 0; place < places; place++) {
    hash = mixed(hash + 0x9e3779b9);
    const index = (hash >>> 1) % vector.length;
    vector[index] = (vector[index] ?? 0) + (hash & 1 ? amount : -amount);
  }
}

/** FNV-1a over UTF-16 code units. */
function hashOf(text: string): number {
  let hash = 0x811c9dc5;
  for (let index = 0; index < text.length; index++) hash = Math.imul(hash ^ text.charCodeAt(index), 0x01000193);
  return hash;
}

/** The end of MurmurHash3. */
function mixed(hash: number): number {
  let h = hash;
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b);
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
  return (h ^ (h >>> 16)) >>> 0;
}

/** Changes the vector to length 1; one of length 0 stays. */
export function normalised(vector: Float32Array): Float32Array {
  let sum = 0;
  for (const value of vector) sum += value * value;
  if (sum === 0) return vector;
  const scale = 1 / Math.sqrt(sum);
  for (let index = 0; index < vector.length; index++) vector[index] = (vector[index] ?? 0) * scale;
  return vector;
}
