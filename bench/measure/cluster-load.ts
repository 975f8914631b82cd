import type { TestCluster } from '@keyfleet/test-support/cluster';
import { Latencies } from '../histogram/latencies.ts';
import { Generators } from '../load/generators.ts';
import type { Pool } from '../load/job.ts';
import { getScenario } from '../scenarios/catalog.ts';
import { ofCluster } from '../targets/started-targets.ts';
import type { Target } from '../targets/target.ts';
import { measureRound } from './measure-round.ts';
import { PreparedTarget } from './prepared-target.ts';

export interface ClusterLoad {
  readonly scenario: string;
  readonly connections: number;
  readonly warmupMs: number;
  readonly measureMs: number;
}

export interface Measured {
  readonly requests: number;
  readonly perSecond: number;
  /** Milliseconds. */
  readonly p50: number;
  readonly p99: number;
  /** Requests with no answer, or with an error; none of them is among the latencies. */
  readonly failed: number;
  /** Microseconds of CPU per request, by process. */
  readonly cpu: Readonly<Record<string, number>>;
}

/** One closed loop on a cluster that somebody else started, for programs that measure one thing. */
export async function loadCluster(cluster: TestCluster, { scenario, ...load }: ClusterLoad): Promise<Measured> {
  const target = ofCluster({ name: 'keyfleet', kind: 'keyfleet' }, cluster);
  using prepared = new PreparedTarget(target, () => undefined);
  const parts = [{ scenario: getScenario(scenario), weight: 1 }];
  const pools = await prepared.poolsFor({ name: scenario, parts, payload: 32, context: 1, keys: 1 });
  using generators = new Generators(1);
  return await loadTarget(target, { pools, ...load }, generators);
}

/** One closed loop with these requests. */
export async function loadTarget(
  target: Target,
  { pools, connections, warmupMs, measureMs }: Omit<ClusterLoad, 'scenario'> & { readonly pools: readonly Pool[] },
  generators: Generators,
): Promise<Measured> {
  const job = {
    endpoint: target.endpoint,
    pools,
    choice: { kind: 'turn' },
    loop: { kind: 'closed', connections },
    warmupMs,
    measureMs,
    sliceMs: measureMs,
  } as const;
  const { requests, seconds, latencies, failures, processes } = await measureRound({ target, job, generators });
  const found = Latencies.decode(latencies);
  const cpu = Object.entries(processes).map(([name, use]) => [name, use.cpu / Math.max(1, requests)]);
  return {
    requests,
    perSecond: requests / seconds,
    p50: found.quantile(0.5),
    p99: found.quantile(0.99),
    failed: Object.values(failures).reduce((sum, one) => sum + one, 0),
    cpu: Object.fromEntries(cpu) as Record<string, number>,
  };
}
