/** The gateway's process: reads its settings, starts the threads, and waits for signals. */
import type { Loaded } from "./config/load.ts";
import { ConfigError } from "./config/problems.ts";
import { helpText, readSettings, type Settings } from "./config/settings.ts";
import { packageVersion } from "./config/version.ts";
import { createLogger } from "./telemetry/log.ts";
import { loadConfiguration } from "./threads/configuration.ts";
import { startGateway } from "./threads/supervisor.ts";

// uWebSockets.js reads these as it loads. Its own header limit of 4 KiB refuses AWS session tokens.
process.env.UWS_HTTP_MAX_HEADERS_SIZE = String(32 * 1024);
process.env.AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED = "true";

process.exitCode = await main();

async function main(): Promise<number> {
  endWithKeeper(() => process.exit(1));
  let settings: Settings;
  let loaded: Loaded;
  try {
    settings = readSettings(process.env, process.argv.slice(2));
    if (settings.show === "help" || settings.show === "version") {
      process.stdout.write(settings.show === "help" ? helpText() : `${packageVersion()}\n`);
      return 0;
    }
    loaded = await loadConfiguration(settings);
    if (settings.show === "check") {
      process.stdout.write(`${settings.configPath ?? "The environment"} is a valid configuration.\n`);
      return 0;
    }
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    process.stderr.write(
      `The configuration is not valid:\n${error.problems.map((problem) => `  ${problem}\n`).join("")}`,
    );
    return 1;
  }
  const log = createLogger(settings.logLevel, "supervisor");
  let running: Awaited<ReturnType<typeof startGateway>>;
  try {
    running = await startGateway(settings, loaded, log);
  } catch (error) {
    log.fatal({ err: error }, "the gateway cannot start");
    // Threads that had started would keep the process alive.
    process.exit(1);
  }
  const { port, h2Port } = running.listening;
  const stopAsked = waitForStop();
  // Told before anybody else: what dies from here on is started again.
  process.send?.({ kind: "ready", port, h2Port });
  const host = settings.host.includes(":") ? `[${settings.host}]` : settings.host;
  const providers = Object.keys(loaded.config.providers);
  log.info(
    {
      http: `http://${host}:${port}`,
      h2: h2Port === undefined ? null : `http://${host}:${h2Port}`,
      providers,
      keys: countKeys(loaded),
      ...(loaded.source === "none" && {
        note: "no provider is configured: the embedded mock provider answers for every model",
      }),
    },
    "ready",
  );
  process.on("SIGHUP", () => void running.reload());
  endWithKeeper(async () => {
    log.fatal("the process that keeps this one has died: ending with it");
    await running.kill();
    process.exit(1);
  });
  const asked = await Promise.race([stopAsked.then(() => true), running.broken.then(() => false)]);
  if (asked) process.send?.({ kind: "stopping" });
  else log.fatal("a front end has died: the others finish what they have, and the process ends");
  log.info(`stopping; running requests have ${settings.drainSeconds} seconds`);
  let atOnce = false;
  const again = waitForStop().then(async () => {
    atOnce = true;
    log.warn("stopped at once by a second signal");
    await running.kill();
    process.exit(1);
  });
  const byItself = await Promise.race([running.stop(settings.drainSeconds), again]);
  log.info("stopped");
  process.exit(asked && byItself === true && !atOnce ? 0 : 1);
}

/**
 * A gateway whose keeper is gone ends as well: nobody would start it again, and a new keeper would find its ports taken.
 * Only the last call counts.
 */
function endWithKeeper(end: () => unknown): void {
  process.removeAllListeners("disconnect");
  process.on("disconnect", end);
  // A listener would keep alive a process that has nothing to do but to end.
  process.channel?.unref();
}

function waitForStop(): Promise<void> {
  return new Promise((resolve) => {
    const stop = (): void => {
      process.off("SIGTERM", stop);
      process.off("SIGINT", stop);
      resolve();
    };
    process.on("SIGTERM", stop);
    process.on("SIGINT", stop);
  });
}

function countKeys(loaded: Loaded): number {
  let count = 0;
  for (const provider of Object.values(loaded.config.providers)) if ("keys" in provider) count += provider.keys.length;
  return count;
}
