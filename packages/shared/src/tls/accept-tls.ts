import { constants, X509Certificate } from 'node:crypto';
import type { Socket } from 'node:net';
import {
  createSecureContext,
  createServer,
  type SecureContext,
  type SecureContextOptions,
  type TLSSocket,
  type TlsOptions,
} from 'node:tls';
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

/** The certificates of one port; the first is for clients that name no server (SNI). */
export class ServerCertificates {
  readonly #files: readonly TlsFiles[];
  readonly #isMutual: boolean;
  #contexts: readonly Named[];

  /** `mutual`: a client must present a certificate from one of `caFile`'s authorities. */
  constructor(files: readonly TlsFiles[], { mutual = false }: { readonly mutual?: boolean } = {}) {
    this.#files = files;
    this.#isMutual = mutual;
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

  /** A server presents new certificates as soon as they are read. */
  follow(server: { setSecureContext(options: TlsOptions): void }): void {
    this.#files[0]!.onChange(() => server.setSecureContext(this.#firstContext()));
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

function namedContext({ material }: TlsFiles): Named {
  return { certificate: new X509Certificate(material.cert), context: createSecureContext(secureContextOf(material)) };
}
