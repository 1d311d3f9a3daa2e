/** A stored answer, as it lies in memory, on the disk and in messages. */
import { pack, unpack } from "msgpackr";

/** What management finds entries by. */
export interface Labels {
  readonly virtualKey: string | null;
  readonly cacheKey: string;
  readonly provider: string;
  readonly model: string;
  /** The management API may show what was asked and answered. */
  readonly mayShow: boolean;
}

/** Tokens that an answer took, and a hit saves. `input` is without what the provider's own cache read or wrote. */
export interface Tokens {
  readonly input: number;
  readonly output: number;
  readonly cacheRead: number;
  readonly cacheWrite: number;
}

export interface Entry extends Labels {
  /** SHA-256 of the whole request: the entry's id. */
  readonly exact: string;
  readonly partition: string;
  /** The Converse response as JSON in UTF-8. */
  readonly answer: Uint8Array;
  readonly tokens: Tokens;
  /** Milliseconds since 1970. */
  readonly storedAt: number;
  /** Milliseconds since 1970. */
  readonly expiresAt: number;
  /** Undefined for an entry that only an equal request may find. */
  readonly question: Question | undefined;
}

/** What makes an entry findable by similarity. */
export interface Question {
  readonly text: string;
  /** Which embedder made the vector: vectors of different spaces are never compared. */
  readonly space: string;
  readonly vector: Float32Array;
}

/** Beside text and vectors: maps, objects, the graph's links. Bytes, measured by `npx tsx bench/cache-speed.ts`. */
const overhead = 1536;

/** What an entry takes up in the owner's memory. Bytes. */
export function sizeOf({ answer, question }: Entry): number {
  // A vector lies in the store and in the graph.
  const vectors = question === undefined ? 0 : 2 * question.text.length + 2 * question.vector.byteLength;
  return overhead + answer.byteLength + vectors;
}

/** @returns bytes of their own, which may be transferred */
export function packed(value: unknown): Uint8Array<ArrayBuffer> {
  // msgpackr writes into a buffer that it goes on using.
  return new Uint8Array(pack(value));
}

/** The opposite of {@link packed}; throws for bytes that are no MessagePack. */
export function unpacked(bytes: Uint8Array): unknown {
  return unpack(bytes);
}

/** The entry as a list that {@link packed} takes. */
export function entryFields(entry: Entry): unknown[] {
  const { question, tokens } = entry;
  return [
    entry.exact,
    entry.partition,
    entry.answer,
    entry.storedAt,
    entry.expiresAt,
    entry.virtualKey,
    entry.cacheKey,
    entry.provider,
    entry.model,
    question === undefined ? null : [question.text, question.space, vectorBytes(question.vector)],
    [tokens.input, tokens.output, tokens.cacheRead, tokens.cacheWrite],
    entry.mayShow,
  ];
}

/** The opposite of {@link entryFields}; undefined for anything else. Keeps nothing of what the value is a view of. */
export function readEntry(value: unknown): Entry | undefined {
  if (!Array.isArray(value) || value.length !== 12) return undefined;
  const fields: readonly unknown[] = value;
  const [exact, partition, answer, storedAt, expiresAt, virtualKey, cacheKey, provider, model, asked, used, mayShow] =
    fields;
  if (!isDigest(exact) || !isDigest(partition) || !(answer instanceof Uint8Array)) return undefined;
  if (typeof storedAt !== "number" || typeof expiresAt !== "number") return undefined;
  if ((virtualKey !== null && typeof virtualKey !== "string") || typeof cacheKey !== "string") return undefined;
  if (typeof provider !== "string" || typeof model !== "string") return undefined;
  const question = asked === null ? undefined : readQuestion(asked);
  if (asked !== null && question === undefined) return undefined;
  const tokens = readTokens(used);
  if (tokens === undefined) return undefined;
  return {
    exact,
    partition,
    answer: new Uint8Array(answer),
    tokens,
    mayShow: mayShow === true,
    storedAt,
    expiresAt,
    virtualKey,
    cacheKey,
    provider,
    model,
    question,
  };
}

function readTokens(value: unknown): Tokens | undefined {
  if (!Array.isArray(value) || value.length !== 4) return undefined;
  const counts: readonly unknown[] = value;
  const [input, output, cacheRead, cacheWrite] = counts.filter((count) => typeof count === "number");
  if (input === undefined || output === undefined || cacheRead === undefined || cacheWrite === undefined)
    return undefined;
  return { input, output, cacheRead, cacheWrite };
}

function readQuestion(value: unknown): Question | undefined {
  if (!Array.isArray(value)) return undefined;
  const fields: readonly unknown[] = value;
  const [text, space, bytes] = fields;
  if (typeof text !== "string" || typeof space !== "string") return undefined;
  const vector = readVector(bytes);
  return vector === undefined ? undefined : { text, space, vector };
}

export function vectorBytes(vector: Float32Array): Uint8Array {
  return new Uint8Array(vector.buffer, vector.byteOffset, vector.byteLength);
}

/** The opposite of {@link vectorBytes}; undefined for anything else. */
export function readVector(bytes: unknown): Float32Array | undefined {
  if (!(bytes instanceof Uint8Array) || bytes.byteLength === 0 || bytes.byteLength % 4 !== 0) return undefined;
  return new Float32Array(new Uint8Array(bytes).buffer);
}

export function isDigest(value: unknown): value is string {
  return typeof value === "string" && /^[0-9a-f]{64}$/.test(value);
}
