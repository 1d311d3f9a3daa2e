/** Whether a row is one that a filter wants, where no database decides it. */
import { choosable, isCostMissing, type LogContent, type LogFilter, type LogRow, measured } from "./log-store.ts";

/** @param content undefined where it is not at hand: a filter by content then finds nothing */
export function matches(row: LogRow, filter: LogFilter, content?: LogContent | null): boolean {
  const { fields, rules, from, to, ranges, dimensions } = filter;
  if (from !== undefined && row.arrivedAt < from) return false;
  if (to !== undefined && row.arrivedAt >= to) return false;
  for (const field of choosable) {
    const wanted = fields?.[field];
    const value = row[field];
    if (wanted !== undefined && (value === null || !wanted.includes(value))) return false;
  }
  if (rules !== undefined && !row.rules.some((rule) => rules.includes(rule))) return false;
  for (const field of measured) {
    const range = ranges?.[field];
    if (range !== undefined && !isWithin(row[field], range)) return false;
  }
  if (filter.missingCost === true && !isCostMissing(row)) return false;
  for (const [name, value] of dimensions ?? [])
    if (!row.dimensions.some(([own, given]) => own === name && given === value)) return false;
  return filter.content === undefined || hasText(content, filter.content);
}

function isWithin(value: number | null, { min, max }: { readonly min?: number; readonly max?: number }): boolean {
  return value !== null && (min === undefined || value >= min) && (max === undefined || value <= max);
}

function hasText(content: LogContent | null | undefined, part: string): boolean {
  if (content?.sealed === true) return false;
  const wanted = part.toLowerCase();
  return [content?.request, content?.answer].some((text) => text?.toLowerCase().includes(wanted) === true);
}
