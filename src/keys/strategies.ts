/**
 * How one of several available keys is picked.
 *
 * **weighted**: by the configured weights and nothing else.
 *
 * **adaptive**: by the configured weights, each multiplied with three corrections from 0 to 1:
 *
 *     weight · max(0.01, health · speed · load)
 *
 *     health  (1 − 2·trouble·8/(8 + run))²   trouble: the rate of late failures, 429 counting half. It fades with ten
 *                                            seconds' half-life, and faster while `run` successes come in a row
 *     speed   ratio⁴, ratio at most 1        how the unit time of the peers (their harmonic mean, so that a slow key does
 *                                            not make slowness normal) compares with the key's own. It fades towards 1 as
 *                                            the measurement gets old. The fourth power: a key three times as slow as
 *                                            the rest has to get less than 1 % for the slowest percent not to be its own
 *     load    (1 + mean) / (1 + own)         attempts in flight per weight, against the mean of the candidates
 *
 * A key about which nothing is known has no correction, so a new one is tried at its full weight. A key in disgrace keeps a
 * hundredth, and its disgrace fades when nothing is sent to it: both make sure that a recovery is noticed.
 *
 * **least-busy**: the fewest attempts in flight per weight.
 *
 * **latency**: the shortest time per unit of work that comes out well, `unit time / (1 − trouble)`. Those within a fifth of
 * the best, and those not measured yet, are equals, and the least busy of them is taken. One choice in twenty is made by
 * weight, to see the others again.
 *
 * Of keys that are equal to a strategy a random one is taken.
 */
import type { KeyStats } from "./stats.ts";

export type Strategy = "weighted" | "adaptive" | "least-busy" | "latency";

export interface Candidate {
  readonly slot: number;
  readonly weight: number;
}

const leastCorrection = 0.01;
const runOfTrust = 8;
const equalLatency = 1.2;
const explorationShare = 0.05;

/**
 * Picks among available keys. Fast path.
 *
 * @param candidates at least one. When all have weight 0, they count as equal
 * @param roll a random number in [0, 1)
 * @returns undefined only when there are no candidates
 */
export function pick<C extends Candidate>(
  strategy: Strategy,
  candidates: readonly C[],
  stats: KeyStats,
  now: number,
  roll: number,
): C | undefined {
  if (candidates.length < 2) return candidates[0];
  switch (strategy) {
    case "weighted":
      return byWeight(candidates, plainWeights(candidates), roll);
    case "adaptive":
      return byWeight(candidates, adaptiveWeights(candidates, stats, now), roll);
    case "least-busy":
      return leastBusy(candidates, stats, roll);
    case "latency":
      return roll < explorationShare
        ? byWeight(candidates, plainWeights(candidates), roll / explorationShare)
        : fastest(candidates, stats, now, (roll - explorationShare) / (1 - explorationShare));
  }
}

/** Reused by every choice of the thread: a choice is made in one go. */
let weights = new Float64Array(64);
let unitTimes = new Float64Array(64);

function reserve(count: number): void {
  if (weights.length >= count) return;
  weights = new Float64Array(2 * count);
  unitTimes = new Float64Array(2 * count);
}

function plainWeights(candidates: readonly Candidate[]): Float64Array {
  reserve(candidates.length);
  let index = 0;
  for (const { weight } of candidates) weights[index++] = weight;
  return weights;
}

function adaptiveWeights(candidates: readonly Candidate[], stats: KeyStats, now: number): Float64Array {
  reserve(candidates.length);
  let speeds = 0;
  let known = 0;
  let loads = 0;
  let index = 0;
  for (const { slot, weight } of candidates) {
    const unitTime = stats.unitTime(slot);
    unitTimes[index++] = unitTime;
    loads += stats.inFlight(slot) / (weight || 1);
    if (unitTime === 0) continue;
    speeds += 1 / unitTime;
    known++;
  }
  const peers = known === 0 ? 0 : known / speeds;
  const meanLoad = loads / candidates.length;
  index = 0;
  for (const { slot, weight } of candidates) {
    const unitTime = unitTimes[index] ?? 0;
    const trouble = (stats.troubleRate(slot, now) * runOfTrust) / (runOfTrust + Math.max(0, stats.run(slot)));
    const health = Math.max(0, 1 - 2 * trouble);
    let ratio = 1;
    if (unitTime > peers) ratio = 1 - (1 - peers / unitTime) * stats.confidence(slot, now);
    const squared = ratio * ratio;
    const load = Math.min(1, (1 + meanLoad) / (1 + stats.inFlight(slot) / (weight || 1)));
    weights[index++] = weight * Math.max(leastCorrection, health * health * squared * squared * load);
  }
  return weights;
}

function byWeight<C extends Candidate>(candidates: readonly C[], by: Float64Array, roll: number): C | undefined {
  let total = 0;
  for (let index = 0; index < candidates.length; index++) total += by[index] ?? 0;
  if (total === 0) return candidates[Math.floor(roll * candidates.length)];
  let rest = roll * total;
  let last: C | undefined;
  let index = 0;
  for (const candidate of candidates) {
    const weight = by[index++] ?? 0;
    if (weight === 0) continue;
    last = candidate;
    if (rest < weight) break;
    rest -= weight;
  }
  return last;
}

function leastBusy<C extends Candidate>(candidates: readonly C[], stats: KeyStats, roll: number): C | undefined {
  return least(candidates, roll, ({ slot, weight }) => stats.inFlight(slot) / (weight || 1));
}

function fastest<C extends Candidate>(
  candidates: readonly C[],
  stats: KeyStats,
  now: number,
  roll: number,
): C | undefined {
  reserve(candidates.length);
  let best = Number.POSITIVE_INFINITY;
  let index = 0;
  for (const { slot } of candidates) {
    const time = stats.unitTime(slot) / (1 - stats.troubleRate(slot, now));
    unitTimes[index++] = time;
    if (time > 0 && time < best) best = time;
  }
  // Never empty: the best itself is in it, or none has been measured.
  index = 0;
  const equals = candidates.filter(() => (unitTimes[index++] ?? 0) <= best * equalLatency);
  return leastBusy(equals, stats, roll);
}

/** The candidate with the least; begins at a random one, so that equals take turns. */
function least<C extends Candidate>(
  candidates: readonly C[],
  roll: number,
  of: (candidate: C) => number,
): C | undefined {
  const start = Math.floor(roll * candidates.length);
  let best: C | undefined;
  let bestOf = Number.POSITIVE_INFINITY;
  for (let step = 0; step < candidates.length; step++) {
    const candidate = candidates[(start + step) % candidates.length];
    if (candidate === undefined) continue;
    const value = of(candidate);
    if (best !== undefined && value >= bestOf) continue;
    best = candidate;
    bestOf = value;
  }
  return best;
}
