/** What no entity's own schema can see: references between entities, what stands twice, conditions and patterns. */
import type { GovernanceConfig, VirtualKeyConfig } from "../config/governance.ts";
import { compileExpression, ExpressionError } from "./expression.ts";
import { limitRules, modelLimitHolder } from "./limits.ts";
import { problemOfEntry } from "./models.ts";

/** Below the section: `["teams", 0, "customer_id"]`. Holds no secret. */
export interface GovernanceProblem {
  readonly path: readonly (string | number)[];
  readonly message: string;
}

type Report = (path: readonly (string | number)[], message: string) => void;

/**
 * Checks a section that its schema has let pass.
 *
 * @param capacity how many limits there is room for in the shared memory
 * @returns what is wrong; empty when it can be put in force
 */
export function checkGovernance(config: GovernanceConfig, capacity = 65_536): GovernanceProblem[] {
  const problems: GovernanceProblem[] = [];
  const report: Report = (path, message) => problems.push({ path, message });
  const { customers, teams, virtual_keys, routing_rules, model_limits, pricing_overrides } = config;
  const sections = { customers, teams, virtual_keys, routing_rules, model_limits, pricing_overrides };
  for (const [section, entities] of Object.entries(sections)) {
    const ids: readonly (string | null)[] = entities.map(({ id }) => id);
    checkTwice(
      ids,
      (id) => id ?? undefined,
      (index) => report([section, index, "id"], "stands twice"),
    );
  }
  checkOwners(config, report);
  checkValues(config.virtual_keys, report);
  for (const [index, key] of config.virtual_keys.entries()) checkProviderConfigs(key, ["virtual_keys", index], report);
  checkLimits(config, report);
  checkRules(config, report);
  checkPrices(config, report);
  const count = new Set(limitRules(config).map(({ id }) => id)).size;
  if (count > capacity) report([], `has ${count} limits and budgets, but there is room for ${capacity}`);
  return problems;
}

function checkTwice<Item>(
  items: readonly Item[],
  keyOf: (item: Item) => string | undefined,
  report: (index: number) => void,
): void {
  const seen = new Set<string>();
  for (const [index, item] of items.entries()) {
    const key = keyOf(item);
    if (key === undefined) continue;
    if (seen.has(key)) report(index);
    seen.add(key);
  }
}

function checkOwners(config: GovernanceConfig, report: Report): void {
  const customers = new Set(config.customers.map(({ id }) => id));
  const teams = new Set(config.teams.map(({ id }) => id));
  for (const [index, { customer_id: customer }] of config.teams.entries())
    if (customer !== null && !customers.has(customer))
      report(["teams", index, "customer_id"], `there is no customer ${customer}`);
  for (const [index, { team_id: team, customer_id: customer }] of config.virtual_keys.entries()) {
    const path = ["virtual_keys", index];
    if (team !== null && !teams.has(team)) report([...path, "team_id"], `there is no team ${team}`);
    if (customer !== null && !customers.has(customer))
      report([...path, "customer_id"], `there is no customer ${customer}`);
    if (team !== null && customer !== null)
      report([...path, "customer_id"], "a virtual key belongs to a team or to a customer, not to both");
  }
}

function checkValues(keys: readonly VirtualKeyConfig[], report: Report): void {
  const owners = new Map<string, number>();
  const check = (value: string, owner: number, path: readonly (string | number)[]) => {
    if (owners.has(value)) report(path, "another virtual key, or another value of this one, is the same");
    owners.set(value, owner);
  };
  for (const [index, { value, previous_values: previous }] of keys.entries()) {
    check(value, index, ["virtual_keys", index, "value"]);
    for (const [nth, old] of previous.entries())
      check(old.value, index, ["virtual_keys", index, "previous_values", nth, "value"]);
  }
}

function checkProviderConfigs(key: VirtualKeyConfig, path: readonly (string | number)[], report: Report): void {
  checkTwice(
    key.provider_configs,
    ({ provider }) => provider,
    (index) => report([...path, "provider_configs", index, "provider"], "stands twice"),
  );
  for (const [index, config] of key.provider_configs.entries()) {
    for (const list of ["allowed_models", "blacklisted_models"] as const) {
      for (const [nth, entry] of config[list].entries()) {
        const problem = problemOfEntry(entry);
        if (problem !== undefined) report([...path, "provider_configs", index, list, nth], problem);
      }
    }
  }
}

function checkLimits(config: GovernanceConfig, report: Report): void {
  checkTwice(
    config.model_limits,
    ({ provider, model_name: model }) => modelLimitHolder(provider, model).id,
    (index) => report(["model_limits", index, "model_name"], "stands twice for this provider"),
  );
  const check = (budgets: readonly Budget[], path: readonly (string | number)[]) =>
    checkTwice(
      budgets,
      (budget) => `${budget.reset_duration} ${budget.calendar_aligned}`,
      (index) => report([...path, "budgets", index, "reset_duration"], "another budget has the same"),
    );
  for (const section of ["customers", "teams", "virtual_keys", "model_limits"] as const)
    for (const [index, { budgets }] of config[section].entries()) check(budgets, [section, index]);
  for (const [index, { provider_configs: providers }] of config.virtual_keys.entries())
    for (const [nth, { budgets }] of providers.entries())
      check(budgets, ["virtual_keys", index, "provider_configs", nth]);
}

type Budget = GovernanceConfig["customers"][number]["budgets"][number];

function checkRules(config: GovernanceConfig, report: Report): void {
  const known = {
    customer: new Set(config.customers.map(({ id }) => id)),
    team: new Set(config.teams.map(({ id }) => id)),
    virtual_key: new Set(config.virtual_keys.map(({ id }) => id)),
  };
  for (const [index, rule] of config.routing_rules.entries()) {
    const path = ["routing_rules", index];
    const { scope, scope_id: id } = rule;
    if (scope === "global") {
      if (id !== null) report([...path, "scope_id"], "a global rule has none");
    } else if (id === null) report([...path, "scope_id"], `is required for the scope ${scope}`);
    else if (!known[scope].has(id)) report([...path, "scope_id"], `there is no ${scope.replace("_", " ")} ${id}`);
    if (rule.targets.every(({ weight }) => weight === 0))
      report([...path, "targets"], "at least one target needs a weight above 0");
    for (const [nth, target] of rule.targets.entries())
      if (target.provider === null && target.model === null && target.key_id === null)
        report([...path, "targets", nth], "must name a provider, a model or a key_id");
    const problem = problemOfCondition(rule.cel_expression);
    if (problem !== undefined) report([...path, "cel_expression"], problem);
  }
}

function problemOfCondition(source: string): string | undefined {
  try {
    compileExpression(source);
    return undefined;
  } catch (error) {
    if (error instanceof ExpressionError) return error.message;
    throw error;
  }
}

function checkPrices(config: GovernanceConfig, report: Report): void {
  checkTwice(
    config.pricing_overrides,
    ({ provider, model, match_type: type }) => `${type} ${provider ?? "*"}/${model.toLowerCase()}`,
    (index) => report(["pricing_overrides", index, "model"], "stands twice for this provider"),
  );
  for (const [index, { model, match_type: type }] of config.pricing_overrides.entries()) {
    const path = ["pricing_overrides", index, "model"];
    const star = model.indexOf("*");
    if (type === "exact" && star !== -1) report(path, 'has a *, which only match_type "wildcard" understands');
    if (type === "wildcard" && star !== model.length - 1) report(path, "must have one *, at its end");
  }
}
