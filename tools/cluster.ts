import { existsSync, readFileSync } from 'node:fs';
import { isDiskFull, toldWithRoom } from './disk-room.ts';
import { assertHomeOrEmpty, type Home, isHome, openHome, removeUnfounded } from './home.ts';
import { lockHome } from './home-lock.ts';
import { caFileOf, peersOf, provideTls } from './home-tls.ts';
import { ManagedProcess } from './managed-process.ts';
import { assertFree, choosePorts, type Ports, publicPorts } from './ports.ts';
import { type ServiceOptions, specsOf } from './process-specs.ts';
import { describeWorker, frontendReady, lastLogLine, saysReady, tcpReady, until } from './readiness.ts';
import { allRegions } from './regions.ts';
import { findServers, type ServerCommand, type ServerName } from './servers/find-server.ts';
import { natsReady } from './servers/nats.ts';
import { redisReady } from './servers/redis.ts';
import {
  domainManagerName,
  type DomainSettings,
  endpointOf,
  holdersOf,
  natsSettings,
  redisSettings,
  writeConfigs,
} from './service-configs.ts';
import { StartError } from './start-error.ts';

export interface ClusterOptions extends DomainSettings, ServiceOptions {
  readonly home: string;
  /** 0: any free one. */
  readonly httpPort: number;
  readonly grpcPort: number;
  readonly workers?: number | undefined;
  /** Everything speaks TLS, now and whenever the home is started again. */
  readonly tls?: boolean | undefined;
  readonly accountId?: string | undefined;
  /** Replicas; 1 unless told otherwise. */
  readonly domainManagers?: number | undefined;
  /** Of a domain that is founded now. */
  readonly backupHorizonMs?: number | undefined;
  /** Restart processes that end by themselves. Not in tests, which kill on purpose. */
  readonly supervise: boolean;
  readonly report: (line: string) => void;
}

/** The limit for a process to answer, on a slow machine. */
const READY_MS = 30_000;
const RESTART_MS = { first: 250, longest: 10_000 };
/** A process that ran this long was well: its next restart is quick again. */
const WELL_MS = 30_000;

/**
 * Brings up Redis, NATS, the hsm-workers, the domain-manager and the frontend. Throws StartError, with everything
 * stopped again, and with nothing but logs left of a home that was to be made.
 */
export async function startCluster(options: ClusterOptions): Promise<Cluster> {
  // Before anything is made: a start that cannot be leaves nothing behind.
  if (!isHome(options.home)) {
    await assertFree(publicPorts({ http: options.httpPort, grpc: options.grpcPort }));
  }
  assertHomeOrEmpty(options.home);
  using guard = new DisposableStack();
  guard.use(await lockHome(options.home, options.report));
  guard.defer(() => removeUnfounded(options.home));
  const home = openHome({ path: options.home, workers: options.workers, accountId: options.accountId });
  const servers = await findServers(home.path, options.report);
  const ports = await choosePorts({
    http: options.httpPort,
    grpc: options.grpcPort,
    workers: home.facts.workers,
    domainManagers: options.domainManagers ?? 1,
  });
  if (options.tls === true && !home.facts.tls) home.markTls();
  if (home.facts.tls) await provideTls(home, holdersOf(home, ports));
  writeConfigs(home, ports, options);
  const cluster = new Cluster({ home, ports, servers, lock: guard.move() }, options);
  try {
    await cluster.start();
    return cluster;
  } catch (error) {
    const told = toldWithRoom(error, home.path);
    await cluster[Symbol.asyncDispose]();
    throw told;
  }
}

interface ClusterParts {
  readonly home: Home;
  readonly ports: Ports;
  readonly servers: Record<ServerName, ServerCommand>;
  readonly lock: Disposable;
}

export class Cluster implements AsyncDisposable {
  readonly home: Home;
  readonly ports: Ports;
  readonly #options: ClusterOptions;
  readonly #processes: ReadonlyMap<string, ManagedProcess>;
  readonly #restarts = new Map<string, { delay: number; at: number }>();
  readonly #lock: Disposable;
  #state: 'starting' | 'running' | 'stopping' = 'starting';

  constructor({ home, ports, servers, lock }: ClusterParts, options: ClusterOptions) {
    this.home = home;
    this.ports = ports;
    this.#lock = lock;
    this.#options = options;
    this.#processes = new Map(
      specsOf(home, servers, this.#domainManagers, options).map((spec) => [
        spec.name,
        new ManagedProcess(spec, (process, how) => this.#restart(process, how)),
      ]),
    );
  }

  get endpoint(): string {
    return endpointOf(this.home, this.ports);
  }

  /** The authority that signed the certificate of the endpoint, PEM; undefined: there is no TLS. */
  get ca(): string | undefined {
    return this.home.facts.tls ? readFileSync(caFileOf(this.home), 'utf8') : undefined;
  }

  /** The first of those that are served. */
  get region(): string {
    const [region] = this.#options.regions ?? allRegions;
    if (region === undefined) throw new StartError('a cluster must serve a Region.');
    return region;
  }

  get grpcAddress(): string {
    return `127.0.0.1:${this.ports.grpc}`;
  }

  get names(): readonly string[] {
    return [...this.#processes.keys()];
  }

  get #domainManagers(): readonly string[] {
    return [this.ports.domainManager, ...this.ports.otherDomainManagers].map((_, index) => domainManagerName(index));
  }

  /** Undefined when it does not run. */
  pid(name: string): number | undefined {
    return this.#process(name).pid;
  }

  /** kill -9, by name. */
  async kill(...names: readonly string[]): Promise<void> {
    await Promise.all(names.map((name) => this.#process(name).kill()));
  }

  /** Starts what was killed, and resolves when it answers. */
  async restart(...names: readonly string[]): Promise<void> {
    await Promise.all(names.map((name) => this.#startReady(name)));
  }

  async start(): Promise<void> {
    const { report } = this.#options;
    report('Starting Redis and NATS ...');
    await this.restart('redis', 'nats');
    report(`Starting ${this.home.workerNames.length} hsm-workers, the domain-manager and the frontend ...`);
    const services = [...this.home.workerNames, ...this.#domainManagers];
    if (this.home.facts.founded) {
      await this.restart(...services);
      if (!this.home.facts.recordsHaveMacs) await this.#giveRecordsMacs();
      await this.restart('frontend');
    } else {
      await this.restart(...services);
      report('First ceremony: making the domain and its first domain key ...');
      const { foundDomain } = await import('./ceremony.ts');
      await foundDomain(this.home, this.ports, this.#options.backupHorizonMs);
      await this.restart('frontend');
      // The frontend makes the first administrator once it has an HSM to seal the secret.
      await this.#awaitCredentials();
      this.home.markFounded();
    }
    this.#state = 'running';
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#state = 'stopping';
    // A process stops before those that it uses.
    for (const stage of [['frontend'], this.#domainManagers, this.home.workerNames, ['nats', 'redis']]) {
      await Promise.all(stage.map((name) => this.#process(name).stop()));
    }
    this.#lock[Symbol.dispose]();
  }

  /** For records of a release that made none. Its home is trusted as it is. */
  async #giveRecordsMacs(): Promise<void> {
    const { giveRecordsMacs } = await import('./record-macs.ts');
    const { made } = await giveRecordsMacs(this.home, this.ports);
    this.#options.report(`${made} records of an older release were given a MAC.`);
    this.home.markRecordsHaveMacs();
  }

  #process(name: string): ManagedProcess {
    const found = this.#processes.get(name);
    if (!found) throw new Error(`no process ${name}; there are ${this.names.join(', ')}`);
    return found;
  }

  async #startReady(name: string): Promise<void> {
    const process = this.#process(name);
    process.start();
    const ready = await until(
      () => this.#isReady(name),
      READY_MS,
      () => process.pid === undefined,
    );
    if (ready) return;
    const { logFile } = process.spec;
    const why = (process.pid === undefined && (await this.#takenPort(name))) || lastLogLine(process.output);
    throw new StartError(`${name} did not start: ${why} (${logFile})`);
  }

  /** Ports were free when they were chosen. Another program may have taken one until its process wanted it. */
  async #takenPort(name: string): Promise<string | undefined> {
    try {
      await assertFree(name === 'frontend' ? publicPorts(this.ports) : [{ port: this.#portOf(name) }]);
      return undefined;
    } catch (error) {
      return (error as Error).message;
    }
  }

  #portOf(name: string): number {
    const { redis, nats, domainManager, otherDomainManagers, workers } = this.ports;
    if (name === 'redis') return redis;
    if (name === 'nats') return nats;
    const replica = this.#domainManagers.indexOf(name);
    return [domainManager, ...otherDomainManagers][replica] ?? workers[this.home.workerNames.indexOf(name)] ?? 0;
  }

  async #awaitCredentials(): Promise<void> {
    const file = this.home.in('aws', 'credentials');
    const exists = () => Promise.resolve(existsSync(file));
    if (await until(exists, READY_MS, () => this.pid('frontend') === undefined)) return;
    const { output, spec } = this.#process('frontend');
    throw new StartError(`the frontend made no administrator: ${lastLogLine(output)} (${spec.logFile})`);
  }

  async #isReady(name: string): Promise<boolean> {
    const { ports, home } = this;
    const { output } = this.#process(name);
    if (name === 'redis') return redisReady(redisSettings(home, ports), output);
    if (name === 'nats') return natsReady(natsSettings(home, ports), output);
    if (!saysReady(output)) return false;
    if (name === 'frontend') return frontendReady(this.endpoint, this.ca);
    const port = this.#portOf(name);
    if (this.#domainManagers.includes(name)) return tcpReady(port);
    // Before the first ceremony a worker belongs to no domain: ask only whether it answers.
    return (await describeWorker(port, peersOf(home))) !== undefined;
  }

  #restart(process: ManagedProcess, how: string): void {
    if (this.#state !== 'running' || !this.#options.supervise) return;
    const { name, logFile } = process.spec;
    const last = this.#restarts.get(name);
    const well = last === undefined || Date.now() - last.at > WELL_MS;
    const delay = well ? RESTART_MS.first : Math.min(last.delay * 2, RESTART_MS.longest);
    this.#restarts.set(name, { delay, at: Date.now() });
    // Said once, however often it ends until it is well.
    if (well) {
      const why = isDiskFull(this.home.path) ? `${how}; the disk is full` : how;
      this.#options.report(`${name} ended (${why}); starting it again until it runs. Its log: ${logFile}`);
    }
    setTimeout(() => this.#startAgain(process), delay).unref();
  }

  /** A start that fails, as on a full disk, is tried again like a process that ended. */
  #startAgain(process: ManagedProcess): void {
    if (this.#state !== 'running') return;
    try {
      process.start();
    } catch (error) {
      this.#restart(process, (error as Error).message);
    }
  }
}
