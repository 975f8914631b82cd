import { plaintextPeers } from '@keyfleet/shared/grpc/peers';
import { type ChildProcess, spawn } from 'node:child_process';
import { generateKeyPairSync, type KeyObject, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { createWriteStream, existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { mkdtempDisposable } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { DomainManagerClient } from '@keyfleet/cli/domain-manager-client';
import { createDomain, defaultRules, type Founding } from '@keyfleet/cli/ceremony';
import { loadNewMember } from '@keyfleet/cli/public-files';
import { encodedPublicKey } from '@keyfleet/shared/domain/signature';
import type { Operator, Role } from '@keyfleet/shared/domain/state';
import { formatTrustAnchor, type TrustAnchor } from '@keyfleet/shared/domain/trust-anchor';
import { newPort } from '../../tools/ports.ts';
import { startNats, startRedis, type TestServer } from './servers.ts';

const root = join(import.meta.dirname, '../..');

/** A worker makes a pair when it is asked for one. Making pairs ahead takes a core for seconds after each start. */
export const noRsaKeyPool = { '2048': 0, '3072': 0, '4096': 0 };

/** A service in a process of its own. */
export class ServiceProcess {
  readonly name: string;
  readonly #args: readonly string[];
  readonly #logFile: string;
  #process: ChildProcess | undefined;

  constructor(name: string, args: readonly string[], logFile: string) {
    this.name = name;
    this.#args = args;
    this.#logFile = logFile;
  }

  start(): void {
    const log = createWriteStream(this.#logFile, { flags: 'a' });
    this.#process = spawn(process.execPath, this.#args, { cwd: root, stdio: ['ignore', 'ignore', 'pipe'] });
    this.#process.stderr?.pipe(log);
  }

  get pid(): number | undefined {
    return this.#process?.pid;
  }

  async end(signal: NodeJS.Signals): Promise<void> {
    const running = this.#process;
    if (running === undefined || running.exitCode !== null || running.signalCode !== null) return;
    const exit = once(running, 'exit');
    running.kill(signal);
    await exit;
  }
}

export interface FleetOptions {
  readonly workers?: number;
  readonly managers?: number;
  /** Duration; scheduled rotation is off without it. */
  readonly rotateEvery?: string;
  readonly backupHorizonMs?: number;
  /** How many of anna and berta must sign. */
  readonly quorum?: number;
  readonly nodeArgs?: readonly string[];
}

export interface Person extends Operator {
  readonly privateKey: KeyObject;
}

/** Redis, NATS, hsm-workers and domain-managers as real processes; no frontend. */
export class Fleet implements AsyncDisposable {
  readonly dir: string;
  readonly redis: TestServer;
  readonly nats: TestServer;
  readonly anchor: TrustAnchor;
  readonly people: readonly Person[];
  readonly scheduler: Person;
  readonly workers: ServiceProcess[] = [];
  readonly managers: ServiceProcess[] = [];
  readonly workerPorts: readonly number[];
  readonly managerPorts: readonly number[];
  readonly #options: FleetOptions;
  readonly #resources: AsyncDisposableStack;

  constructor(
    dir: string,
    parts: { redis: TestServer; nats: TestServer; ports: number[]; resources: AsyncDisposableStack },
    options: FleetOptions,
  ) {
    this.dir = dir;
    this.#resources = parts.resources;
    this.redis = parts.redis;
    this.nats = parts.nats;
    this.#options = options;
    const workers = options.workers ?? 2;
    this.workerPorts = parts.ports.slice(0, workers);
    this.managerPorts = parts.ports.slice(workers);
    this.people = ['anna', 'berta'].map((name) => this.#newPerson(name, 'operator'));
    this.scheduler = this.#newPerson('domain-manager-1', 'scheduler');
    this.anchor = { domain: 'test', minimum: options.quorum ?? 2, operators: this.people };
    this.#writeFile('trust-anchor.json', formatTrustAnchor(this.anchor));
    this.workerPorts.forEach((port, index) => this.workers.push(this.#worker(index + 1, port)));
    this.managerPorts.forEach((port, index) => this.managers.push(this.#manager(index + 1, port)));
  }

  path(name: string): string {
    return join(this.dir, name);
  }

  /** host:port of a domain-manager. */
  manager(index = 0): string {
    return `127.0.0.1:${this.managerPorts[index]}`;
  }

  /** Also what a founding ceremony would be given. */
  founding(members: readonly number[] = this.workers.map((_, index) => index)): Founding {
    return {
      anchor: this.anchor,
      members: members.map((index) => loadNewMember(this.path(`hsm-${index + 1}/identity.pub.json`))),
      operators: [...this.people, this.scheduler].map(({ operatorId, role, signingKey }) => ({
        operatorId,
        role,
        signingKey,
      })),
      rules: defaultRules(this.#options.quorum ?? 2),
      backupHorizonMs: this.#options.backupHorizonMs ?? 0,
    };
  }

  async found(members?: readonly number[]): Promise<void> {
    using client = new DomainManagerClient(this.manager(), plaintextPeers.credentials);
    await createDomain(client, this.founding(members), this.people);
  }

  async startAll(): Promise<void> {
    for (const service of [...this.workers, ...this.managers]) service.start();
    await eventually('the workers have an identity', () =>
      this.workers.every((_, index) => existsSync(this.path(`hsm-${index + 1}/identity.pub.json`))),
    );
    await eventually('a domain-manager sees every worker', async () => {
      using client = new DomainManagerClient(this.manager(), plaintextPeers.credentials);
      const { workers = [] } = await client.status();
      return workers.length === this.workers.length && workers.every(({ reachable }) => reachable === true);
    });
  }

  async end(signal: NodeJS.Signals): Promise<void> {
    await Promise.all([...this.workers, ...this.managers].map((service) => service.end(signal)));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.end('SIGKILL');
    await this.#resources.disposeAsync();
  }

  #worker(number: number, port: number): ServiceProcess {
    const memberId = `hsm-${number}`;
    const { rotateEvery } = this.#options;
    mkdirSync(this.path(memberId));
    return this.#service(memberId, 'hsm-worker', {
      memberId,
      grpc: `127.0.0.1:${port}`,
      dataDir: this.path(memberId),
      sealKeyFile: this.#writeFile(`${memberId}.seal-key`, randomBytes(32).toString('base64')),
      domainManagers: this.managerPorts.map((one) => `127.0.0.1:${one}`),
      rsaKeyPool: noRsaKeyPool,
      // The tests' operators rotate alone, one soon after the other.
      rotationPause: rotateEvery ?? '1ms',
    });
  }

  #manager(number: number, port: number): ServiceProcess {
    const { rotateEvery } = this.#options;
    const schedulerKey = { operatorId: this.scheduler.operatorId, file: this.path(`${this.scheduler.operatorId}.pem`) };
    return this.#service(`domain-manager-${number}`, 'domain-manager', {
      grpc: `127.0.0.1:${port}`,
      redis: { url: `redis://127.0.0.1:${this.redis.port}` },
      hsmWorkers: this.workerPorts.map((one) => `127.0.0.1:${one}`),
      schedulerKey,
      ...(rotateEvery === undefined ? {} : { rotation: { every: rotateEvery } }),
    });
  }

  #service(name: string, service: string, config: object): ServiceProcess {
    const shared = {
      nats: { servers: [`127.0.0.1:${this.nats.port}`] },
      trustAnchorFile: this.path('trust-anchor.json'),
    };
    const file = this.#writeFile(`${name}.json`, JSON.stringify({ ...shared, ...config }));
    const args = [...(this.#options.nodeArgs ?? []), `services/${service}/src/main.ts`, '--config', file];
    return new ServiceProcess(name, args, this.path(`${name}.log`));
  }

  #newPerson(operatorId: string, role: Role): Person {
    const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-384' });
    this.#writeFile(`${operatorId}.pem`, privateKey.export({ type: 'pkcs8', format: 'pem' }));
    return { operatorId, role, signingKey: encodedPublicKey(privateKey), privateKey };
  }

  #writeFile(name: string, content: string | Buffer): string {
    writeFileSync(this.path(name), content, { mode: 0o600 });
    return this.path(name);
  }
}

/** Starts Redis and NATS and lays out the rest; `startAll` starts it. */
export async function newFleet(options: FleetOptions = {}): Promise<Fleet> {
  await using resources = new AsyncDisposableStack();
  const dir = resources.use(await mkdtempDisposable(join(tmpdir(), 'keyfleet-fleet-')));
  const redis = resources.use(await startRedis());
  const nats = resources.use(await startNats());
  const ports: number[] = [];
  for (let i = 0; i < (options.workers ?? 2) + (options.managers ?? 1); i++) ports.push(await newPort());
  return new Fleet(dir.path, { redis, nats, ports, resources: resources.move() }, options);
}

/** Waits until `check` is true; what it throws counts as not yet, and is the cause of the failure at the end. */
export async function eventually(
  what: string,
  check: () => boolean | Promise<boolean>,
  withinMs = 60_000,
): Promise<void> {
  const deadline = Date.now() + withinMs;
  for (let cause: unknown; ;) {
    try {
      if (await check()) return;
    } catch (error) {
      cause = error;
    }
    if (Date.now() > deadline) throw new Error(`not within ${withinMs} ms: ${what}`, { cause });
    await delay(100);
  }
}
