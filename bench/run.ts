/** Measures the gateway and its parts: `npm run bench`, see `help` of `options.ts`. */
import { spawnSync } from "node:child_process";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { compareReports, isRegression, renderComparison } from "./compare.ts";
import { gatewayEntry, root } from "./gateway/configs.ts";
import { runEndToEnd, scenarioNames } from "./gateway/end-to-end.ts";
import { machine } from "./gateway/process.ts";
import { runScale } from "./gateway/scale.ts";
import { runSoak } from "./gateway/soak.ts";
import { parts, runMicro } from "./micro.ts";
import { help, type Options, readOptions } from "./options.ts";
import { renderPage, renderSections, replaceBetween, verdictOf } from "./page.ts";
import { type Report, readReport } from "./report.ts";

/** What a mode has measured; the rest of a report is the same for all. */
interface Measured extends Pick<Report, "sections" | "figures"> {
  readonly versions?: Report["versions"];
  /** The gateway did not do what was measured, or a soak did not stay flat. */
  readonly failed: boolean;
}

// Children are killed as this process ends; a signal alone would end it without that.
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.once(signal, () => process.exit(130));

process.exitCode = await main(process.argv.slice(2));

async function main(args: readonly string[]): Promise<number> {
  const options = readOptions(args);
  if (typeof options === "string") return refuse(options);
  if (options.help) return print(help);
  const known = [...scenarioNames(options.peers), ...parts.map(({ name }) => name)];
  if (options.list) return print(`${known.join("\n")}\n`);
  if (options.mode === "compare") return compare(options);
  const unknown = [...(options.only ?? [])].find((name) => !known.includes(name));
  if (unknown !== undefined) return refuse(`there is no benchmark ${JSON.stringify(unknown)}; --list names them`);
  if (options.mode !== "micro" && !existsSync(gatewayEntry))
    return refuse(`${gatewayEntry} is missing: run \`npm run build\` first`);

  const { failed, versions = {}, ...measured } = await measure(options);
  const report: Report = {
    format: 1,
    date: new Date().toISOString(),
    command: ["npm run bench", ...(args.length > 0 ? ["--", ...args] : [])].join(" "),
    machine: machine(),
    versions: { bifrost: ownVersion(), ...versions },
    ...measured,
  };
  write(options, report);
  const missed = report.figures.some((figure) => verdictOf(figure) === "miss");
  return failed || (options.strict && missed) ? 1 : 0;
}

async function measure(options: Options): Promise<Measured> {
  const { mode, pace, most } = options;
  if (mode === "scale") return { ...(await runScale(most, pace, progress)), failed: false };
  if (mode === "soak") {
    const { verdict, ...report } = await runSoak({ ...options, restMs: pace.restMs, progress });
    return { ...report, failed: verdict !== "flat" };
  }
  return measureParts(options);
}

async function measureParts(options: Options): Promise<Measured> {
  const { mode, micro, only } = options;
  const wanted = (name: string) => only === undefined || only.has(name);
  const gateway = mode !== "micro" && scenarioNames(options.peers).some(wanted);
  const small = parts.filter(
    ({ name, study }) => mode !== "gateway" && (study === true ? only?.has(name) : wanted(name)),
  );
  const whole = gateway ? await runEndToEnd({ ...options, only: wanted, progress }) : undefined;
  return {
    sections: [...(whole?.sections ?? []), ...small.map(({ title, text }) => ({ title, text }))],
    figures: [...(whole?.figures ?? []), ...(await runMicro(small, micro, progress))],
    versions: whole?.versions ?? {},
    failed: whole?.failed ?? false,
  };
}

function write({ mode, json, page }: Options, report: Report): void {
  const text = renderPage(report);
  if (json !== undefined) writeFileSync(json, `${JSON.stringify(report, undefined, 1)}\n`);
  if (page !== undefined && mode === "scale") {
    const measured = `Written by \`${report.command}\` on ${report.date.slice(0, 10)}: ${report.machine}.`;
    const curves = `${measured}\n\n${renderSections(report, "###")}`;
    writeFileSync(page, replaceBetween(readFileSync(page, "utf8"), "scale", curves));
  } else if (page !== undefined) {
    writeFileSync(page, text);
  }
  process.stdout.write(text);
}

function compare({ files, tolerance }: Options): number {
  const [before, after] = files.map((file) => readReport(readFileSync(file, "utf8")));
  if (before === undefined || after === undefined) return refuse("compare takes two files");
  const compared = compareReports(before, after, tolerance);
  process.stdout.write(renderComparison(compared));
  return compared.some(isRegression) ? 1 : 0;
}

/** Of the sources, with the commit where they come from a repository. */
function ownVersion(): string {
  const { stdout, status } = spawnSync("git", ["describe", "--always", "--dirty"], { cwd: root, encoding: "utf8" });
  const { version } = JSON.parse(readFileSync(`${root}/package.json`, "utf8"));
  return status === 0 ? `${version} (${stdout.trim()})` : String(version);
}

function print(text: string): number {
  process.stdout.write(text);
  return 0;
}

function refuse(problem: string): number {
  process.stderr.write(`${problem}\n\n${help}`);
  return 2;
}

/** With the seconds since the start. */
function progress(text: string): void {
  process.stderr.write(`${(performance.now() / 1000).toFixed(0).padStart(4)} s  ${text}\n`);
}
