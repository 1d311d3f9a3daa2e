/** The configuration with everything that can be said about it before it is in force. */
import { type Loaded, loadConfig } from "../config/load.ts";
import type { Settings } from "../config/settings.ts";
import { checkGovernance } from "../governance/check.ts";
import { providerTable } from "../providers/table.ts";

/** @throws ConfigError naming the path of each wrong or unknown field */
export function loadConfiguration(settings: Pick<Settings, "configPath">): Promise<Loaded> {
  return loadConfig(settings, process.env, providerTable, ({ governance }) =>
    checkGovernance(governance).map(({ path, message }) => ({ path: ["governance", ...path], message })),
  );
}
