import { DomainManagerClient } from '@keyfleet/cli/domain-manager-client';
import { credentials } from '@grpc/grpc-js';
import { execa } from 'execa';
import { commandsWith } from '../documented-commands.ts';
import { Kubectl } from './kubectl.ts';
import { portForward } from './port-forward.ts';
import type { Topology } from './topology.ts';

const TLS = '--tls-ca ca.crt --tls-cert operator.crt --tls-key operator.key';

/** Where operators work: the commands of docs/kubernetes.md, in the directory in which "First start" began. */
export class Laptop implements AsyncDisposable {
  readonly #topology: Topology;
  readonly #kubectl: Kubectl;

  private constructor(topology: Topology, kubectl: Kubectl) {
    this.#topology = topology;
    this.#kubectl = kubectl;
  }

  static async open(topology: Topology): Promise<Laptop> {
    return new Laptop(topology, await Kubectl.in(topology.objects.laptop, topology));
  }

  get directory(): string {
    return this.#topology.objects.laptop;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#kubectl[Symbol.asyncDispose]();
  }

  /** Runs the commands of docs/kubernetes.md that hold `part`. What they print. */
  runDocumented(part: string): Promise<string> {
    return this.run(commandsWith(part));
  }

  /** What the commands print. Rejects when one fails. */
  async run(commands: string): Promise<string> {
    await using manager = await portForward(this.#topology.pods('domain-manager')[0]?.address ?? '', 8921);
    await using redis = await portForward(await this.#redisMaster(commands), 6379);
    const domainManager = `--domain-manager localhost:${manager.port} ${TLS}`;
    const { stdout } = await execa('bash', ['-euo', 'pipefail', '-c', commands], {
      cwd: this.directory,
      env: {
        PATH: `${this.directory}:${process.env['PATH']}`,
        MANAGER: domainManager,
        DOMAIN: `${domainManager} --trust-anchor trust-anchor.json`,
        ANNA: '--as anna --key anna.pem',
        BERTA: '--as berta --key berta.pem',
        REDIS: `--redis rediss://localhost:${redis.port} --redis-user operator --redis-password-file redis-operator ${TLS}`,
        PROPOSAL: commands.includes('$PROPOSAL') ? await this.#newestProposal(manager.port) : '',
      },
    });
    return stdout;
  }

  async #redisMaster(commands: string): Promise<string> {
    if (!commands.includes('$REDIS')) return '';
    const { stdout } = await this.#topology.pods('redis')[0]!.exec(['sh', '/etc/redis/master.sh']);
    return this.#topology.pod(stdout.split('.')[0]!).address;
  }

  async #newestProposal(port: number): Promise<string> {
    const operator = this.#topology.objects.secrets.get('operator-tls')!;
    const tls = credentials.createSsl(operator['ca.crt']!, operator['tls.key']!, operator['tls.crt']!);
    using client = new DomainManagerClient(`localhost:${port}`, tls);
    return (await client.listProposals()).at(-1)!.proposalId;
  }
}
