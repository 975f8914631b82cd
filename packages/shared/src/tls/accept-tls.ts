import { X509Certificate } from 'node:crypto';
import type { Socket } from 'node:net';
import { createSecureContext, createServer, type SecureContext, type TLSSocket, type TlsOptions } from 'node:tls';
import { secureContextOf, type TlsFiles } from './tls-files.ts';

/** Longer, and a stranger would hold a connection for nothing. */
const HANDSHAKE_MS = 5_000;

/**
 * Agrees TLS for HTTP/2 on connections that somebody else has accepted, and hands each on to `serve`. `mutual`: the
 * other end must show a certificate of one of `caFile`'s authorities.
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

/** The certificates of one port; the first is shown to who asks for none by name (SNI). */
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

  /** A server that shows them shows new ones as soon as they are read. */
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
