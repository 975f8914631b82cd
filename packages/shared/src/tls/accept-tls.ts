import { constants, X509Certificate } from 'node:crypto';
import type { EventEmitter } from 'node:events';
import type { Socket } from 'node:net';
import {
  createSecureContext,
  createServer,
  type SecureContext,
  type SecureContextOptions,
  type Server,
  type TLSSocket,
  type TlsOptions,
} from 'node:tls';
import { type Clock, systemClock } from '../clock.ts';
import { ShownCertificates } from './shown-certificates.ts';
import { secureContextOf, type TlsFiles } from './tls-files.ts';

/** With more time, a stranger would hold a connection for nothing. */
const HANDSHAKE_MS = 5_000;

/** Negotiates TLS for HTTP/2 on connections accepted elsewhere, and passes each one to `serve`. */
export function acceptTls(
  certificates: ServerCertificates,
  serve: (socket: TLSSocket) => void,
): (socket: Socket) => void {
  const server = createServer({ ...certificates.options, ALPNProtocols: ['h2'] }, (socket) => {
    socket.on('error', () => socket.destroy());
    serve(socket);
  });
  server.on('tlsClientError', (_, socket) => socket.destroy());
  certificates.follow(server);
  return (socket) => void server.emit('connection', socket);
}

type ServerFiles = Pick<TlsFiles, 'material' | 'onChange'>;

interface ServerOptions {
  /** A client must present a certificate from one of `caFile`'s authorities. */
  readonly mutual?: boolean;
  readonly clock?: Clock;
}

/** The certificates of one port; the first is for clients that name no server (SNI). */
export class ServerCertificates {
  readonly #files: readonly ServerFiles[];
  readonly #isMutual: boolean;
  readonly #clock: Clock;
  #contexts: readonly Named[];

  constructor(files: readonly ServerFiles[], { mutual = false, clock = systemClock }: ServerOptions = {}) {
    this.#files = files;
    this.#isMutual = mutual;
    this.#clock = clock;
    this.#contexts = files.map(namedContext);
    files.forEach((one) => one.onChange(() => void (this.#contexts = files.map(namedContext))));
  }

  get options(): TlsOptions {
    return {
      ...this.#firstContext(),
      handshakeTimeout: HANDSHAKE_MS,
      requestCert: this.#isMutual,
      rejectUnauthorized: this.#isMutual,
      SNICallback: (name, done) => done(null, this.#contextFor(name)),
    };
  }

  /**
   * A server presents new certificates as soon as they are read, and ends the connections of clients whose certificates
   * no authority has issued that is still there, or have ended themselves.
   */
  follow(server: Pick<Server, 'setSecureContext'> & EventEmitter): void {
    const [first] = this.#files;
    const clients = new ShownCertificates(() => first!.material.ca, this.#clock);
    if (this.#isMutual) server.on('secureConnection', (socket: TLSSocket) => clients.note(socket));
    first!.onChange(() => {
      server.setSecureContext(this.#firstContext());
      clients.lookAgain();
    });
  }

  #firstContext(): SecureContextOptions {
    const context = secureContextOf(this.#files[0]!.material);
    // Who resumes a session shows no certificate, and nobody looks whether that of its first handshake has ended since.
    return this.#isMutual ? { ...context, secureOptions: constants.SSL_OP_NO_TICKET } : context;
  }

  #contextFor(name: string): SecureContext {
    const named = this.#contexts.find(({ certificate }) => certificate.checkHost(name) !== undefined);
    return (named ?? this.#contexts[0]!).context;
  }
}

interface Named {
  readonly certificate: X509Certificate;
  readonly context: SecureContext;
}

function namedContext({ material }: ServerFiles): Named {
  return { certificate: new X509Certificate(material.cert), context: createSecureContext(secureContextOf(material)) };
}
