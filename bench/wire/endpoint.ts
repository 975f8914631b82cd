// What crosses to the generator's processes: plain data only.
import { isIP } from 'node:net';

export interface Address {
  readonly host: string;
  readonly port: number;
}

/** Where requests go, and how they travel. Each is signed for the first address, whichever it goes to. */
export interface Endpoint extends Address {
  readonly transport: 'http1' | 'http2';
  readonly tls: boolean;
  /** Connections are dealt out to these as well. */
  readonly also?: readonly Address[] | undefined;
  /** PEM: who signed the server's certificate, where the machine does not know it. */
  readonly ca?: string | undefined;
  /** Undefined: requests are sent as they are. */
  readonly signing?: Signing | undefined;
}

/** Whose requests they are: Signature Version 4 for the service `kms`. */
export interface Signing {
  readonly region: string;
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  readonly sessionToken?: string | undefined;
}

/** A request before it is signed. */
export interface WireRequest {
  readonly method: string;
  readonly path: string;
  /** In small letters, without `host`, `content-length` and what a signature adds; all are signed. */
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string | Uint8Array;
}

export interface Answer {
  /** Of HTTP. */
  readonly status: number;
  /** Undefined: it went well. Otherwise how it failed: AWS's code, or what the protocol has. */
  readonly failure?: string | undefined;
  readonly body: Buffer;
}

/** A request as its transport takes it. */
export interface ReadyRequest {
  readonly method: string;
  readonly path: string;
  readonly headers: readonly (readonly [string, string])[];
  readonly body: Buffer;
}

/** No answer: the connection could not be made, or ended. `code` is the system's, such as ECONNRESET. */
export class TransportError extends Error {
  readonly code: string;

  constructor(code: string, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }
}

export interface Connection<R> extends Disposable {
  /** One at a time. Throws TransportError; the next one connects again. */
  send(request: R): Promise<Answer>;
}

export interface Transport<R> {
  encode(request: ReadyRequest): R;
  connect(): Connection<R>;
}

/** Deals out the addresses in turn. */
export function addressesInTurn({ host, port, also = [] }: Endpoint): () => Address {
  const all = [{ host, port }, ...also];
  let next = 0;
  return () => all[next++ % all.length]!;
}

/** What Node wants for TLS: an address is no name that a client could ask for. */
export function tlsOptions({ ca }: Endpoint, { host }: Address): { ca?: string; servername?: string } {
  return { ...(ca === undefined ? {} : { ca }), ...(isIP(host) === 0 ? { servername: host } : {}) };
}

export function authorityOf({ host, port }: Address): string {
  return `${host}:${port}`;
}
