/** Measures the gateway and its parts, and writes one page of Markdown: `npm run bench`, see {@link help}. */
import { existsSync, writeFileSync } from "node:fs";
import { parseArgs } from "node:util";
import * as frames from "./frames.ts";
import * as hash from "./hash.ts";
import { machine } from "./process.ts";
import { markdownTable, median, renderSection, type Section, spread } from "./report.ts";
import { type Outcome, type Pace, runScenarios, scenarioNames } from "./scenarios.ts";
import * as sign from "./sign.ts";
import { gatewayEntry } from "./stage.ts";
import * as translate from "./translate.ts";

const partNames = ["frames", "sign", "hash", "translate"] as const;
const names: readonly string[] = [...scenarioNames, ...partNames];

const help = `npm run bench -- [options]

  --rounds N    rounds of the gateway's scenarios, 1 to 20 (5; with --quick 2)
  --quick       short windows: half a minute instead of three, and figures that say little
  --only LIST   some of ${names.join(", ")}; separated by commas
  --out FILE    writes the page to a file as well
  --strict      exit code 1 when a bar is missed
  --help

The gateway is the compiled one: run \`npm run build\` first.
`;

const thorough: Pace = { rounds: 5, warmupMs: 500, measureMs: 2000, latencyMs: 4000 };
const quick: Pace = { rounds: 2, warmupMs: 200, measureMs: 500, latencyMs: 1000 };

/** How long each case of a part is measured. Milliseconds. */
const partMs = { thorough: 600, quick: 60 };

// Children are killed as this process ends; a signal alone would end it without that.
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.once(signal, () => process.exit(130));

process.exitCode = await main();

async function main(): Promise<number> {
  const options = readOptions();
  if (typeof options === "string") {
    process.stderr.write(`${options}\n\n${help}`);
    return 2;
  }
  if (options.help) {
    process.stdout.write(help);
    return 0;
  }
  if (scenarioNames.some((name) => options.only.has(name)) && !existsSync(gatewayEntry)) {
    process.stderr.write(`${gatewayEntry} is missing: run \`npm run build\` first\n`);
    return 1;
  }
  const outcomes = await runScenarios(options.only, options.pace, progress);
  const sections = outcomes.length === 0 ? [] : [gatewaySection(outcomes, options.pace)];
  for (const part of partNames) {
    if (!options.only.has(part)) continue;
    progress(`measuring: ${part}`);
    sections.push(...(await runPart(part, options.partMs)));
  }
  const page = [heading(), ...sections.map(renderSection)].join("\n");
  process.stdout.write(page);
  if (options.out !== undefined) writeFileSync(options.out, page);
  const failed = outcomes.some((outcome) => outcome.problem !== undefined);
  return failed || (options.strict && outcomes.some((outcome) => verdict(outcome) === "missed")) ? 1 : 0;
}

interface Options {
  readonly help: boolean;
  readonly strict: boolean;
  readonly only: ReadonlySet<string>;
  readonly out: string | undefined;
  readonly pace: Pace;
  readonly partMs: number;
}

/** @returns what is wrong with the command line, if anything is */
function readOptions(): Options | string {
  let values: ReturnType<typeof parse>["values"];
  try {
    values = parse().values;
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
  const pace = values.quick ? quick : thorough;
  const rounds = values.rounds === undefined ? pace.rounds : Number(values.rounds);
  if (!Number.isInteger(rounds) || rounds < 1 || rounds > 20) return "--rounds takes a number from 1 to 20";
  const only = values.only?.split(",") ?? names;
  const unknown = only.find((name) => !names.includes(name));
  if (unknown !== undefined) return `there is no benchmark ${JSON.stringify(unknown)}`;
  return {
    help: values.help,
    strict: values.strict,
    only: new Set(only),
    out: values.out,
    pace: { ...pace, rounds },
    partMs: values.quick ? partMs.quick : partMs.thorough,
  };
}

function parse() {
  return parseArgs({
    options: {
      help: { type: "boolean", default: false },
      quick: { type: "boolean", default: false },
      strict: { type: "boolean", default: false },
      rounds: { type: "string" },
      only: { type: "string" },
      out: { type: "string" },
    },
  });
}

async function runPart(part: (typeof partNames)[number], ms: number): Promise<Section[]> {
  switch (part) {
    case "frames":
      return await frames.run(ms);
    case "sign":
      return [await sign.run(ms)];
    case "hash":
      return [await hash.run(ms)];
    case "translate":
      return await translate.run(ms);
  }
}

function heading(): string {
  const date = new Date().toISOString().slice(0, 10);
  return `# Benchmarks\n\nWritten by \`npm run bench\` on ${date}.\n\n${machine()}\n`;
}

function gatewaySection(outcomes: readonly Outcome[], { rounds, measureMs, latencyMs }: Pace): Section {
  return {
    title: "The gateway",
    text: [
      "The compiled gateway with one front end and its default settings, a fake Bedrock that answers from memory, and a",
      "load generator: three processes on loopback that share the machine's cores, so requests/s say more about the machine",
      "than about the gateway. CPU is that of the whole process, all its threads, between the two ends of the measured",
      "window. Bodies are of 1 KB both ways; 64 connections send as soon as they have their answer. Streams have 200 frames.",
      "Latencies are taken at a fixed rate and counted from the moment a request was due, once through the gateway and once",
      `without it; what is added is the difference of the two. Median (lowest–highest) of ${rounds} interleaved rounds, with`,
      `windows of ${measureMs / 1000} s, for latencies ${latencyMs / 1000} s, each after a warm-up that is not counted.`,
    ].join("\n"),
    table: markdownTable(["", "median (min–max)", "bar"], outcomes.map(row)),
  };
}

function row(outcome: Outcome): string[] {
  const { figure, values, problem } = outcome;
  if (problem !== undefined) return [figure.name, `failed: ${problem.split("\n")[0]}`, ""];
  const value = values.length === 1 ? (values[0] ?? Number.NaN).toFixed(figure.digits) : spread(values, figure.digits);
  return [figure.name, value, figure.bar === undefined ? "" : `≤ ${figure.bar}: ${verdict(outcome)}`];
}

function verdict({ figure, values }: Outcome): "met" | "missed" {
  return figure.bar === undefined || median(values) <= figure.bar ? "met" : "missed";
}

function progress(text: string): void {
  process.stderr.write(`${text}\n`);
}
