import type { Memo } from "./dialect.ts";
import { clientId } from "./tool-ids.ts";

/** Ids and names of the calls in one answer, as the client may see them. Ids are unique within the answer. */
export class CallNaming {
  readonly #memo: Memo;
  readonly #used = new Set<string>();

  constructor(memo: Memo) {
    this.#memo = memo;
  }

  /** @param id what the provider called it; may be missing, empty or of another type */
  next(id: unknown, name: string): { readonly toolUseId: string; readonly name: string } {
    const number = this.#used.size;
    const { seed } = this.#memo.target;
    const given = clientId(id, seed, number);
    const toolUseId = this.#used.has(given) ? clientId(undefined, seed, number) : given;
    this.#used.add(toolUseId);
    return { toolUseId, name: this.#memo.toolNames.get(name) ?? name };
  }

  get count(): number {
    return this.#used.size;
  }
}
