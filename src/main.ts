/**
 * The process an operator starts. It keeps the gateway running as a child and does nothing else, since what can take a
 * whole process down (a fault in native code, no memory left) would take its keeper along. It loads none of the gateway.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { fileURLToPath } from "node:url";

/** What the gateway tells its keeper: that it serves, and that somebody else has asked it to stop. */
type Told =
  | { readonly kind: "ready"; readonly port: number; readonly h2Port: number | undefined }
  | { readonly kind: "stopping" };
type Ready = Extract<Told, { readonly kind: "ready" }>;

const passedOn = ["SIGTERM", "SIGINT", "SIGHUP"] as const;

/** The pause before a new start: none after a first crash, doubled while starts fail. Milliseconds. */
const firstPauseMs = 100;
const maxPauseMs = 10_000;
/** A gateway that has run this long has not failed to start. Milliseconds. */
const settledMs = 10_000;

const server = new URL("./server.js", import.meta.url);

if (process.env.BIFROST_SUPERVISE === "0") await import(server.href);
else keep();

function keep(): void {
  let child: ChildProcess | undefined;
  let stopping = false;
  let pausing: NodeJS.Timeout | undefined;
  let failures = 0;
  /** The ports of the first start: a gateway that chose them itself is found there again. */
  let ready: Ready | undefined;

  const start = (): void => {
    const startedAt = performance.now();
    child = spawn(process.execPath, [...withoutInspector(), fileURLToPath(server), ...process.argv.slice(2)], {
      stdio: ["inherit", "inherit", "inherit", "ipc"],
      env: { ...process.env, ...portsOf(ready) },
      // A terminal sends Ctrl-C to the whole group. The gateway is to hear it once, from here: twice means "at once".
      detached: true,
    });
    child.once("error", (error) => {
      say("fatal", `the gateway cannot be started: ${error.message}`);
      process.exit(1);
    });
    child.on("message", (message) => {
      if (!isTold(message)) return;
      if (message.kind === "stopping") {
        stopping = true;
        return;
      }
      if (ready !== undefined)
        say("warn", `the gateway serves again, ${Math.round(performance.now() - startedAt)} ms after its new start`);
      ready = message;
    });
    // Not "exit", which may come before what the gateway told last has been read.
    child.once("close", (code, signal) => {
      child = undefined;
      // Whoever ended it well wants it to stay so, and what cannot start at all cannot the next time either. A signal
      // that comes before the gateway listens for it ends it at once.
      if (code === 0 || stopping || ready === undefined)
        process.exit(code ?? (signal === "SIGTERM" || signal === "SIGINT" ? 0 : 1));
      failures = performance.now() - startedAt > settledMs ? 0 : failures + 1;
      const pauseMs = failures === 0 ? 0 : Math.min(firstPauseMs * 2 ** (failures - 1), maxPauseMs);
      say("error", `the gateway ended (${signal ?? `code ${code}`}); it is started again in ${pauseMs} ms`);
      pausing = setTimeout(start, pauseMs);
    });
  };

  for (const name of passedOn) {
    process.on(name, () => {
      if (name !== "SIGHUP") {
        stopping = true;
        clearTimeout(pausing);
        if (child === undefined) process.exit(0);
      }
      child?.kill(name);
    });
  }
  start();
}

/** A debugger is attached to one process; with one, the gateway had better run without a keeper. */
function withoutInspector(): string[] {
  return process.execArgv.filter((option) => !option.startsWith("--inspect"));
}

function portsOf(ready: Ready | undefined): Record<string, string> {
  if (ready === undefined) return {};
  const { port, h2Port } = ready;
  return { BIFROST_PORT: String(port), ...(h2Port !== undefined && { BIFROST_H2_PORT: String(h2Port) }) };
}

function isTold(message: unknown): message is Told {
  return (
    typeof message === "object" &&
    message !== null &&
    "kind" in message &&
    (message.kind === "ready" || message.kind === "stopping")
  );
}

/** A line like those of the gateway's own log, without its library. */
function say(level: "warn" | "error" | "fatal", msg: string): void {
  const number = { warn: 40, error: 50, fatal: 60 }[level];
  const line = { level: number, time: new Date().toISOString(), thread: "keeper", msg };
  process.stdout.write(`${JSON.stringify(line)}\n`);
}
