import { connectRedis, type RedisClient, RedisConfig, untilReady } from '@keyfleet/shared/redis/connect';
import { createHash } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { mkdtempDisposable, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { vi } from 'vitest';
import { TestAuthority } from './certificates.ts';
import { startServer, type TestServer } from './servers.ts';

const deploy = join(import.meta.dirname, '../../deploy/redis');

type Passwords = (user: string) => string;
export const passwordOf: Passwords = (user) => `password of ${user}`;

interface ConnectOptions {
  readonly server?: TestServer;
  readonly password?: string;
  readonly onProblem?: (problem: Error) => void;
}

interface ConfiguredServer extends TestServer {
  readonly directory: string;
  /** For its next start; nothing stays that it wrote there by itself. */
  configure(lines: readonly string[]): Promise<void>;
}

/** Three Redis and three Sentinels as on Kubernetes: mutual TLS, and the users of deploy/redis. */
export class RedisWithSentinels implements AsyncDisposable {
  readonly #resources = new AsyncDisposableStack();
  #folder = '';
  #tls = { certificateFile: '', keyFile: '', caFile: '' };
  #nodes: readonly ConfiguredServer[] = [];
  #sentinels: readonly ConfiguredServer[] = [];

  static async start(): Promise<RedisWithSentinels> {
    const made = new RedisWithSentinels();
    try {
      await made.#start();
      return made;
    } catch (error) {
      await made[Symbol.asyncDispose]();
      throw error;
    }
  }

  /** The master, and its replicas. */
  get nodes(): readonly TestServer[] {
    return this.#nodes;
  }
  get sentinels(): readonly TestServer[] {
    return this.#sentinels;
  }

  /** As a service connects: to the master that Sentinels name, or to one server. */
  async connectAs(
    username: string,
    { server, password = passwordOf(username), onProblem = () => {} }: ConnectOptions = {},
  ): Promise<RedisClient & AsyncDisposable> {
    const passwordFile = join(this.#folder, username);
    writeFileSync(passwordFile, password, { mode: 0o600 });
    const addresses = this.#sentinels.map(({ port }) => `127.0.0.1:${port}`).join(',');
    const url = server ? `rediss://127.0.0.1:${server.port}` : `rediss+sentinel://${addresses}/keyfleet`;
    const client = connectRedis(RedisConfig.parse({ url, username, passwordFile, tls: this.#tls }), { onProblem });
    try {
      await untilReady(client, 30_000);
      return client;
    } catch (error) {
      await client[Symbol.asyncDispose]();
      throw error;
    }
  }

  /** How an operator begins a command for this server. */
  redisCli({ port }: TestServer, password = passwordOf('operator')): string {
    const { certificateFile, keyFile, caFile } = this.#tls;
    const files = `--cert ${certificateFile} --key ${keyFile} --cacert ${caFile}`;
    return `redis-cli --no-auth-warning --user operator --pass '${password}' -p ${port} --tls ${files}`;
  }

  /** With nothing in their files but settings, these passwords and who the master is. */
  async startSentinelsAnew(passwords: Passwords): Promise<void> {
    for (const sentinel of this.#sentinels) {
      await sentinel.configure(sentinelSettings(this.#nodes[0]!, passwords));
      await sentinel.restart();
    }
    await this.#untilWatched(passwords);
  }

  /** With an empty volume; it copies the master. */
  async emptyReplica(replica: TestServer, passwords: Passwords): Promise<void> {
    const node = this.#nodes.find((one) => one === replica)!;
    await node.kill();
    await rm(join(node.directory, 'appendonlydir'), { recursive: true });
    await node.configure(nodeSettings(passwords, this.#nodes[0]));
    await node.restart();
    await using operator = await this.connectAs('operator', { server: node, password: passwords('operator') });
    await vi.waitUntil(async () => (await operator.info('replication')).includes('master_link_status:up'), 60_000);
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#resources.disposeAsync();
  }

  async #start(): Promise<void> {
    const resources = this.#resources;
    this.#folder = resources.use(await mkdtempDisposable(join(tmpdir(), 'keyfleet-sentinel-'))).path;
    const authority = await TestAuthority.make(this.#folder, 'redis');
    this.#tls = { ...(await authority.issue('127.0.0.1')), caFile: authority.caFile };
    const master = await this.#launch(nodeSettings(passwordOf));
    const replica = () => this.#launch(nodeSettings(passwordOf, master));
    this.#nodes = [master, await replica(), await replica()];
    await using operator = await this.connectAs('operator', { server: master });
    await vi.waitUntil(async () => (await operator.info('replication')).match(/state=online/g)?.length === 2, 60_000);
    const sentinel = () => this.#launch(sentinelSettings(master, passwordOf), '--sentinel');
    this.#sentinels = [await sentinel(), await sentinel(), await sentinel()];
    await this.#untilWatched(passwordOf);
  }

  /** Each Sentinel knows both replicas and both others. */
  async #untilWatched(passwords: Passwords): Promise<void> {
    for (const server of this.#sentinels) {
      await using operator = await this.connectAs('operator', { server, password: passwords('operator') });
      const known = async (what: string) => ((await operator.call('SENTINEL', what, 'keyfleet')) as unknown[]).length;
      await vi.waitUntil(async () => (await known('REPLICAS')) === 2 && (await known('SENTINELS')) === 2, 60_000);
    }
  }

  async #launch(lines: readonly string[], ...args: readonly string[]): Promise<ConfiguredServer> {
    let directory = '';
    let configure: ConfiguredServer['configure'] = () => Promise.reject(new Error('not started'));
    const server = await startServer(async (port, dir) => {
      const file = join(dir, 'server.conf');
      const common = this.#commonSettings(port, dir);
      configure = (settings) => writeFile(file, `${[...common, ...settings].join('\n')}\n`);
      directory = dir;
      await configure(lines);
      return { command: 'redis-server', args: [file, ...args] };
    });
    return this.#resources.use({ ...server, directory, configure });
  }

  #commonSettings(port: number, dir: string): string[] {
    const { certificateFile, keyFile, caFile } = this.#tls;
    const files = [`tls-cert-file ${certificateFile}`, `tls-key-file ${keyFile}`, `tls-ca-cert-file ${caFile}`];
    const tls = ['port 0', `tls-port ${port}`, ...files, 'tls-auth-clients yes', 'tls-replication yes'];
    return [...tls, 'bind 127.0.0.1', `dir ${dir}`];
  }
}

function nodeSettings(passwords: Passwords, master?: TestServer): string[] {
  return [
    'appendonly yes',
    'appendfsync always',
    'min-replicas-to-write 1',
    'repl-diskless-sync-delay 0',
    ...usersOf('users.acl', passwords),
    'masteruser replica',
    `masterauth "${passwords('replica')}"`,
    ...(master === undefined ? [] : [`replicaof 127.0.0.1 ${master.port}`]),
  ];
}

function sentinelSettings(master: TestServer, passwords: Passwords): string[] {
  return [
    ...usersOf('sentinel-users.acl', passwords),
    'sentinel sentinel-user sentinel',
    `sentinel sentinel-pass "${passwords('sentinel')}"`,
    `sentinel monitor keyfleet 127.0.0.1 ${master.port} 2`,
    'sentinel auth-user keyfleet sentinel',
    `sentinel auth-pass keyfleet "${passwords('sentinel')}"`,
    'sentinel down-after-milliseconds keyfleet 5000',
    'sentinel failover-timeout keyfleet 15000',
  ];
}

/** As users.sh does. */
function usersOf(file: string, passwords: Passwords): string[] {
  const lines = readFileSync(join(deploy, file), 'utf8').split('\n');
  const users = lines.filter((line) => line.startsWith('user '));
  const on = users.map((line) =>
    line.replace(/^user (\S+) (nopass )?/, (_, name: string, open?: string) => {
      return `user ${name} on ${open ?? `#${createHash('sha256').update(passwords(name)).digest('hex')} `}`;
    }),
  );
  return [...on, 'user default off resetpass allkeys allchannels allcommands'];
}
