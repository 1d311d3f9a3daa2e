/** What is made of many values. */

/** The middle one, or the mean of the two in the middle; NaN of nothing. */
export function median(values: readonly number[]): number {
  return between(values, 0.5);
}

/** How far the quarters of the values lie apart: how much rounds differ without their few outliers. NaN of nothing. */
export function quartileRange(values: readonly number[]): number {
  return between(values, 0.75) - between(values, 0.25);
}

/** The value below which this part of them lies: one of them, never a mean. @param sorted ascending; 0 of nothing */
export function quantile(sorted: Float64Array, q: number): number {
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * q))] ?? 0;
}

function between(values: readonly number[], q: number): number {
  const sorted = Float64Array.from(values).sort();
  const at = (sorted.length - 1) * q;
  const [low, high] = [sorted[Math.floor(at)] ?? Number.NaN, sorted[Math.ceil(at)] ?? Number.NaN];
  return low + (high - low) * (at - Math.floor(at));
}
