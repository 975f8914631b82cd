import type { TestProject } from 'vitest/node';
import type { AwsCredentials } from '../../tools/aws-files.ts';
import { startTestCluster, type TestCluster } from './cluster.ts';

/** Where a project's one cluster listens, and as whom to call it. */
export interface SharedCluster {
  readonly endpoint: string;
  readonly credentials: AwsCredentials;
  /** Its files: aws/config and aws/credentials among them. */
  readonly home: string;
}

declare module 'vitest' {
  interface ProvidedContext {
    cluster: SharedCluster;
  }
}

let cluster: TestCluster | undefined;

/** One cluster of real processes for all files of a project: none of them breaks it. */
export async function setup(project: TestProject): Promise<void> {
  cluster = await startTestCluster();
  const { endpoint, credentials, home } = cluster;
  project.provide('cluster', { endpoint, credentials, home: home.path });
}

export async function teardown(): Promise<void> {
  await cluster?.[Symbol.asyncDispose]();
}
