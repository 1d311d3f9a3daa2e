/** Takes secrets out of text that is kept: those we know, and what looks like one. */

const hidden = "[redacted]";

/** Shorter ones are words, such as the "none" of a server that wants no key. */
const shortestSecret = 6;

/**
 * What keys of known makes look like. None begins at a word's border: in JSON a line break before a key is an `n`. All
 * are linear.
 */
const lookalikes = [
  // OpenAI, Anthropic, virtual keys, Stripe and others; a digit tells them from words such as "risk-management".
  /[sprk]k[-_](?=[A-Za-z_-]{0,64}[0-9])[A-Za-z0-9_-]{16,}/g,
  // AWS: access key ids, session tokens, Bedrock API keys.
  /(?:AKIA|ASIA|ABIA|ACCA)[A-Z0-9]{16}/g,
  /(?:IQoJ|FwoG|FQoG)[A-Za-z0-9+/=_-]{60,}/g,
  /(?:ABSK|bedrock-api-key-)[A-Za-z0-9+/=_-]{20,}/g,
  /(?<=secret_?(?:access_?)?key["'\s:=\\]{1,8})[A-Za-z0-9+/]{40}/gi,
  // Google, GitHub, Slack, Hugging Face, Groq, xAI, Perplexity.
  /AIza[A-Za-z0-9_-]{30,}|ya29\.[A-Za-z0-9_-]{20,}/g,
  /gh[pousr]_[A-Za-z0-9]{30,}|github_pat_[A-Za-z0-9_]{30,}|xox[abeprs]-[A-Za-z0-9-]{10,}/g,
  /(?:hf|gsk)_[A-Za-z0-9]{20,}|(?:xai|pplx)-[A-Za-z0-9]{20,}/g,
  // JSON web tokens, bearer tokens, private keys.
  /eyJ[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]{10,}(?:\.[A-Za-z0-9_-]*)?/g,
  /(?<=bearer\s{1,4})[A-Za-z0-9._~+/=-]{16,}/gi,
  /-----BEGIN [A-Z ]{0,32}PRIVATE KEY-----[\s\S]*?(?:-----END [A-Z ]{0,32}PRIVATE KEY-----|$)/g,
];

/** Names whose clean form is remembered, and how long they may be. */
const mostNames = 2000;
const longestName = 256;

export class Redactor {
  readonly #known: RegExp | undefined;
  readonly #names = new Map<string, string>();
  /** A secret may be hidden in what looks like a UUID. */
  readonly #isKnownId: boolean;

  /** @param secrets in clear text; hidden also as JSON or a URL would write them */
  constructor(secrets: readonly string[]) {
    const forms = new Set(secrets.filter(({ length }) => length >= shortestSecret).flatMap(formsOf));
    // Of two that begin alike the longer one, or its end would stay.
    const longestFirst = [...forms].sort((a, b) => b.length - a.length);
    this.#isKnownId = longestFirst.some((form) => idPattern.test(form));
    if (longestFirst.length > 0) this.#known = new RegExp(longestFirst.map(escapePattern).join("|"), "g");
  }

  clean(text: string): string {
    let clean = this.#known === undefined ? text : text.replace(this.#known, hidden);
    for (const pattern of lookalikes) clean = clean.replace(pattern, hidden);
    return clean;
  }

  /** As {@link clean}, for what is a UUID in most cases: no key that we know the look of is one. */
  cleanId(text: string): string {
    return !this.#isKnownId && idPattern.test(text) ? text : this.clean(text);
  }

  /** As {@link clean}, for what is often the same; null stays null. */
  cleanName<Text extends string | null>(text: Text): Text | string {
    if (text === null || text.length > longestName) return text === null ? text : this.clean(text);
    const known = this.#names.get(text);
    if (known !== undefined) return known;
    const clean = this.clean(text);
    if (this.#names.size >= mostNames) this.#names.clear();
    this.#names.set(text, clean);
    return clean;
  }
}

const idPattern = /^[0-9A-Fa-f-]+$/;

function formsOf(secret: string): string[] {
  // A JSON string can hold half of a surrogate pair, which has no encoding of its own.
  return [secret, JSON.stringify(secret).slice(1, -1), encodeURIComponent(Buffer.from(secret).toString())];
}

function escapePattern(text: string): string {
  return text.replace(/[\\^$.*+?()[\]{}|/-]/g, "\\$&");
}

/** Fields of the configuration whose text is a secret. */
const secretFields = new Set([
  "value",
  "api_key",
  "secret_key",
  "session_token",
  "auth_credentials",
  "client_secret",
  "external_id",
  "password",
]);

/** Objects whose members are all taken for secrets: headers that carry credentials have any name. */
const secretRecords = new Set(["extra_headers", "headers"]);

/** All secrets of a configuration. */
export function secretsIn(config: unknown, name = "", within = ""): string[] {
  if (typeof config === "string") return secretFields.has(name) || secretRecords.has(within) ? [config] : [];
  if (typeof config !== "object" || config === null) return [];
  if (Array.isArray(config)) return config.flatMap((item) => secretsIn(item, name, within));
  return Object.entries(config).flatMap(([key, member]) => secretsIn(member, key, name));
}
