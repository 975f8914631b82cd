import { refusedByPublicIssuers } from '@keyfleet/test-support/public-issuer';
import { CertificateAuthority } from '../../../../tools/certificates.ts';
import type { Objects } from './first-start.ts';
import type { CertificateSpec, Rendered } from './rendered.ts';

/** The namespace's own, and the one that the overlay names, whose authority everybody has. */
const OWN = 'keyfleet-ca';
const PUBLIC = 'public';

/** What cert-manager makes of the Certificates. */
export class CertManager {
  readonly #certificates: readonly CertificateSpec[];
  readonly #secrets: Objects;
  readonly #public: CertificateAuthority;
  #authority: CertificateAuthority;

  private constructor(
    certificates: readonly CertificateSpec[],
    secrets: Objects,
    authorities: { readonly own: CertificateAuthority; readonly public: CertificateAuthority },
  ) {
    this.#certificates = certificates;
    this.#secrets = secrets;
    this.#public = authorities.public;
    this.#authority = authorities.own;
  }

  static async of({ certificates }: Rendered, secrets: Objects): Promise<CertManager> {
    const [own, everybodys] = [await CertificateAuthority.create(OWN), await CertificateAuthority.create(PUBLIC)];
    const certManager = new CertManager(certificates, secrets, { own, public: everybodys });
    certManager.#become(own);
    return certManager;
  }

  /** The Secrets of certificates that services have, not of the authority. */
  get secretNames(): string[] {
    return this.#certificates.filter(({ isCA }) => isCA !== true).map(({ secretName }) => secretName);
  }

  /** What customers trust who trust what everybody does. PEM. */
  get publicAuthority(): string {
    return this.#public.certificate;
  }

  /** A name of the certificate in a Secret. */
  nameIn(secret: string): string {
    return this.#certificates.find(({ secretName }) => secretName === secret)!.dnsNames![0]!;
  }

  /** Writes a new key and certificate into each of the Secrets. Throws for names that no public issuer signs. */
  async issue(secretNames: readonly string[], validMs?: number): Promise<void> {
    for (const spec of this.#certificates) {
      if (!secretNames.includes(spec.secretName)) continue;
      const { authority, ca } = this.#issuerOf(spec);
      const { certificate, key } = await authority.issue(spec.commonName, spec.dnsNames ?? [], validMs);
      const files = { 'tls.crt': certificate, 'tls.key': key, ...ca };
      const data = Object.entries(files).map(([name, text]) => [name, Buffer.from(text)] as const);
      this.#secrets.set(spec.secretName, Object.fromEntries(data));
    }
  }

  /** What is issued from now on is under it. It has a new key too, unless the manifest says that it is not to. */
  async renewAuthority(): Promise<void> {
    const { privateKey } = this.#certificates.find(({ isCA }) => isCA === true)!;
    if (privateKey.rotationPolicy !== 'Never') return this.remakeAuthority();
    this.#become(await this.#authority.renewed());
  }

  /** As when its Secret was deleted: with another key, whatever the manifest says. */
  async remakeAuthority(): Promise<void> {
    this.#become(await CertificateAuthority.create(OWN));
  }

  #become(authority: CertificateAuthority): void {
    this.#authority = authority;
    this.#secrets.set(OWN, { 'tls.crt': Buffer.from(authority.certificate) });
  }

  /** `ca`: of ACME there is none (https://cert-manager.io/docs/configuration/acme/). */
  #issuerOf({ secretName, commonName, dnsNames = [], issuerRef: { name } }: CertificateSpec) {
    if (name === OWN) return { authority: this.#authority, ca: { 'ca.crt': this.#authority.certificate } };
    if (name !== PUBLIC) throw new Error(`${secretName}: no issuer ${name}`);
    const refused = refusedByPublicIssuers([commonName, ...dnsNames]);
    if (refused.length > 0) throw new Error(`${secretName}: no public issuer signs ${refused.join(', ')}`);
    return { authority: this.#public, ca: {} };
  }
}
