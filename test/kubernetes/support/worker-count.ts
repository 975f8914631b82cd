import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

/** What docs/kubernetes.md has operators write for more or fewer hsm-workers. `deploy`: a copy of that folder. */
export function writeWorkerCount(deploy: string, count: number): void {
  for (const service of ['frontend', 'domain-manager']) {
    const file = join(deploy, 'config', `${service}.json`);
    const config = JSON.parse(readFileSync(file, 'utf8')) as object;
    const hsmWorkers = Array.from({ length: count }, (_, n) => `hsm-worker-${n}.hsm-worker.keyfleet.svc:8911`);
    writeFileSync(file, JSON.stringify({ ...config, hsmWorkers }, undefined, 2));
  }
  const file = join(deploy, 'k8s/overlays/prod/kustomization.yaml');
  const rest = readFileSync(file, 'utf8').replace(/^replicas: .*\n/m, '');
  writeFileSync(file, `${rest}replicas: [{ name: hsm-worker, count: ${count} }]\n`);
}
