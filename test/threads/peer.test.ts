import { MessageChannel } from "node:worker_threads";
import { afterEach, describe, expect, test } from "vitest";
import { Peer, type Port } from "../../src/threads/peer.ts";
import { rejection } from "../support/wait.ts";

interface Service {
  readonly double: (n: number) => number;
  readonly later: (text: string) => Promise<string>;
  readonly fail: (what: unknown) => never;
  readonly reject: (message: string) => Promise<never>;
  readonly nothing: () => void;
  readonly unclonable: () => unknown;
  readonly bytes: (bytes: Uint8Array) => Uint8Array;
}

const service: Service = {
  double: (n) => 2 * n,
  later: (text) => new Promise((resolve) => setTimeout(resolve, 5, `${text}!`)),
  fail: (what) => {
    throw what;
  },
  reject: (message) => Promise.reject(new RangeError(message)),
  nothing: () => undefined,
  unclonable: () => () => 1,
  bytes: (bytes) => bytes.map((byte) => byte + 1),
};

const open: MessageChannel[] = [];
afterEach(() => {
  for (const { port1, port2 } of open.splice(0)) {
    port1.close();
    port2.close();
  }
});

function line(): MessageChannel {
  const channel = new MessageChannel();
  open.push(channel);
  return channel;
}

function caller(): Peer<object, Service> {
  const { port1, port2 } = line();
  new Peer<Service, object>(port2, service);
  return new Peer<object, Service>(port1, {});
}

describe("a call", () => {
  test("gives the result of the other side's function, at once or later", async () => {
    const peer = caller();
    expect(await peer.call("double", 21)).toBe(42);
    expect(await peer.call("later", "hi")).toBe("hi!");
    expect(await peer.call("nothing", undefined)).toBeUndefined();
  });

  test("carries bytes", async () => {
    expect(await caller().call("bytes", Uint8Array.of(1, 2))).toEqual(Uint8Array.of(2, 3));
  });

  test("among many gets its own answer, in whatever order they come", async () => {
    const peer = caller();
    const calls = Array.from({ length: 50 }, (_, n) =>
      n % 2 === 0 ? peer.call("double", n) : peer.call("later", String(n)),
    );
    expect(await Promise.all(calls)).toEqual(calls.map((_, n) => (n % 2 === 0 ? 2 * n : `${n}!`)));
  });

  test("fails with the error that the function threw or was rejected with", async () => {
    const peer = caller();
    const error = await rejection(peer.call("reject", "too far"));
    expect(error).toBeInstanceOf(RangeError);
    expect(error).toMatchObject({ message: "too far" });
    expect(await rejection(peer.call("fail", "a text"))).toBe("a text");
    expect(await rejection(peer.call("fail", undefined))).toBeUndefined();
  });

  test("fails when the other side has no such function, not even one that every object has", async () => {
    const { port1, port2 } = line();
    new Peer(port2, {});
    const peer = new Peer<object, { readonly missing: () => void; readonly toString: () => string }>(port1, {});
    expect(String(await rejection(peer.call("missing", undefined)))).toContain("missing");
    expect(String(await rejection(peer.call("toString", undefined)))).toContain("toString");
  });

  test("fails when its argument or its result cannot be cloned, and the line goes on", async () => {
    const peer = caller();
    expect(String(await rejection(peer.call("fail", () => 1)))).toMatch(/could not be cloned/);
    expect(String(await rejection(peer.call("unclonable", undefined)))).toMatch(/could not be cloned/);
    expect(await peer.call("double", 2)).toBe(4);
  });
});

describe("both sides", () => {
  test("may call each other over one line", async () => {
    const { port1, port2 } = line();
    const left = new Peer<{ readonly name: () => string }, { readonly name: () => string }>(port1, {
      name: () => "left",
    });
    const right = new Peer<{ readonly name: () => string }, { readonly name: () => string }>(port2, {
      name: () => "right",
    });
    expect(await Promise.all([left.call("name", undefined), right.call("name", undefined)])).toEqual(["right", "left"]);
  });

  test("pass over messages that are none of theirs", async () => {
    const { port1, port2 } = line();
    new Peer<Service, object>(port2, service);
    const peer = new Peer<object, Service>(port1, {});
    for (const stray of [null, 7, "call", {}, { kind: "other" }, { kind: "return", id: 99, value: 1 }]) {
      port1.postMessage(stray);
      port2.postMessage(stray);
    }
    expect(await peer.call("double", 3)).toBe(6);
  });
});

describe("when the other side is gone", () => {
  /** A line on which nobody answers. */
  const silent: Port = { postMessage: () => undefined, on: () => undefined };

  test("what waits for it fails, and so does every later call", async () => {
    const peer = new Peer<object, Service>(silent, {});
    const waiting = [peer.call("double", 1), peer.call("later", "x")].map(rejection);
    const reason = new Error("front end 1 has ended");
    peer.hangUp(reason);
    expect(await Promise.all(waiting)).toEqual([reason, reason]);
    expect(await rejection(peer.call("double", 1))).toBe(reason);
  });

  test("the first reason stands", async () => {
    const peer = new Peer<object, Service>(silent, {});
    const first = new Error("out of memory");
    peer.hangUp(first);
    peer.hangUp(new Error("ended"));
    expect(await rejection(peer.call("double", 1))).toBe(first);
  });
});
