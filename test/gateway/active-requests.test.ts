import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { ActiveRequest } from "../../src/gateway/active-request.ts";
import { ActiveRequests } from "../../src/gateway/active-requests.ts";
import { FakeExchange } from "../support/fake-exchange.ts";

const request = () => new ActiveRequest(new FakeExchange({}));

describe("the requests on the road", () => {
  test("are those of a set, whatever comes and goes in which order", () => {
    fc.assert(
      fc.property(fc.array(fc.nat({ max: 200 })), (moves) => {
        const ours = new ActiveRequests();
        const set = new Set<ActiveRequest>();
        const known: ActiveRequest[] = [];
        for (const move of moves) {
          // An even number adds one, an odd one takes one of those away that were ever there.
          const one = move % 2 === 0 ? request() : known[move % Math.max(known.length, 1)];
          if (one === undefined) continue;
          if (move % 2 === 0) {
            known.push(one);
            ours.add(one);
            set.add(one);
          } else {
            ours.delete(one);
            set.delete(one);
          }
          expect(ours.size).toBe(set.size);
        }
        expect(new Set(ours)).toEqual(set);
      }),
    );
  });

  test("may end while all of them are told to", () => {
    const ours = new ActiveRequests();
    const all = [request(), request(), request()];
    for (const one of all) ours.add(one);
    const told: ActiveRequest[] = [];
    for (const one of ours) {
      told.push(one);
      for (const other of all) ours.delete(other);
    }
    expect(told).toEqual(all);
    expect(ours.size).toBe(0);
  });
});
