import { unwatchFile, watchFile } from 'node:fs';
import { createSecureContext, type SecureContextOptions } from 'node:tls';
import { z } from 'zod';
import { ConfigError, filePath, readPublicFile, readSecretFile } from '../config.ts';

/** A certificate, and the trusted authorities. */
export const TlsConfig = z.strictObject({
  certificateFile: filePath().describe('The certificate and those between it and its authority, PEM.'),
  keyFile: filePath().describe("The certificate's private key, PEM."),
  caFile: filePath().describe('The authorities whose certificates the other end may show, PEM.'),
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

/** How often files are checked. Kubernetes itself takes a minute to deliver a changed Secret. */
const LOOK_MS = 2_000;

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

/** The files of one certificate, reread when they change. Throws ConfigError if they cannot be used. */
export class TlsFiles implements Disposable {
  readonly #config: TlsFilesConfig;
  readonly #options: TlsFilesOptions;
  readonly #listeners = new Set<() => void>();
  #material: TlsMaterial;

  constructor(config: TlsFilesConfig, options: TlsFilesOptions) {
    this.#config = config;
    this.#options = options;
    this.#material = readTls(config, options);
    for (const path of this.#paths) watchFile(path, { interval: LOOK_MS, persistent: false }, this.#look);
  }

  get material(): TlsMaterial {
    return this.#material;
  }

  /** Calls `listener` after every change of the material. */
  onChange(listener: () => void): void {
    this.#listeners.add(listener);
  }

  [Symbol.dispose](): void {
    for (const path of this.#paths) unwatchFile(path, this.#look);
    this.#listeners.clear();
  }

  get #paths(): readonly string[] {
    return Object.values(this.#config);
  }

  /** A certificate written before its key is noticed again when the key changes. */
  readonly #look = (): void => {
    try {
      const { cert, key, ca } = readTls(this.#config, this.#options);
      const known = this.#material;
      if (cert === known.cert && key === known.key && ca === known.ca) return;
      this.#material = { cert, key, ca };
    } catch (error) {
      return this.#options.onProblem(error as Error);
    }
    for (const listener of this.#listeners) listener();
  };
}

/** Throws ConfigError if the files cannot be used. */
export function readTls(config: TlsFilesConfig, { field, caField = `${field}.caFile` }: TlsFields): TlsMaterial {
  const { certificateFile, keyFile, caFile } = config;
  const material = {
    cert: readPublicFile(certificateFile, `${field}.certificateFile`),
    key: readSecretFile(keyFile, `${field}.keyFile`),
    ca: caFile === undefined ? undefined : readPublicFile(caFile, caField),
  };
  try {
    createSecureContext(secureContextOf(material));
  } catch (cause) {
    const files = Object.values(config).join(', ');
    const message = `${field}: ${files} cannot be used together (${(cause as Error).message}). They must be PEM, and the key the certificate's.`;
    throw new ConfigError(message, { cause });
  }
  return material;
}

/** TLS 1.2 and 1.3 with Node's ciphers. */
export function secureContextOf({ cert, key, ca }: TlsMaterial): SecureContextOptions {
  return { cert, key, minVersion: 'TLSv1.2', ...(ca !== undefined && { ca }) };
}
