import type { X509Certificate } from 'node:crypto';
import type { TLSSocket } from 'node:tls';
import type { Clock } from '../clock.ts';
import { certificatesIn } from './certificate-ends.ts';

/** How often the certificate of an open connection is looked at. */
const LOOK_MS = 60_000;

type Shown = X509Certificate | undefined;

/**
 * What the other ends of open connections have shown. A connection ends with its certificate, and once no authority is
 * trusted any more that has issued it.
 */
export class ShownCertificates {
  readonly #trusted: () => string | undefined;
  readonly #clock: Clock;
  readonly #open = new Map<TLSSocket, Shown>();

  /** `trusted`: the authorities as they are now, PEM. */
  constructor(trusted: () => string | undefined, clock: Clock) {
    this.#trusted = trusted;
    this.#clock = clock;
  }

  /** The authorities may have changed since the handshake began. */
  note(socket: TLSSocket): void {
    const shown = socket.getPeerX509Certificate();
    const look = setInterval(() => {
      if (shown === undefined || shown.validToDate.getTime() < this.#clock.now()) socket.destroy();
    }, LOOK_MS).unref();
    this.#open.set(socket, shown);
    socket.once('close', () => {
      clearInterval(look);
      this.#open.delete(socket);
    });
    this.#endUntrusted([[socket, shown]]);
  }

  /** To be called when the authorities are others. */
  lookAgain(): void {
    this.#endUntrusted(this.#open);
  }

  #endUntrusted(open: Iterable<[TLSSocket, Shown]>): void {
    const authorities = certificatesIn(this.#trusted() ?? '');
    for (const [socket, shown] of open) if (!chainsTo(authorities, shown)) socket.destroy();
  }
}

/** The other end chose what follows its certificate. */
function chainsTo(authorities: readonly X509Certificate[], certificate: Shown): boolean {
  if (certificate === undefined) return false;
  if (authorities.some((authority) => isIssuedBy(certificate, authority))) return true;
  const { issuerCertificate: next } = certificate;
  return next !== undefined && isIssuedBy(certificate, next) && chainsTo(authorities, next);
}

function isIssuedBy(certificate: X509Certificate, issuer: X509Certificate): boolean {
  return certificate.checkIssued(issuer) && certificate.verify(issuer.publicKey);
}
