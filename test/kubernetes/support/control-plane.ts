import { execa } from 'execa';
import getPort from 'get-port';
import { ApiServer } from './api-server.ts';

/**
 * A real Kubernetes: kube-apiserver, etcd and kube-controller-manager on loopback, without nodes. Pods stay Pending,
 * and network policies are stored only. Stops with `resources`.
 */
export async function startControlPlane(resources: AsyncDisposableStack): Promise<ControlPlane> {
  // Else a privileged Pod is refused before Pod Security sees it.
  const server = await ApiServer.start(resources, { flags: ['--allow-privileged=true'] });
  server.run('kube-controller-manager', [
    `--kubeconfig=${server.in('kubeconfig')}`,
    '--bind-address=127.0.0.1',
    `--secure-port=${await getPort()}`,
    `--service-account-private-key-file=${server.in('sa.key')}`,
    `--root-ca-file=${server.caFile}`,
    '--use-service-account-credentials=true',
    '--leader-elect=false',
  ]);
  return new ControlPlane(server);
}

export class ControlPlane {
  readonly #server: ApiServer;

  constructor(server: ApiServer) {
    this.#server = server;
  }

  /** kubectl, and what it reads to be an administrator. */
  get program(): string {
    return this.#server.programs.kubectl;
  }
  get kubeconfig(): string {
    return this.#server.in('kubeconfig');
  }

  /** Runs kubectl as an administrator; `input` is its stdin. The result tells of a failure too. */
  kubectl(args: readonly string[], input = '') {
    const options = { reject: false, input, all: true } as const;
    return execa(this.program, ['--kubeconfig', this.kubeconfig, ...args], options);
  }

  /** What kubectl prints as JSON. Throws when it fails. */
  async get<Answer>(...args: readonly string[]): Promise<Answer> {
    const { stdout, stderr, exitCode } = await this.kubectl(['get', '--output', 'json', ...args]);
    if (exitCode !== 0) throw new Error(stderr);
    return JSON.parse(stdout) as Answer;
  }
}
