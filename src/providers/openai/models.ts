/**
 * What OpenAI's own models take. Some parameters are refused with a 400 rather than ignored, by model and by each other.
 * Source: OpenAI's reference of chat completions and its guides on reasoning models, and the errors of the API itself.
 */
import type { ChatQuirks } from "../chat-quirks.ts";
import type { Target } from "../dialect.ts";

export interface Abilities {
  /** It takes `max_completion_tokens` alone, instructions as `developer`, and no stop sequences. */
  readonly isReasoner: boolean;
  /** In rising order; empty: any word may be sent; undefined: `reasoning_effort` is refused. */
  readonly efforts: readonly string[] | undefined;
  /** The word that switches reasoning off, or comes next to it. */
  readonly effortOff: string | undefined;
  /** Without an effort it does not reason. */
  readonly offByDefault: boolean;
  /** What may be said of the effort beside tools: anything, nothing, or only that there is none. */
  readonly effortBesideTools: "any" | "absent" | "none";
  /** When `temperature` and `top_p` are taken: always, as long as it does not reason, or never. */
  readonly sampling: "always" | "when_off" | "never";
  readonly tiers: readonly string[];
  /** Sent with every request. */
  readonly extra: Readonly<Record<string, string>>;
}

const plain: Abilities = {
  isReasoner: false,
  efforts: [],
  effortOff: undefined,
  offByDefault: false,
  effortBesideTools: "any",
  sampling: "always",
  tiers: [],
  extra: {},
};

const upToHigh = ["low", "medium", "high"];
const upToXhigh = [...upToHigh, "xhigh"];
const bothTiers = ["priority", "flex"];

const reasoner: Abilities = {
  ...plain,
  isReasoner: true,
  efforts: upToHigh,
  sampling: "never",
};

const gpt5: Abilities = { ...reasoner, efforts: ["minimal", ...upToHigh], effortOff: "minimal", tiers: bothTiers };
const gpt5Off: Abilities = { ...gpt5, effortOff: "none", offByDefault: true, sampling: "when_off" };

/** The first that matches counts. Dated and fine-tuned names begin with the model's. */
const models: readonly (readonly [RegExp, Abilities])[] = [
  [/^gpt-5-chat/, { ...plain, efforts: undefined }],
  [/^gpt-5\.\d+-chat/, { ...reasoner, efforts: ["medium"] }],
  [/^gpt-5-nano/, { ...gpt5, tiers: ["flex"] }],
  [/^gpt-5(?!\.)(?![a-z0-9])/, gpt5],
  [/^gpt-5\.1(?!\d)/, { ...gpt5Off, efforts: upToHigh }],
  [/^gpt-5\.[2-4](?!\d)/, { ...gpt5Off, efforts: upToXhigh, effortBesideTools: "absent" }],
  [/^gpt-5\.5(?!\d)/, { ...gpt5Off, efforts: upToXhigh, effortBesideTools: "absent", offByDefault: false }],
  // The newest: functions are refused unless reasoning is switched off in so many words.
  [/^gpt-(?:5\.|[6-9])/, { ...gpt5, efforts: upToXhigh, effortOff: "none", effortBesideTools: "none" }],
  [/^(?:o3|o4-mini)(?![a-z0-9])/, { ...reasoner, tiers: bothTiers }],
  [/^(?:o1|o4|codex-mini|computer-use-preview)(?![a-z0-9])/, reasoner],
  [/^gpt-4o(?:-mini)?-search-preview/, { ...plain, efforts: undefined, sampling: "never", tiers: ["priority"] }],
  [/^gpt-4/, { ...plain, efforts: undefined, tiers: ["priority"] }],
  [/^(?:gpt-3|chatgpt)/, { ...plain, efforts: undefined }],
];

/** What the target's model takes, as far as its server's quirks leave it to the model. */
export function abilitiesOf(target: Target, quirks: ChatQuirks): Abilities {
  const model = target.baseModel ?? target.model;
  if (quirks.systemRole === "by_model") {
    const name = model.replace(/^ft:/, "").replace(/^.*\//, "");
    return models.find(([pattern]) => pattern.test(name))?.[1] ?? plain;
  }
  const rule = quirks.modelRules.find(({ models: pattern }) => pattern.test(model));
  const { efforts, effortOff } = rule ?? quirks;
  return { ...plain, efforts, effortOff, extra: rule?.extra ?? {}, tiers: quirks.serviceTiers };
}
