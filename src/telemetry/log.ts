/** Structured logs: JSON lines, or readable ones on a terminal. */
import { destination, type Logger, pino } from "pino";
import pretty from "pino-pretty";

export type { Logger };

/**
 * The logger of one thread. Lines are written at once, so that none is lost when the process ends, and there are few:
 * one for a request that failed or was slow, one for each change of state.
 *
 * @param thread names the thread in each line, e.g. `front-end-1`
 */
export function createLogger(level: string, thread: string): Logger {
  const options = {
    level,
    base: { thread },
    messageKey: "msg",
    timestamp: () => `,"time":"${new Date().toISOString()}"`,
  };
  if (process.stdout.isTTY === true) return pino(options, pretty({ destination: 1, sync: true, ignore: "thread" }));
  return pino(options, destination({ fd: 1, sync: true }));
}
