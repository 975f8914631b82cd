import { createDomain, DEFAULT_BACKUP_HORIZON_MS, defaultRules } from '@keyfleet/cli/ceremony';
import { DomainManagerClient } from '@keyfleet/cli/domain-manager-client';
import { loadNewMember, loadOperator } from '@keyfleet/cli/public-files';
import { parseTrustAnchor } from '@keyfleet/shared/domain/trust-anchor';
import { credentials } from '@grpc/grpc-js';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { until } from '../../../../tools/readiness.ts';
import type { AwsCredentials } from '../../../../tools/aws-files.ts';
import { portForward } from './port-forward.ts';
import type { Topology } from './topology.ts';

const node = `/keyfleet/node_modules/node-linux-${process.arch}/bin/node`;
const main = '/keyfleet/packages/cli/src/main.ts';
const IDENTITY = '/var/lib/keyfleet/identity.pub.json';
const ACCOUNT = '111122223333';

/** Everything is ready, and there is an account, whose administrator's credentials are answered. */
export async function found(topology: Topology): Promise<AwsCredentials> {
  for (const name of ['redis', 'nats', 'domain-manager']) await topology.awaitReady(name);
  await foundDomain(topology);
  for (const { name } of topology.workloads) await topology.awaitReady(name);
  return createAccount(topology);
}

/** The ceremony, as docs/kubernetes.md has it: operators speak with a domain-manager through a port-forward. */
async function foundDomain(topology: Topology): Promise<void> {
  const { laptop, founders, secrets } = topology.objects;
  const workers = topology.pods('hsm-worker').map(async (pod) => {
    const file = join(laptop, `${pod.name}.pub.json`);
    const read = async () => {
      const { exitCode, stdout } = await pod.exec(['cat', IDENTITY]);
      if (exitCode === 0) writeFileSync(file, stdout);
      return exitCode === 0;
    };
    if (!(await until(read, 60_000, () => false))) throw new Error(`${pod.name} has no identity`);
    return loadNewMember(file);
  });
  const members = await Promise.all(workers);
  const operator = secrets.get('operator-tls')!;
  const tls = credentials.createSsl(operator['ca.crt']!, operator['tls.key']!, operator['tls.crt']!);
  await using forward = await portForward(topology.pods('domain-manager')[0]!.address, 8921);
  using client = new DomainManagerClient(`localhost:${forward.port}`, tls);
  const names = [...founders.map(({ operatorId }) => operatorId), 'frontend', 'domain-manager'];
  await createDomain(
    client,
    {
      anchor: parseTrustAnchor(readFileSync(join(laptop, 'trust-anchor.json'), 'utf8')),
      members,
      operators: names.map((name) => loadOperator(join(laptop, `${name}.pub.json`))),
      rules: defaultRules(2),
      backupHorizonMs: DEFAULT_BACKUP_HORIZON_MS,
    },
    founders,
  );
}

/** The first account, by the command line in a frontend's Pod, which has what it asks for. */
async function createAccount(topology: Topology): Promise<AwsCredentials> {
  const [frontend] = topology.pods('frontend');
  const { redis, domainManagers } = JSON.parse(
    (await frontend!.exec(['cat', '/etc/keyfleet/frontend.json'])).stdout,
  ) as {
    readonly redis: { readonly url: string; readonly username: string };
    readonly domainManagers: readonly string[];
  };
  const out = '/var/lib/keyfleet/credentials';
  const options = {
    account: ACCOUNT,
    out,
    host: 'frontend',
    'host-key': '/run/secrets/frontend.pem',
    'domain-manager': domainManagers[0]!,
    'tls-ca': '/run/tls/ca.crt',
    'tls-cert': '/run/tls/tls.crt',
    'tls-key': '/run/tls/tls.key',
    'trust-anchor': '/etc/keyfleet/trust-anchor.json',
    redis: redis.url,
    'redis-user': redis.username,
    'redis-password-file': '/run/secrets/redis-password',
  };
  const args = Object.entries(options).flatMap(([name, value]) => [`--${name}`, value]);
  const made = await frontend!.exec([node, main, 'account', 'create', ...args]);
  if (made.exitCode !== 0) throw new Error(`no account: ${made.stderr}`);
  const text = (await frontend!.exec(['cat', out])).stdout;
  const field = (name: string): string => new RegExp(`^${name} *= *(\\S+)$`, 'm').exec(text)![1]!;
  return { accessKeyId: field('aws_access_key_id'), secretAccessKey: field('aws_secret_access_key') };
}
