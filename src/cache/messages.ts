/** What front ends and the management API ask of the owner of the indexes, as MessagePack in both directions. */
import {
  type Entry,
  entryFields,
  isDigest,
  packed,
  readEntry,
  readVector,
  type Tokens,
  unpacked,
  vectorBytes,
} from "./entry.ts";

/** Sends a message to the owner; the answer is its. Fails when the owner is gone. */
export type Ask = (message: Uint8Array<ArrayBuffer>) => Promise<Uint8Array>;

export interface Find {
  readonly op: "find";
  readonly partition: string;
  readonly exact: string;
  readonly direct: boolean;
  /** Nothing more is asked for the same request: what is not found now is a miss. */
  readonly isLast: boolean;
  readonly semantic:
    | {
        readonly text: string;
        readonly threshold: number;
        /** Missing where the owner is to embed the text. */
        readonly given?: { readonly space: string; readonly vector: Float32Array };
      }
    | undefined;
}

export interface Put {
  readonly op: "put";
  readonly entry: Entry;
  /** The text that the owner is to embed for the entry, which then has no question of its own. */
  readonly embed: string | undefined;
}

/** Entries that front ends served from their own memory: how often each. */
export interface Touch {
  readonly op: "touch";
  readonly served: readonly (readonly [exact: string, times: number])[];
}

/** Which entries are meant: those that match all members, or all there are. */
export type Filter =
  | { readonly all: true }
  | {
      /** The entry's id: all of it, or its first 16 characters or more. */
      readonly id?: string;
      readonly cacheKey?: string;
      readonly virtualKey?: string | null;
      readonly provider?: string;
      readonly model?: string;
    };

export interface Forget {
  readonly op: "forget";
  readonly filter: Filter;
}

/** For the management API: what there is. */
export interface List {
  readonly op: "list";
  readonly filter: Filter;
  readonly limit: number;
  readonly offset: number;
  /** What was asked and answered is wanted too. */
  readonly content: boolean;
}

export interface Simple {
  readonly op: "stats" | "flush";
}

export type Message = Find | Put | Touch | Forget | List | Simple;

/** What a partition has been asked since the owner's start, and what that has saved. */
export interface PartitionCounts {
  readonly directHits: number;
  readonly semanticHits: number;
  readonly misses: number;
  readonly saved: Tokens;
}

export interface PartitionStats extends PartitionCounts {
  readonly partition: string;
  readonly virtualKey: string | null;
  readonly cacheKey: string;
  readonly provider: string;
  readonly model: string;
  readonly entries: number;
  readonly bytes: number;
}

/** An entry as the management API tells of it. */
export interface EntryInfo {
  readonly id: string;
  readonly partition: string;
  readonly virtualKey: string | null;
  readonly cacheKey: string;
  readonly provider: string;
  readonly model: string;
  /** Milliseconds since 1970. */
  readonly storedAt: number;
  /** Milliseconds since 1970. */
  readonly expiresAt: number;
  readonly bytes: number;
  readonly hits: number;
  readonly tokens: Tokens;
  /** It can be found by similarity too. */
  readonly isSemantic: boolean;
  /** Only where it is wanted, and may be shown. `question` is the text that is compared; null for an entry that only an equal request finds. */
  readonly content?: { readonly question: string | null; readonly answer: string };
}

export interface OwnerStats {
  readonly entries: number;
  readonly bytes: number;
  readonly maxEntries: number;
  readonly maxBytes: number;
  readonly directHits: number;
  readonly semanticHits: number;
  readonly misses: number;
  readonly saved: Tokens;
  readonly evicted: number;
  readonly expired: number;
  /** Bytes on the disk. */
  readonly journalBytes: number;
  /** What went wrong last: with the disk, or with the embedder. */
  readonly problem: string | null;
  /** Entries that only equal requests find, until the graphs have them. */
  readonly unsearched: number;
  readonly partitionCount: number;
  /** The hundred with the most entries. */
  readonly partitions: readonly PartitionStats[];
}

export type Answer =
  | { readonly kind: "found"; readonly hit: "direct" | "semantic"; readonly similarity: number; readonly entry: Entry }
  | { readonly kind: "none" }
  | { readonly kind: "done"; readonly count: number }
  /** @property total how many there are beside those listed */
  | { readonly kind: "entries"; readonly entries: readonly EntryInfo[]; readonly total: number }
  | { readonly kind: "stats"; readonly stats: OwnerStats };

export function packMessage(message: Message): Uint8Array<ArrayBuffer> {
  switch (message.op) {
    case "find": {
      const { partition, exact, direct, isLast, semantic } = message;
      const given = semantic?.given;
      const vector = given === undefined ? null : [given.space, vectorBytes(given.vector)];
      const near = semantic ? [semantic.text, semantic.threshold, vector] : null;
      return packed(["find", partition, exact, direct, near, isLast]);
    }
    case "put":
      return packed(["put", entryFields(message.entry), message.embed ?? null]);
    case "touch":
      return packed(["touch", message.served]);
    case "forget":
      return packed(["forget", message.filter]);
    case "list":
      return packed(["list", message.filter, message.limit, message.offset, message.content]);
    case "stats":
    case "flush":
      return packed([message.op]);
  }
}

/** @throws Error for bytes that are no message */
export function readMessage(bytes: Uint8Array): Message {
  const value = unpacked(bytes);
  const fields: readonly unknown[] = Array.isArray(value) ? value : [];
  const message = messageOf(fields);
  if (message === undefined) throw new Error("the owner of the cache was sent something that is no message");
  return message;
}

function messageOf([op, ...fields]: readonly unknown[]): Message | undefined {
  const [first, second, third, fourth, fifth] = fields;
  switch (op) {
    case "find": {
      const semantic = fourth === null ? undefined : readSemantic(fourth);
      if (!isDigest(first) || !isDigest(second) || (fourth !== null && semantic === undefined)) return undefined;
      return { op, partition: first, exact: second, direct: third === true, isLast: fifth === true, semantic };
    }
    case "put": {
      const entry = readEntry(first);
      return entry && { op, entry, embed: typeof second === "string" ? second : undefined };
    }
    case "touch":
      return Array.isArray(first) ? { op, served: first.filter(isServed) } : undefined;
    case "forget":
      return isFilter(first) ? { op, filter: first } : undefined;
    case "list":
      return isFilter(first) && typeof second === "number" && typeof third === "number"
        ? { op, filter: first, limit: second, offset: third, content: fourth === true }
        : undefined;
    case "stats":
    case "flush":
      return { op };
    default:
      return undefined;
  }
}

/** Filters come from our own code in another thread: that it is one, says what it is. */
function isFilter(value: unknown): value is Filter {
  return typeof value === "object" && value !== null;
}

function readSemantic(value: unknown): Find["semantic"] {
  if (!Array.isArray(value)) return undefined;
  const fields: readonly unknown[] = value;
  const [text, threshold, given] = fields;
  if (typeof text !== "string" || typeof threshold !== "number") return undefined;
  if (given === null) return { text, threshold };
  const [space, bytes]: readonly unknown[] = Array.isArray(given) ? given : [];
  const vector = readVector(bytes);
  return typeof space === "string" && vector !== undefined ? { text, threshold, given: { space, vector } } : undefined;
}

function isServed(value: unknown): value is readonly [string, number] {
  return Array.isArray(value) && typeof value[0] === "string" && typeof value[1] === "number";
}

export function packAnswer(answer: Answer): Uint8Array<ArrayBuffer> {
  if (answer.kind !== "found") return packed(answer);
  // The question stays with the owner: nobody else needs it.
  const entry = entryFields({ ...answer.entry, question: undefined });
  return packed({ ...answer, entry });
}

/** @throws Error for bytes that are no answer */
export function readAnswer(bytes: Uint8Array): Answer {
  const value = unpacked(bytes);
  if (!isAnswer(value)) throw new Error("the owner of the cache answered something that cannot be read");
  if (value.kind !== "found") return value;
  const entry = readEntry(value.entry);
  if (entry === undefined) throw new Error("the owner of the cache answered with an entry that cannot be read");
  return { ...value, entry };
}

/** Messages come from our own code in another thread: the kind tells the rest. */
function isAnswer(value: unknown): value is Answer {
  return typeof value === "object" && value !== null && "kind" in value && typeof value.kind === "string";
}
