import { startTestCluster, type TestCluster } from '@keyfleet/test-support/cluster';
import { pidsOf } from '../observe/process-cpu.ts';
import type { Endpoint } from '../wire/endpoint.ts';
import { awsJson } from './aws-json.ts';
import { makeCallers } from './callers.ts';
import { keyfleetGrpc } from './grpc.ts';
import { startLocalKms } from './local-kms.ts';
import { type MoreFrontend, startMoreFrontends } from './more-frontends.ts';
import { startOpenBao } from './openbao.ts';
import { startPrototype } from './prototype.ts';
import type { Target } from './target.ts';
import type { TargetSpec } from './target-spec.ts';

const REGION = 'us-east-1';

export interface TargetOptions {
  /** hsm-workers of a cluster that is started. */
  readonly workers: number;
  /** Arguments of Node before the main of each of its services. */
  readonly nodeArgs: readonly string[];
}

interface StartedCluster {
  readonly cluster: TestCluster;
  readonly more: readonly MoreFrontend[];
}

/** The targets that the harness starts; `resources` stops them again. */
export class StartedTargets {
  readonly #options: TargetOptions;
  readonly #resources: AsyncDisposableStack;
  readonly #clusters = new Map<string, StartedCluster>();

  constructor(options: TargetOptions, resources: AsyncDisposableStack) {
    this.#options = options;
    this.#resources = resources;
  }

  async start(spec: TargetSpec): Promise<Target> {
    switch (spec.kind) {
      case 'prototype':
        return this.#resources.use(await startPrototype(spec.name));
      case 'openbao':
        return this.#resources.use(await startOpenBao(spec.name));
      case 'local-kms':
        return this.#resources.use(await startLocalKms(spec.name));
      default: {
        const { cluster, more } = await this.#cluster(spec);
        return withCallers(ofCluster(spec, cluster, more), spec, cluster);
      }
    }
  }

  /** Both edges are of one cluster. */
  async #cluster({ frontends = 1, tls = false }: TargetSpec): Promise<StartedCluster> {
    const name = `${frontends} ${tls}`;
    const started = this.#clusters.get(name) ?? (await startWith({ frontends, tls }, this.#options, this.#resources));
    this.#clusters.set(name, started);
    return started;
  }
}

async function startWith(
  { frontends, tls }: { readonly frontends: number; readonly tls: boolean },
  options: TargetOptions,
  resources: AsyncDisposableStack,
): Promise<StartedCluster> {
  const cluster = resources.use(await startTestCluster({ ...options, tls, rsaKeyPool: {} }));
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
