import { CertificateAuthority } from '../../../../tools/certificates.ts';
import type { Objects } from './first-start.ts';
import type { CertificateSpec, Rendered } from './rendered.ts';

/** What cert-manager makes of the Certificates: all under one authority, also what customers see. */
export class CertManager {
  readonly #certificates: readonly CertificateSpec[];
  readonly #secrets: Objects;
  #authority: CertificateAuthority;

  private constructor(certificates: readonly CertificateSpec[], secrets: Objects, authority: CertificateAuthority) {
    this.#certificates = certificates;
    this.#secrets = secrets;
    this.#authority = authority;
  }

  static async of({ certificates }: Rendered, secrets: Objects): Promise<CertManager> {
    return new CertManager(certificates, secrets, await CertificateAuthority.create('keyfleet-ca'));
  }

  /** The Secrets of certificates that services have, not of the authority. */
  get secretNames(): string[] {
    return this.#certificates.filter(({ isCA }) => isCA !== true).map(({ secretName }) => secretName);
  }

  /** Writes a new key and certificate into each of the Secrets. */
  async issue(secretNames: readonly string[], validMs?: number): Promise<void> {
    for (const { secretName, commonName, dnsNames = [] } of this.#certificates) {
      if (!secretNames.includes(secretName)) continue;
      const { certificate, key } = await this.#authority.issue(commonName, dnsNames, validMs);
      const files = { 'tls.crt': certificate, 'tls.key': key, 'ca.crt': this.#authority.certificate };
      const data = Object.entries(files).map(([name, text]) => [name, Buffer.from(text)] as const);
      this.#secrets.set(secretName, Object.fromEntries(data));
    }
  }

  /** What is issued from now on is under it. It has a new key too, unless the manifest says that it is not to. */
  async renewAuthority(): Promise<void> {
    const { privateKey } = this.#certificates.find(({ isCA }) => isCA === true)!;
    const isKept = privateKey.rotationPolicy === 'Never';
    this.#authority = await (isKept ? this.#authority.renewed() : CertificateAuthority.create('keyfleet-ca'));
  }
}
