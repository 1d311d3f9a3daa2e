/**
 * Who may share an answer with whom. A partition holds the requests that differ in nothing but the text of their last
 * user turn; a request finds entries of its own partition only.
 */
import { canonicalDigest } from "./canonical.ts";

/** What the cache has to know of a request. */
export interface RequestFacts {
  /** The id of the virtual key; null for a client without one. */
  readonly virtualKey: string | null;
  /** What tells apart credentials that the client brought itself; only a hash of it is kept. */
  readonly credential?: string | null;
  readonly provider: string;
  readonly model: string;
  /** Requests of different kinds never share answers. Converse and ConverseStream are of one kind. */
  readonly operation: string;
  /** The Converse request, as `JSON.parse` gave it. */
  readonly request: Readonly<Record<string, unknown>>;
  /** Operators may be shown what was asked and answered. It makes no difference to who shares the answer. */
  readonly mayShow?: boolean;
  /** What beside the request decides about the answer: headers that go to the model, its region, the wanted key. */
  readonly aside?: unknown;
  /** The body that the request was read from, where reading it leaves anything out. It decides about direct hits only. */
  readonly verbatim?: unknown;
}

/** What of the configuration decides about sharing. */
export interface SharingRules {
  readonly cache_by_model: boolean;
  readonly cache_by_provider: boolean;
  readonly exclude_system_prompt: boolean;
}

/** Where a request belongs. */
export interface Place {
  /** SHA-256 in hexadecimal: what must be equal for a semantic hit. */
  readonly partition: string;
  /** SHA-256 in hexadecimal: equal for equal requests, which is a direct hit. */
  readonly exact: string;
  /** The text of the last user turn; undefined when there is none, and so no semantic hit. */
  readonly text: string | undefined;
}

/** Changes whenever the same request would get another digest: entries of an older form are then never found. */
const form = 1;

/**
 * The place of a request under a cache key.
 *
 * Left out of it: `requestMetadata`, which no model sees, and `guardrailConfig.streamProcessingMode`, since a stream and
 * a unary call share their answer. Everything else counts, members that nobody knows yet as well.
 *
 * @throws NotCanonical when the request cannot be told from another one by its parsed JSON
 */
export function placeOf(facts: RequestFacts, cacheKey: string, rules: SharingRules): Place {
  const { requestMetadata: _metadata, messages, system, guardrailConfig, ...rest } = facts.request;
  const { turns, texts } = splitLastTurn(messages, rules.exclude_system_prompt);
  const partition = canonicalDigest({
    form,
    virtualKey: facts.virtualKey,
    credential: facts.credential ?? null,
    cacheKey,
    provider: rules.cache_by_provider ? facts.provider : null,
    model: rules.cache_by_model ? facts.model : null,
    operation: facts.operation,
    aside: facts.aside,
    request: rest,
    system: rules.exclude_system_prompt ? undefined : system,
    guardrail: withoutStreaming(guardrailConfig),
    turns,
  });
  return {
    partition,
    exact: canonicalDigest({ partition, texts, verbatim: facts.verbatim }),
    text: texts.some((text) => text.trim() !== "") ? texts.join("\n") : undefined,
  };
}

/** Takes the texts out of the last turn when it is the user's: an empty list stands in the place of each. */
function splitLastTurn(messages: unknown, withoutSystem: boolean): { turns: unknown; texts: string[] } {
  const texts: string[] = [];
  if (!Array.isArray(messages)) return { turns: messages, texts };
  const turns: unknown[] = withoutSystem
    ? messages.filter((turn) => !isObject(turn) || turn.role !== "system")
    : [...messages];
  const last = turns.at(-1);
  if (!isObject(last) || last.role !== "user" || !Array.isArray(last.content)) return { turns, texts };
  const content = last.content.map((block: unknown) => {
    if (!isObject(block) || typeof block.text !== "string" || Object.keys(block).length !== 1) return [block];
    texts.push(block.text);
    return [];
  });
  return { turns: [...turns.slice(0, -1), { ...last, content }], texts };
}

function withoutStreaming(guardrail: unknown): unknown {
  if (!isObject(guardrail)) return guardrail;
  const { streamProcessingMode: _mode, ...rest } = guardrail;
  return rest;
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
