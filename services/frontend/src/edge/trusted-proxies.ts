import { isIP } from 'node:net';
import { IpNetworks } from '@keyfleet/shared/ip-networks';

/** Load balancers whose word is taken for whom they forward requests of. */
export class TrustedProxies {
  readonly #networks: IpNetworks;

  /** `networks`: as in `10.0.0.0/8`, `2001:db8::/32` or `192.0.2.7`; the configuration has none that is not. */
  constructor(networks: readonly string[]) {
    this.#networks = IpNetworks.parse(networks)!;
  }

  trusts(address: string): boolean {
    return this.#networks.has(address) === true;
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

/** Some proxies add the port: `192.0.2.1:4711`, `[2001:db8::1]:4711`. */
function addressIn(hop: string): string | undefined {
  const text = hop.trim();
  const address = /^\[([^\]]*)\](?::\d+)?$/.exec(text)?.[1] ?? /^([\d.]+):\d+$/.exec(text)?.[1] ?? text;
  return isIP(address) === 0 ? undefined : address;
}
