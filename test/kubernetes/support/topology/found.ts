import { createDomain, DEFAULT_BACKUP_HORIZON_MS, defaultRules } from '@keyfleet/cli/ceremony';
import { DomainManagerClient } from '@keyfleet/cli/domain-manager-client';
import { loadNewMember, loadOperator } from '@keyfleet/cli/public-files';
import { parseTrustAnchor } from '@keyfleet/shared/domain/trust-anchor';
import { credentials } from '@grpc/grpc-js';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { until } from '../../../../tools/readiness.ts';
import type { AwsCredentials } from '../../../../tools/aws-files.ts';
import type { Pod } from './pod.ts';
import { portForward } from './port-forward.ts';
import { Topology } from './topology.ts';

const IDENTITY = '/var/lib/keyfleet/identity.pub.json';

/** A topology with a domain and an account. */
export interface Founded extends Topology {
  /** Of the account's administrator. */
  readonly credentials: AwsCredentials;
}

/** Resolves when everything is ready. */
export async function startFounded(): Promise<Founded> {
  const topology = await Topology.start();
  try {
    return Object.assign(topology, { credentials: await found(topology) });
  } catch (error) {
    await topology[Symbol.asyncDispose]();
    throw error;
  }
}

async function found(topology: Topology): Promise<AwsCredentials> {
  for (const name of ['redis', 'nats', 'domain-manager']) await topology.awaitReady(name);
  await foundDomain(topology);
  for (const { name } of topology.workloads) await topology.awaitReady(name);
  return createAccount(topology);
}

/** The ceremony, as docs/kubernetes.md has it: operators speak with a domain-manager through a port-forward. */
async function foundDomain(topology: Topology): Promise<void> {
  const { laptop } = topology;
  const { founders, secrets } = topology.objects;
  const pods = topology.pods('hsm-worker');
  const isThere = async (pod: Pod) => (await pod.exec(['cat', IDENTITY])).exitCode === 0;
  const areThere = async () => (await Promise.all(pods.map(isThere))).every(Boolean);
  if (!(await until(areThere, 60_000, () => false))) throw new Error('no identities');
  await laptop.runDocumented('hsm-worker-$i.pub.json');
  await laptop.runDocumented('get secret operator-tls');
  const operator = secrets.get('operator-tls')!;
  const tls = credentials.createSsl(operator['ca.crt']!, operator['tls.key']!, operator['tls.crt']!);
  await using forward = await portForward(topology.pods('domain-manager')[0]!.address, 8921);
  using client = new DomainManagerClient(`localhost:${forward.port}`, tls);
  const names = [...founders.map(({ operatorId }) => operatorId), 'frontend', 'domain-manager'];
  await createDomain(
    client,
    {
      anchor: parseTrustAnchor(readFileSync(join(laptop.directory, 'trust-anchor.json'), 'utf8')),
      members: pods.map(({ name }) => loadNewMember(join(laptop.directory, `${name}.pub.json`))),
      operators: names.map((name) => loadOperator(join(laptop.directory, `${name}.pub.json`))),
      rules: defaultRules(2),
      backupHorizonMs: DEFAULT_BACKUP_HORIZON_MS,
    },
    founders,
  );
}

/** The first account, by the command line in a frontend's Pod, which has what it asks for. */
async function createAccount({ laptop }: Topology): Promise<AwsCredentials> {
  const text = await laptop.runDocumented('account create');
  const field = (name: string): string => new RegExp(`^${name} *= *(\\S+)$`, 'm').exec(text)![1]!;
  return { accessKeyId: field('aws_access_key_id'), secretAccessKey: field('aws_secret_access_key') };
}
