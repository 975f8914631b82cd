import { isIP } from 'node:net';
import { z } from 'zod';
import type { Address } from '../config.ts';
import { parseRedisUrl, type RedisTarget } from '../redis/url.ts';

/** The `allowPlaintext` part of a service's configuration. */
export const AllowPlaintext = z
  .boolean()
  .default(false)
  .describe(
    'Whether connections to other machines may be unencrypted: for a network that encrypts them itself, as a service mesh does.',
  );

/** The parts of a service's configuration that connect it. */
interface Connected {
  readonly allowPlaintext: boolean;
  readonly peerTls?: object | undefined;
  readonly edgeTls?: object | undefined;
  readonly http?: Address;
  readonly grpc: Address;
  readonly hsmWorkers?: readonly Address[];
  readonly domainManagers?: readonly Address[];
  readonly redis?: { readonly url: string };
  readonly nats?: { readonly servers: readonly string[]; readonly tls?: object | undefined } | undefined;
  readonly oidcIssuers?: readonly { readonly jwksUrl?: string | undefined }[];
}

/**
 * Refuses unencrypted connections to other machines, unless the configuration allows them; and peers that TLS cannot
 * name.
 */
export function refusePlaintext(config: Connected, context: z.core.$RefinementCtx): void {
  if (config.peerTls !== undefined) refuseAddresses(config, context);
  if (config.allowPlaintext) return;
  for (const { field, elsewhere, remedy } of unencrypted(config)) {
    if (elsewhere === undefined) continue;
    const message = `${elsewhere}, and the connection would be unencrypted: ${remedy}, or set allowPlaintext`;
    context.addIssue({ code: 'custom', path: [field], message });
  }
}

/** A certificate is for a name, and grpc-js asks for none by IP address (RFC 6066, section 3). */
function refuseAddresses({ hsmWorkers, domainManagers }: Connected, context: z.core.$RefinementCtx): void {
  for (const [field, peers] of Object.entries({ hsmWorkers, domainManagers })) {
    const address = peers?.find(({ host }) => isIP(host) !== 0);
    if (address === undefined) continue;
    const message = `${address.text}: with peerTls, write the host name of its certificate, not an IP address`;
    context.addIssue({ code: 'custom', path: [field], message });
  }
}

function* unencrypted(config: Connected) {
  const { http, grpc, hsmWorkers, domainManagers, redis, nats, oidcIssuers = [] } = config;
  // A frontend's ports are the edge; the other services have a port for peers.
  const [edge, own] = http === undefined ? [[], [grpc]] : [[http, grpc], []];
  if (config.edgeTls === undefined) {
    yield {
      field: http === undefined ? 'grpc' : 'http',
      elsewhere: elsewhereOf(edge.map(hostOf)),
      remedy: 'set edgeTls',
    };
  }
  if (config.peerTls === undefined) {
    const remedy = 'set peerTls';
    yield { field: 'grpc', elsewhere: elsewhereOf(own.map(hostOf)), remedy };
    yield { field: 'hsmWorkers', elsewhere: elsewhereOf((hsmWorkers ?? []).map(hostOf)), remedy };
    yield { field: 'domainManagers', elsewhere: elsewhereOf((domainManagers ?? []).map(hostOf)), remedy };
  }
  const target = redis && parseRedisUrl(redis.url);
  if (target?.tls === false) yield { field: 'redis.url', elsewhere: redisElsewhere(target), remedy: 'write rediss://' };
  if (nats !== undefined && nats.tls === undefined) {
    yield { field: 'nats.servers', elsewhere: elsewhereOf(nats.servers.map(hostOfServer)), remedy: 'set nats.tls' };
  }
  // Whoever answers with keys of their own signs tokens for every role that trusts the issuer.
  const keySets = oidcIssuers.flatMap(({ jwksUrl }) => (jwksUrl === undefined ? [] : [new URL(jwksUrl)]));
  const plain = keySets.filter(({ protocol }) => protocol === 'http:');
  const elsewhere = elsewhereOf(plain.map(({ host }) => hostOfServer(host)));
  yield { field: 'oidcIssuers', elsewhere, remedy: 'write https://' };
}

function hostOf({ host }: { readonly host: string }): string {
  return host;
}

/** From "host:port" or "nats://host:port". */
function hostOfServer(server: string): string {
  return /^(?:\w+:\/\/)?(?:[^@/]*@)?(\[[^\]]*\]|[^:/]+)/.exec(server)?.[1]?.replace(/^\[|\]$/g, '') ?? server;
}

/** Which of the hosts is not this machine; undefined if all are. */
export function elsewhereOf(hosts: readonly string[]): string | undefined {
  const other = hosts.find((host) => !isLoopback(host));
  return other === undefined ? undefined : `${other} is not this machine`;
}

/** The same of a Redis. A Sentinel and a node of a Redis Cluster name others, and the password goes there, too. */
export function redisElsewhere({ kind, nodes }: RedisTarget): string | undefined {
  const named = kind === 'standalone' ? undefined : 'a Redis that it names may be on another machine';
  return elsewhereOf(nodes.map(hostOf)) ?? named;
}

/** Whether the host is this machine, so that nobody else sees what is sent there. */
export function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || /^127\.\d+\.\d+\.\d+$/.test(host);
}
