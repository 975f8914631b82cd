export interface RedisNode {
  readonly host: string;
  readonly port: number;
}

interface Common {
  readonly tls: boolean;
  readonly nodes: readonly RedisNode[];
}

export type RedisTarget = Common &
  (
    | { readonly kind: 'standalone' }
    | { readonly kind: 'sentinel'; readonly masterName: string }
    | { readonly kind: 'cluster' }
  );

const pattern = /^(rediss?)(\+sentinel|\+cluster)?:\/\/([^/@?#]+)(?:\/([^/?#]*))?$/;
const nodePattern = /^(?:\[([0-9a-fA-F:.]+)\]|([A-Za-z0-9._-]+))(?::(\d{1,5}))?$/;
const defaultPorts = { standalone: 6379, sentinel: 26_379, cluster: 6379 } as const;

/** Undefined if it is no Redis URL, has a password, or names a database other than the first: nothing looks there. */
export function parseRedisUrl(url: string): RedisTarget | undefined {
  const [, scheme, suffix, hosts, path = ''] = pattern.exec(url) ?? [];
  if (hosts === undefined) return undefined;
  const kind = suffix === '+sentinel' ? 'sentinel' : suffix === '+cluster' ? 'cluster' : 'standalone';
  const nodes = hosts.split(',').map((host) => nodeOf(host, defaultPorts[kind]));
  if (!nodes.every((node) => node !== undefined)) return undefined;

  const common: Common = { tls: scheme === 'rediss', nodes };
  if (kind === 'sentinel') return path === '' ? undefined : { ...common, kind, masterName: path };
  if (kind === 'cluster') return path === '' ? { ...common, kind } : undefined;
  return nodes.length === 1 && /^0?$/.test(path) ? { ...common, kind } : undefined;
}

function nodeOf(text: string, defaultPort: number): RedisNode | undefined {
  const [, ipv6, name, digits] = nodePattern.exec(text) ?? [];
  const host = ipv6 ?? name;
  const port = digits === undefined ? defaultPort : Number(digits);
  return host !== undefined && port <= 65_535 ? { host, port } : undefined;
}
