import { BlockList, isIP, SocketAddress } from 'node:net';

interface Network {
  readonly family: 'ipv4' | 'ipv6';
  readonly address: string;
  /** The number of significant address bits. */
  readonly prefix: number;
}

/**
 * A set of networks. No IPv4 address is in an IPv6 network, nor the other way round: `::/0` is every IPv6 address and
 * no IPv4 one, as in AWS's policies. `::ffff:192.0.2.1`, which a dual-stack socket reports, counts as the IPv4 address.
 */
export class IpNetworks {
  // A single list would find IPv4 addresses in `::/0`.
  readonly #lists = { ipv4: new BlockList(), ipv6: new BlockList() };

  private constructor(networks: readonly Network[]) {
    for (const { family, address, prefix } of networks) this.#lists[family].addSubnet(address, prefix, family);
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
    return host && this.#lists[host.family].check(host.address, host.family);
  }
}

function parseNetwork(text: string): Network | undefined {
  const [, address = '', given] = /^([^/%]*)(?:\/(0|[1-9]\d{0,2}))?$/.exec(text) ?? [];
  const host = parseAddress(address);
  if (host === undefined || given === undefined) return host;
  // In `::ffff:10.0.0.0/104` the last 8 bits of the prefix belong to the IPv4 address.
  const prefix = Number(given) - (isIP(address) === 6 && host.family === 'ipv4' ? 96 : 0);
  return prefix < 0 || prefix > host.prefix ? undefined : { ...host, prefix };
}

/** An address as a network that contains only it. */
function parseAddress(text: string): Network | undefined {
  const version = isIP(text);
  if (version === 0) return undefined;
  if (version === 4) return { family: 'ipv4', address: text, prefix: 32 };
  const { address } = new SocketAddress({ address: text, family: 'ipv6' });
  const mapped = /^::ffff:([\d.]+)$/.exec(address)?.[1];
  return mapped === undefined
    ? { family: 'ipv6', address, prefix: 128 }
    : { family: 'ipv4', address: mapped, prefix: 32 };
}
