import { Agent } from 'node:https';
import type { Address } from '@keyfleet/shared/config';
import { AnswerTooLongError, exchange, type HttpAnswer } from '@keyfleet/shared/http-exchange';
import { ClientTlsFiles, secureContextOf } from '@keyfleet/shared/tls/tls-files';
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

export type XksAnswer = HttpAnswer;

const HTTPS_PORT = 443;
/** The largest possible answer has 4300 bytes, in base64. */
const MAX_ANSWER = 65_536;

export interface XksHostsOptions {
  /** Of one call, including the connection. */
  readonly timeoutMs: number;
  /** A host's changed files cannot be used; the previous ones remain in use. */
  readonly onProblem: (problem: Error) => void;
}

/**
 * The only hosts that external key stores may be at: a customer must not be able to send this process to an address of
 * their choice.
 */
export class XksHosts implements Disposable {
  readonly #hosts: ReadonlyMap<string, Host>;
  readonly #timeoutMs: number;

  /** Throws ConfigError. */
  constructor(hosts: readonly XksHostConfig[], options: XksHostsOptions) {
    this.#hosts = new Map(hosts.map((host, i) => [host.host.toLowerCase(), new Host(host, i, options)]));
    this.#timeoutMs = options.timeoutMs;
  }

  /** Throws XksError: `unreachable`, `tls`, `timed-out` or `invalid-response`. */
  async call(call: XksCall): Promise<XksAnswer> {
    const known = this.#hosts.get(call.host.toLowerCase());
    if (known === undefined) throw new XksError('unreachable');
    try {
      return await known.call(call, AbortSignal.timeout(this.#timeoutMs));
    } catch (error) {
      throw new XksError(problemOf(error as Error), { cause: error });
    }
  }

  [Symbol.dispose](): void {
    for (const host of this.#hosts.values()) host[Symbol.dispose]();
  }
}

class Host implements Disposable {
  readonly #address: Pick<Address, 'host' | 'port'>;
  readonly #files: ClientTlsFiles;
  #agent: Agent;

  /** `i`: its place in the configuration. Throws ConfigError. */
  constructor({ host, address, caFile, clientCertificate }: XksHostConfig, i: number, options: XksHostsOptions) {
    const at = `externalKeyStores.proxies.${i}`;
    const fields = { field: `${at}.clientCertificate`, caField: `${at}.caFile` };
    const { timeoutMs, onProblem } = options;
    this.#address = address ?? { host, port: HTTPS_PORT };
    this.#files = new ClientTlsFiles({ ...clientCertificate, ...(caFile !== undefined && { caFile }) }, { ...fields, onProblem }); // prettier-ignore
    this.#agent = this.#newAgent();
    this.#files.onChange(() => {
      const before = this.#agent;
      this.#agent = this.#newAgent();
      // By then all of its calls are over.
      setTimeout(() => before.destroy(), timeoutMs).unref();
    });
  }

  /** Requests to a proxy may be sent twice. */
  call({ host, path, headers, body }: XksCall, signal: AbortSignal): Promise<XksAnswer> {
    const tls = { agent: this.#agent, servername: host };
    const options = { ...this.#address, ...tls, path, signal, method: 'POST', headers };
    return exchange(options, { body, maxAnswer: MAX_ANSWER });
  }

  [Symbol.dispose](): void {
    this.#files[Symbol.dispose]();
    this.#agent.destroy();
  }

  #newAgent(): Agent {
    return new Agent({ keepAlive: true, ...secureContextOf(this.#files.content) });
  }
}

const tlsErrors = /^(?:ERR_TLS|ERR_SSL|CERT_|UNABLE_TO_|DEPTH_ZERO_|SELF_SIGNED_|EPROTO|HOSTNAME_|INVALID_CA)/;

function problemOf(error: NodeJS.ErrnoException): 'unreachable' | 'tls' | 'timed-out' | 'invalid-response' {
  if (error instanceof AnswerTooLongError) return 'invalid-response';
  if (error.name === 'AbortError' || error.name === 'TimeoutError') return 'timed-out';
  return tlsErrors.test(error.code ?? '') ? 'tls' : 'unreachable';
}
