import { type ChildProcess, spawn } from 'node:child_process';
import { generateKeyPairSync } from 'node:crypto';
import { once } from 'node:events';
import { openSync, readFileSync, writeFileSync } from 'node:fs';
import { mkdtempDisposable } from 'node:fs/promises';
import { request } from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import getPort from 'get-port';
import { CertificateAuthority } from '../../../tools/certificates.ts';
import { until } from '../../../tools/readiness.ts';
import { type Binaries, kubernetesBinaries } from './binaries.ts';

const START_MS = 60_000;
const ADMIN_TOKEN = 'admin-of-the-test';

interface Ports {
  readonly api: number;
  readonly etcd: number;
}

export interface Answer {
  readonly status: number;
  readonly text: string;
  readonly json: unknown;
}

/**
 * A real kube-apiserver with an etcd of its own, on loopback, without nodes and controllers. It issues tokens of
 * service accounts, and its address is their issuer.
 */
export class ApiServer implements AsyncDisposable {
  readonly #folder: string;
  readonly #ports: Ports;
  readonly #programs: Binaries;
  readonly #running = new Map<string, ChildProcess>();
  #encrypts = false;
  /** PEM, of the authority that its certificate leads to. */
  readonly caFile: string;

  private constructor(folder: string, ports: Ports, programs: Binaries) {
    this.#folder = folder;
    this.#ports = ports;
    this.#programs = programs;
    this.caFile = this.in('ca.pem');
  }

  /** `encryptionConfig`: an EncryptionConfiguration, as JSON. Stops with `resources`. */
  static async start(resources: AsyncDisposableStack, encryptionConfig?: object): Promise<ApiServer> {
    const programs = await kubernetesBinaries();
    const { path } = resources.use(await mkdtempDisposable(join(tmpdir(), 'keyfleet-kubernetes-')));
    const ports = { api: await getPort(), etcd: await getPort(), peers: await getPort() };
    const server = resources.use(new ApiServer(path, ports, programs));
    await server.#writeFiles(encryptionConfig);
    await server.#startEtcd(ports.peers);
    await server.startApi();
    return server;
  }

  /** Also the issuer of its tokens. */
  get url(): string {
    return `https://127.0.0.1:${this.#ports.api}`;
  }

  in(name: string): string {
    return join(this.#folder, name);
  }

  async #writeFiles(encryptionConfig?: object): Promise<void> {
    const authority = await CertificateAuthority.create('kubernetes');
    const { certificate, key } = await authority.issue('kube-apiserver', ['localhost', '127.0.0.1']);
    const signer = generateKeyPairSync('rsa', {
      modulusLength: 2048,
      publicKeyEncoding: { type: 'spki', format: 'pem' },
      privateKeyEncoding: { type: 'pkcs8', format: 'pem' },
    });
    const files = {
      'ca.pem': authority.certificate,
      'api.pem': certificate,
      'api-key.pem': key,
      'sa-key.pem': signer.privateKey,
      'sa.pem': signer.publicKey,
      'tokens.csv': `${ADMIN_TOKEN},admin,admin,"system:masters"\n`,
      ...(encryptionConfig && { 'encryption.json': JSON.stringify(encryptionConfig) }),
    };
    for (const [name, content] of Object.entries(files)) writeFileSync(this.in(name), content, { mode: 0o600 });
    this.#encrypts = encryptionConfig !== undefined;
  }

  async #startEtcd(peerPort: number): Promise<void> {
    const url = `http://127.0.0.1:${this.#ports.etcd}`;
    const peers = `http://127.0.0.1:${peerPort}`;
    this.#run('etcd', this.#programs.etcd, [
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
    this.#run('api', this.#programs.apiServer, [
      `--etcd-servers=http://127.0.0.1:${this.#ports.etcd}`,
      '--bind-address=127.0.0.1',
      '--advertise-address=127.0.0.1',
      `--secure-port=${this.#ports.api}`,
      '--endpoint-reconciler-type=none',
      '--service-cluster-ip-range=10.96.0.0/24',
      `--tls-cert-file=${this.in('api.pem')}`,
      `--tls-private-key-file=${this.in('api-key.pem')}`,
      `--token-auth-file=${this.in('tokens.csv')}`,
      `--service-account-issuer=${this.url}`,
      `--service-account-signing-key-file=${this.in('sa-key.pem')}`,
      `--service-account-key-file=${this.in('sa.pem')}`,
      '--disable-admission-plugins=ServiceAccount',
      '--authorization-mode=RBAC',
      '--shutdown-delay-duration=0s',
      ...(this.#encrypts ? [`--encryption-provider-config=${this.in('encryption.json')}`] : []),
    ]);
    await this.#ready('api', async () => (await this.get(isReady)).status === 200);
  }

  async stopApi(): Promise<void> {
    await this.#end('api');
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
    const headers = { authorization: `Bearer ${ADMIN_TOKEN}`, 'content-type': 'application/json' };
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
    const response = await fetch(`http://127.0.0.1:${this.#ports.etcd}/v3/kv/range`, {
      method: 'POST',
      body: JSON.stringify({ key: Buffer.from(key).toString('base64') }),
    });
    const { kvs = [] } = (await response.json()) as { readonly kvs?: readonly { readonly value: string }[] };
    return Buffer.from(kvs[0]?.value ?? '', 'base64').toString('latin1');
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#end('api');
    await this.#end('etcd');
  }

  #run(name: string, program: string, args: readonly string[]): void {
    const log = openSync(this.in(`${name}.log`), 'a');
    this.#running.set(name, spawn(program, args, { stdio: ['ignore', log, log], cwd: this.#folder }));
  }

  async #ready(name: string, ask: () => Promise<boolean>): Promise<void> {
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

  async #end(name: string): Promise<void> {
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
