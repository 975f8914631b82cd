import type { TestCluster } from '@keyfleet/test-support/cluster';
import { eventually, ServiceProcess } from '@keyfleet/test-support/fleet';
import getPort from 'get-port';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { frontendReady } from '../../tools/readiness.ts';

const main = join(import.meta.dirname, '../../services/frontend/src/main.ts');

export interface MoreFrontend {
  readonly name: string;
  readonly pid: number;
  readonly http: number;
  readonly grpc: number;
}

/** Starts frontend-2, frontend-3, ... beside a cluster's own, until it has `count` in all. */
export async function startMoreFrontends(
  cluster: TestCluster,
  { count, nodeArgs }: { readonly count: number; readonly nodeArgs: readonly string[] },
  resources: AsyncDisposableStack,
): Promise<MoreFrontend[]> {
  const started: MoreFrontend[] = [];
  for (let number = 2; number <= count; number++) {
    started.push(await startFrontend(cluster, `frontend-${number}`, nodeArgs, resources));
  }
  return started;
}

async function startFrontend(
  { home, ca }: TestCluster,
  name: string,
  nodeArgs: readonly string[],
  resources: AsyncDisposableStack,
): Promise<MoreFrontend> {
  const known = JSON.parse(readFileSync(home.in('config', 'frontend.json'), 'utf8')) as object;
  const [http, grpc] = [await getPort({ host: '127.0.0.1' }), await getPort({ host: '127.0.0.1' })];
  const own = {
    http: `127.0.0.1:${http}`,
    grpc: `127.0.0.1:${grpc}`,
    dataDir: home.in(name),
    auditFile: home.in('log', `audit-${name}.log`),
    firstAdministrator: undefined,
  };
  const file = home.in('config', `${name}.json`);
  writeFileSync(file, JSON.stringify({ ...known, ...own }), { mode: 0o600 });
  const frontend = new ServiceProcess(name, [...nodeArgs, main, '--config', file], home.in('log', `${name}.log`));
  frontend.start();
  resources.defer(() => frontend.end('SIGTERM'));
  const scheme = home.facts.tls ? 'https' : 'http';
  await eventually(`${name} is ready`, () => frontendReady(`${scheme}://127.0.0.1:${http}`, ca));
  return { name, pid: frontend.pid ?? 0, http, grpc };
}
