/**
 * Conditions of routing rules, in CEL. They are compiled once, and what they may contain is listed here rather than what
 * they may not: neither a mistake nor malice in one can take noticeable time or memory. In particular the language's own
 * `matches` is left out, whose patterns can take forever; `reMatch(text, pattern)` stands in its place. Loops (`exists`,
 * `all`, `exists_one`) may not contain another one.
 */
import { type ASTNode, Environment, EvaluationError, type ParseResult } from "@marcbachmann/cel-js";
import type { RE2JS } from "re2js";
import { compilePattern } from "./models.ts";

/** What conditions can ask about. */
export interface ExpressionContext {
  /** Without the provider's name. */
  readonly model: string;
  readonly provider: string;
  readonly request_type: string;
  /** Lower-case names. */
  readonly headers: ReadonlyMap<string, string>;
  readonly params: ReadonlyMap<string, string>;
  readonly dimensions: ReadonlyMap<string, string>;
  /** Empty where there is none; so are the names below. */
  readonly virtual_key_id: string;
  readonly virtual_key_name: string;
  readonly team_id: string;
  readonly team_name: string;
  readonly customer_id: string;
  readonly customer_name: string;
  /** Percent of the fullest budget, token limit and request limit that hold; 0 when there is none. */
  /** Bytes of the body. */
  readonly request_size: bigint;
  readonly budget_used: number;
  readonly tokens_used: number;
  readonly request: number;
}

/** A condition that can be asked. */
export interface Expression {
  /** Whether it asks how much of limits is used, which takes looking up. */
  readonly asksUse: boolean;
  /** @returns `failed` when it could not be told, for instance a conversion of what is no number */
  matches(context: ExpressionContext): boolean | "failed";
}

/** What is wrong with a condition. */
export class ExpressionError extends Error {
  override readonly name = "ExpressionError";
}

const variables: Readonly<Record<keyof ExpressionContext, string>> = {
  model: "string",
  provider: "string",
  request_type: "string",
  headers: "map<string, string>",
  params: "map<string, string>",
  dimensions: "map<string, string>",
  virtual_key_id: "string",
  virtual_key_name: "string",
  team_id: "string",
  team_name: "string",
  customer_id: "string",
  customer_name: "string",
  request_size: "int",
  budget_used: "double",
  tokens_used: "double",
  request: "double",
};
const uses = new Set(["budget_used", "tokens_used", "request"]);

const functions = new Set(["has", "size", "int", "double", "string", "bool", "reMatch"]);
const methods = new Set(["startsWith", "endsWith", "contains", "lowerAscii", "upperAscii", "trim", "size"]);
const loops = new Set(["exists", "all", "exists_one"]);

const limits = { maxAstNodes: 256, maxDepth: 32, maxListElements: 128, maxMapEntries: 16, maxCallArguments: 4 };
const longestText = 4096;
const longestPattern = 512;

const always: Expression = { asksUse: false, matches: () => true };

/**
 * Compiles a condition; an empty one is always met.
 *
 * @throws ExpressionError saying what is wrong with it
 */
export function compileExpression(source: string): Expression {
  if (source.trim() === "") return always;
  const patterns = new Map<string, RE2JS>();
  const environment = new Environment({ limits });
  for (const [name, type] of Object.entries(variables)) environment.registerVariable(name, type);
  environment.registerFunction("reMatch(string, string): bool", (text: string, pattern: string) => {
    if (text.length > longestText) throw new EvaluationError(`reMatch: the text is longer than ${longestText}`);
    return patterns.get(pattern)?.test(text) === true;
  });
  const found = { patterns, asksUse: false };
  const evaluate = parse(environment, source);
  inspect(evaluate.ast, false, found);
  const { valid, type, error } = evaluate.check();
  if (!valid) throw new ExpressionError(firstLine(error));
  if (type !== "bool") throw new ExpressionError(`must be true or false, but is of type ${type}`);
  return {
    asksUse: found.asksUse,
    matches: (context) => {
      try {
        return evaluate(context) === true;
      } catch (error) {
        // A header that is missing is no fault: the condition about it is not met.
        return error instanceof EvaluationError && error.code === "no_such_key" ? false : "failed";
      }
    },
  };
}

function parse(environment: Environment, source: string): ParseResult {
  try {
    return environment.parse(source);
  } catch (error) {
    throw new ExpressionError(firstLine(error));
  }
}

interface Found {
  readonly patterns: Map<string, RE2JS>;
  asksUse: boolean;
}

/** Goes through a condition and refuses what is not on the lists. */
function inspect(node: ASTNode, isInLoop: boolean, found: Found): void {
  switch (node.op) {
    case "value":
      return;
    case "id":
      if (uses.has(node.args)) found.asksUse = true;
      return;
    case "call": {
      const [name, given] = node.args;
      if (!functions.has(name)) throw unknownFunction(name);
      if (name === "reMatch") found.patterns.set(...patternOf(given));
      for (const one of given) inspect(one, isInLoop, found);
      return;
    }
    case "rcall": {
      const [name, receiver, given] = node.args;
      const isLoop = loops.has(name);
      if (!isLoop && !methods.has(name)) throw unknownFunction(name);
      if (isLoop && isInLoop) throw new ExpressionError(`${name} cannot stand within another loop`);
      inspect(receiver, isInLoop, found);
      for (const one of given) inspect(one, isInLoop || isLoop, found);
      return;
    }
    case ".":
    case ".?": {
      const [of, name] = node.args;
      refuseUpperCase(of, name);
      inspect(of, isInLoop, found);
      return;
    }
    case "[]":
    case "[?]": {
      const [of, index] = node.args;
      if (index.op === "value") refuseUpperCase(of, index.args);
      inspect(of, isInLoop, found);
      inspect(index, isInLoop, found);
      return;
    }
    case "in": {
      const [what, where] = node.args;
      if (what.op === "value") refuseUpperCase(where, what.args);
      inspect(what, isInLoop, found);
      inspect(where, isInLoop, found);
      return;
    }
    case "list":
      for (const one of node.args) inspect(one, isInLoop, found);
      return;
    case "map":
      for (const entry of node.args) for (const one of entry) inspect(one, isInLoop, found);
      return;
    case "?:":
      for (const one of node.args) inspect(one, isInLoop, found);
      return;
    case "!_":
    case "-_":
      inspect(node.args, isInLoop, found);
      return;
    case "||":
    case "&&":
    case "!=":
    case "==":
    case "+":
    case "-":
    case "*":
    case "/":
    case "%":
    case "<":
    case "<=":
    case ">":
    case ">=":
      for (const one of node.args) inspect(one, isInLoop, found);
      return;
  }
}

/** A condition on a header that no request can have would never be met. */
function refuseUpperCase(of: ASTNode, name: unknown): void {
  if (of.op !== "id" || of.args !== "headers" || typeof name !== "string" || name === name.toLowerCase()) return;
  throw new ExpressionError(`the names of headers are in lower case: ${JSON.stringify(name.toLowerCase())}`);
}

function patternOf(given: readonly ASTNode[]): [string, RE2JS] {
  const [, pattern] = given;
  if (given.length !== 2 || pattern?.op !== "value" || typeof pattern.args !== "string")
    throw new ExpressionError("reMatch takes a text and a pattern, and the pattern must be written out as a string");
  if (pattern.args.length > longestPattern)
    throw new ExpressionError(`the pattern of reMatch must have at most ${longestPattern} characters`);
  try {
    return [pattern.args, compilePattern(pattern.args)];
  } catch (error) {
    throw new ExpressionError(`the pattern of reMatch is not valid: ${firstLine(error)}`);
  }
}

function unknownFunction(name: string): ExpressionError {
  if (name === "matches") return new ExpressionError("matches is not available: use reMatch(text, pattern)");
  const known = [...functions, ...methods, ...loops].join(", ");
  return new ExpressionError(`${name} is not available; there are ${known}`);
}

/** The rest is a drawing of the place. */
function firstLine(error: unknown): string {
  const message = error instanceof Error ? error.message : String(error);
  return message.split("\n", 1)[0] ?? message;
}
