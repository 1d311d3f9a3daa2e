import type { ProviderHeaders } from "./dialect.ts";

const minute = 60;
const hour = 60 * minute;
const day = 24 * hour;

/**
 * After how many whole seconds the provider wants to be asked again: `retry-after-ms`, `retry-after` in seconds or as a
 * date, else when the limits that are used up are full again (`x-ratelimit-reset-requests: 6m0s`,
 * `anthropic-ratelimit-tokens-reset: 2026-…Z`). Undefined when it does not say.
 *
 * @param now milliseconds since 1970
 */
export function retryAfter(headers: ProviderHeaders, now: number): number | undefined {
  const milliseconds = Number(one(headers, "retry-after-ms"));
  if (milliseconds > 0) return Math.ceil(milliseconds / 1000);
  const said = readWait(one(headers, "retry-after"), now);
  if (said !== undefined) return said;
  return limitReset(headers, now);
}

/** Resets of limits with nothing remaining; if none says so, of all of them: the request was larger than what remains. */
function limitReset(headers: ProviderHeaders, now: number): number | undefined {
  const all: number[] = [];
  const spent: number[] = [];
  for (const name of Object.keys(headers)) {
    const remaining = remainingName(name);
    if (remaining === undefined) continue;
    const wait = readWait(one(headers, name), now);
    if (wait === undefined) continue;
    all.push(wait);
    if (one(headers, remaining) === "0") spent.push(wait);
  }
  if (spent.length > 0) return Math.max(...spent);
  return all.length > 0 ? Math.max(...all) : undefined;
}

/** `x-ratelimit-reset-tokens` → `x-ratelimit-remaining-tokens`; `anthropic-ratelimit-tokens-reset` → `…-remaining`. */
function remainingName(name: string): string | undefined {
  if (name.startsWith("x-ratelimit-reset")) return name.replace("-reset", "-remaining");
  if (/^anthropic-ratelimit-.*-reset$/.test(name)) return name.replace(/-reset$/, "-remaining");
  return undefined;
}

/** Seconds (`12`, `1.5`), a duration (`1h6m0.5s`, `20ms`), a time since 1970 in seconds or milliseconds, or a date. */
function readWait(value: string | undefined, now: number): number | undefined {
  if (value === undefined || value.trim() === "") return undefined;
  const text = value.trim();
  if (/^\d+(?:\.\d+)?$/.test(text)) return fromNumber(Number(text), now);
  return readDuration(text) ?? fromDate(Date.parse(text), now);
}

function fromNumber(number: number, now: number): number | undefined {
  // A wait of years is none: it is a time.
  if (number > 1e12) return fromDate(number, now);
  if (number > 1e9) return fromDate(number * 1000, now);
  return plausible(Math.ceil(number));
}

function fromDate(time: number, now: number): number | undefined {
  return Number.isNaN(time) ? undefined : plausible(Math.max(0, Math.ceil((time - now) / 1000)));
}

function readDuration(text: string): number | undefined {
  const found = /^(?:(\d+)d)?(?:(\d+)h)?(?:(\d+)m(?!s))?(?:(\d+(?:\.\d+)?)s)?(?:(\d+(?:\.\d+)?)ms)?$/.exec(text);
  if (found === null) return undefined;
  const [days = 0, hours = 0, minutes = 0, seconds = 0, milliseconds = 0] = found
    .slice(1)
    .map((part: string | undefined) => Number(part ?? 0));
  return plausible(Math.ceil(days * day + hours * hour + minutes * minute + seconds + milliseconds / 1000));
}

function plausible(seconds: number): number | undefined {
  return seconds <= 31 * day ? seconds : undefined;
}

function one(headers: ProviderHeaders, name: string): string | undefined {
  const value = headers[name];
  return typeof value === "string" ? value : value?.[0];
}
