import { nft } from './network.ts';
import type { PolicyRule, PolicySpec } from './rendered.ts';

export const APP = 'app.kubernetes.io/name';

/** Addresses of the machine that the Pods run on. */
export interface Node {
  readonly address: string;
  readonly dns: string;
  /** Of Services; a connection to one that has no endpoint is refused, as by kube-proxy. */
  readonly services: string;
}

/**
 * The rules of nftables for a Pod of the app: what its NetworkPolicies let in and out, and nothing else. The sets
 * `pods-APP` hold the addresses of the others, `made` where it tried to connect to, and `partition` whom it cannot
 * reach.
 */
export function rulesFor(app: string, policies: readonly PolicySpec[], apps: readonly string[], node: Node): string {
  const mine = policies.filter(({ podSelector }) => (podSelector.matchLabels?.[APP] ?? app) === app);
  const allowed = (direction: 'ingress' | 'egress'): string[] =>
    mine.flatMap((policy) => (policy[direction] ?? []).flatMap((rule) => acceptsOf(rule, direction, node)));
  return `
table inet keyfleet {
${apps.map((name) => `  set ${podsOf(name)} { type ipv4_addr; }`).join('\n')}
  set partition { type ipv4_addr; }
  set made { type ipv4_addr . inet_service; size 4096; flags dynamic; }
  chain output {
    type filter hook output priority 10; policy drop;
    oif lo accept
    ct state new meta l4proto tcp update @made { ip daddr . tcp dport }
    ip daddr @partition drop
    ct state established,related accept
    ip daddr ${node.services} reject with tcp reset
${indent(allowed('egress'))}
  }
  chain input {
    type filter hook input priority 10; policy drop;
    iif lo accept
    ip saddr @partition drop
    ct state established,related accept
    ip saddr ${node.address} accept
${indent(allowed('ingress'))}
  }
}`;
}

/** Addresses and ports that a Pod has tried to connect to. */
export async function triedFrom(namespace: string): Promise<(readonly [address: string, port: number])[]> {
  const { nftables } = JSON.parse(await nft(namespace, 'list set inet keyfleet made')) as {
    readonly nftables: readonly { readonly set?: { readonly elem?: readonly unknown[] } }[];
  };
  return nftables.flatMap(({ set }) =>
    (set?.elem ?? []).map((element) => {
      const value = (element as { readonly elem?: { readonly val: object } }).elem?.val ?? element;
      return (value as { readonly concat: [string, number] }).concat;
    }),
  );
}

export function podsOf(app: string): string {
  return `pods-${app}`;
}

function acceptsOf(rule: PolicyRule, direction: 'ingress' | 'egress', { dns }: Node): string[] {
  const peers = direction === 'ingress' ? rule.from : rule.to;
  const side = direction === 'ingress' ? 'saddr' : 'daddr';
  const addresses = (peers ?? [undefined]).map((peer) => {
    if (peer === undefined) return '';
    // The only namespace that is named is that of the cluster's DNS.
    if (peer.namespaceSelector !== undefined) return `ip ${side} ${dns} `;
    return `ip ${side} @${podsOf(peer.podSelector!.matchLabels[APP]!)} `;
  });
  return addresses.flatMap((address) =>
    rule.ports.map(({ protocol, port }) => `${address}${protocol.toLowerCase()} dport ${port} accept`),
  );
}

function indent(lines: readonly string[]): string {
  return lines.map((line) => `    ${line}`).join('\n');
}
