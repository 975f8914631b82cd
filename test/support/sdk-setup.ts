import type { TestProject } from 'vitest/node';
import type { AwsCredentials } from '../../tools/aws-files.ts';
import { startTestCluster, type TestCluster, TIME_FOR_RSA } from './cluster.ts';
import { type OtherAccount, startOtherAccount } from './sdk-other-account.ts';

/** Where a project's one cluster listens, and as whom to call it. */
export interface SharedCluster {
  readonly endpoint: string;
  readonly grpcAddress: string;
  readonly credentials: AwsCredentials;
  /** Its files: aws/config and aws/credentials among them. */
  readonly home: string;
}

declare module 'vitest' {
  interface ProvidedContext {
    cluster: SharedCluster;
    otherAccount: OtherAccount;
  }
}

const resources = new AsyncDisposableStack();

/** One cluster of real processes for all files of a project: none of them breaks it. */
export async function startSharedCluster(project: TestProject): Promise<TestCluster> {
  const cluster = resources.use(await startTestCluster({ rsaKeyPool: {}, requestTimeout: TIME_FOR_RSA }));
  const { endpoint, grpcAddress, credentials, home } = cluster;
  project.provide('cluster', { endpoint, grpcAddress, credentials, home: home.path });
  return cluster;
}

export async function setup(project: TestProject): Promise<void> {
  const cluster = await startSharedCluster(project);
  project.provide('otherAccount', await startOtherAccount(cluster, resources));
}

export async function teardown(): Promise<void> {
  await resources.disposeAsync();
}
