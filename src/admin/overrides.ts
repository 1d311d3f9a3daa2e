/** Overrides of budgets: state of a budget, not of the entity that has it, so that the file's can have one too. */
import { z } from "zod";
import type { BudgetOverride, BudgetOverrides } from "../governance/overrides.ts";
import type { Document, Store } from "../store/store.ts";
import { AdminFailure, invalid } from "./failure.ts";
import { faultsOf } from "./faults.ts";

/** What a client says of one, and a row keeps. */
export const overrideSchema = z.strictObject({
  override_amount: z.number().min(0).max(1e9).describe("USD: besides max_limit, or in its place."),
  override_mode: z.enum(["add", "replace"]).default("add"),
  valid_until: z.iso
    .datetime({ offset: true, error: "must be a time such as 2027-01-31T12:00:00Z" })
    .nullable()
    .default(null)
    .describe("Null: until it is taken away."),
});

export type OverrideDocument = z.output<typeof overrideSchema>;

export interface OverrideServices {
  readonly store: Pick<Store, "listOverrides" | "putOverride" | "deleteOverride">;
  /** Told after every change. What is in force is in force everywhere when it resolves. */
  readonly applied: () => Promise<void>;
  /** Milliseconds since 1970. */
  readonly now: () => number;
}

/**
 * Reads what a client says.
 *
 * @throws AdminFailure naming the field that is wrong
 */
export function readOverride(body: Document, now: number): OverrideDocument {
  const parsed = overrideSchema.safeParse(body);
  if (!parsed.success) throw invalid(faultsOf(parsed.error));
  if (untilOf(parsed.data) <= now) throw invalid([{ path: "valid_until", message: "must not have passed" }]);
  return parsed.data;
}

/** Changes come one after the other. */
export class OverrideBook {
  readonly #services: OverrideServices;
  #saved: ReadonlyMap<string, OverrideDocument>;
  #busy: Promise<unknown> = Promise.resolve();

  private constructor(services: OverrideServices, saved: ReadonlyMap<string, OverrideDocument>) {
    this.#services = services;
    this.#saved = saved;
  }

  /**
   * Reads what the store has. Rows that another version wrote are not in force.
   *
   * @throws StoreError (as a rejection)
   */
  static async open(services: OverrideServices): Promise<OverrideBook> {
    const rows = await services.store.listOverrides();
    const saved = new Map<string, OverrideDocument>();
    for (const { budget, document } of rows) {
      const parsed = overrideSchema.safeParse(document);
      if (parsed.success) saved.set(budget, parsed.data);
    }
    return new OverrideBook(services, saved);
  }

  /** By the budget's id. */
  get inForce(): BudgetOverrides {
    const now = this.#services.now();
    const found = new Map<string, BudgetOverride>();
    for (const [budget, document] of this.#saved) {
      const until = untilOf(document);
      if (until <= now) continue;
      found.set(budget, { mode: document.override_mode, amount: Math.round(document.override_amount * 1e6), until });
    }
    return found;
  }

  find(budget: string): OverrideDocument | undefined {
    const document = this.#saved.get(budget);
    return document !== undefined && untilOf(document) > this.#services.now() ? document : undefined;
  }

  /** @throws StoreError (as a rejection) */
  put(budget: string, document: OverrideDocument): Promise<void> {
    return this.#alone(async () => {
      await this.#services.store.putOverride({ budget, document });
      this.#saved = new Map([...this.#saved, [budget, document]]);
      await this.#services.applied();
    });
  }

  /** @throws AdminFailure when there is none, StoreError (both as a rejection) */
  remove(budget: string): Promise<void> {
    return this.#alone(async () => {
      if (this.find(budget) === undefined) throw new AdminFailure("not_found", `The budget ${budget} has no override.`);
      await this.#services.store.deleteOverride(budget);
      this.#saved = without(this.#saved, [budget]);
      await this.#services.applied();
    });
  }

  /**
   * Forgets those of budgets that are no more, at once: another budget of the same id does not inherit them.
   *
   * @returns when the store has forgotten them too
   */
  forget(budgets: readonly string[]): Promise<void> {
    const gone = budgets.filter((budget) => this.#saved.has(budget));
    this.#saved = without(this.#saved, gone);
    return this.#alone(async () => {
      for (const budget of gone) await this.#services.store.deleteOverride(budget);
    });
  }

  #alone<Result>(work: () => Promise<Result>): Promise<Result> {
    const done = this.#busy.then(work);
    // Who asked is told; the next one begins all the same.
    this.#busy = done.catch(() => undefined);
    return done;
  }
}

function untilOf({ valid_until: until }: OverrideDocument): number {
  return until === null ? Number.POSITIVE_INFINITY : Date.parse(until);
}

function without<Value>(map: ReadonlyMap<string, Value>, keys: readonly string[]): ReadonlyMap<string, Value> {
  return new Map([...map].filter(([key]) => !keys.includes(key)));
}
