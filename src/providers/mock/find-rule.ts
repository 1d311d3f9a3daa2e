/** Which of the configured rules answers a request. */
import type { MockRule } from "./rule.ts";

/**
 * The first rule that matches and whose probability the roll grants.
 *
 * @param model the id with or without its provider's name; a rule may be written for either
 * @param roll a number in [0, 1)
 */
export function findRule(rules: readonly MockRule[], model: string, text: string, roll: number): MockRule | undefined {
  let rest = roll;
  for (const rule of rules) {
    if (!matches(rule, model, text)) continue;
    const probability = rule.probability ?? 1;
    if (rest < probability) return rule;
    // What is left of the roll is spread over 0 to 1 again, so that one roll is a fair throw for each rule.
    rest = (rest - probability) / (1 - probability);
  }
  return undefined;
}

function matches({ match }: MockRule, model: string, text: string): boolean {
  if (match == null) return true;
  if (match.text != null && !text.includes(match.text)) return false;
  if (match.model == null || matchesGlob(match.model, model)) return true;
  const slash = model.indexOf("/");
  return slash !== -1 && matchesGlob(match.model, model.slice(slash + 1));
}

/** `*` stands for any text, everything else for itself; the pattern covers the whole name. */
export function matchesGlob(pattern: string, name: string): boolean {
  const parts = pattern.split("*");
  const head = parts[0] ?? "";
  if (parts.length === 1) return name === head;
  const tail = parts.at(-1) ?? "";
  if (name.length < head.length + tail.length || !name.startsWith(head) || !name.endsWith(tail)) return false;
  const end = name.length - tail.length;
  let at = head.length;
  for (const part of parts.slice(1, -1)) {
    const found = name.indexOf(part, at);
    if (found === -1 || found + part.length > end) return false;
    at = found + part.length;
  }
  return true;
}
