import { isIP } from 'node:net';

interface Network {
  readonly family: 'ipv4' | 'ipv6';
  /** The number of significant address bits. */
  readonly prefix: number;
  /** Those bits. */
  readonly bits: bigint;
}

const lengths = { ipv4: 32, ipv6: 128 } as const;

/**
 * A set of networks. No IPv4 address is in an IPv6 network, nor the other way round: `::/0` is every IPv6 address and
 * no IPv4 one, as in AWS's policies. `::ffff:192.0.2.1`, which a dual-stack socket reports, counts as the IPv4 address.
 * To read a network takes about a microsecond, since a policy can have thousands; Node's BlockList takes several.
 */
export class IpNetworks {
  /** By prefix. */
  readonly #networks = { ipv4: new Map<number, Set<bigint>>(), ipv6: new Map<number, Set<bigint>>() };

  private constructor(networks: readonly Network[]) {
    for (const { family, prefix, bits } of networks) {
      const known = this.#networks[family].get(prefix);
      if (known === undefined) this.#networks[family].set(prefix, new Set([bits]));
      else known.add(bits);
    }
  }

  /** Whether a text is a network, as `parse` takes them. */
  static accepts(this: void, text: string): boolean {
    return parseNetwork(text) !== undefined;
  }

  /**
   * Parses texts such as `10.0.0.0/8`, `2001:db8::/32` or `192.0.2.7` (RFC 4632, RFC 4291). Undefined if one of them is
   * not a network.
   */
  static parse(texts: readonly string[]): IpNetworks | undefined {
    const networks = texts.map(parseNetwork);
    return networks.every((network) => network !== undefined) ? new IpNetworks(networks) : undefined;
  }

  /** Undefined if `address` is not an IP address. */
  has(address: string): boolean | undefined {
    const host = parseAddress(address);
    if (host === undefined) return undefined;
    for (const [prefix, networks] of this.#networks[host.family]) {
      if (networks.has(networkOf(host, prefix).bits)) return true;
    }
    return false;
  }
}

function parseNetwork(text: string): Network | undefined {
  const [, address = '', given] = /^([^/%]*)(?:\/(0|[1-9]\d{0,2}))?$/.exec(text) ?? [];
  const host = parseAddress(address);
  if (host === undefined || given === undefined) return host;
  // In `::ffff:10.0.0.0/104` the last 8 bits of the prefix belong to the IPv4 address.
  const prefix = Number(given) - (address.includes(':') && host.family === 'ipv4' ? MAPPED_PREFIX : 0);
  return prefix < 0 || prefix > host.prefix ? undefined : networkOf(host, prefix);
}

/** The network of this prefix that an address is in. */
function networkOf({ family, prefix: length, bits }: Network, prefix: number): Network {
  return { family, prefix, bits: bits >> BigInt(length - prefix) };
}

/** What IPv4 addresses begin with that are written as IPv6. */
const MAPPED = 0xff_ffn;
const MAPPED_PREFIX = 96;

/** An address as a network that contains only it. */
function parseAddress(text: string): Network | undefined {
  const version = isIP(text);
  if (version === 0) return undefined;
  if (version === 4) return hostOf('ipv4', BigInt(octetsOf(text).reduce((bits, octet) => bits * 256 + octet, 0)));
  const groups = groupsOf(text.split('%')[0]!);
  const bits = groups.reduce((before, group) => (before << 16n) | BigInt(group), 0n);
  const isMapped = bits >> BigInt(lengths.ipv4) === MAPPED;
  return isMapped ? hostOf('ipv4', BigInt.asUintN(lengths.ipv4, bits)) : hostOf('ipv6', bits);
}

function hostOf(family: Network['family'], bits: bigint): Network {
  return { family, prefix: lengths[family], bits };
}

function octetsOf(text: string): number[] {
  return text.split('.').map(Number);
}

/** The eight groups of an IPv6 address: `::` stands for as many zeros as are missing. */
function groupsOf(text: string): number[] {
  const [before = [], after] = text.split('::').map((part) => (part === '' ? [] : part.split(':').flatMap(groupOf)));
  if (after === undefined) return before;
  return [...before, ...Array<number>(8 - before.length - after.length).fill(0), ...after];
}

/** The last 32 bits may be written as an IPv4 address. */
function groupOf(text: string): number[] {
  if (!text.includes('.')) return [Number.parseInt(text, 16)];
  const [a = 0, b = 0, c = 0, d = 0] = octetsOf(text);
  return [a * 256 + b, c * 256 + d];
}
