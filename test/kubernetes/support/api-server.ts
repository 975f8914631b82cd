import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, openSync, readFileSync, writeFileSync } from 'node:fs';
import { mkdtempDisposable } from 'node:fs/promises';
import { request } from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import getPort from 'get-port';
import { until } from '../../../tools/readiness.ts';
import { type Binaries, kubernetesBinaries } from './binaries.ts';
import { writeCredentials } from './credentials.ts';

const START_MS = 120_000;

export interface ApiServerOptions {
  /** An EncryptionConfiguration. */
  readonly encryptionConfig?: object | undefined;
  /** Further flags of kube-apiserver. */
  readonly flags?: readonly string[];
}

interface Ports {
  readonly api: number;
  readonly etcd: number;
}

export interface Answer {
  readonly status: number;
  readonly text: string;
  readonly json: unknown;
}

interface Parts {
  readonly folder: string;
  readonly ports: Ports;
  readonly flags: readonly string[];
  /** Of its administrator. */
  readonly token: string;
}

/**
 * A real kube-apiserver with an etcd of its own, on loopback, without nodes. It issues tokens of service accounts, and
 * its address is their issuer.
 */
export class ApiServer implements AsyncDisposable {
  readonly programs: Binaries;
  readonly #parts: Parts;
  readonly #running = new Map<keyof Binaries, ChildProcess>();

  private constructor(programs: Binaries, parts: Parts) {
    this.programs = programs;
    this.#parts = parts;
  }

  /** Stops with `resources`. */
  static async start(
    resources: AsyncDisposableStack,
    { encryptionConfig, flags = [] }: ApiServerOptions = {},
  ): Promise<ApiServer> {
    const programs = await kubernetesBinaries();
    const { path: folder } = resources.use(await mkdtempDisposable(join(tmpdir(), 'keyfleet-kubernetes-')));
    const [api, etcd, peers] = [await getPort(), await getPort(), await getPort()];
    const encryption = encryptionConfig === undefined ? undefined : join(folder, 'encryption.json');
    if (encryption !== undefined) writeFileSync(encryption, JSON.stringify(encryptionConfig), { mode: 0o600 });
    const allFlags = encryption === undefined ? flags : [...flags, `--encryption-provider-config=${encryption}`];
    const token = await writeCredentials(folder, `https://127.0.0.1:${api}`);
    const server = resources.use(new ApiServer(programs, { folder, ports: { api, etcd }, flags: allFlags, token }));
    await server.#startEtcd(peers);
    await server.startApi();
    return server;
  }

  /** PEM, of the authority that its certificate leads to. */
  get caFile(): string {
    return this.in('ca.crt');
  }

  /** Also the issuer of its tokens. */
  get url(): string {
    return `https://127.0.0.1:${this.#parts.ports.api}`;
  }

  in(name: string): string {
    return join(this.#parts.folder, name);
  }

  async #startEtcd(peerPort: number): Promise<void> {
    const url = `http://127.0.0.1:${this.#parts.ports.etcd}`;
    const peers = `http://127.0.0.1:${peerPort}`;
    this.run('etcd', [
      `--data-dir=${this.in('etcd')}`,
      `--listen-client-urls=${url}`,
      `--advertise-client-urls=${url}`,
      `--listen-peer-urls=${peers}`,
      `--initial-advertise-peer-urls=${peers}`,
      `--initial-cluster=default=${peers}`,
    ]);
    await this.#ready('etcd', async () => (await fetch(`${url}/health`)).ok);
  }

  /** `isReady`: what it waits for; everything but the KMS plugins if those are not to be. */
  async startApi(isReady = '/readyz'): Promise<void> {
    this.run('kube-apiserver', [
      `--etcd-servers=http://127.0.0.1:${this.#parts.ports.etcd}`,
      '--bind-address=127.0.0.1',
      '--advertise-address=127.0.0.1',
      `--secure-port=${this.#parts.ports.api}`,
      '--endpoint-reconciler-type=none',
      '--service-cluster-ip-range=10.96.0.0/24',
      `--tls-cert-file=${this.in('api.crt')}`,
      `--tls-private-key-file=${this.in('api.key')}`,
      `--token-auth-file=${this.in('tokens.csv')}`,
      `--service-account-issuer=${this.url}`,
      `--service-account-signing-key-file=${this.in('sa.key')}`,
      `--service-account-key-file=${this.in('sa.pub')}`,
      '--authorization-mode=RBAC',
      '--shutdown-delay-duration=0s',
      ...this.#parts.flags,
    ]);
    await this.#ready('kube-apiserver', async () => (await this.get(isReady)).status === 200);
  }

  async stopApi(): Promise<void> {
    await this.#end('kube-apiserver');
  }

  get(path: string): Promise<Answer> {
    return this.#ask('GET', path);
  }
  post(path: string, body: object): Promise<Answer> {
    return this.#ask('POST', path, body);
  }
  put(path: string, body: object): Promise<Answer> {
    return this.#ask('PUT', path, body);
  }

  /** As its administrator. */
  #ask(method: string, path: string, body?: object): Promise<Answer> {
    const headers = { authorization: `Bearer ${this.#parts.token}`, 'content-type': 'application/json' };
    return new Promise((resolve, reject) => {
      const sent = request(
        `${this.url}${path}`,
        { method, headers, ca: readFileSync(this.caFile), agent: false, signal: AbortSignal.timeout(30_000) },
        (response) => {
          let text = '';
          response.setEncoding('utf8');
          response.on('data', (chunk: string) => (text += chunk));
          response.on('end', () => resolve({ status: response.statusCode!, text, json: jsonOf(text) }));
          response.on('error', reject);
        },
      );
      sent.on('error', reject);
      sent.end(body && JSON.stringify(body));
    });
  }

  /** What etcd has under a key, byte by byte as Latin-1. */
  async stored(key: string): Promise<string> {
    const response = await fetch(`http://127.0.0.1:${this.#parts.ports.etcd}/v3/kv/range`, {
      method: 'POST',
      body: JSON.stringify({ key: Buffer.from(key).toString('base64') }),
    });
    const { kvs = [] } = (await response.json()) as { readonly kvs?: readonly { readonly value: string }[] };
    return Buffer.from(kvs[0]?.value ?? '', 'base64').toString('latin1');
  }

  /** Runs a program of the same Kubernetes until this is disposed of. */
  run(name: keyof Binaries, args: readonly string[]): void {
    const log = openSync(this.in(`${name}.log`), 'a');
    const options = { stdio: ['ignore', log, log] as ['ignore', number, number], cwd: this.#parts.folder };
    this.#running.set(name, spawn(this.programs[name], args, options));
    closeSync(log);
  }

  /** Who uses a program last ends first. */
  async [Symbol.asyncDispose](): Promise<void> {
    for (const name of [...this.#running.keys()].toReversed()) await this.#end(name);
  }

  async #ready(name: keyof Binaries, ask: () => Promise<boolean>): Promise<void> {
    const died = (): boolean => this.#running.get(name)?.exitCode !== null;
    const isReady = await until(() => ask().catch(() => false), START_MS, died);
    if (isReady) return;
    const log = readFileSync(this.in(`${name}.log`), 'utf8')
      .trim()
      .split('\n')
      .slice(-5)
      .join('\n');
    throw new Error(`${name} does not start:\n${log}`);
  }

  async #end(name: keyof Binaries): Promise<void> {
    const process = this.#running.get(name);
    this.#running.delete(name);
    if (process === undefined || process.exitCode !== null || process.signalCode !== null) return;
    const ended = once(process, 'exit');
    process.kill('SIGKILL');
    await ended;
  }
}

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
