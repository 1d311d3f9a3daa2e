import { format, inspect } from "node:util";
import { serialize } from "node:v8";
import { pack } from "msgpackr";
import { pino } from "pino";
import { expect, test } from "vitest";
import { awsCredentials } from "../../src/upstream/credentials.ts";
import { Secret } from "../../src/upstream/secret.ts";

const everyPrint = (value: object) =>
  [
    String(value),
    `${value}`,
    JSON.stringify({ value }),
    format("%s %o %O %j", value, value, value, value),
    inspect({ nested: [value] }, { showHidden: true, depth: null }),
    JSON.stringify({ ...value }),
    inspect(value, { customInspect: false, showHidden: true }),
    inspect(new Error("it failed", { cause: value })),
    JSON.stringify(Object.getOwnPropertyDescriptors(value)),
    // Between threads and into files: as structured clones, as msgpack.
    inspect(structuredClone({ value }), { depth: null }),
    serialize({ value }).toString("latin1"),
    pack({ value, list: [value], map: new Map([["secret", value]]) }).toString("latin1"),
    logged(value),
  ].join("\n");

function logged(value: object): string {
  const lines: string[] = [];
  const log = pino({ level: "trace" }, { write: (line: string) => lines.push(line) });
  log.info(
    { value, nested: { value }, err: new Error("it failed", { cause: value }) },
    "%s %j %o",
    value,
    value,
    value,
  );
  log.error(value);
  return lines.join("");
}

test("a secret shows itself only when it is asked to", () => {
  const secret = new Secret("ABSK-very-secret");
  expect(secret.reveal()).toBe("ABSK-very-secret");
  expect(everyPrint(secret)).not.toContain("very-secret");
  expect(`${secret}`).toBe("[secret]");
  expect(inspect(secret)).toBe("[secret]");
  expect(JSON.stringify({ secret })).toBe('{"secret":"[secret]"}');
});

test("AWS credentials show their id but neither secret nor session token", () => {
  const credentials = awsCredentials("AKIDEXAMPLE", "very-secret", "token-secret");
  expect(credentials.secretAccessKey).toBe("very-secret");
  expect(credentials.sessionToken).toBe("token-secret");
  expect(everyPrint(credentials)).not.toMatch(/very-secret|token-secret/);
  expect(JSON.stringify(credentials)).toContain("AKIDEXAMPLE");
});

test("AWS credentials without a session token have none", () => {
  expect(awsCredentials("AKIDEXAMPLE", "very-secret").sessionToken).toBeUndefined();
  expect(awsCredentials("AKIDEXAMPLE", "very-secret", "").sessionToken).toBeUndefined();
});
