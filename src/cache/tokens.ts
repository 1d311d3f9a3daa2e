/**
 * What a question consists of: the words that carry it, in a form in which small differences of wording are gone, and
 * what the function words around them say. Both the gate and the lexical embedder read texts through this.
 */
import {
  commutative,
  contractions,
  directions,
  enclitics,
  englishEvidence,
  irregularPlurals,
  keptInS,
  markerClasses,
  modals,
  negations,
  neutralWords,
  numbersInWords,
  persons,
  questionClasses,
  subjectWords,
  synonyms,
  tenses,
  unitNames,
  units,
} from "./words.ts";

export type TokenKind =
  | "word"
  | "name"
  | "number"
  | "date"
  | "unit"
  | "negation"
  | "direction"
  | "code"
  | "quote"
  | "symbol";

/** Something that has to be in both of two texts that ask the same. */
export interface Token {
  readonly kind: TokenKind;
  /** Equal for equal meaning: a word's stem in lower case, a number's digits, code and quotes as they came. */
  readonly key: string;
  /** The preposition that leads the phrase it stands in ("of" for a possessive), or empty. */
  readonly marker: string;
  /** Tokens of one phrase have the same number. */
  readonly phrase: number;
  /** Tokens joined by "and" or a comma have the same number. */
  readonly joined: number;
}

export interface Analysis {
  readonly tokens: readonly Token[];
  /** Function words and marks that were left out. */
  readonly others: readonly string[];
  /** `who`, `when`, `where`, `why`, and classes of tense and modal verb. */
  readonly features: {
    readonly question: ReadonlySet<string>;
    readonly tense: ReadonlySet<string>;
    readonly modal: ReadonlySet<string>;
  };
  /** Pronouns in their order, each with the number of tokens before it. */
  readonly persons: readonly { readonly form: string; readonly at: number }[];
  /** It compares: things in a list may change places. */
  readonly commutes: boolean;
}

const months = "january february march april may june july august september october november december".split(" ");
const month = `(?<month>${months.map((name) => `${name.slice(0, 3)}(?:${name.slice(3)})?`).join("|")}|sept)\\.?`;
const day = "(?<day>\\d{1,2})(?:st|nd|rd|th)?";
const year = "(?:,?\\s+(?<year>\\d{4}))?";
const dates = [
  new RegExp(`^${month}\\s+${day}${year}(?![\\p{L}\\p{N}])`, "iu"),
  new RegExp(`^${day}(?:\\s+of)?\\s+${month}${year}(?![\\p{L}\\p{N}])`, "iu"),
  /^(?<year>\d{4})-(?<month>\d{2})-(?<day>\d{2})(?!\d)/u,
];

/** Scripts without spaces between words: each character stands for itself. */
const unspaced =
  "\\p{Script=Han}\\p{Script=Hiragana}\\p{Script=Katakana}\\p{Script=Thai}\\p{Script=Lao}\\p{Script=Khmer}\\p{Script=Myanmar}";
const letter = `(?:(?![${unspaced}])[\\p{L}\\p{M}])`;

const scanner = new RegExp(
  [
    "(?<fence>```[\\s\\S]*?(?:```|$))",
    "(?<tick>`[^`\\n]+`)",
    "(?<quote>\"[^\"]{1,2000}\"|“[^”]{1,2000}”|«[^»]{1,2000}»|„[^“”]{1,2000}[“”]|「[^」]{1,2000}」|(?<![\\p{L}\\p{N}])'[^'\\n]{1,500}'(?![\\p{L}\\p{N}]))",
    '(?<link>https?:\\/\\/[^\\s<>"]*[^\\s<>".,;:!?)]|[\\w.+-]{1,64}@[\\w-]{1,64}(?:\\.[\\w-]{1,64}){1,8})',
    "(?<flag>(?<![^\\s(])--?[A-Za-z][\\w-]*)",
    "(?<number>(?:(?<![\\p{L}\\p{N})])-)?\\d+(?:[.,:]\\d+)*)",
    "(?<plus>\\p{L}(?:\\+\\+|#)(?![\\p{L}\\p{N}]))",
    `(?<word>${letter}(?:${letter}|[\\p{N}_$])*(?:(?:\\.|::|->|\\/|\\\\)${letter}(?:${letter}|[\\p{N}_$])*|['’]${letter}+)*(?:\\(\\))?)`,
    `(?<single>[${unspaced}])`,
    "(?<bang>!(?=[\\p{L}_(]))",
    "(?<pause>[,.;:!?()\\[\\]{}…。、，；：！？\\n–—]|-(?=\\s))",
    "(?<symbol>[^\\s\\p{P}]|[%&*@#\\/\\\\_§†‡‰])",
  ].join("|"),
  "gu",
);

/** A text with operators is read as code or a formula: nothing in it may differ. */
const formula = /[*^=<>|{}[\]\\×÷~+]|[\d)]\s{0,3}[-/]\s{0,3}[\d(]|;[ \t]{0,8}\n/u;
const notFormula = /```[\s\S]*?(?:```|$)|`[^`\n]+`|https?:\/\/\S+|\p{L}\+\+|\d{4}-\d{2}-\d{2}/gu;

const greeting =
  /^(?:hi|hello|hey|good (?:morning|afternoon|evening)|ok|okay|so|well|please|thanks|thank you|quick question|question)(?: there| all| everyone)?[\s,.!:;–-]+(?=\S)/iu;
const request =
  /^(?:(?:can|could|would|will) (?:you|someone|anyone|anybody)(?: please| kindly)? (?=tell|explain|describe|define|show|give|help|list|write|summari|translate|provide|let)|please |kindly |i(?:'d| would) (?:like|love)(?: you)? to |i (?:want|need|wish)(?: you)? to |i(?:'m| am) trying to |help me(?: to| with)? |do you (?:happen to )?know |any idea |i(?:'m| am| was) (?:just )?(?:wondering|curious)(?: about)?,? |i wonder |let me know |let's )(?=\S)/iu;
const telling =
  /^(?:tell me(?: about| of)?|explain(?: to me)?|describe(?: to me)?|define|show me|give me(?: an?(?: brief| short)? (?:explanation|overview|description|definition) of)?|know|understand|find out)[,:]?\s+(?=\S)/iu;
const thanks =
  /[\s,.!]*(?:(?:please|thanks|thank you|thx|cheers)(?: in advance| a lot| so much| very much)?)[\s.!?]*$/iu;
const thanksLength = 48;
const ways =
  /^(?:(?:what(?:'s| is| are| would be)|is there) )?(?:the |an? )?(?:best |right |correct |proper |recommended |good )?(?:ways?|methods?|approach(?:es)?|steps?) (?:to|of|for) (?=\S)/iu;
const how =
  /\bhow (?:(?:do|does|can|could|should|would|might) (?:i|you|we|one|someone|somebody) (?:go about )?|to (?:go about )?)/giu;
const obligation = /\b(?:have|has|had|need|needs|needed|got) to\b/giu;

/** The gate's and the embedder's view of a text. Pure. */
export function analyse(text: string): Analysis {
  const normal = text.normalize("NFC").replaceAll("’", "'").trim();
  if (formula.test(normal.replace(notFormula, " "))) return new Reader(normal, "formula").read();
  if (!isEnglish(normal)) return new Reader(normal, "other").read();
  return new Reader(withoutPhrases(normal), "english").read();
}

function isEnglish(text: string): boolean {
  const words = text.toLowerCase().match(/[\p{L}\p{M}]+/gu) ?? [];
  let evidence = 0;
  for (const word of words) if (englishEvidence.has(word)) evidence++;
  return evidence > 0 && evidence * 12 >= words.length;
}

/** Leaves out greetings, ways of asking for an answer, and ways of saying "how". */
function withoutPhrases(text: string): string {
  // Only the end is looked at: the pattern would be tried from every place of a long text.
  let rest = text.slice(0, -thanksLength) + text.slice(-thanksLength).replace(thanks, "");
  for (let round = 0; round < 6; round++) {
    const next = rest.replace(greeting, "").replace(request, "").replace(telling, "").replace(ways, "how to ");
    if (next === rest) break;
    rest = next;
  }
  return rest.replace(how, "how ").replace(obligation, "must");
}

type Mode = "english" | "other" | "formula";

interface Features {
  readonly question: Set<string>;
  readonly tense: Set<string>;
  readonly modal: Set<string>;
}

class Reader {
  readonly #text: string;
  readonly #mode: Mode;
  readonly #ignoreCase: boolean;
  readonly #tokens: Token[] = [];
  readonly #others: string[] = [];
  readonly #features: Features = { question: new Set(), tense: new Set(), modal: new Set() };
  readonly #persons: { form: string; at: number }[] = [];
  #commutes = false;
  #marker = "";
  #phrase = 0;
  #joined = 0;
  /** The next token belongs to the same list as the last one. */
  #joins = false;
  /** The last word was a token, so that what follows a function word is another phrase. */
  #inPhrase = false;
  /** What stood right before: an article or the like, a function word, a token, or a pause. */
  #before: "start" | "article" | "function" | "token" = "start";

  constructor(text: string, mode: Mode) {
    this.#text = text;
    this.#mode = mode;
    this.#ignoreCase = isTitle(text);
  }

  read(): Analysis {
    let end = 0;
    for (const match of this.#text.matchAll(scanner)) {
      // A date is read as a whole: what of it the scanner still finds is skipped.
      if (match.index < end) continue;
      const date = this.#mode === "formula" ? undefined : readDate(this.#text.slice(match.index, match.index + 24));
      if (date !== undefined && (match.groups?.number !== undefined || match.groups?.word !== undefined)) {
        this.#add("date", date.key);
        end = match.index + date.length;
        continue;
      }
      this.#take(match.groups ?? {}, match[0]);
    }
    return {
      tokens: this.#tokens,
      others: this.#others,
      features: this.#features,
      persons: this.#persons,
      commutes: this.#commutes,
    };
  }

  #take(found: Readonly<Record<string, string | undefined>>, raw: string): void {
    if (found.fence !== undefined) this.#add("code", raw.replace(/^```\w*\s*|\s*(?:```)?$/g, ""));
    else if (found.tick !== undefined) this.#add("code", raw.slice(1, -1));
    else if (found.quote !== undefined) this.#add("quote", raw.slice(1, -1));
    else if (found.link !== undefined || found.flag !== undefined) this.#add("code", raw);
    else if (found.number !== undefined) this.#number(raw);
    else if (found.plus !== undefined) this.#add("name", raw.toLowerCase());
    else if (found.single !== undefined) this.#add("word", raw);
    else if (found.bang !== undefined) this.#add("negation", "not");
    else if (found.pause !== undefined) this.#pause(raw);
    else if (found.symbol !== undefined) this.#symbol(raw);
    else this.#word(raw);
  }

  #add(kind: TokenKind, key: string): void {
    if (!this.#inPhrase) this.#phrase++;
    this.#inPhrase = true;
    this.#before = "token";
    if (!this.#joins) this.#joined++;
    this.#joins = false;
    this.#tokens.push({ kind, key, marker: this.#marker, phrase: this.#phrase, joined: this.#joined });
  }

  /** Ends the phrase, if it has begun: the next token has no marker. */
  #endPhrase(): void {
    if (!this.#inPhrase) return;
    this.#inPhrase = false;
    this.#marker = "";
  }

  #number(raw: string): void {
    const grouped = /^-?\d{1,3}(?:,\d{3})+(?:\.\d+)?$/.test(raw);
    this.#add("number", grouped ? raw.replaceAll(",", "") : raw);
  }

  #pause(raw: string): void {
    if (this.#mode === "formula") {
      if (!/[.?!\n]/.test(raw)) this.#add("symbol", raw);
      return;
    }
    if (raw === "(" || raw === ")") this.#add("symbol", raw);
    if (raw === "," && this.#before === "token") {
      this.#joins = true;
      return;
    }
    this.#joins = false;
    this.#endPhrase();
    this.#before = "start";
  }

  #symbol(raw: string): void {
    const unit = units.get(raw);
    if (unit !== undefined) this.#add("unit", unit);
    else if (raw === "&" && this.#mode !== "formula") this.#joins = this.#before === "token";
    else this.#add("symbol", raw);
  }

  #word(raw: string): void {
    const lower = raw.toLowerCase();
    if (this.#mode === "formula") this.#add("word", raw);
    else if (isCode(raw)) this.#add("code", raw);
    else if (/[./\\:>]/.test(raw)) this.#dotted(raw, lower);
    else if (this.#mode === "other") this.#add("word", lower);
    else this.#english(raw, lower);
  }

  /** A word, or two of them in one. */
  #english(raw: string, lower: string): void {
    const parts = contractions.get(lower);
    const [stem, ending] = splitOnce(lower, "'");
    if (parts !== undefined) for (const part of parts) this.#plainWord(part, part);
    else if (ending === undefined) this.#plainWord(raw, lower);
    else if (ending === "s" && !subjectWords.has(stem)) {
      this.#marker = "of";
      this.#plainWord(raw.slice(0, stem.length), stem);
      this.#endPhrase();
    } else {
      this.#plainWord(raw.slice(0, stem.length), stem);
      const verb = enclitics.get(ending) ?? ending;
      if (verb !== "s") this.#plainWord(verb, verb);
    }
  }

  #dotted(raw: string, lower: string): void {
    const letters = /^(?:\p{L}\.)+\p{L}$/u.test(raw);
    if (letters) this.#add("name", lower.replaceAll(".", ""));
    else this.#add("code", raw.charAt(0).toLowerCase() + raw.slice(1));
  }

  #plainWord(raw: string, lower: string): void {
    this.#commutes ||= commutative.has(lower);
    const afterNumber = this.#before === "token" && this.#tokens.at(-1)?.kind === "number";
    const unit = afterNumber ? unitAfterNumber(raw, lower) : undefined;
    // "5 G" is not "5 g".
    if (unit !== undefined) this.#add("unit", raw.length === 1 && raw !== lower ? raw : unit);
    else if (this.#isName(raw, lower) || !this.#functionWord(lower)) this.#content(raw, lower);
  }

  /** Capitals within a sentence make a name of a word that would be passed over: "US", "Will", "WHO". */
  #isName(raw: string, lower: string): boolean {
    if (this.#ignoreCase || lower === "i" || this.#before === "start") return false;
    return raw !== lower && !/^n't$/.test(lower) && isFunctionWord(lower);
  }

  /** Takes a word that only holds others together; false when it is none. */
  #functionWord(lower: string): boolean {
    const question = questionClasses.get(lower);
    const tense = tenses.get(lower);
    const modal = modals.get(lower);
    const person = persons.get(lower);
    const marker = markerClasses.get(lower);
    if (!isFunctionWord(lower)) return false;
    if (question !== undefined) this.#features.question.add(question);
    if (tense !== undefined) this.#features.tense.add(tense);
    if (modal !== undefined) this.#features.modal.add(modal);
    if (person !== undefined) this.#persons.push({ form: person, at: this.#tokens.length });
    this.#others.push(lower);
    if (lower === "and") {
      this.#joins ||= this.#before === "token";
      return true;
    }
    if (lower !== "a" && lower !== "an" && lower !== "the") this.#joins = false;
    const article = lower === "a" || lower === "an" || lower === "the";
    if (marker !== undefined) {
      this.#inPhrase = false;
      this.#marker = lower;
    } else this.#endPhrase();
    this.#before = article || person !== undefined ? "article" : "function";
    return true;
  }

  #content(raw: string, lower: string): void {
    const used = this.#before !== "article" && this.#before !== "token";
    const stem = stemOf(lower, used);
    const number = numbersInWords.get(lower);
    const key = units.get(lower) ?? units.get(stem) ?? stemmedSynonyms.get(stem) ?? stem;
    if (number !== undefined) this.#add("number", number);
    else if (negations.has(lower)) this.#add("negation", lower);
    else if (directions.has(lower) || directions.has(stem)) this.#add("direction", key);
    else if (unitNames.has(key) && key.length > 1) this.#add("unit", key);
    else this.#add(raw !== lower && this.#before !== "start" ? "name" : "word", key);
  }
}

function isFunctionWord(lower: string): boolean {
  return (
    neutralWords.has(lower) ||
    questionClasses.has(lower) ||
    tenses.has(lower) ||
    modals.has(lower) ||
    persons.has(lower) ||
    markerClasses.has(lower)
  );
}

/** Most words with a capital: capitals say nothing about single words. */
function isTitle(text: string): boolean {
  const words = text.match(/[\p{L}\p{M}]{2,}/gu) ?? [];
  let capitals = 0;
  for (const word of words) if (word !== word.toLowerCase()) capitals++;
  return words.length >= 4 && capitals * 5 >= words.length * 3;
}

/** Names that programs give: with underscores, a capital inside after a small first letter, or parentheses. */
function isCode(word: string): boolean {
  return /[_$]|\(\)$/.test(word) || /^\p{Ll}[\p{Ll}\p{N}]*\p{Lu}/u.test(word);
}

function unitAfterNumber(raw: string, lower: string): string | undefined {
  const size = /^([kmgtp])(i?)(b|bit|bits|byte|bytes)$/i.exec(raw);
  if (size !== null) {
    const [, prefix = "", , ending = ""] = size;
    const bits = /^bits?$/i.test(ending) || (ending === "b" && prefix !== prefix.toLowerCase());
    return `${prefix.toLowerCase()}${size[2]?.toLowerCase()}${bits ? "bit" : "byte"}`;
  }
  const singular = lower.replace(/(?:es|s)$/, "");
  for (const name of [lower, lower.replace(/s$/, ""), singular]) {
    const unit = units.get(name) ?? (unitNames.has(name) ? name : undefined);
    if (unit !== undefined) return unit;
  }
  return undefined;
}

/**
 * Takes plural and third-person endings off, and -ing where the word is used as a verb. Tenses and degrees stay: they
 * change what is asked.
 */
function stemOf(word: string, gerund: boolean): string {
  const irregular = irregularPlurals.get(word);
  if (irregular !== undefined) return irregular;
  let stem = word;
  if (word.length > 3 && word.endsWith("s") && !/(?:ss|us|is|ics)$/.test(word) && !keptInS.has(word)) {
    if (word.length > 4 && word.endsWith("ies")) stem = `${word.slice(0, -3)}y`;
    else if (/(?:ss|x|z|ch|sh)es$/.test(word)) stem = word.slice(0, -2);
    else stem = word.slice(0, -1);
  }
  if (gerund && stem.length >= 6 && stem.endsWith("ing") && /[aeiouy]/.test(stem.slice(0, -3))) {
    stem = stem.slice(0, -3).replace(/([bdfgmnprt])\1$/, "$1");
  }
  // Both spellings of English.
  stem = stem.replace(/isation$/, "ization").replace(/yse$/, "yze");
  if (stem.length > 4) stem = stem.replace(/our$/, "or").replace(/tre$/, "ter").replace(/ise$/, "ize");
  return stem.length > 3 && stem.endsWith("e") ? stem.slice(0, -1) : stem;
}

const stemmedSynonyms: ReadonlyMap<string, string> = new Map(
  [...synonyms].map(([word, first]): [string, string] => [stemOf(word, false), stemOf(first, false)]),
);

function readDate(text: string): { readonly key: string; readonly length: number } | undefined {
  for (const pattern of dates) {
    const match = pattern.exec(text);
    const found = match?.groups;
    if (match === null || found === undefined) continue;
    const { month: name = "", day: number = "", year: y = "" } = found;
    const index = /^\d/.test(name)
      ? Number(name)
      : months.findIndex((full) => full.startsWith(name.toLowerCase().slice(0, 3))) + 1;
    return { key: `${y}-${index}-${Number(number)}`, length: match[0].length };
  }
  return undefined;
}

function splitOnce(text: string, at: string): [string, string | undefined] {
  const index = text.indexOf(at);
  return index === -1 ? [text, undefined] : [text.slice(0, index), text.slice(index + at.length)];
}
