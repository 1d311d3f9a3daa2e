/**
 * The second look at a semantic hit. Vectors of two questions are close when the questions are about the same things;
 * they stay close when one of them says "not", another number or the other direction. The gate lets an answer pass only
 * when the stored question asks the same by every rule it has, and errs on the side of a miss.
 */
import { type Analysis, analyse, type Token, type TokenKind } from "./tokens.ts";
import { markerClasses } from "./words.ts";

/** What two texts differ in. */
export type GateReason = TokenKind | "question" | "tense" | "modal" | "person" | "order" | "role";

export type Verdict = { readonly same: true } | { readonly same: false; readonly reasons: readonly GateReason[] };

/** Texts with more tokens than this have to have them in the same order: looking at pairs would take too long. */
const maxPairs = 300;

/** Classes of prepositions that nothing else may stand for. */
const strictMarkers: ReadonlySet<string> = new Set(["from", "by", "than"]);

const same: Verdict = { same: true };

/**
 * Whether the answer to `stored` may be served to who asks `asked`. Pure; the order of the two makes no difference.
 *
 * - Every number, date, unit, name, negation, quoted text, piece of code and content word of one has to be in the other.
 *   What may differ: function words, politeness, plural endings, spelling variants, a few synonyms, punctuation.
 * - Question words (who, when, where, why), tense, modal verbs and grammatical person have to agree.
 * - The words have to stand in the same order, save phrases that moved as a whole ("in Python, …") and lists.
 * - A word must not change its role: "from X" is not "to X".
 */
export function sameQuestion(asked: string, stored: string): Verdict {
  if (asked === stored) return same;
  return compare(analyse(asked), analyse(stored));
}

/** {@link sameQuestion} for texts that have been read already. */
export function compare(a: Analysis, b: Analysis): Verdict {
  const reasons = new Set<GateReason>();
  const pairs = pairUp(a.tokens, b.tokens, reasons);
  if (reasons.size === 0 && pairs.length === 0 && a.others.join(" ") !== b.others.join(" ")) reasons.add("word");
  if (!equal(a.features.question, b.features.question)) reasons.add("question");
  if (!equal(a.features.tense, b.features.tense)) reasons.add("tense");
  if (!equal(a.features.modal, b.features.modal)) reasons.add("modal");
  if (reasons.size === 0) {
    if (!samePersons(a, b, pairs)) reasons.add("person");
    if (pairs.some(changesRole) || exchangeRoles(pairs)) reasons.add("role");
    if (!keepsOrder(pairs, a, b)) reasons.add("order");
  }
  return reasons.size === 0 ? same : { same: false, reasons: [...reasons] };
}

/** The same token in both texts, with its place among the tokens of each. */
interface Pair {
  readonly a: Token;
  readonly b: Token;
  readonly atA: number;
  readonly atB: number;
}

/** Pairs equal tokens, the first with the first, and names the kind of each that is left over. */
function pairUp(a: readonly Token[], b: readonly Token[], reasons: Set<GateReason>): Pair[] {
  const waiting = new Map<string, number[]>();
  for (const [index, token] of b.entries()) {
    const places = waiting.get(token.key);
    if (places === undefined) waiting.set(token.key, [index]);
    else places.push(index);
  }
  for (const places of waiting.values()) places.reverse();
  const pairs: Pair[] = [];
  for (const [atA, token] of a.entries()) {
    const atB = waiting.get(token.key)?.pop();
    const other = atB === undefined ? undefined : b[atB];
    if (atB === undefined || other === undefined) reasons.add(token.kind);
    else if ((token.kind === "code" || token.kind === "quote") && token.kind !== other.kind) reasons.add(token.kind);
    else pairs.push({ a: token, b: other, atA, atB });
  }
  for (const places of waiting.values()) {
    for (const place of places) {
      const kind = b[place]?.kind;
      if (kind !== undefined) reasons.add(kind);
    }
  }
  return pairs;
}

function changesRole({ a, b }: Pair): boolean {
  const [one, other] = [markerClasses.get(a.marker), markerClasses.get(b.marker)];
  if (one === other || one === undefined || other === undefined) return false;
  if (one === "loose" || other === "loose") return strictMarkers.has(one) || strictMarkers.has(other);
  return true;
}

/** "in X on Y" against "on X in Y". */
function exchangeRoles(pairs: readonly Pair[]): boolean {
  const changed = pairs.filter(({ a, b }) => a.marker !== b.marker && a.marker !== "" && b.marker !== "");
  const changes = new Set(changed.map(({ a, b }) => `${a.marker} ${b.marker}`));
  return changed.some(({ a, b }) => changes.has(`${b.marker} ${a.marker}`));
}

/** Pronouns have to be the same, and in the same places where the words are; or there are none in one of the texts. */
function samePersons(a: Analysis, b: Analysis, pairs: readonly Pair[]): boolean {
  if (a.persons.length === 0 || b.persons.length === 0) return true;
  const inPlace = pairs.every(({ atA, atB }) => atA === atB);
  const list = ({ persons }: Analysis) => persons.map(({ form, at }) => (inPlace ? `${form} ${at}` : form)).join();
  return list(a) === list(b);
}

function keepsOrder(pairs: readonly Pair[], a: Analysis, b: Analysis): boolean {
  if (pairs.length > maxPairs) return pairs.every(({ atA, atB }) => atA === atB);
  for (const [index, one] of pairs.entries()) {
    for (let next = index + 1; next < pairs.length; next++) {
      const other = pairs[next];
      if (other !== undefined && one.atB > other.atB && !mayChangePlaces(one, other, a, b)) return false;
    }
  }
  return true;
}

function mayChangePlaces(one: Pair, other: Pair, a: Analysis, b: Analysis): boolean {
  if (one.a.joined === other.a.joined && one.b.joined === other.b.joined) {
    return a.commutes && b.commutes && isListed(one.a) && isListed(other.a);
  }
  if (isGenitive(one.a, other.a, a.tokens) && isBefore(other.b, one.b, b.tokens)) return true;
  if (isBefore(one.a, other.a, a.tokens) && isGenitive(other.b, one.b, b.tokens)) return true;
  if (one.a.phrase === other.a.phrase || one.b.phrase === other.b.phrase) return false;
  return one.a.marker !== other.a.marker && (moved(one) || moved(other));
}

/** Things in a list may change places; coordinates, ranges and arguments may not. */
function isListed({ kind }: Token): boolean {
  return kind === "word" || kind === "name";
}

/** A phrase with the same preposition in both texts. One with "of" belongs to what stands before it, and stays. */
function moved({ a, b }: Pair): boolean {
  return a.marker !== "" && a.marker !== "of" && a.marker === b.marker;
}

/** "X of Y": the second is led by a preposition and follows right after the first. */
function isGenitive(head: Token, of: Token, tokens: readonly Token[]): boolean {
  return of.marker === "of" && tokens.indexOf(of) === tokens.indexOf(head) + 1;
}

/** "Y X": right before it, without a preposition between. */
function isBefore(first: Token, second: Token, tokens: readonly Token[]): boolean {
  return second.marker !== "of" && tokens.indexOf(second) === tokens.indexOf(first) + 1;
}

function equal(a: ReadonlySet<string>, b: ReadonlySet<string>): boolean {
  return a.size === b.size && [...a].every((one) => b.has(one));
}
