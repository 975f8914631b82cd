import { BlockList, isIP } from 'node:net';

/** Load balancers whose word is taken for whom they forward requests of. */
export class TrustedProxies {
  readonly #networks = new BlockList();

  /** `networks`: as in `10.0.0.0/8`, `2001:db8::/32` or `192.0.2.7`. */
  constructor(networks: readonly string[]) {
    for (const network of networks) {
      const { address, family, bits } = parseNetwork(network)!;
      this.#networks.addSubnet(address, bits, family);
    }
  }

  trusts(address: string): boolean {
    const version = isIP(address);
    return version !== 0 && this.#networks.check(address, familyOf(version));
  }

  /**
   * Who sent a request that came from `connected`: each proxy adds to X-Forwarded-For whom it had the request from, so the last that is
   * no trusted proxy. What is before that anyone may have written. A connection of anybody else speaks for itself.
   */
  sourceOf(connected: string, forwardedFor: string | undefined): string {
    let source = connected;
    const hops = forwardedFor?.split(',') ?? [];
    while (this.trusts(source)) {
      const address = addressIn(hops.pop() ?? '');
      // The proxy does not say, or in a way that nobody understands: then it is all that is known.
      if (address === undefined) return source;
      source = address;
    }
    return source;
  }
}

/** What a trusted proxy says in X-Forwarded-Proto of the request that it had; with several, the last one is the nearest. */
export function saysTls(forwardedProto: string | undefined): boolean {
  return forwardedProto?.split(',').at(-1)?.trim() === 'https';
}

/** Undefined when it is no network. */
export function parseNetwork(text: string) {
  const [address = '', bits, ...rest] = text.split('/');
  const version = address.includes('%') ? 0 : isIP(address);
  const longest = version === 4 ? 32 : 128;
  if (version === 0 || rest.length > 0 || !/^\d{1,3}$/.test(bits ?? '0') || Number(bits ?? 0) > longest)
    return undefined;
  return { address, family: familyOf(version), bits: Number(bits ?? longest) };
}

function familyOf(version: number): 'ipv4' | 'ipv6' {
  return version === 4 ? 'ipv4' : 'ipv6';
}

/** Some proxies add the port: `192.0.2.1:4711`, `[2001:db8::1]:4711`. */
function addressIn(hop: string): string | undefined {
  const text = hop.trim();
  const address = /^\[([^\]]*)\](?::\d+)?$/.exec(text)?.[1] ?? /^([\d.]+):\d+$/.exec(text)?.[1] ?? text;
  return isIP(address) === 0 ? undefined : address;
}
