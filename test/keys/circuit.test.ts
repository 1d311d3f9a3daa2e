import { describe, expect, it } from "vitest";
import { Circuit } from "../../src/keys/circuit.ts";
import { createKeyMemory, openKeyMemory } from "../../src/keys/layout.ts";
import { KeyStats } from "../../src/keys/stats.ts";
import { tickOf } from "../../src/keys/waits.ts";
import { measured, start } from "./ring-kit.ts";

function fresh() {
  const memory = openKeyMemory(createKeyMemory());
  const stats = new KeyStats(memory);
  const circuit = new Circuit(memory, stats);
  return {
    stats,
    circuit,
    fail: (now: number, probe = 0) => {
      stats.fail(0, now);
      circuit.failed(0, probe, now);
    },
    succeed: (now: number) => {
      stats.succeed(0, measured, now);
      circuit.settle(0, now);
    },
    phase: (now: number) => circuit.phase(0, tickOf(now)),
  };
}

/** Opens it and answers when the probe is due. */
function opened({ fail, circuit }: ReturnType<typeof fresh>, now = start): number {
  for (let count = 0; count < 5; count++) fail(now);
  return now + (circuit.untilProbe(0, now) ?? Number.NaN);
}

describe("a circuit", () => {
  it("is closed at first and stays so with now and then a failure", () => {
    const one = fresh();
    for (let count = 0; count < 200; count++) {
      if (count % 5 === 0) one.fail(start + count);
      else one.succeed(start + count);
    }
    expect(one.phase(start + 200)).toBe("closed");
  });

  it("opens at the fifth failure in a row", () => {
    const one = fresh();
    for (let count = 0; count < 4; count++) one.fail(start);
    expect(one.phase(start)).toBe("closed");
    one.fail(start);
    expect(one.phase(start)).toBe("open");
    expect(one.circuit.untilProbe(0, start)).toBe(2050);
  });

  it("opens when half of many fail, without five in a row", () => {
    const one = fresh();
    for (let count = 0; count < 12; count++) {
      one.succeed(start);
      one.fail(start);
    }
    expect(one.phase(start)).toBe("open");
  });

  it("does not open for throttled attempts", () => {
    const one = fresh();
    for (let count = 0; count < 50; count++) one.stats.throttle(0, start);
    one.fail(start);
    expect(one.phase(start)).toBe("closed");
  });

  it("lets one probe through when its time has come, and no second", () => {
    const one = fresh();
    const due = opened(one);
    expect(one.circuit.takeProbe(0, due - 100)).toBe(0);
    expect(one.phase(due)).toBe("due");
    expect(one.circuit.takeProbe(0, due)).not.toBe(0);
    expect(one.phase(due)).toBe("probing");
    expect(one.circuit.takeProbe(0, due)).toBe(0);
    expect(one.circuit.takeProbe(0, due + 600_000)).toBe(0);
    expect(one.circuit.untilProbe(0, due)).toBeUndefined();
  });

  it("lets another probe through when the first has been lost for a quarter of an hour", () => {
    const one = fresh();
    const due = opened(one);
    const lost = one.circuit.takeProbe(0, due);
    const later = due + 900_100;
    const next = one.circuit.takeProbe(0, later);
    expect(next).not.toBe(0);
    one.fail(later, lost);
    expect(one.phase(later)).toBe("probing");
    one.fail(later, next);
    expect(one.phase(later)).toBe("open");
  });

  it("opens for twice as long after each probe that fails, up to a minute", () => {
    const one = fresh();
    let due = opened(one);
    const lengths: number[] = [];
    for (let count = 0; count < 7; count++) {
      const probe = one.circuit.takeProbe(0, due);
      one.fail(due, probe);
      const length = one.circuit.untilProbe(0, due) ?? Number.NaN;
      lengths.push(Math.round(length / 1000));
      due += length;
    }
    expect(lengths).toEqual([4, 8, 16, 32, 60, 60, 60]);
  });

  it("is due again at once when a probe ends without a verdict", () => {
    const one = fresh();
    const due = opened(one);
    one.circuit.abandon(0, one.circuit.takeProbe(0, due), due);
    expect(one.phase(due)).toBe("due");
    expect(one.circuit.takeProbe(0, due)).not.toBe(0);
  });

  it("forgets how often it opened only when the key is well again", () => {
    const one = fresh();
    const due = opened(one);
    one.circuit.takeProbe(0, due);
    one.circuit.close(0);
    one.succeed(due);
    const again = opened(one, due + 100);
    expect(Math.round((again - due) / 1000)).toBe(4);
    one.circuit.takeProbe(0, again);
    one.circuit.close(0);
    const well = again + 60_000;
    for (let count = 0; count < 20; count++) one.succeed(well);
    expect(Math.round((opened(one, well) - well) / 1000)).toBe(2);
  });
});
