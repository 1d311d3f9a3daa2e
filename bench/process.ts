/** The processes of a measurement: starting and ending them by id, and what they cost, read from `/proc`. */
import { type ChildProcess, spawn } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";
import { cpus, release, totalmem, type } from "node:os";
import { createInterface } from "node:readline";

export interface ChildOptions {
  readonly cwd?: string;
  readonly env?: Readonly<Record<string, string | undefined>>;
}

/** The gateway lets go of its ports within this. Milliseconds. */
const stopMs = 5000;
const keptLines = 50;

/** A Node process that speaks in lines of JSON. Those still running when this process ends are killed. */
export class Child implements AsyncDisposable {
  readonly pid: number;
  readonly #name: string;
  readonly #process: ChildProcess;
  readonly #exited: Promise<void>;
  #ended = false;
  /** The last lines it wrote, for the message when it fails. */
  #said: string[] = [];
  #onLine: ((line: string) => void) | undefined;
  #onExit: (() => void) | undefined;

  /** @param args what follows `node` on the command line */
  constructor(name: string, args: readonly string[], options: ChildOptions = {}) {
    const child = spawn(process.execPath, args, { ...options, stdio: ["pipe", "pipe", "pipe"] });
    if (child.pid === undefined) throw new Error(`${name} cannot be started`);
    this.pid = child.pid;
    this.#name = name;
    this.#process = child;
    const kill = () => child.kill("SIGKILL");
    process.once("exit", kill);
    this.#exited = new Promise((resolve) => {
      // Not "exit": what it said last may not have been read by then.
      child.once("close", () => {
        this.#ended = true;
        process.off("exit", kill);
        this.#onExit?.();
        resolve();
      });
    });
    // A child that ends while it is written to is reported by whoever waits for its line.
    child.stdin.on("error", () => undefined);
    createInterface(child.stdout).on("line", (line) => this.#hear(line));
    createInterface(child.stderr).on("line", (line) => this.#keep(line));
  }

  /**
   * The next line of JSON it writes for which `pick` gives a value.
   *
   * @throws Error with what it said when it ends before, or after `ms` milliseconds
   */
  line<T>(pick: (line: unknown) => T | undefined, ms: number): Promise<T> {
    return new Promise((resolve, reject) => {
      const settle = (finish: () => void) => {
        clearTimeout(timer);
        this.#onLine = undefined;
        this.#onExit = undefined;
        finish();
      };
      const fail = (what: string) =>
        settle(() => reject(new Error(`${this.#name} ${what}:\n${this.#said.join("\n")}`)));
      const timer = setTimeout(() => fail(`said nothing for ${ms} ms`), ms);
      this.#onExit = () => fail("ended");
      this.#onLine = (line) => {
        const found = pick(parse(line));
        if (found !== undefined) settle(() => resolve(found));
      };
      if (this.#ended) this.#onExit();
    });
  }

  write(line: object): void {
    this.#process.stdin?.write(`${JSON.stringify(line)}\n`);
  }

  /** SIGTERM, then SIGKILL when it has not ended after `ms` milliseconds. */
  async stop(ms = stopMs): Promise<void> {
    if (!this.#ended) this.#process.kill("SIGTERM");
    const timer = setTimeout(() => this.#process.kill("SIGKILL"), ms);
    await this.#exited;
    clearTimeout(timer);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
  }

  #hear(line: string): void {
    this.#keep(line);
    this.#onLine?.(line);
  }

  #keep(line: string): void {
    this.#said.push(line);
    if (this.#said.length > keptLines) this.#said = this.#said.slice(-keptLines);
  }
}

function parse(line: string): unknown {
  try {
    return JSON.parse(line);
  } catch {
    // Not everything a process prints is for us.
    return undefined;
  }
}

/** CPU time of each thread of a process up to a moment. Microseconds by thread id. */
export type CpuSample = ReadonlyMap<string, number>;

/** `/proc/PID/stat` counts in these. Linux reports 100 a second to programs, whatever the kernel's own clock. */
const microsPerTick = 10_000;

/** @throws Error when there is no such process */
export function sampleCpu(pid: number): CpuSample {
  const sample = new Map<string, number>();
  for (const thread of readdirSync(`/proc/${pid}/task`)) {
    const nanoseconds = readIfThere(`/proc/${pid}/task/${thread}/schedstat`)?.split(" ")[0];
    if (nanoseconds !== undefined) sample.set(thread, Number(nanoseconds) / 1000);
  }
  return sample.size > 0 ? sample : new Map([["all", ticksOf(readFileSync(`/proc/${pid}/stat`, "utf8"))]]);
}

/** CPU time between two samples of one process. Microseconds. A thread that has ended since does not count. */
export function cpuBetween(before: CpuSample, after: CpuSample): number {
  let sum = 0;
  for (const [thread, micros] of after) sum += micros - (before.get(thread) ?? 0);
  return sum;
}

/** CPU time of the calling thread so far. Microseconds. */
export function ownThreadCpu(): number {
  return Number(readFileSync("/proc/thread-self/schedstat", "utf8").split(" ")[0]) / 1000;
}

/** User and system time of a line of `/proc/PID/stat`. The command, in parentheses, may itself hold both. */
function ticksOf(stat: string): number {
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  return (Number(fields[11]) + Number(fields[12])) * microsPerTick;
}

/** Resident memory of a process now, and at its highest. Bytes. */
export function memoryOf(pid: number): { readonly now: number; readonly peak: number } {
  const status = readFileSync(`/proc/${pid}/status`, "utf8");
  const bytes = (name: string) => Number(new RegExp(`^${name}:\\s*(\\d+) kB$`, "m").exec(status)?.[1]) * 1024;
  return { now: bytes("VmRSS"), peak: bytes("VmHWM") };
}

function readIfThere(file: string): string | undefined {
  try {
    return readFileSync(file, "utf8");
  } catch (error) {
    // Threads end between the listing and the reading, and a kernel may be built without these files.
    if (error instanceof Error && "code" in error && (error.code === "ENOENT" || error.code === "ESRCH"))
      return undefined;
    throw error;
  }
}

/** The machine in one line. */
export function machine(): string {
  const cores = cpus();
  const memory = Math.round(totalmem() / 2 ** 30);
  const model = cores[0]?.model.trim() ?? "unknown processor";
  return `${model}, ${cores.length} cores, ${memory} GiB; ${type()} ${release()}; Node ${process.version}`;
}
