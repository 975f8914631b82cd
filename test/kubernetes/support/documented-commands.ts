import { readFileSync } from 'node:fs';
import { join } from 'node:path';

/** Some commands of docs/kubernetes.md: one of its blocks, or one in its text. */
export interface Documented {
  /** What only they hold. */
  readonly part: string;
  /** Tests that run them as they stand, which name this part. */
  readonly runBy?: readonly string[];
  /** Why no test here does. */
  readonly notRun?: string;
}

const API_SERVER = 'kubernetes-commands.test.ts';
const FOUND = 'support/topology/found.ts';
const FIRST_START = 'support/topology/first-start.ts';
const PASSWORDS = 'topology-passwords.test.ts';
const NO_NODE = 'there is no node';

/** In the order of the page. */
export const documented: readonly Documented[] = [
  { part: 'buildx imagetools', notRun: 'there is no registry; manifests.test.ts puts digests into their place' },
  { part: 'docker buildx build --push', notRun: 'there is no container engine, and no registry' },
  { part: 'keyfleet domain anchor', runBy: [FIRST_START, API_SERVER] },
  { part: 'kubectl create secret', runBy: [FIRST_START, API_SERVER] },
  { part: 'hsm-worker-$i.pub.json', runBy: [FOUND] },
  { part: 'get secret operator-tls', runBy: [FOUND] },
  { part: 'account create', runBy: [FOUND] },
  { part: 'seal-key.json', runBy: ['topology-scaling.test.ts', API_SERVER] },
  { part: 'member admit', runBy: ['topology-scaling.test.ts'] },
  { part: 'domain approve', runBy: ['topology-scaling.test.ts'] },
  { part: 'member remove', runBy: ['topology-scaling.test.ts'] },
  { part: 'member leave', runBy: ['topology-scaling.test.ts'] },
  { part: 'delete pvc identity-hsm-worker-3', runBy: ['topology-scaling.test.ts', API_SERVER] },
  { part: 'kubectl get pods', runBy: [API_SERVER] },
  { part: 'delete pvc data-redis-0 --wait=false', runBy: ['topology-restore.test.ts'] },
  { part: 'rollout status statefulset/hsm-worker', notRun: `${NO_NODE}, on which a Pod would become ready` },
  { part: 'ca.crt=old-ca.pem', runBy: ['topology-authority.test.ts'] },
  { part: 'ca.crt=both-ca.pem', runBy: ['topology-authority.test.ts'] },
  { part: 'cmctl renew', runBy: ['topology-authority.test.ts'] },
  { part: 'ca.crt=new-ca.pem', runBy: ['topology-authority.test.ts'] },
  { part: '>redis-$name.before', runBy: [PASSWORDS, API_SERVER] },
  { part: '"%s":"%s","%s.also":"%s"', runBy: [PASSWORDS, API_SERVER] },
  { part: 'rm redis-$name.before', runBy: [PASSWORDS, API_SERVER] },
  { part: 'sentinel remove keyfleet', runBy: [PASSWORDS] },
  { part: '/run/secrets/sentinel', runBy: [PASSWORDS] },
  { part: 'patch secret nats-passwords', runBy: [PASSWORDS, API_SERVER] },
  { part: 'keyfleet backup', runBy: ['topology-restore.test.ts'] },
  { part: 'delete pvc data-redis-0 data-redis-1', runBy: ['topology-restore.test.ts', API_SERVER] },
  { part: 'keyfleet restore', runBy: ['topology-restore.test.ts'] },
  { part: 'domain checkpoint', runBy: ['topology-scaling.test.ts'] },
  { part: 'trust-anchor.json=checkpoint.json', runBy: [API_SERVER] },
  { part: 'openid/v1/jwks', runBy: [API_SERVER] },
  { part: 'openid-configuration', runBy: [API_SERVER] },
  { part: '--target bench -t', notRun: 'there is no container engine; image.test.ts carries out the Dockerfile' },
  { part: 'trust.json', runBy: ['load-test.test.ts'] },
  {
    part: 'condition=complete',
    notRun: `${NO_NODE}, on which the Job would run; load-test.test.ts runs its container`,
  },
  { part: 'replace --force', runBy: [API_SERVER] },
  { part: 'bench -- compare', notRun: 'nothing of Kubernetes; test/integration/bench.test.ts runs the harness' },
  { part: 'delete -k', runBy: [API_SERVER] },
];

/** All commands of docs/kubernetes.md, in its order: blocks as they stand, and commands in its text. */
export function documentedCommands(): string[] {
  const text = readFileSync(join(import.meta.dirname, '../../../docs/kubernetes.md'), 'utf8');
  const written =
    /^```(?:sh|console)\n(?<block>.*?)^```$|`(?<inline>(?:kubectl|keyfleet|docker|npm run bench) [^`]+)`/gms;
  return [...text.matchAll(written)].map(({ groups }) => groups!['block'] ?? groups!['inline']!);
}

/** Those that hold the part, which no others do. */
export function commandsWith(part: string): string {
  const [found, ...others] = documentedCommands().filter((commands) => commands.includes(part));
  if (found === undefined || others.length > 0) throw new Error(`docs/kubernetes.md: ${part}`);
  return found;
}
