import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { Redactor, secretsIn } from "../../src/telemetry/redactor.ts";

const aws = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY";

describe("what is kept of a request", () => {
  test("has no secret of ours, however it is written", () => {
    const secrets = fc.string({ unit: "grapheme", minLength: 6, maxLength: 40 });
    fc.assert(
      fc.property(
        fc.array(secrets, { minLength: 1, maxLength: 5 }),
        fc.string(),
        fc.string(),
        (known, before, after) => {
          const redactor = new Redactor(known);
          for (const secret of known) {
            expect(redactor.clean(`${before}${secret}${after}`)).not.toContain(secret);
            const json = JSON.stringify({ text: secret });
            expect(redactor.clean(json)).not.toContain(JSON.stringify(secret).slice(1, -1));
            expect(redactor.clean(`?key=${encodeURIComponent(secret)}`)).not.toContain(encodeURIComponent(secret));
          }
        },
      ),
    );
  });

  test("hides the whole of two secrets that begin alike", () => {
    expect(new Redactor(["secret", "secret-and-more"]).clean("a secret-and-more b")).toBe("a [redacted] b");
  });

  test("leaves words as they are where a server wants no key", () => {
    expect(new Redactor(["none"]).clean("none of them")).toBe("none of them");
  });

  test.each([
    ["an OpenAI key", "sk-proj-4f9aKd83jfKw02mMxq81"],
    ["an Anthropic key", "sk-ant-api03-Zx81kd02jfMwq8"],
    ["a virtual key", "sk-bf-0123456789abcdefABCDEF0123456789"],
    ["an access key id", "AKIAIOSFODNN7EXAMPLE"],
    ["a temporary access key id", "ASIAIOSFODNN7EXAMPLE"],
    ["a Bedrock API key", `ABSK${"QmVkcm9ja0FQSUtleS".repeat(3)}=`],
    ["a session token", `IQoJb3JpZ2luX2Vj${"EPr4".repeat(20)}==`],
    ["a Google key", `AIza${"SyD-9tSrke72PouQMnMX".repeat(2)}`],
    ["a GitHub token", `ghp_${"a1B2c3".repeat(6)}`],
    ["a JSON web token", "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.dozjgNryP4J3jVmN"],
  ])("hides what looks like %s, also behind a line break in JSON", (_, secret) => {
    const redactor = new Redactor([]);
    for (const text of [secret, `see ${secret}, please`, JSON.stringify({ text: `key:\n${secret}\n` })]) {
      expect(redactor.clean(text)).not.toContain(secret);
      expect(redactor.clean(text)).toContain("[redacted]");
    }
  });

  test("hides bearer tokens, AWS secret keys and private keys, and leaves what stands around them", () => {
    const redactor = new Redactor([]);
    expect(redactor.clean("Authorization: Bearer abcdef0123456789xyz end")).toBe(
      "Authorization: Bearer [redacted] end",
    );
    expect(redactor.clean(`{"aws_secret_access_key": "${aws}"}`)).toBe('{"aws_secret_access_key": "[redacted]"}');
    const pem = `-----BEGIN RSA PRIVATE KEY-----\n${"MIIEow".repeat(20)}\n-----END RSA PRIVATE KEY-----`;
    expect(redactor.clean(`a ${pem} b`)).toBe("a [redacted] b");
    // Also one whose end was cut.
    expect(redactor.clean(`a ${pem.slice(0, 60)}`)).toBe("a [redacted]");
  });

  test.each([
    "A risk-management-framework for task-oriented-dialogue-systems",
    "The bearer of this letter",
    '{"messages":[{"role":"user","content":[{"text":"What is 2 + 2?"}]}]}',
    "0190c2a1-7d2b-7c3e-9f00-3f1a2b4c5d6e",
  ])("leaves ordinary text as it is: %s", (text) => {
    expect(new Redactor([]).clean(text)).toBe(text);
  });

  test("leaves ids as they are, but where a secret of ours looks like one, or they hold one", () => {
    const id = "0190c2a1-7d2b-7c3e-9f00-3f1a2b4c5d6e";
    expect(new Redactor(["our-own-secret"]).cleanId(id)).toBe(id);
    expect(new Redactor(["our-own-secret", "7d2b-7c3e"]).cleanId(id)).toBe("0190c2a1-[redacted]-9f00-3f1a2b4c5d6e");
    expect(new Redactor(["our-own-secret"]).cleanId("a our-own-secret")).toBe("a [redacted]");
    expect(new Redactor([]).cleanId("id AKIAABCDEFGHIJKLMNOP")).toBe("id [redacted]");
  });

  test("takes no longer for hostile text", () => {
    const redactor = new Redactor(["secret-value"]);
    for (const part of [
      "sk-a",
      "sk-",
      "bearer ",
      "secretkey===",
      "-----BEGIN PRIVATE KEY-----",
      "eyJaaaaaaaaaa.",
      "AKIA",
    ])
      expect(redactor.clean(part.repeat(60_000 / part.length)).length).toBeGreaterThan(0);
  }, 5000);
});

describe("the secrets of a configuration", () => {
  test("are found wherever they stand", () => {
    const config = {
      providers: {
        bedrock: {
          keys: [
            {
              name: "main",
              value: "bedrock-key",
              bedrock_key_config: { access_key: "AKIA", secret_key: "aws", region: "eu" },
            },
          ],
          network_config: { base_url: "http://x", extra_headers: { "x-token": "header" } },
        },
      },
      governance: { virtual_keys: [{ id: "vk", value: "sk-bf-1", previous_values: [{ value: "old" }] }] },
      observability: { otel: { endpoint: "http://y", headers: { authorization: "Bearer z" } } },
    };
    expect(secretsIn(config).sort()).toEqual(["Bearer z", "aws", "bedrock-key", "header", "old", "sk-bf-1"]);
  });
});
