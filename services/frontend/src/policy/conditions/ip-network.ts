import { BlockList, isIP } from 'node:net';

/** Networks in CIDR form, or single addresses; undefined: one is neither (RFC 4632, RFC 4291). */
export function parseNetworks(texts: readonly string[]): BlockList | undefined {
  const networks = new BlockList();
  for (const text of texts) {
    const [, address = '', prefix] = /^([^/]*)(?:\/(0|[1-9]\d{0,2}))?$/.exec(text) ?? [];
    const version = isIP(address);
    const longest = version === 4 ? 32 : 128;
    const length = prefix === undefined ? longest : Number(prefix);
    if (version === 0 || length > longest) return undefined;
    networks.addSubnet(address, length, version === 4 ? 'ipv4' : 'ipv6');
  }
  return networks;
}

/** undefined: `address` is none. */
export function isWithin(networks: BlockList, address: string): boolean | undefined {
  const version = isIP(address);
  return version === 0 ? undefined : networks.check(address, version === 4 ? 'ipv4' : 'ipv6');
}
