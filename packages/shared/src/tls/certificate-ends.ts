import { X509Certificate } from 'node:crypto';
import { observeGauges } from '../telemetry/meters.ts';

export interface CertificateEnd {
  /** Its path. */
  readonly file: string;
  /** When it is no longer valid, in seconds since the epoch. */
  readonly endsAt: number;
}

type Source = () => readonly CertificateEnd[];

const sources = new Set<Source>();

/** Reports them until it is disposed. */
export function reportEnds(source: Source): Disposable {
  sources.add(source);
  return { [Symbol.dispose]: () => void sources.delete(source) };
}

/** The ends of all certificate files that the process uses now. */
export function certificateEnds(): CertificateEnd[] {
  return [...sources].flatMap((source) => source());
}

/** Metric of every service: nothing works with a certificate that has ended, and nothing warns of it before. */
export function observeCertificates(): void {
  observeGauges('keyfleet.certificate.expiry.timestamp.seconds', () =>
    certificateEnds().map(({ file, endsAt }) => [{ file }, endsAt] as const),
  );
}

/** When each certificate of a PEM file ends, in seconds since the epoch. */
export function endingsIn(pem: string): number[] {
  return certificatesIn(pem).map(({ validToDate }) => validToDate.getTime() / 1000);
}

/** Those of a PEM file, without those that Node.js cannot read. */
export function certificatesIn(pem: string): X509Certificate[] {
  const blocks = pem.match(/-----BEGIN CERTIFICATE-----[\s\S]+?-----END CERTIFICATE-----/g) ?? [];
  return blocks.flatMap((block) => {
    try {
      return [new X509Certificate(block)];
    } catch {
      return [];
    }
  });
}
