import { X509Certificate } from 'node:crypto';
import type { Socket } from 'node:net';
import { createSecureContext, createServer, type SecureContext, type TLSSocket, type TlsOptions } from 'node:tls';
import { secureContextOf, type TlsFiles } from './tls-files.ts';

/** With more time, a stranger would hold a connection for nothing. */
export const HANDSHAKE_MS = 5_000;

/**
 * Negotiates TLS for HTTP/2 on connections accepted elsewhere, and passes each one to `serve`. `mutual`: the peer must
 * present a certificate from one of `caFile`'s authorities.
 */
export function acceptTls(
  certificates: ServerCertificates,
  { mutual }: { readonly mutual: boolean },
  serve: (socket: TLSSocket) => void,
): (socket: Socket) => void {
  const server = createServer(
    {
      ...certificates.options,
      ALPNProtocols: ['h2'],
      requestCert: mutual,
      rejectUnauthorized: mutual,
    },
    (socket) => {
      socket.on('error', () => socket.destroy());
      serve(socket);
    },
  );
  server.on('tlsClientError', (_, socket) => socket.destroy());
  certificates.follow(server);
  return (socket) => void server.emit('connection', socket);
}

/** The certificates of one port; the first is for clients that name no server (SNI). */
export class ServerCertificates {
  readonly #files: readonly TlsFiles[];
  #contexts: readonly Named[];

  constructor(files: readonly TlsFiles[]) {
    this.#files = files;
    this.#contexts = files.map(namedContext);
    files.forEach((one) => one.onChange(() => void (this.#contexts = files.map(namedContext))));
  }

  get options(): TlsOptions {
    return {
      ...secureContextOf(this.#files[0]!.material),
      handshakeTimeout: HANDSHAKE_MS,
      SNICallback: (name, done) => done(null, this.#contextFor(name)),
    };
  }

  /** A server presents new certificates as soon as they are read. */
  follow(server: { setSecureContext(options: TlsOptions): void }): void {
    const [first] = this.#files;
    first!.onChange(() => server.setSecureContext(secureContextOf(first!.material)));
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
