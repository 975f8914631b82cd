import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { openSync, closeSync } from 'node:fs';
import { mkdtempDisposable, readFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { execa } from 'execa';
import getPort from 'get-port';
import { until } from '../../../tools/readiness.ts';
import { type Binaries, kubernetesBinaries } from './control-plane-binaries.ts';
import { writeCredentials } from './control-plane-credentials.ts';

export interface ControlPlaneOptions {
  /** More flags of kube-apiserver, such as `--encryption-provider-config=FILE`. */
  readonly flags?: readonly string[];
}

/**
 * A real Kubernetes: kube-apiserver, etcd and kube-controller-manager on loopback, without nodes. Pods stay Pending,
 * and network policies are stored only. Everything of it is gone when it is disposed of.
 */
export async function startControlPlane({ flags = [] }: ControlPlaneOptions = {}): Promise<ControlPlane> {
  const binaries = await kubernetesBinaries();
  await using resources = new AsyncDisposableStack();
  const { path: directory } = resources.use(await mkdtempDisposable(join(tmpdir(), 'keyfleet-kubernetes-')));
  const [port, etcdPort, peerPort, managerPort] = await Promise.all(Array.from({ length: 4 }, () => getPort()));
  await writeCredentials(directory, `https://127.0.0.1:${port}`);
  const server = new ControlPlane({ binaries, directory, port: port!, etcdPort: etcdPort!, flags });
  resources.use(server);
  server.run('etcd', [
    `--data-dir=${directory}/etcd`,
    `--listen-client-urls=http://127.0.0.1:${etcdPort}`,
    `--advertise-client-urls=http://127.0.0.1:${etcdPort}`,
    `--listen-peer-urls=http://127.0.0.1:${peerPort}`,
    `--initial-advertise-peer-urls=http://127.0.0.1:${peerPort}`,
    `--initial-cluster=default=http://127.0.0.1:${peerPort}`,
  ]);
  await server.start();
  server.run('kube-controller-manager', [
    `--kubeconfig=${directory}/kubeconfig`,
    '--bind-address=127.0.0.1',
    `--secure-port=${managerPort}`,
    `--service-account-private-key-file=${directory}/sa.key`,
    `--root-ca-file=${directory}/ca.crt`,
    '--use-service-account-credentials=true',
    '--leader-elect=false',
  ]);
  const all = resources.move();
  server.ownedBy(all);
  return server;
}

interface Parts {
  readonly binaries: Binaries;
  readonly directory: string;
  readonly port: number;
  readonly etcdPort: number;
  readonly flags: readonly string[];
}

export class ControlPlane implements AsyncDisposable {
  readonly #parts: Parts;
  readonly #processes = new Map<keyof Binaries, ChildProcess>();
  #owner: AsyncDisposableStack | undefined;

  constructor(parts: Parts) {
    this.#parts = parts;
  }

  get url(): string {
    return `https://127.0.0.1:${this.#parts.port}`;
  }

  /** Where etcd answers, without TLS. */
  get etcdUrl(): string {
    return `http://127.0.0.1:${this.#parts.etcdPort}`;
  }

  /** Of the authority that signed the API server's certificate; PEM. */
  get caFile(): string {
    return join(this.#parts.directory, 'ca.crt');
  }

  /** Runs kubectl as an administrator; `input` is its stdin. The result tells of a failure too. */
  kubectl(args: readonly string[], input = '') {
    const kubeconfigFile = join(this.#parts.directory, 'kubeconfig');
    return execa(this.#parts.binaries.kubectl, ['--kubeconfig', kubeconfigFile, ...args], {
      reject: false,
      input,
      all: true,
    });
  }

  /** What kubectl prints as JSON. Throws when it fails. */
  async get<Answer>(...args: readonly string[]): Promise<Answer> {
    const { stdout, stderr, exitCode } = await this.kubectl(['get', '--output', 'json', ...args]);
    if (exitCode !== 0) throw new Error(stderr);
    return JSON.parse(stdout) as Answer;
  }

  /** Starts kube-apiserver; resolves when it is ready. Throws with the end of its log. */
  async start(): Promise<void> {
    const { directory, etcdPort, port, flags } = this.#parts;
    const process = this.run('kube-apiserver', [
      `--etcd-servers=http://127.0.0.1:${etcdPort}`,
      '--bind-address=127.0.0.1',
      '--advertise-address=127.0.0.1',
      `--secure-port=${port}`,
      '--endpoint-reconciler-type=none',
      '--service-cluster-ip-range=10.96.0.0/24',
      `--tls-cert-file=${directory}/api.crt`,
      `--tls-private-key-file=${directory}/api.key`,
      `--token-auth-file=${directory}/tokens.csv`,
      `--service-account-issuer=${this.url}`,
      `--service-account-signing-key-file=${directory}/sa.key`,
      `--service-account-key-file=${directory}/sa.pub`,
      '--authorization-mode=RBAC',
      // Else a privileged Pod is refused before Pod Security sees it.
      '--allow-privileged=true',
      '--shutdown-delay-duration=0s',
      ...flags,
    ]);
    const isReady = async (): Promise<boolean> => (await this.kubectl(['get', '--raw', '/readyz'])).exitCode === 0;
    if (await until(isReady, 120_000, () => process.exitCode !== null)) return;
    const log = await readFile(join(directory, 'kube-apiserver.log'), 'utf8');
    throw new Error(`kube-apiserver does not start:\n${log.split('\n').slice(-10).join('\n')}`);
  }

  /** Ends kube-apiserver and starts it again, on the same etcd. */
  async restart(): Promise<void> {
    await this.#stop('kube-apiserver');
    await this.start();
  }

  run(name: keyof Binaries, args: readonly string[]): ChildProcess {
    const { binaries, directory } = this.#parts;
    const log = openSync(join(directory, `${name}.log`), 'a');
    const child = spawn(binaries[name], args, { stdio: ['ignore', log, log] });
    closeSync(log);
    this.#processes.set(name, child);
    return child;
  }

  ownedBy(owner: AsyncDisposableStack): void {
    this.#owner = owner;
  }

  async #stop(name: keyof Binaries): Promise<void> {
    const child = this.#processes.get(name);
    this.#processes.delete(name);
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
    const exit = once(child, 'exit');
    child.kill('SIGKILL');
    await exit;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const name of this.#processes.keys()) await this.#stop(name);
    const owner = this.#owner;
    this.#owner = undefined;
    await owner?.disposeAsync();
  }
}
