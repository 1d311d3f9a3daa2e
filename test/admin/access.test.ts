import { describe, expect, test } from "vitest";
import { at, kit } from "./kit.ts";

const headers = (entries: Record<string, string>) => new Map(Object.entries(entries));

describe("with an admin token", () => {
  test.each([
    [{ authorization: "Bearer the-token" }, 200],
    [{ authorization: "bearer the-token" }, 200],
    [{}, 401],
    [{ authorization: "Bearer the-toke" }, 401],
    [{ authorization: "Bearer the-tokens" }, 401],
    [{ authorization: "Bearer " }, 401],
    [{ authorization: "the-token" }, 401],
    [{ authorization: "Basic the-token" }, 401],
    [{ "x-bf-vk": "the-token" }, 401],
  ])("%o is answered with %i, wherever it comes from", async (given, status) => {
    const { send } = await kit({ adminToken: "the-token" });
    for (const remoteAddress of ["127.0.0.1", "203.0.113.9", ""])
      expect((await send("GET", at.teams, undefined, { headers: headers(given), remoteAddress })).status).toBe(status);
  });

  test("nothing is done, and nothing is told, without it", async () => {
    const { send, store } = await kit({ adminToken: "the-token" });
    const refused = await send("POST", at.teams, { name: "a" });
    expect(refused).toMatchObject({ status: 401, body: { error: { type: "unauthorized" } } });
    expect(refused.headers.get("www-authenticate")).toBe("Bearer");
    expect(await store.listEntities()).toEqual([]);
    for (const path of ["/api/config", "/api/keys", "/api/openapi.json", "/api/nothing", `${at.keys}/quota/x`])
      expect((await send("GET", path)).status).toBe(401);
  });
});

describe("without an admin token", () => {
  test.each([
    ["127.0.0.1", 200],
    ["127.9.9.9", 200],
    ["::1", 200],
    ["::ffff:127.0.0.1", 200],
    ["0000:0000:0000:0000:0000:0000:0000:0001", 200],
    ["0000:0000:0000:0000:0000:ffff:7f00:0001", 200],
    ["203.0.113.9", 403],
    ["10.0.0.1", 403],
    ["::ffff:10.0.0.1", 403],
    ["1270.0.0.1", 403],
    ["", 403],
  ])("%s is answered with %i", async (remoteAddress, status) => {
    const { send } = await kit();
    expect((await send("GET", at.teams, undefined, { remoteAddress })).status).toBe(status);
  });

  test.each([
    ["a proxy on this machine", { "x-forwarded-for": "203.0.113.9" }, 403],
    ["a proxy that says so in another way", { forwarded: "for=203.0.113.9" }, 403],
    ["a page of another host", { origin: "https://evil.example", host: "localhost:8080" }, 403],
    ["a page without an origin of its own", { origin: "null", host: "localhost:8080" }, 403],
    ["a page whose host's name leads here", { host: "evil.example:8080" }, 403],
    ["the same over HTTP/2", { ":authority": "evil.example:8081" }, 403],
    ["a name that only begins well", { host: "localhost.evil.example" }, 403],
    ["an address that only begins well", { host: "127.0.0.1.evil.example" }, 403],
    ["a page of this machine", { origin: "http://localhost:3000", host: "localhost:8080" }, 200],
    ["a program on this machine", { host: "127.0.0.1:8080" }, 200],
    ["a program that speaks IPv6", { host: "[::1]:8080" }, 200],
  ])("%s is answered as it should be", async (_, given, status) => {
    const { send } = await kit();
    expect((await send("GET", at.teams, undefined, { headers: headers(given) })).status).toBe(status);
  });

  test("the refusal says what to do", async () => {
    const { send } = await kit();
    const { body } = await send("GET", at.teams, undefined, { remoteAddress: "10.0.0.1" });
    expect(body.error).toEqual({
      type: "forbidden",
      message: "Without BIFROST_ADMIN_TOKEN the management API answers only on loopback.",
      path: null,
    });
  });
});
