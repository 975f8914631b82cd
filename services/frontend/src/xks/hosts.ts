import { Agent, request } from 'node:https';
import { type Address, ConfigError, readPublicFile, readSecretFile } from '@keyfleet/shared/config';
import { XksError } from './problems.ts';

/** One of `externalKeyStores.proxies` in the configuration. */
export interface XksHostConfig {
  readonly host: string;
  readonly address?: Address | undefined;
  readonly caFile?: string | undefined;
  readonly clientCertificate?: { readonly certificateFile: string; readonly keyFile: string } | undefined;
}

export interface XksCall {
  readonly host: string;
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Buffer;
}

export interface XksAnswer {
  readonly status: number;
  readonly body: Buffer;
}

const HTTPS_PORT = 443;
/** The largest possible answer has 4300 bytes, in base64. */
const MAX_ANSWER = 65_536;

interface Host {
  readonly address: Pick<Address, 'host' | 'port'>;
  readonly agent: Agent;
}

/**
 * The only hosts that external key stores may be at: a customer must not be able to send this process to an address of
 * their choice.
 */
export class XksHosts implements Disposable {
  readonly #hosts: ReadonlyMap<string, Host>;
  readonly #timeoutMs: number;

  /** Throws ConfigError. */
  constructor(hosts: readonly XksHostConfig[], timeoutMs: number) {
    this.#hosts = new Map(hosts.map((host, i) => [host.host.toLowerCase(), newHost(host, i)]));
    this.#timeoutMs = timeoutMs;
  }

  /** Throws XksError: `unreachable`, `tls`, `timed-out` or `invalid-response`. */
  call({ host, path, headers, body }: XksCall): Promise<XksAnswer> {
    const known = this.#hosts.get(host.toLowerCase());
    if (known === undefined) return Promise.reject(new XksError('unreachable'));
    const signal = AbortSignal.timeout(this.#timeoutMs);
    return send(known, { host, path, headers, body }, signal);
  }

  [Symbol.dispose](): void {
    for (const { agent } of this.#hosts.values()) agent.destroy();
  }
}

function send(
  { address, agent }: Host,
  { host, path, headers, body }: XksCall,
  signal: AbortSignal,
): Promise<XksAnswer> {
  return new Promise<XksAnswer>((resolve, reject) => {
    const fail = (error: NodeJS.ErrnoException): void => reject(new XksError(problemOf(error), { cause: error }));
    const options = { ...address, path, agent, signal, servername: host, method: 'POST', headers } as const;
    const sent = request(options, (response) => {
      const chunks: Buffer[] = [];
      let length = 0;
      response.on('data', (chunk: Buffer) => {
        length += chunk.length;
        if (length <= MAX_ANSWER) return void chunks.push(chunk);
        reject(new XksError('invalid-response'));
        response.destroy();
      });
      response.on('end', () => resolve({ status: response.statusCode ?? 0, body: Buffer.concat(chunks) }));
      response.on('error', fail);
    });
    // Its idle connection was closed at that moment, which says nothing about the proxy. These requests are safe to
    // repeat.
    sent.on('error', (error: NodeJS.ErrnoException) => {
      if (!sent.reusedSocket || error.code !== 'ECONNRESET') return fail(error);
      send({ address, agent }, { host, path, headers, body }, signal).then(resolve, reject);
    });
    sent.end(body);
  });
}

function newHost({ host, address, caFile, clientCertificate }: XksHostConfig, i: number): Host {
  const field = `externalKeyStores.proxies.${i}`;
  const client = clientCertificate && {
    cert: readPublicFile(clientCertificate.certificateFile, `${field}.clientCertificate.certificateFile`),
    key: readSecretFile(clientCertificate.keyFile, `${field}.clientCertificate.keyFile`),
  };
  const ca = caFile === undefined ? undefined : readPublicFile(caFile, `${field}.caFile`);
  try {
    const agent = new Agent({ keepAlive: true, minVersion: 'TLSv1.2', ...(ca !== undefined && { ca }), ...client });
    return { address: address ?? { host, port: HTTPS_PORT }, agent };
  } catch (cause) {
    throw new ConfigError(`${field}: the certificates cannot be used. Correct the files.`, { cause });
  }
}

const tlsErrors = /^(?:ERR_TLS|ERR_SSL|CERT_|UNABLE_TO_|DEPTH_ZERO_|SELF_SIGNED_|EPROTO|HOSTNAME_|INVALID_CA)/;

function problemOf(error: NodeJS.ErrnoException): 'unreachable' | 'tls' | 'timed-out' {
  if (error.name === 'AbortError' || error.name === 'TimeoutError') return 'timed-out';
  return tlsErrors.test(error.code ?? '') ? 'tls' : 'unreachable';
}
