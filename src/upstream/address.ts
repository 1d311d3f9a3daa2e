/**
 * Which addresses may be dialled. Names are judged by what they resolve to, at the moment of dialling, so a name that
 * changes its mind between a check and its use gains nothing.
 *
 * Source of the ranges: the IANA special-purpose address registries, and the clouds' manuals for their metadata services.
 */
import { type LookupAddress, type LookupOptions, lookup as systemLookup } from "node:dns";
import { BlockList, isIP, type LookupFunction } from "node:net";

export interface AddressPolicy {
  /** Private networks too: `network_config.allow_private_network`. Loopback always may, metadata services never may. */
  readonly allowPrivate: boolean;
}

/** None of a host's addresses may be dialled. */
export class AddressRefused extends Error {
  override readonly name = "AddressRefused";
  readonly code = "ERR_ADDRESS_REFUSED";
}

type Verdict = "public" | "private" | "loopback" | "metadata" | "never";

const loopback = listOf(["127.0.0.0/8", "::1/128"]);

const metadata = listOf([
  "169.254.169.254/32", // EC2, Azure, Google, Oracle, DigitalOcean
  "169.254.170.2/32", // ECS tasks
  "169.254.170.23/32", // EKS pod identity
  "100.100.100.200/32", // Alibaba
  "192.0.0.192/32", // Oracle
  "168.63.129.16/32", // Azure's host agent
  "fd00:ec2::/32", // EC2, ECS, EKS
  "fd20:ce::254/128", // Google
  "fd00:c1::a9fe:a9fe/128", // Oracle
]);

const never = listOf([
  "0.0.0.0/8", // unspecified; Linux dials itself
  "169.254.0.0/16", // link-local
  "192.0.0.0/24", // protocol assignments
  "224.0.0.0/4", // multicast
  "240.0.0.0/4", // reserved, and broadcast
  "::/128", // unspecified
  "64:ff9b:1::/48", // NAT64 of local use: where it leads cannot be seen in it
  "100::/64", // discard
  "2001::/32", // Teredo
  "fe80::/10", // link-local
  "ff00::/8", // multicast
]);

const privateRanges = listOf([
  "10.0.0.0/8",
  "172.16.0.0/12",
  "192.168.0.0/16",
  "100.64.0.0/10", // carrier NAT
  "198.18.0.0/15", // benchmarks
  "192.0.2.0/24", // documentation, as the next two
  "198.51.100.0/24",
  "203.0.113.0/24",
  "2001:db8::/32",
  "fc00::/7", // unique local
  "fec0::/10", // site-local
]);

/**
 * Judges an IP address, with or without an IPv6 zone.
 *
 * @returns why it must not be dialled; undefined when it may be
 */
export function checkAddress(ip: string, policy: AddressPolicy): string | undefined {
  const address = ip.replace(/%.*$/, "");
  switch (judge(address)) {
    case "public":
    case "loopback":
      return undefined;
    case "private":
      return policy.allowPrivate ? undefined : `${ip} is a private address; allow_private_network permits those`;
    case "metadata":
      return `${ip} is the address of a cloud's metadata service`;
    case "never":
      return `${ip} is not an address of a host that may be called`;
  }
}

/**
 * Judges a host as it stands in a URL. Sockets ask no `lookup` for a host that is an address, so it is checked here, in
 * any of its spellings (`2130706433`, `0x7f.1`, `[::ffff:7f00:1]`). A name passes: its addresses are judged when dialled.
 *
 * @returns why it must not be dialled; undefined when it may be
 */
export function checkHost(hostname: string, policy: AddressPolicy): string | undefined {
  const text = isIP(hostname) === 6 ? `[${hostname}]` : hostname;
  const url = `http://${text}/`;
  // What would end the host in a URL, or stand before it, is not part of a host name.
  if (/[\s/\\?#@]/.test(text) || !URL.canParse(url)) return `${JSON.stringify(hostname)} is not a host name`;
  const host = new URL(url).hostname.replace(/^\[|\]$/g, "");
  return isIP(host) === 0 ? undefined : checkAddress(host, policy);
}

/** A `lookup` for sockets that keeps only the addresses that may be dialled, and fails when none is left. */
export function guardedLookup(policy: AddressPolicy, lookup: AllLookup = systemLookup): LookupFunction {
  return (hostname, options, callback) => {
    lookup(hostname, { ...options, all: true }, (error, addresses) => {
      if (error !== null) return callback(error, []);
      const refusals: string[] = [];
      const allowed: LookupAddress[] = [];
      for (const found of addresses) {
        const refusal = checkAddress(found.address, policy);
        if (refusal === undefined) allowed.push(found);
        else refusals.push(refusal);
      }
      const [first] = allowed;
      if (first === undefined) {
        const reason = refusals.length === 0 ? "has no address" : `must not be called: ${refusals.join("; ")}`;
        return callback(new AddressRefused(`${hostname} ${reason}`), []);
      }
      if (options.all) callback(null, allowed);
      else callback(null, first.address, first.family);
    });
  };
}

/** `dns.lookup` asked for all addresses. */
export type AllLookup = (
  hostname: string,
  options: LookupOptions & { readonly all: true },
  callback: (error: NodeJS.ErrnoException | null, addresses: LookupAddress[]) => void,
) => void;

function judge(address: string): Verdict {
  const family = isIP(address);
  if (family === 0) return "never";
  if (family === 4) return judgeRanges(address, "ipv4");
  const groups = groupsOf(address);
  const plain = embeddedIPv4(groups);
  if (plain === undefined) return judgeRanges(address, "ipv6");
  const verdict = judgeRanges(plain.address, "ipv4");
  // Loopback at the far end of a translator is someone else's.
  return verdict === "loopback" && !plain.local ? "never" : verdict;
}

function judgeRanges(address: string, family: "ipv4" | "ipv6"): Verdict {
  if (loopback.check(address, family)) return "loopback";
  if (metadata.check(address, family)) return "metadata";
  if (never.check(address, family)) return "never";
  return privateRanges.check(address, family) ? "private" : "public";
}

/**
 * The IPv4 address an IPv6 address stands for: mapped (`::ffff:a.b.c.d`), which the system itself dials as IPv4, and
 * those a translator on the way unwraps: compatible (`::a.b.c.d`), SIIT (`::ffff:0:a.b.c.d`), NAT64 (`64:ff9b::/96`),
 * 6to4 (`2002::/16`).
 */
function embeddedIPv4(groups: readonly number[]): { readonly address: string; readonly local: boolean } | undefined {
  const [a = 0, b = 0, c = 0, d = 0, e = 0, f = 0, g = 0, h = 0] = groups;
  if (a === 0x2002) return { address: dotted(b, c), local: false };
  if (a === 0x64 && b === 0xff9b && (c | d | e | f) === 0) return { address: dotted(g, h), local: false };
  if ((a | b | c | d) !== 0) return undefined;
  if (e === 0 && f === 0xffff) return { address: dotted(g, h), local: true };
  if (e === 0xffff && f === 0) return { address: dotted(g, h), local: false };
  // `::` and `::1` are addresses of their own.
  if (e === 0 && f === 0 && (g !== 0 || h > 1)) return { address: dotted(g, h), local: false };
  return undefined;
}

function dotted(high: number, low: number): string {
  return `${high >> 8}.${high & 255}.${low >> 8}.${low & 255}`;
}

/** The eight groups of a valid IPv6 address. */
function groupsOf(address: string): number[] {
  // A URL writes an address without dots and in its shortest form.
  const host = new URL(`http://[${address}]/`).hostname.slice(1, -1);
  const [head = "", tail] = host.split("::");
  const before = parseGroups(head);
  const after = parseGroups(tail ?? "");
  return [...before, ...Array<number>(8 - before.length - after.length).fill(0), ...after];
}

function parseGroups(text: string): number[] {
  return text === "" ? [] : text.split(":").map((group) => Number.parseInt(group, 16));
}

function listOf(ranges: readonly string[]): BlockList {
  const list = new BlockList();
  for (const range of ranges) {
    const [net = "", bits] = range.split("/");
    list.addSubnet(net, Number(bits), net.includes(":") ? "ipv6" : "ipv4");
  }
  return list;
}
