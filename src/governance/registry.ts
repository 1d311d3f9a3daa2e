/** The supervisor's side of governance: it owns the memory, gives limits their counters, and carries what they counted. */
import type { GovernanceConfig } from "../config/governance.ts";
import { assignSlots, newlyOwned } from "../config/slots.ts";
import { Counter } from "./counter.ts";
import { createGovernanceMemory, openGovernanceMemory, resetCounter, takeChanged } from "./layout.ts";
import { counterRule, type LimitRule, limitRules } from "./limits.ts";

/** By the limit's id. Plain data: travels to the threads with the configuration. */
export type CounterSlots = ReadonlyMap<string, number>;

/** What one limit has spent in one window, as the store keeps it. Times are milliseconds since 1970. */
export interface SavedCounter {
  readonly id: string;
  /** The begin of the window. */
  readonly window: number;
  /** Micro-dollars, tokens or requests. */
  readonly value: number;
  /** When it was counted. */
  readonly at: number;
  /** The end of the window. */
  readonly until: number;
}

interface Assigned {
  readonly rule: LimitRule;
  readonly counter: Counter;
}

export class GovernanceRegistry {
  readonly memory: SharedArrayBuffer;
  readonly #opened;
  #slots: CounterSlots = new Map();
  #bySlot = new Map<number, Assigned>();
  #byId = new Map<string, Assigned>();

  /** @param counters how many limits there is room for; 65,536 by default */
  constructor(counters?: number) {
    this.memory = createGovernanceMemory(counters);
    this.#opened = openGovernanceMemory(this.memory);
  }

  /**
   * Gives every limit its counter; a limit that stays keeps what was counted.
   *
   * @returns the counters, the ids of the limits that begin with nothing, which the store may know more of, and of those
   *   that are no more
   * @throws RangeError when there are more limits than there is room for; everything stays as it was
   */
  assign(config: GovernanceConfig): {
    readonly slots: CounterSlots;
    readonly fresh: readonly string[];
    readonly gone: readonly string[];
  } {
    const rules = limitRules(config);
    const slots = assignSlots(
      this.#slots,
      rules.map(({ id }) => id),
      this.#opened.counters,
      "limits and budgets",
    );
    for (const slot of newlyOwned(this.#slots, slots)) resetCounter(this.#opened, slot);
    const fresh = [...slots.keys()].filter((id) => this.#slots.get(id) !== slots.get(id));
    const gone = [...this.#slots.keys()].filter((id) => !slots.has(id));
    this.#slots = slots;
    this.#bySlot = new Map();
    this.#byId = new Map();
    for (const rule of rules) {
      const slot = slots.get(rule.id);
      if (slot === undefined) continue;
      const assigned = { rule, counter: new Counter(this.#opened, slot, counterRule(rule)) };
      this.#bySlot.set(slot, assigned);
      this.#byId.set(rule.id, assigned);
    }
    return { slots, fresh, gone };
  }

  /** What has changed since the last call; cheap enough for several times a second. Reservations are not in it. */
  exportCounters(now: number): SavedCounter[] {
    const saved: SavedCounter[] = [];
    for (const slot of takeChanged(this.#opened)) {
      const assigned = this.#bySlot.get(slot);
      if (assigned === undefined) continue;
      const { spent, since, until } = assigned.counter.use(now);
      // A window that is over by now needs no saving: nobody will ask for it again.
      if (since === undefined || !Number.isFinite(until)) continue;
      saved.push({ id: assigned.rule.id, window: since, value: spent, at: now, until });
    }
    return saved;
  }

  /**
   * Puts back what the store remembers, where the window still runs and no other has begun. Call it once for each row:
   * rows are added to what is there.
   *
   * @param only the ids that may be put back; all by default
   * @returns how many rows were taken
   */
  importCounters(
    rows: readonly Pick<SavedCounter, "id" | "window" | "value">[],
    now: number,
    only?: readonly string[],
  ): number {
    const wanted = only === undefined ? undefined : new Set(only);
    let taken = 0;
    for (const { id, window, value } of rows) {
      if (!Number.isSafeInteger(window) || window < 1 || !Number.isSafeInteger(value) || value < 0) continue;
      if (wanted?.has(id) === false) continue;
      if (this.#byId.get(id)?.counter.restore(window, value, now)) taken++;
    }
    return taken;
  }
}
