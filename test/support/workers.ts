import { type ChildProcess, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { mkdtempDisposable, readFile, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { type Client, credentials } from '@grpc/grpc-js';
import { Hsm } from '@keyfleet/proto';
import { unary } from '@keyfleet/proto/unary';
import { defaultRules } from '@keyfleet/cli/ceremony';
import { asOfNow, type KnownDomain } from '@keyfleet/frontend/hsm/known-domain';
import { verifyChain } from '@keyfleet/shared/domain/chain';
import { type DomainCallMethod, signCall } from '@keyfleet/shared/domain/domain-call';
import { boundToNothing, newProposal, Proposal, signProposal } from '@keyfleet/shared/domain/proposal';
import type { DomainState, NewMember } from '@keyfleet/shared/domain/state';
import { parseToken, withWitness } from '@keyfleet/shared/domain/token';
import { formatTrustAnchor, type TrustAnchor } from '@keyfleet/shared/domain/trust-anchor';
import { newPort } from '../../tools/ports.ts';
import { mayWitness } from './domain.ts';
import { noRsaKeyPool } from './fleet.ts';
import { type Host, newHost, operatorOf } from './session-pair.ts';
import { TokenServer } from './token-server.ts';

const main = join(import.meta.dirname, '../../services/hsm-worker/src/main.ts');
/** Limits for one call and for a wait for a process. Even on a busy machine only a failure meets them. */
const CALL_MS = 30_000;
const WAIT_MS = 60_000;

/** Real hsm-worker processes that form a domain, and a minimal domain-manager, which hands out the tokens. */
export class TestWorkers implements AsyncDisposable {
  readonly host = newHost('frontend-1');
  readonly operator: Host;
  /** May rotate alone, and call workers. */
  readonly scheduler: Host;
  readonly anchor: TrustAnchor;
  readonly workers: readonly WorkerProcess[];
  readonly #resources = new AsyncDisposableStack();
  readonly #tokens: TokenServer;

  private constructor(parts: {
    tokens: TokenServer;
    workers: readonly WorkerProcess[];
    operator: Host;
    scheduler: Host;
  }) {
    this.#tokens = parts.tokens;
    this.workers = parts.workers;
    this.operator = parts.operator;
    this.scheduler = parts.scheduler;
    this.anchor = anchorOf(parts.operator);
  }

  /** Throws, with everything stopped again, if one of them does not start. */
  static async start(count: number): Promise<TestWorkers> {
    await using resources = new AsyncDisposableStack();
    const { path: directory } = resources.use(await mkdtempDisposable(join(tmpdir(), 'keyfleet-workers-')));
    const operator = newHost('operator-1');
    const tokens = resources.use(await TokenServer.start());
    await writeFile(join(directory, 'anchor.json'), formatTrustAnchor(anchorOf(operator)));
    const names = Array.from({ length: count }, (_, i) => `hsm-${i + 1}`);
    const scheduler = newHost('domain-manager-1');
    const workers: WorkerProcess[] = [];
    for (const name of names) {
      workers.push(resources.use(await WorkerProcess.configure({ name, directory, tokens, scheduler })));
    }
    const all = new TestWorkers({ tokens, workers, operator, scheduler });
    await Promise.all(workers.map((worker) => worker.start()));
    await all.#found();
    all.#resources.use(resources.move());
    return all;
  }

  get addresses(): string[] {
    return this.workers.map(({ address }) => address);
  }
  get state(): DomainState {
    return verifyChain(this.anchor, this.#tokens.tokens).state;
  }
  /** The domain as a frontend knows it that has seen all tokens so far and will see no more. */
  get domain(): KnownDomain {
    return asOfNow(verifyChain(this.anchor, this.#tokens.tokens));
  }
  /** What the domain-manager hands out; a test may put anything here. */
  get tokens(): Buffer[] {
    return this.#tokens.tokens;
  }
  /** How long the domain-manager takes to hand them out. */
  set answersAfterMs(ms: number) {
    this.#tokens.answersAfterMs = ms;
  }
  /** host:port of the domain-manager. */
  get domainManager(): string {
    return this.#tokens.address;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#resources.disposeAsync();
  }

  /** With the word of the first worker that confirms it, if it needs one; as a domain-manager stores it. */
  async witnessed(token: Buffer): Promise<Buffer> {
    const made = parseToken(token);
    const members = mayWitness(made, this.tokens.length === 0 ? undefined : this.state.members);
    if (members === undefined) return token;
    const witness = this.workers.find(({ name }) => members.some(({ memberId }) => memberId === name))!;
    return withWitness(made, await witness.check(token));
  }

  /** CreateDomain, signed by the one founder, made by the first worker and installed by all. */
  async #found(): Promise<void> {
    const members = await Promise.all(this.workers.map((worker) => worker.member()));
    const proposal = newProposal({
      ...boundToNothing(this.anchor.domain, members[0]!.memberId),
      name: 'CreateDomain',
      body: {
        members,
        operators: [
          operatorOf(this.operator, 'operator'),
          operatorOf(this.host, 'service-host'),
          operatorOf(this.scheduler, 'scheduler'),
        ],
        rules: defaultRules(1),
        backupHorizonMs: 0,
      },
    });
    const signed = Proposal.encode(signProposal(proposal, this.operator));
    const { token } = await this.workers[0]!.prepare(signed);
    this.#tokens.tokens.push(await this.witnessed(token!));
    await Promise.all(this.workers.map((worker) => worker.installed(this.#tokens.tokens.length)));
  }
}

function anchorOf(operator: Host): TrustAnchor {
  const { operatorId, signingKey } = operatorOf(operator, 'operator');
  return { domain: 'test', minimum: 1, operators: [{ operatorId, signingKey }] };
}

/** One hsm-worker process. Its data survives a kill. */
export class WorkerProcess implements AsyncDisposable {
  readonly address: string;
  readonly configFile: string;
  readonly dataDir: string;
  readonly sealKeyFile: string;
  /** Its member id. */
  readonly name: string;
  readonly #scheduler: Host;
  readonly #client: Client;
  #process: ChildProcess | undefined;
  #stderr = '';

  private constructor(parts: {
    name: string;
    scheduler: Host;
    address: string;
    configFile: string;
    dataDir: string;
    sealKeyFile: string;
  }) {
    this.name = parts.name;
    this.#scheduler = parts.scheduler;
    this.address = parts.address;
    this.configFile = parts.configFile;
    this.dataDir = parts.dataDir;
    this.sealKeyFile = parts.sealKeyFile;
    this.#client = new Hsm(parts.address, credentials.createInsecure(), { 'grpc.max_reconnect_backoff_ms': 100 });
  }

  static async configure(options: {
    name: string;
    directory: string;
    tokens: TokenServer;
    scheduler: Host;
  }): Promise<WorkerProcess> {
    const { name, directory, tokens, scheduler } = options;
    const address = `127.0.0.1:${await newPort()}`;
    const dataDir = join(directory, name);
    const sealKeyFile = join(directory, `${name}-seal-key`);
    const configFile = join(directory, `${name}.json`);
    await writeFile(sealKeyFile, randomBytes(32).toString('base64'), { mode: 0o600 });
    const config = {
      memberId: name,
      grpc: address,
      dataDir,
      sealKeyFile,
      trustAnchorFile: join(directory, 'anchor.json'),
      domainManagers: [tokens.address],
      rsaKeyPool: noRsaKeyPool,
      rotationPause: '1ms',
      pollEvery: '100ms',
    };
    await writeFile(configFile, JSON.stringify(config));
    return new WorkerProcess({ name, scheduler, address, configFile, dataDir, sealKeyFile });
  }

  get pid(): number {
    return this.#process!.pid!;
  }
  /** What it logged. */
  get stderr(): string {
    return this.#stderr;
  }

  async start(): Promise<void> {
    this.#spawn();
    await this.#until(async () => (await this.#describe()) !== undefined);
  }

  /** Starts it and waits until it ends by itself. Resolves to the exit code. */
  async startAndFail(): Promise<number> {
    const [code] = await once(this.#spawn(), 'close');
    return code as number;
  }

  /** Replaces fields of its configuration, and removes those that are undefined. The next start reads it. */
  async reconfigure(fields: object): Promise<void> {
    const config = JSON.parse(await readFile(this.configFile, 'utf8')) as object;
    await writeFile(this.configFile, JSON.stringify({ ...config, ...fields }));
  }

  #spawn(): ChildProcess {
    const child = spawn(process.execPath, [main, '--config', this.configFile], { stdio: ['ignore', 'ignore', 'pipe'] });
    this.#process = child;
    child.stderr.on('data', (text) => (this.#stderr += text));
    return child;
  }

  async kill(signal: NodeJS.Signals = 'SIGKILL'): Promise<number | null> {
    const child = this.#process;
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return child?.exitCode ?? null;
    const exit = once(child, 'exit');
    child.kill(signal);
    await exit;
    return child.exitCode;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.kill();
    this.#client.close();
  }

  async member(): Promise<NewMember> {
    const { member_id, signing_key, agreement_key, encapsulation_key } = (await this.#describe())!;
    const encapsulationKey = encapsulation_key!;
    return { memberId: member_id!, signingKey: signing_key!, agreementKey: agreement_key!, encapsulationKey };
  }

  /** `by` signs the call. */
  prepare(proposal: Buffer, current?: Buffer, by: Host = this.#scheduler) {
    const request = current === undefined ? { proposal } : { proposal, current };
    const call = this.#signed('PrepareDomainToken', Object.values(request), by);
    return unary(this.#client, Hsm.service.PrepareDomainToken, { ...request, call }, CALL_MS);
  }

  /** Its signature that it opened the token. */
  async check(token: Buffer): Promise<Buffer> {
    const call = this.#signed('CheckDomainToken', [token], this.#scheduler);
    return (await unary(this.#client, Hsm.service.CheckDomainToken, { token, call }, CALL_MS)).check!;
  }

  /** Tells it of tokens: it takes what its domain-manager shows. */
  install(tokens: Buffer[], by: Host = this.#scheduler) {
    const call = this.#signed('InstallDomainTokens', tokens, by);
    return unary(this.#client, Hsm.service.InstallDomainTokens, { tokens, call }, CALL_MS);
  }

  activate(generation: number, by: Host = this.#scheduler) {
    const call = this.#signed('ActivateDomainKey', [Buffer.from(String(generation))], by);
    return unary(this.#client, Hsm.service.ActivateDomainKey, { generation, call }, CALL_MS);
  }

  leave(proposal: Buffer, by: Host = this.#scheduler) {
    const call = this.#signed('LeaveDomain', [proposal], by);
    return unary(this.#client, Hsm.service.LeaveDomain, { proposal, call }, CALL_MS);
  }

  #signed(method: DomainCallMethod, request: readonly Buffer[], by: Host): Buffer {
    return signCall({ domain: 'test', method, memberId: this.name, request }, by, Date.now());
  }

  /** Waits until the worker has found and installed this generation by itself. */
  async installed(generation: number): Promise<void> {
    await this.#until(async () => (await this.#describe())?.generation === generation);
  }

  async describe() {
    return (await this.#describe())!;
  }

  /** Waits until it said so in its log. */
  async logged(text: string): Promise<void> {
    await this.#until(async () => this.#stderr.includes(text));
  }

  async #describe() {
    return unary(this.#client, Hsm.service.Describe, {}, CALL_MS).catch(() => undefined);
  }

  async #until(condition: () => Promise<boolean>): Promise<void> {
    const deadline = Date.now() + WAIT_MS;
    while (!(await condition())) {
      if (typeof this.#process?.exitCode === 'number') throw new Error(`hsm-worker ended: ${this.#stderr}`);
      if (Date.now() > deadline) throw new Error(`hsm-worker does not get there: ${this.#stderr}`);
      await delay(20);
    }
  }
}
