import { afterEach, describe, expect, test } from "vitest";
import {
  Child,
  cpuBetween,
  memoryOf,
  openFilesOf,
  ownThreadCpu,
  processTree,
  sampleCpu,
} from "../../../bench/gateway/process.ts";

const children: Child[] = [];
afterEach(async () => {
  await Promise.all(children.splice(0).map((child) => child.stop(200)));
});

function start(code: string): Child {
  const child = new Child("the child", ["-e", code]);
  children.push(child);
  return child;
}

const text = (line: unknown) => (typeof line === "string" ? line : undefined);
const work = "const end = performance.now() + 200; while (performance.now() < end);";

describe("CPU time", () => {
  test("counts all threads of a process", async () => {
    const child = start(`
      const { Worker } = require("node:worker_threads");
      process.stdin.once("data", () => {
        const before = process.cpuUsage();
        new Worker(${JSON.stringify(`${work} setTimeout(() => 0, 2000)`)}, { eval: true });
        ${work}
        setTimeout(() => {
          const { user, system } = process.cpuUsage(before);
          console.log(JSON.stringify(String(user + system)));
        }, 500);
      });
      console.log(JSON.stringify("ready"));`);
    await child.line(text, 5000);
    const before = sampleCpu([child.pid]);
    child.write({});
    const used = Number(await child.line(text, 5000));
    const counted = cpuBetween(before, sampleCpu([child.pid]));
    expect(used).toBeGreaterThan(20_000);
    expect(Math.abs(counted - used) / used).toBeLessThan(0.2);
  });

  test("counts the processes a process has started", async () => {
    const inner = `while (process.cpuUsage().user < 300_000); console.log(1); setTimeout(() => 0, 5000);`;
    const parent = start(`
      const { spawn } = require("node:child_process");
      const child = spawn(process.execPath, ["-e", ${JSON.stringify(inner)}], { stdio: ["ignore", "pipe", "ignore"] });
      child.stdout.once("data", () => console.log(JSON.stringify(String(child.pid))));
      process.on("SIGTERM", () => { child.kill(); process.exit(0); });`);
    const pid = Number(await parent.line(text, 5000));
    const tree = processTree(parent.pid);
    expect(tree).toEqual([parent.pid, pid]);
    expect(cpuBetween(new Map(), sampleCpu(tree)) - cpuBetween(new Map(), sampleCpu([parent.pid]))).toBeGreaterThan(
      200_000,
    );
    expect(memoryOf(parent.pid)).toBeGreaterThan(memoryOf(pid));
    expect(openFilesOf(parent.pid)).toBeGreaterThan(openFilesOf(pid));
  });

  test("never falls when a thread ends", () => {
    const before = new Map([
      ["1", 100],
      ["2", 900],
    ]);
    expect(
      cpuBetween(
        before,
        new Map([
          ["1", 150],
          ["3", 7],
        ]),
      ),
    ).toBe(57);
  });

  test("is read for the calling thread", () => {
    const before = ownThreadCpu();
    for (let n = 0; n < 1e7; n++) Math.sqrt(n);
    expect(ownThreadCpu()).toBeGreaterThan(before);
  });

  test("of a process that is gone is an error", async () => {
    const child = start("");
    await child.stop();
    expect(() => sampleCpu([child.pid])).toThrow();
    expect(() => processTree(child.pid)).toThrow();
  });
});

describe("a child", () => {
  test("has its memory in bytes", async () => {
    const child = start('console.log("1"); setInterval(() => 0, 1000)');
    await child.line((line) => line, 5000);
    expect(memoryOf(child.pid)).toBeGreaterThan(10 * 1024 * 1024);
  });

  test("that is no program is an error", () => {
    expect(() => new Child("nothing", [], { command: "/there/is/no/such/program" })).toThrow(/cannot be started/);
  });

  test("that ends instead of speaking is reported with what it said", async () => {
    const child = start('console.error("no port"); process.exitCode = 3');
    await expect(child.line((line) => line, 5000)).rejects.toThrow(/ended:\nno port/);
  });

  test("that says nothing is given up", async () => {
    await expect(start("setInterval(() => 0, 1000)").line((line) => line, 100)).rejects.toThrow(/said nothing/);
  });

  test("is ended even when it does not listen to SIGTERM", async () => {
    const child = start('process.on("SIGTERM", () => 0); setInterval(() => 0, 1000); console.log("1")');
    await child.line((line) => line, 5000);
    await child.stop(200);
    expect(() => process.kill(child.pid, 0)).toThrow();
  });
});
