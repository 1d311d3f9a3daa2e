/** What the process is told from outside: environment variables and the command line. */
import { existsSync } from "node:fs";
import { availableParallelism } from "node:os";
import { resolve } from "node:path";
import { parseArgs } from "node:util";
import { ConfigError } from "./problems.ts";

export interface Settings {
  /** Instead of serving: print the help or the version, or check the configuration. */
  readonly show: "help" | "version" | "check" | undefined;
  /** The configuration file; undefined when there is none. */
  readonly configPath: string | undefined;
  readonly host: string;
  readonly port: number;
  /** 0 turns HTTP/2 off. */
  readonly h2Port: number;
  readonly frontends: number;
  readonly workers: number;
  readonly dataDir: string;
  readonly logLevel: string;
  readonly adminToken: string | undefined;
  /** Virtual keys' values are encrypted with it in the store; without one only their hashes are kept. */
  readonly encryptionKey: string | undefined;
  readonly drainSeconds: number;
  /** New inference is refused while the event loop comes this late. Milliseconds; 0 turns that off. */
  readonly overloadDelayMs: number;
  /** What the process may have of memory; undefined: what the container or the machine has. */
  readonly memoryLimitBytes: number | undefined;
}

const logLevels = ["trace", "debug", "info", "warn", "error", "fatal", "silent"];
const defaultConfigPath = "config.json";

/**
 * Reads the settings.
 *
 * @param cores how many cores there are, for the default numbers of threads
 * @throws ConfigError naming each variable or option that is wrong
 */
export function readSettings(
  environment: NodeJS.ProcessEnv,
  args: readonly string[],
  cores = availableParallelism(),
): Settings {
  const problems: string[] = [];
  const options = readOptions(args, problems);
  const text = (name: string): string | undefined => (environment[name] === "" ? undefined : environment[name]);
  const integer = (name: string, fallback: number, min: number, max: number): number => {
    const value = text(name);
    if (value === undefined) return fallback;
    const number = Number(value);
    if (/^\d+$/.test(value) && number >= min && number <= max) return number;
    problems.push(`${name}: must be a whole number from ${min} to ${max}`);
    return fallback;
  };
  const logLevel = text("BIFROST_LOG_LEVEL") ?? "info";
  if (!logLevels.includes(logLevel)) problems.push(`BIFROST_LOG_LEVEL: must be one of ${logLevels.join(", ")}`);
  const settings: Settings = {
    show: options.show,
    configPath: findConfig(options.config, text("BIFROST_CONFIG"), problems),
    host: text("BIFROST_HOST") ?? "127.0.0.1",
    port: integer("BIFROST_PORT", 8080, 0, 65535),
    h2Port: integer("BIFROST_H2_PORT", 8081, 0, 65535),
    frontends: integer("BIFROST_FRONTENDS", cores <= 2 ? 1 : cores - 1, 1, 256),
    workers: integer("BIFROST_WORKERS", Math.max(1, Math.floor(cores / 4)), 1, 256),
    dataDir: resolve(text("BIFROST_DATA_DIR") ?? "./data"),
    logLevel,
    adminToken: text("BIFROST_ADMIN_TOKEN"),
    encryptionKey: text("BIFROST_ENCRYPTION_KEY"),
    drainSeconds: integer("BIFROST_DRAIN_SECONDS", 600, 0, 86_400),
    overloadDelayMs: integer("BIFROST_OVERLOAD_DELAY_MS", 250, 0, 60_000),
    memoryLimitBytes: integer("BIFROST_MEMORY_LIMIT_MB", 0, 0, 16_777_216) * 1024 * 1024 || undefined,
  };
  if (settings.port !== 0 && settings.port === settings.h2Port)
    problems.push("BIFROST_H2_PORT: must not be the port of BIFROST_PORT");
  if (problems.length > 0) throw new ConfigError(problems);
  return settings;
}

interface Options {
  readonly show: Settings["show"];
  readonly config: string | undefined;
}

function readOptions(args: readonly string[], problems: string[]): Options {
  try {
    const { values } = parseArgs({
      args: [...args],
      options: {
        config: { type: "string", short: "c" },
        check: { type: "boolean" },
        help: { type: "boolean", short: "h" },
        version: { type: "boolean", short: "v" },
      },
    });
    const show = values.help ? "help" : values.version ? "version" : values.check ? "check" : undefined;
    return { show, config: values.config };
  } catch (error) {
    problems.push(`${error instanceof Error ? error.message : String(error)} (--help lists the options)`);
    return { show: undefined, config: undefined };
  }
}

function findConfig(option: string | undefined, variable: string | undefined, problems: string[]): string | undefined {
  const named = option ?? variable;
  const path = resolve(named ?? defaultConfigPath);
  if (existsSync(path)) return path;
  if (named === undefined) return undefined;
  problems.push(`${option === undefined ? "BIFROST_CONFIG" : "--config"}: there is no file ${path}`);
  return undefined;
}

/** What `--help` prints. */
export function helpText(): string {
  return `Bifrost: a gateway that speaks Amazon Bedrock's API.

Usage: node dist/server.js [--config FILE]

  -c, --config FILE   the configuration (JSON; config.schema.json describes it)
      --check         says whether the configuration is valid, and ends
  -h, --help          this text
  -v, --version       the version

Environment:
  BIFROST_CONFIG         the configuration file                    ./config.json if there is one
  BIFROST_HOST           address to listen on                      127.0.0.1
  BIFROST_PORT           HTTP/1.1 port                             8080
  BIFROST_H2_PORT        HTTP/2 port in clear text, 0 for none     8081
  BIFROST_FRONTENDS      front-end threads                         1 up to 2 cores, else cores - 1
  BIFROST_WORKERS        threads for heavy work                    a quarter of the cores, at least 1
  BIFROST_DATA_DIR       where data is kept                        ./data
  BIFROST_LOG_LEVEL      ${logLevels.slice(0, 4).join(", ")}, …            info
  BIFROST_ADMIN_TOKEN    bearer token of the management API        none: only from loopback
  BIFROST_DRAIN_SECONDS  how long SIGTERM waits for what runs      600
  BIFROST_SUPERVISE      0: a gateway that dies is not started again  1
  BIFROST_OVERLOAD_DELAY_MS
                         new requests are refused while the event
                         loop is this late; 0: never               250
  BIFROST_MEMORY_LIMIT_MB
                         they are also refused near this           what the container or machine has

Without a configuration file the credentials of the environment are used (AWS_REGION or AWS_PROFILE,
AWS_BEARER_TOKEN_BEDROCK); without any, the embedded mock provider answers for every model.

Point a Bedrock SDK at http://localhost:8080/bedrock (boto3: endpoint_url), or, for the AWS SDK for
JavaScript, which speaks HTTP/2, at http://localhost:8081/bedrock.
`;
}
