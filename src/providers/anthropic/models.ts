/**
 * What the generations of Claude take and refuse, by the model's id. An id that says no version is taken for the newest:
 * what the newest refuses, the older ones can do without, but not the reverse.
 *
 * Source: Anthropic's model pages, migration guides and thinking troubleshooting, as of November 2026.
 */

export interface ClaudeModel {
  /** The longest answer, in tokens; thinking counts. */
  readonly maxTokens: number;
  /** `budget` is `thinking.type: enabled`, with a number of tokens. */
  readonly thinking: "none" | "budget" | "adaptive";
  /** How thinking is turned off. `omit`: it is off unless asked for; `never`: it cannot be. */
  readonly off: "omit" | "disabled" | "between_tools" | "never";
  /** Words of `output_config.effort`, rising; none: there is no such field. */
  readonly efforts: readonly string[];
  /** Any `temperature`, `top_p` or `top_k` is refused. */
  readonly refusesSampling: boolean;
  /** `temperature` and `top_p` together are refused. */
  readonly oneSampler: boolean;
  /** An assistant's message at the end is continued. */
  readonly prefill: boolean;
  /** `output_config.format`, and `strict` on tools. */
  readonly structured: boolean;
  /** `tool_choice` of `any` and `tool` is refused. */
  readonly refusesForcedTools: boolean;
  /** Thinking comes back without its text unless `thinking.display` asks for it. */
  readonly hidesThinking: boolean;
}

type Line = "opus" | "sonnet" | "haiku" | "fable";

interface Version {
  readonly line: Line;
  /** 4.5 is 405. */
  readonly number: number;
}

const newest: Version = { line: "fable", number: 9900 };
const oldest: Version = { line: "haiku", number: 200 };

const allEfforts = ["low", "medium", "high", "xhigh", "max"];

/** @param model as Anthropic, Vertex or Bedrock name it: `claude-opus-4-5-20251101`, `claude-sonnet-4@20250514`, … */
export function claudeModel(model: string): ClaudeModel {
  const version = versionOf(model.toLowerCase());
  const { line, number } = version;
  const adaptive = since(version, { opus: 406, sonnet: 406, haiku: 505, fable: 0 });
  const fifth = since(version, { opus: 500, sonnet: 500, haiku: 505, fable: 0 });
  const reformed = since(version, { opus: 407, sonnet: 500, haiku: 505, fable: 0 });
  return {
    maxTokens: ceilingOf(version),
    thinking: adaptive ? "adaptive" : number >= 307 ? "budget" : "none",
    off: fifth ? offOf(version) : "omit",
    efforts: effortsOf(version, reformed, adaptive),
    refusesSampling: reformed,
    oneSampler: number >= 401,
    prefill: !adaptive,
    structured: line === "fable" || number >= 405,
    refusesForcedTools: since(version, { opus: 505, sonnet: 505, haiku: Number.POSITIVE_INFINITY, fable: 501 }),
    hidesThinking: reformed,
  };
}

/** True when the model's line has reached the given version. */
function since({ line, number }: Version, first: Readonly<Record<Line, number>>): boolean {
  return number >= first[line];
}

function offOf({ line, number }: Version): ClaudeModel["off"] {
  if (line === "fable") return "never";
  if (number < 505 || line === "haiku") return "disabled";
  return line === "sonnet" ? "between_tools" : "never";
}

function effortsOf({ line, number }: Version, reformed: boolean, adaptive: boolean): readonly string[] {
  if (reformed) return allEfforts;
  if (adaptive) return ["low", "medium", "high", "max"];
  return line === "opus" && number === 405 ? ["low", "medium", "high"] : [];
}

function ceilingOf({ line, number }: Version): number {
  if (line === "fable" || number >= 406) return 128_000;
  if (number >= 400) return line === "opus" && number < 405 ? 32_000 : 64_000;
  if (number >= 307) return 64_000;
  return number >= 305 ? 8192 : 4096;
}

/** Up to Claude 3 the version stands before the line's name, and after it since. A date is no version. */
function versionOf(model: string): Version {
  const late = /claude-(opus|sonnet|haiku|fable|mythos)-(\d{1,2})(?:[-.](\d{1,2}))?(?!\d)/.exec(model);
  if (late !== null) return { line: lineOf(late[1]), number: numberOf(late[2], late[3]) };
  const early = /claude-(\d)(?:[-.](\d))?-(opus|sonnet|haiku)/.exec(model);
  if (early !== null) return { line: lineOf(early[3]), number: numberOf(early[1], early[2]) };
  return /claude-(?:v?[12](?!\d)|instant)/.test(model) ? oldest : newest;
}

/** Mythos is Fable under another name. */
function lineOf(name: string | undefined): Line {
  return name === "opus" || name === "sonnet" || name === "haiku" ? name : "fable";
}

function numberOf(major = "0", minor = "0"): number {
  return Number(major) * 100 + Number(minor);
}
