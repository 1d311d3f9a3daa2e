/** The processes of a measurement: starting and ending them by id, and what they cost, read from `/proc`. */
import { type ChildProcess, spawn } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";
import { cpus, release, totalmem, type } from "node:os";
import { createInterface } from "node:readline";

export interface ChildOptions {
  /** The program; Node by default. */
  readonly command?: string;
  readonly cwd?: string;
  readonly env?: Readonly<Record<string, string | undefined>>;
}

/** The gateway lets go of its ports within this. Milliseconds. */
const stopMs = 5000;
const keptLines = 50;

const running = new Set<ChildProcess>();
process.once("exit", () => {
  for (const child of running) child.kill("SIGKILL");
});

/** A process that may speak in lines of JSON. Those still running when this process ends are killed. */
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

  /** @param args what follows the program's name on the command line */
  constructor(name: string, args: readonly string[], options: ChildOptions = {}) {
    const { command = process.execPath, ...rest } = options;
    const child = spawn(command, args, { ...rest, stdio: ["pipe", "pipe", "pipe"] });
    // A program that does not exist: without a listener the event would end this process.
    child.once("error", (error) => this.#keep(error.message));
    if (child.pid === undefined) throw new Error(`${name} cannot be started`);
    this.pid = child.pid;
    this.#name = name;
    this.#process = child;
    running.add(child);
    this.#exited = new Promise((resolve) => {
      // Not "exit": what it said last may not have been read by then.
      child.once("close", () => {
        this.#ended = true;
        running.delete(child);
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

/**
 * A process and all that descend from it: a gateway may be started by a process that only watches it.
 *
 * @throws Error when there is no such process
 */
export function processTree(pid: number): number[] {
  statFields(readFileSync(`/proc/${pid}/stat`, "utf8"));
  const children = new Map<number, number[]>();
  for (const entry of readdirSync("/proc")) {
    const stat = /^\d+$/.test(entry) ? readIfThere(`/proc/${entry}/stat`) : undefined;
    if (stat === undefined) continue;
    const parent = Number(statFields(stat)[1]);
    children.set(parent, [...(children.get(parent) ?? []), Number(entry)]);
  }
  const tree = [pid];
  for (const one of tree) tree.push(...(children.get(one) ?? []));
  return tree;
}

/** CPU time of each thread of some processes up to a moment. Microseconds by process and thread id. */
export type CpuSample = ReadonlyMap<string, number>;

/** `/proc/PID/stat` counts in these. Linux reports 100 a second to programs, whatever the kernel's own clock. */
const microsPerTick = 10_000;

/**
 * User and system time, from each thread's `schedstat`, in nanoseconds; where the kernel has none, from `stat`, in ticks.
 *
 * @throws Error when the first process is not there; others may have ended
 */
export function sampleCpu(pids: readonly number[]): CpuSample {
  const sample = new Map<string, number>();
  for (const [n, pid] of pids.entries()) {
    for (const thread of threadsOf(pid, n > 0)) {
      const file = `/proc/${pid}/task/${thread}`;
      const nanoseconds = readIfThere(`${file}/schedstat`)?.split(" ")[0];
      const stat = nanoseconds === undefined ? readIfThere(`${file}/stat`) : undefined;
      if (nanoseconds !== undefined) sample.set(`${pid}/${thread}`, Number(nanoseconds) / 1000);
      else if (stat !== undefined) sample.set(`${pid}/${thread}`, ticksOf(stat));
    }
  }
  return sample;
}

function threadsOf(pid: number, mayBeGone: boolean): string[] {
  try {
    return readdirSync(`/proc/${pid}/task`);
  } catch (error) {
    if (mayBeGone && isGone(error)) return [];
    throw error;
  }
}

/** CPU time between two samples of the same processes. Microseconds. A thread that has ended since does not count. */
export function cpuBetween(before: CpuSample, after: CpuSample): number {
  let sum = 0;
  for (const [thread, micros] of after) sum += micros - (before.get(thread) ?? 0);
  return sum;
}

/** CPU time of the calling thread so far. Microseconds. */
export function ownThreadCpu(): number {
  return Number(readFileSync("/proc/thread-self/schedstat", "utf8").split(" ")[0]) / 1000;
}

/** User and system time of a line of `/proc/PID/stat`. Microseconds. */
function ticksOf(stat: string): number {
  const fields = statFields(stat);
  return (Number(fields[11]) + Number(fields[12])) * microsPerTick;
}

/** What follows the command, which stands in parentheses and may itself hold both: the state, the parent and so on. */
function statFields(stat: string): string[] {
  return stat.slice(stat.lastIndexOf(")") + 2).split(" ");
}

/** Resident memory of a process and all that descend from it. Bytes. @throws Error when there is no such process */
export function memoryOf(pid: number): number {
  let bytes = 0;
  for (const one of processTree(pid)) {
    const status = one === pid ? readFileSync(`/proc/${one}/status`, "utf8") : readIfThere(`/proc/${one}/status`);
    bytes += Number(/^VmRSS:\s*(\d+) kB$/m.exec(status ?? "")?.[1] ?? 0) * 1024;
  }
  return bytes;
}

/** Open files and sockets of a process and all that descend from it. */
export function openFilesOf(pid: number): number {
  let files = 0;
  for (const one of processTree(pid)) files += readdirSync(`/proc/${one}/fd`).length;
  return files;
}

function readIfThere(file: string): string | undefined {
  try {
    return readFileSync(file, "utf8");
  } catch (error) {
    // Threads and processes end between the listing and the reading, and a kernel may be built without these files.
    if (isGone(error)) return undefined;
    throw error;
  }
}

function isGone(error: unknown): boolean {
  return error instanceof Error && "code" in error && (error.code === "ENOENT" || error.code === "ESRCH");
}

/** The machine in one line. */
export function machine(): string {
  const cores = cpus();
  const memory = Math.round(totalmem() / 2 ** 30);
  const model = cores[0]?.model.trim() ?? "unknown processor";
  return `${model}, ${cores.length} cores, ${memory} GiB; ${type()} ${release()}; Node ${process.version}`;
}
