import { readFileSync, writeFileSync } from 'node:fs';
import { frontendReady } from '../../tools/readiness.ts';
import { newPort } from '../../tools/ports.ts';
import type { TestCluster } from './cluster.ts';
import { eventually, ServiceProcess } from './fleet.ts';

export interface SecondFrontend extends AsyncDisposable {
  readonly endpoint: string;
  /** kill -9. */
  kill(): Promise<void>;
}

/**
 * Another frontend process on the cluster; `auditFile` is its own audit log, `changed` what else its configuration has.
 * Disposing kills it.
 */
export async function startSecondFrontend(
  { home }: TestCluster,
  auditFile: string,
  changed: object = {},
): Promise<SecondFrontend> {
  const [http, grpc] = [await newPort(), await newPort()];
  const config = JSON.parse(readFileSync(home.in('config', 'frontend.json'), 'utf8')) as object;
  const file = home.in('config', 'frontend-2.json');
  const own = { http: `127.0.0.1:${http}`, grpc: `127.0.0.1:${grpc}`, auditFile, dataDir: home.in('frontend-2') };
  writeFileSync(file, JSON.stringify({ ...config, ...changed, ...own }));
  const args = ['services/frontend/src/main.ts', '--config', file];
  const frontend = new ServiceProcess('frontend-2', args, home.in('log', 'frontend-2.log'));
  frontend.start();
  const endpoint = `http://127.0.0.1:${http}`;
  const kill = () => frontend.end('SIGKILL');
  try {
    await eventually('the second frontend is ready', () => frontendReady(endpoint));
  } catch (error) {
    await kill();
    throw error;
  }
  return { endpoint, kill, [Symbol.asyncDispose]: kill };
}
