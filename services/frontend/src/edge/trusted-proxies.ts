import { isIP } from 'node:net';
import { IpNetworks } from '@keyfleet/shared/ip-networks';

/** Load balancers whose word is believed about whose requests they forward. */
export class TrustedProxies {
  readonly #networks: IpNetworks;

  /** `networks`: such as `10.0.0.0/8`, `2001:db8::/32` or `192.0.2.7`; the configuration has checked them. */
  constructor(networks: readonly string[]) {
    this.#networks = IpNetworks.parse(networks)!;
  }

  trusts(address: string): boolean {
    return this.#networks.has(address) === true;
  }

  /**
   * The sender's address of a request that arrived from `connected`. Each proxy appends its client to X-Forwarded-For,
   * so this is the last address that does not belong to a trusted proxy; anyone may have written what precedes it. A
   * connection that is not a trusted proxy's is its own source.
   */
  sourceOf(connected: string, forwardedFor: string | undefined): string {
    if (forwardedFor === undefined) return connected;
    let source = connected;
    const hops = forwardedFor.split(',');
    while (this.trusts(source)) {
      const address = addressIn(hops.pop() ?? '');
      // The proxy gives no address, so the last known one stands.
      if (address === undefined) return source;
      source = address;
    }
    return source;
  }
}

/** Whether X-Forwarded-Proto says that the nearest proxy, the last in the list, was called over TLS. */
export function saysTls(forwardedProto: string | undefined): boolean {
  return forwardedProto?.split(',').at(-1)?.trim() === 'https';
}

/** Some proxies add the port: `192.0.2.1:4711`, `[2001:db8::1]:4711`. */
function addressIn(hop: string): string | undefined {
  const text = hop.trim();
  const address = /^\[([^\]]*)\](?::\d+)?$/.exec(text)?.[1] ?? /^([\d.]+):\d+$/.exec(text)?.[1] ?? text;
  return isIP(address) === 0 ? undefined : address;
}
