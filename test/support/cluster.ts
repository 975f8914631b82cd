import { mkdtempDisposable } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type AwsCredentials, readCredentials } from '../../tools/aws-files.ts';
import { type Cluster, type ClusterOptions, startCluster } from '../../tools/cluster.ts';
import { noRsaKeyPool } from './fleet.ts';

export type TestClusterOptions = Pick<
  ClusterOptions,
  | 'workers'
  | 'tls'
  | 'accountId'
  | 'domainManagers'
  | 'rotateEvery'
  | 'dueWorkEvery'
  | 'backupHorizonMs'
  | 'rsaKeyPool'
  | 'requestTimeout'
  | 'workerMain'
  | 'nodeArgs'
>;

/**
 * Real processes on free ports with a home of their own, which is removed with them. Nothing that is killed starts
 * again by itself.
 */
export class TestCluster implements AsyncDisposable {
  readonly #cluster: Cluster;
  readonly #resources: AsyncDisposableStack;

  constructor(cluster: Cluster, resources: AsyncDisposableStack) {
    this.#cluster = cluster;
    this.#resources = resources;
  }

  get endpoint(): string {
    return this.#cluster.endpoint;
  }

  /** PEM; undefined without TLS. */
  get ca(): string | undefined {
    return this.#cluster.ca;
  }

  get grpcAddress(): string {
    return this.#cluster.grpcAddress;
  }

  get ports() {
    return this.#cluster.ports;
  }

  get home() {
    return this.#cluster.home;
  }

  /** redis, nats, hsm-worker-1, ..., domain-manager, frontend. */
  get names(): readonly string[] {
    return this.#cluster.names;
  }

  get credentials(): AwsCredentials {
    return readCredentials(this.#cluster.home);
  }

  pid(name: string): number | undefined {
    return this.#cluster.pid(name);
  }

  /** kill -9. */
  kill(...names: readonly string[]): Promise<void> {
    return this.#cluster.kill(...names);
  }

  /** Starts what was killed; resolves when it answers. */
  restart(...names: readonly string[]): Promise<void> {
    return this.#cluster.restart(...names);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#resources.disposeAsync();
  }
}

/** For requests that make RSA keys: on a busy machine one of 4096 bits may take longer than a request may. */
export const TIME_FOR_RSA = '60s';

/** `rsaKeyPool`: none unless told otherwise; `{}` is the worker's own. */
export async function startTestCluster(options: TestClusterOptions = {}): Promise<TestCluster> {
  await using resources = new AsyncDisposableStack();
  const home = resources.use(await mkdtempDisposable(join(tmpdir(), 'keyfleet-')));
  const progress: string[] = [];
  const cluster = resources.use(
    await startCluster({
      rsaKeyPool: noRsaKeyPool,
      ...options,
      home: home.path,
      httpPort: 0,
      grpcPort: 0,
      supervise: false,
      report: (line) => progress.push(line),
    }),
  );
  return new TestCluster(cluster, resources.move());
}
