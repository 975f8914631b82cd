import { KMSClient } from '@aws-sdk/client-kms';
import { startTestCluster, type TestCluster } from '@keyfleet/test-support/cluster';
import { BenchError } from '../bench-error.ts';
import { pidsOf } from '../observe/process-cpu.ts';
import type { Endpoint, Signing } from '../wire/endpoint.ts';
import { makeCallers } from './callers.ts';
import { awsJson } from './aws-json.ts';
import { keyfleetGrpc } from './grpc.ts';
import { type MoreFrontend, startMoreFrontends } from './more-frontends.ts';
import { startLocalKms } from './local-kms.ts';
import { startOpenBao } from './openbao.ts';
import { startPrototype } from './prototype.ts';
import type { Target } from './target.ts';
import type { TargetSpec } from './target-spec.ts';
import { transit } from './transit.ts';

const REGION = 'us-east-1';

export interface TargetOptions {
  /** hsm-workers of a cluster that is started. */
  readonly workers: number;
  /** What Node is given before the main of each of its services. */
  readonly nodeArgs: readonly string[];
}

/** Starts what is to be started; `resources` stops it again. */
export async function openTargets(
  specs: readonly TargetSpec[],
  options: TargetOptions,
  resources: AsyncDisposableStack,
): Promise<Target[]> {
  const clusters = new Map<string, StartedCluster>();
  const targets: Target[] = [];
  for (const spec of specs) {
    if (spec.kind === 'keyfleet' || spec.kind === 'keyfleet-grpc') {
      const { frontends = 1, tls = false } = spec;
      // Both edges of one cluster.
      const known = clusters.get(`${frontends} ${tls}`);
      const { cluster, more } = known ?? (await startWith({ frontends, tls }, options, resources));
      clusters.set(`${frontends} ${tls}`, { cluster, more });
      targets.push(await withCallers(ofCluster(spec, cluster, more), spec, cluster));
    } else if (spec.kind === 'prototype') targets.push(resources.use(await startPrototype(spec.name)));
    else if (spec.kind === 'openbao') targets.push(resources.use(await startOpenBao(spec.name)));
    else if (spec.kind === 'local-kms') targets.push(resources.use(await startLocalKms(spec.name)));
    else targets.push(await ofUrl(spec, spec.url!));
  }
  return targets;
}

interface StartedCluster {
  readonly cluster: TestCluster;
  readonly more: readonly MoreFrontend[];
}

async function startWith(
  { frontends, tls }: { readonly frontends: number; readonly tls: boolean },
  options: TargetOptions,
  resources: AsyncDisposableStack,
): Promise<StartedCluster> {
  const cluster = resources.use(await startTestCluster({ ...options, tls }));
  const more = await startMoreFrontends(cluster, { count: frontends, nodeArgs: options.nodeArgs }, resources);
  return { cluster, more };
}

/** The cluster's administrator prepares; the timed requests are of the callers that the target names, if it does. */
export async function withCallers(
  target: Target,
  { callers: count, as }: Pick<TargetSpec, 'callers' | 'as'>,
  cluster: TestCluster,
): Promise<Target> {
  if (count === undefined && as === undefined) return target;
  const callers = await makeCallers(cluster, as ?? 'user', count ?? 1);
  return { ...target, callers };
}

export function ofCluster(
  { name, kind }: Pick<TargetSpec, 'name' | 'kind'>,
  cluster: TestCluster,
  more: readonly MoreFrontend[] = [],
): Target {
  const overGrpc = kind === 'keyfleet-grpc';
  const endpoint: Endpoint = {
    transport: overGrpc ? 'http2' : 'http1',
    tls: cluster.ca !== undefined,
    ca: cluster.ca,
    host: '127.0.0.1',
    port: overGrpc ? cluster.ports.grpc : cluster.ports.http,
    also: more.map(({ http, grpc }) => ({ host: '127.0.0.1', port: overGrpc ? grpc : http })),
    signing: { region: REGION, ...cluster.credentials },
  };
  const others = Object.fromEntries(more.map((frontend) => [frontend.name, frontend.pid]));
  const processes = () => ({ ...pidsOf(cluster, 'domain-manager', 'redis', 'nats'), ...others });
  return { name, endpoint, protocol: overGrpc ? keyfleetGrpc : awsJson(), processes, cluster };
}

async function ofUrl(spec: TargetSpec, url: URL): Promise<Target> {
  const { name, kind, pids, also } = spec;
  const tls = /^(?:\w+\+)?https:|^grpcs:/.test(url.protocol);
  const base = { tls, host: url.hostname, port: Number(url.port || (tls ? 443 : 80)), also };
  const processes = () => pids;
  const path = `${url.pathname || '/'}${url.search}`;
  if (kind === 'plain') {
    const onlyRequest = { method: 'GET', path, headers: {}, body: '' };
    return { name, endpoint: { ...base, transport: 'http1' }, protocol: undefined, onlyRequest, processes };
  }
  if (kind === 'transit') {
    const mount = url.pathname.split('/').filter(Boolean).join('/') || 'transit';
    return { name, endpoint: { ...base, transport: 'http1' }, protocol: transit(mount, token(name)), processes };
  }
  const signing = await signingOf(spec);
  if (kind === 'grpc')
    return { name, endpoint: { ...base, transport: 'http2', signing }, protocol: keyfleetGrpc, processes };
  return {
    name,
    endpoint: { ...base, transport: 'http1', signing },
    protocol: awsJson(url.pathname || '/'),
    processes,
  };
}

function token(name: string): string {
  const found = process.env['BAO_TOKEN'] ?? process.env['VAULT_TOKEN'];
  if (found !== undefined) return found;
  throw new BenchError(`${name}: no token. Set BAO_TOKEN or VAULT_TOKEN.`);
}

/** The AWS SDK's own way to credentials: environment, shared files, roles. */
async function signingOf({ name, region, profile }: TargetSpec): Promise<Signing> {
  const client = new KMSClient({
    ...(region === undefined ? {} : { region }),
    ...(profile === undefined ? {} : { profile }),
  });
  try {
    const { accessKeyId, secretAccessKey, sessionToken } = await client.config.credentials();
    const found = await client.config.region().catch(() => REGION);
    return { region: found, accessKeyId, secretAccessKey, ...(sessionToken === undefined ? {} : { sessionToken }) };
  } catch (cause) {
    const what = 'set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or name a profile with ,profile=';
    throw new BenchError(`${name}: no AWS credentials (${(cause as Error).message}): ${what}.`, { cause });
  } finally {
    client.destroy();
  }
}
