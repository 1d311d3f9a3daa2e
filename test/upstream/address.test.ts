import type { LookupAddress } from "node:dns";
import { isIP } from "node:net";
import fc from "fast-check";
import { Agent, request } from "undici";
import { describe, expect, test } from "vitest";
import { AddressRefused, type AllLookup, checkAddress, checkHost, guardedLookup } from "../../src/upstream/address.ts";
import { serve } from "../support/loopback.ts";

const strict = { allowPrivate: false };
const open = { allowPrivate: true };

const publicAddresses = ["1.1.1.1", "8.8.8.8", "172.32.0.1", "100.128.0.1", "169.253.0.1", "223.255.255.255"];
const publicAddresses6 = [
  "2606:4700::1111",
  "2a00:1450::1",
  "2001:4860:4860::8888",
  "64:ff9b::8.8.8.8",
  "2002:808:808::1",
];
const loopback = ["127.0.0.1", "127.255.0.9", "::1", "::ffff:127.0.0.1", "::ffff:7f00:1"];
const privateOnes = [
  "10.0.0.1",
  "10.255.255.255",
  "172.16.0.1",
  "172.31.255.255",
  "192.168.1.1",
  "100.64.0.1",
  "100.127.255.255",
  "fc00::1",
  "fdff:ffff::1",
  "fec0::1",
  "::ffff:10.0.0.1",
  "64:ff9b::192.168.0.1",
  "2002:a00:1::",
  "::10.0.0.1",
  "::ffff:0:10.0.0.1",
  "198.18.0.1",
  "2001:db8::1",
];
const never = [
  "169.254.169.254",
  "169.254.170.2",
  "169.254.0.1",
  "100.100.100.200",
  "192.0.0.192",
  "168.63.129.16",
  "0.0.0.0",
  "0.1.2.3",
  "224.0.0.1",
  "239.255.255.255",
  "240.0.0.1",
  "255.255.255.255",
  "::",
  "fe80::1",
  "fe80::1%eth0",
  "febf::1",
  "ff02::1",
  "fd00:ec2::254",
  "fd00:ec2::23",
  "fd20:ce::254",
  "::ffff:169.254.169.254",
  "::ffff:a9fe:a9fe",
  "::169.254.169.254",
  "::ffff:0:169.254.169.254",
  "64:ff9b::169.254.169.254",
  "64:ff9b::a9fe:a9fe",
  "2002:a9fe:a9fe::1",
  "::ffff:0.0.0.0",
  "::ffff:255.255.255.255",
  "64:ff9b::127.0.0.1",
  "2002:7f00:1::",
  "::127.0.0.1",
  "64:ff9b:1::1",
  "2001::1",
  "100::1",
  "::2",
  "not an address",
  "",
  "1.2.3",
  "1.2.3.4.5",
];

describe("an address", () => {
  test.each([...publicAddresses, ...publicAddresses6])("that is public may be dialled: %s", (ip) => {
    expect(checkAddress(ip, strict)).toBeUndefined();
    expect(checkAddress(ip, open)).toBeUndefined();
  });

  test.each(loopback)("that is loopback may be dialled: %s", (ip) => {
    expect(checkAddress(ip, strict)).toBeUndefined();
    expect(checkAddress(ip, open)).toBeUndefined();
  });

  test.each(privateOnes)("that is private needs allow_private_network, and the refusal says so: %s", (ip) => {
    expect(checkAddress(ip, strict)).toContain("allow_private_network");
    expect(checkAddress(ip, open)).toBeUndefined();
  });

  test.each(never)("A73 of metadata, link-local, multicast and nowhere is never dialled: %j", (ip) => {
    expect(checkAddress(ip, strict)).toBeTypeOf("string");
    expect(checkAddress(ip, open)).toBeTypeOf("string");
  });

  test("A73 in a mapped form is judged as the IPv4 address it stands for", () => {
    fc.assert(
      fc.property(fc.ipV4(), fc.boolean(), (ip, allowPrivate) => {
        const plain = checkAddress(ip, { allowPrivate }) === undefined;
        const [a = 0, b = 0, c = 0, d = 0] = ip.split(".").map(Number);
        const hex = `${((a << 8) | b).toString(16)}:${((c << 8) | d).toString(16)}`;
        for (const mapped of [`::ffff:${ip}`, `::ffff:${hex}`, `0:0:0:0:0:ffff:${hex}`, `0000::FFFF:${ip}`]) {
          expect(checkAddress(mapped, { allowPrivate }) === undefined, mapped).toBe(plain);
        }
        // A translator's far end may be refused where the address itself may not, but never the other way round.
        for (const translated of [`64:ff9b::${ip}`, `2002:${hex}::1`, `::${hex}`, `::ffff:0:${hex}`]) {
          if (!plain) expect(checkAddress(translated, { allowPrivate }), translated).toBeTypeOf("string");
        }
      }),
    );
  });

  test("of IPv6 is judged alike however it is written", () => {
    fc.assert(
      fc.property(fc.ipV6(), (ip) => {
        const short = new URL(`http://[${ip}]`).hostname.slice(1, -1);
        expect(checkAddress(ip, strict) === undefined).toBe(checkAddress(short, strict) === undefined);
      }),
    );
  });
});

describe("a host in a URL", () => {
  test.each([
    "169.254.169.254",
    "169.254.169.254.",
    "2852039166",
    "0xa9fea9fe",
    "0xA9.0xFE.0xA9.0xFE",
    "0251.0376.0251.0376",
    "169.254.43518",
    "[::ffff:169.254.169.254]",
    "::ffff:169.254.169.254",
    "[fd00:ec2::254]",
    "0",
    "0x0",
    "0.0.0.0",
    "１６９.254.169.254",
    "%31%36%39.254.169.254",
    "[fe80::1]",
    "255.255.255.255",
  ])("A73 that spells a metadata or link-local address is refused: %s", (host) => {
    expect(checkHost(host, open)).toBeTypeOf("string");
  });

  test.each(["evil.com/path", "user@evil.com", "a b", "a\\b", "a?b", "a#b", "[::1", "", "a%2fb", "256.256.256.256"])(
    "A73 that is no host name is refused: %j",
    (host) => {
      expect(checkHost(host, open)).toContain("is not a host name");
    },
  );

  test.each(["127.0.0.1", "2130706433", "0x7f.1", "[::1]", "::1"])("that spells loopback passes: %s", (host) => {
    expect(checkHost(host, strict)).toBeUndefined();
  });

  test("that spells a private address needs allow_private_network", () => {
    expect(checkHost("012.0.0.1", strict)).toContain("10.0.0.1 is a private address");
    expect(checkHost("012.0.0.1", open)).toBeUndefined();
  });

  test.each(["localhost", "api.openai.com", "metadata.google.internal", "xn--bcher-kva.example", "10.0.0.1.nip.io"])(
    "that is a name passes, its addresses being judged when dialled: %s",
    (host) => {
      expect(checkHost(host, strict)).toBeUndefined();
    },
  );
});

const resolvesTo =
  (...addresses: string[]): AllLookup =>
  (_hostname, options, callback) => {
    const found: LookupAddress[] = addresses.map((address) => ({ address, family: isIP(address) }));
    callback(
      null,
      options.family === 4 || options.family === 6 ? found.filter((a) => a.family === options.family) : found,
    );
  };

type Looked = readonly [error: Error | null, address: string | LookupAddress[], family: number | undefined];

function look(lookup: ReturnType<typeof guardedLookup>, options: Parameters<typeof lookup>[1]): Promise<Looked> {
  return new Promise((resolve) => {
    lookup("host.example", options, (error, address, family) => resolve([error, address, family]));
  });
}

describe("a guarded lookup", () => {
  test("drops the addresses that must not be dialled", async () => {
    const lookup = guardedLookup(strict, resolvesTo("10.0.0.1", "93.184.216.34", "169.254.169.254", "2606:4700::1"));
    expect(await look(lookup, { all: true })).toEqual([
      null,
      [
        { address: "93.184.216.34", family: 4 },
        { address: "2606:4700::1", family: 6 },
      ],
      undefined,
    ]);
  });

  test("answers the first one that may be dialled when one is wanted, of the family that is wanted", async () => {
    const lookup = guardedLookup(strict, resolvesTo("10.0.0.1", "93.184.216.34", "2606:4700::1"));
    expect(await look(lookup, {})).toEqual([null, "93.184.216.34", 4]);
    expect(await look(lookup, { family: 6 })).toEqual([null, "2606:4700::1", 6]);
  });

  test("A73 fails with the reasons when none is left", async () => {
    const [error, addresses] = await look(guardedLookup(open, resolvesTo("169.254.169.254", "fe80::1")), { all: true });
    expect(error).toBeInstanceOf(AddressRefused);
    expect(error?.message).toMatch(/^host\.example must not be called: 169\.254\.169\.254 .*metadata.*; fe80::1 /);
    expect(addresses).toEqual([]);
  });

  test("fails when the name has no address", async () => {
    const [error] = await look(guardedLookup(open, resolvesTo()), {});
    expect(error).toBeInstanceOf(AddressRefused);
    expect(error?.message).toBe("host.example has no address");
  });

  test("hands a resolver's failure on", async () => {
    const failure = Object.assign(new Error("getaddrinfo ENOTFOUND"), { code: "ENOTFOUND" });
    const [error] = await look(
      guardedLookup(open, (_host, _options, callback) => callback(failure, [])),
      {},
    );
    expect(error).toBe(failure);
  });

  test("resolves localhost with the system's resolver", async () => {
    const [error, addresses] = await new Promise<Looked>((resolve) => {
      guardedLookup(strict)("localhost", { all: true }, (...answer) => resolve([answer[0], answer[1], answer[2]]));
    });
    expect(error).toBeNull();
    expect(addresses).not.toHaveLength(0);
  });

  test("A73 stops a connection of undici at dial time, and lets one to loopback through", async () => {
    let reached = 0;
    await using server = await serve((_request, response) => {
      reached++;
      response.end("here");
    });
    const url = `http://rebound.example:${server.port}/`;
    const dialler = (...addresses: string[]) =>
      new Agent({ connect: { lookup: guardedLookup(strict, resolvesTo(...addresses)) } });
    const refused = dialler("169.254.169.254", "10.0.0.1");
    const allowed = dialler("10.0.0.1", "127.0.0.1");
    await expect(request(url, { dispatcher: refused })).rejects.toThrow(AddressRefused);
    expect(reached).toBe(0);
    const answer = await request(url, { dispatcher: allowed });
    expect(await answer.body.text()).toBe("here");
    await Promise.all([refused.close(), allowed.close()]);
  });
});
