/** The requests on the road, of one thread. */
import type { ActiveRequest } from "./active-request.ts";

/**
 * Not a `Set`: V8 gives a set whose members come and go a new table every few changes, and each old table refers to the
 * next. Once one of them is in the old generation, every request of all later ones follows it there, long after its end.
 */
export class ActiveRequests implements Iterable<ActiveRequest> {
  readonly #requests: ActiveRequest[] = [];

  get size(): number {
    return this.#requests.length;
  }

  add(request: ActiveRequest): void {
    request.place = this.#requests.length;
    this.#requests.push(request);
  }

  /** Does nothing for one that is not among them. */
  delete(request: ActiveRequest): void {
    const { place } = request;
    if (this.#requests[place] !== request) return;
    const last = this.#requests.pop();
    if (last === undefined || last === request) return;
    this.#requests[place] = last;
    last.place = place;
  }

  /** Those of this moment: they may end meanwhile. */
  [Symbol.iterator](): Iterator<ActiveRequest> {
    return [...this.#requests][Symbol.iterator]();
  }
}
