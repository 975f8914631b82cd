import { createSecureContext, type SecureContextOptions } from 'node:tls';
import { z } from 'zod';
import { ConfigError, filePath, readPublicFile, readSecretFile } from '../config.ts';
import { type CertificateEnd, endingsIn, reportEnds } from './certificate-ends.ts';
import { WatchedFiles, type WatchedFilesOptions } from './watched-files.ts';

/** A certificate, and the trusted authorities. */
export const TlsConfig = z.strictObject({
  certificateFile: filePath().describe('The certificate and the chain above it, PEM.'),
  keyFile: filePath().describe("The certificate's private key, PEM."),
  caFile: filePath().describe("The authorities that the other end's certificate must chain to, PEM."),
});
export type TlsConfig = z.output<typeof TlsConfig>;

/** A certificate that anyone may see. */
export const CertificateConfig = TlsConfig.omit({ caFile: true });
export type CertificateConfig = z.output<typeof CertificateConfig>;

/** Without `caFile`, the peer presents no certificate. */
export type TlsFilesConfig = CertificateConfig & Partial<TlsConfig>;

export interface TlsMaterial {
  readonly cert: string;
  readonly key: string;
  readonly ca: string | undefined;
}

/** The configuration field that names the files. */
export interface TlsFields {
  readonly field: string;
  /** Default: `<field>.caFile`. */
  readonly caField?: string | undefined;
}

export interface TlsFilesOptions extends TlsFields {
  /** The changed files do not fit together; the previous ones remain in use. */
  readonly onProblem: (problem: Error) => void;
}

/** Files that TLS uses, reread when they change. Until they are disposed, the service reports when they end. */
class WatchedTls<T extends Partial<TlsMaterial>> extends WatchedFiles<T> {
  readonly #reported: Disposable;

  constructor(config: Partial<TlsConfig>, options: WatchedFilesOptions<T>) {
    super(options);
    this.#reported = reportEnds(() => endsOf(config, this.content));
  }

  override [Symbol.dispose](): void {
    this.#reported[Symbol.dispose]();
    super[Symbol.dispose]();
  }
}

/** The files of one certificate, reread when they change. Throws ConfigError if they cannot be used. */
export class TlsFiles extends WatchedTls<TlsMaterial> {
  constructor(config: TlsFilesConfig, { onProblem, ...fields }: TlsFilesOptions) {
    super(config, { paths: Object.values(config), read: () => readTls(config, fields), onProblem });
  }

  get material(): TlsMaterial {
    return this.content;
  }
}

/** The same of a client, which may present no certificate, and may trust whom Node.js trusts. */
export class ClientTlsFiles extends WatchedTls<Partial<TlsMaterial>> {
  constructor(config: Partial<TlsConfig>, { onProblem, ...fields }: TlsFilesOptions) {
    super(config, { paths: Object.values(config), read: () => readTls(config, fields), onProblem });
  }
}

/** A chain is as good as its first end; of authorities, one that lasts is enough while another takes over. */
function endsOf({ certificateFile, caFile }: Partial<TlsConfig>, { cert, ca }: Partial<TlsMaterial>): CertificateEnd[] {
  const ends = [
    { file: certificateFile, endsAt: Math.min(...endingsIn(cert ?? '')) },
    { file: caFile, endsAt: Math.max(...endingsIn(ca ?? '')) },
  ];
  return ends.filter((end): end is CertificateEnd => end.file !== undefined && Number.isFinite(end.endsAt));
}

export function readTls(config: TlsFilesConfig, fields: TlsFields): TlsMaterial;
export function readTls(config: Partial<TlsConfig>, fields: TlsFields): Partial<TlsMaterial>;
/** Throws ConfigError if the files cannot be used. */
export function readTls(config: Partial<TlsConfig>, fields: TlsFields): Partial<TlsMaterial> {
  const { certificateFile, keyFile, caFile } = config;
  const { field, caField = `${field}.caFile` } = fields;
  const material = {
    ...(certificateFile !== undefined && { cert: readPublicFile(certificateFile, `${field}.certificateFile`) }),
    ...(keyFile !== undefined && { key: readSecretFile(keyFile, `${field}.keyFile`) }),
    ca: caFile === undefined ? undefined : readAuthorities(caFile, caField),
  };
  try {
    createSecureContext(secureContextOf(material));
  } catch (cause) {
    const files = Object.values(config).join(', ');
    const message = `${field}: ${files} cannot be used together (${(cause as Error).message}). They must be PEM, and the key must belong to the certificate.`;
    throw new ConfigError(message, { cause });
  }
  return material;
}

/** Node.js trusts every public authority where the text of ours is empty, as while somebody writes the file anew. */
function readAuthorities(caFile: string, field: string): string {
  const ca = readPublicFile(caFile, field);
  if (endingsIn(ca).length === 0) throw new ConfigError(`${field}: ${caFile} holds no certificate. It must be PEM.`);
  return ca;
}

/** TLS 1.2 and 1.3 with Node's ciphers. */
export function secureContextOf({ cert, key, ca }: Partial<TlsMaterial>): SecureContextOptions {
  return {
    minVersion: 'TLSv1.2',
    ...(cert !== undefined && { cert }),
    ...(key !== undefined && { key }),
    ...(ca !== undefined && { ca }),
  };
}
