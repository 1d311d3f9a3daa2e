import { describe, expect, test } from "vitest";
import { ConfigError } from "../../src/config/problems.ts";
import { helpText, readSettings } from "../../src/config/settings.ts";

function problemsOf(environment: NodeJS.ProcessEnv, args: readonly string[] = []): string {
  try {
    readSettings(environment, args);
  } catch (error) {
    if (error instanceof ConfigError) return error.problems.join("\n");
    throw error;
  }
  return "";
}

describe("settings", () => {
  test("have the documented defaults", () => {
    expect(readSettings({}, [], 2)).toMatchObject({
      host: "127.0.0.1",
      port: 8080,
      h2Port: 8081,
      frontends: 1,
      workers: 1,
      logLevel: "info",
      drainSeconds: 600,
      overloadDelayMs: 250,
      memoryLimitBytes: undefined,
      adminToken: undefined,
      show: undefined,
    });
    expect(readSettings({}, [], 16)).toMatchObject({ frontends: 15, workers: 4 });
  });

  test("come from the environment, where an empty variable counts as none", () => {
    const settings = readSettings({ BIFROST_PORT: "9000", BIFROST_H2_PORT: "", BIFROST_FRONTENDS: "3" }, []);
    expect(settings).toMatchObject({ port: 9000, h2Port: 8081, frontends: 3 });
  });

  test("name every variable that is wrong at once", () => {
    const problems = problemsOf({ BIFROST_PORT: "70000", BIFROST_WORKERS: "two", BIFROST_LOG_LEVEL: "loud" });
    for (const name of ["BIFROST_PORT", "BIFROST_WORKERS", "BIFROST_LOG_LEVEL"]) expect(problems).toContain(name);
  });

  test("refuse one port for both protocols, but not two times a free one", () => {
    expect(problemsOf({ BIFROST_PORT: "9000", BIFROST_H2_PORT: "9000" })).toContain("BIFROST_H2_PORT");
    expect(problemsOf({ BIFROST_PORT: "0", BIFROST_H2_PORT: "0" })).toBe("");
  });

  test("refuse a configuration file that is not there, and options nobody knows", () => {
    expect(problemsOf({ BIFROST_CONFIG: "/nowhere/config.json" })).toContain("BIFROST_CONFIG: there is no file");
    expect(problemsOf({}, ["--config", "/nowhere/config.json"])).toContain("--config: there is no file");
    expect(problemsOf({}, ["--confg"])).toContain("--help");
  });

  test("let --config win over BIFROST_CONFIG", () => {
    const here = new URL(import.meta.url).pathname;
    expect(readSettings({ BIFROST_CONFIG: "/nowhere/config.json" }, ["--config", here]).configPath).toBe(here);
  });

  test.each([
    ["--help", "help"],
    ["-v", "version"],
    ["--check", "check"],
  ])("%s asks to show %s", (option, show) => {
    expect(readSettings({}, [option]).show).toBe(show);
  });

  test("the help names every variable of the contract", () => {
    for (const name of [
      "CONFIG",
      "HOST",
      "PORT",
      "H2_PORT",
      "FRONTENDS",
      "WORKERS",
      "DATA_DIR",
      "LOG_LEVEL",
      "ADMIN_TOKEN",
      "DRAIN_SECONDS",
    ])
      expect(helpText()).toContain(`BIFROST_${name}`);
  });
});
