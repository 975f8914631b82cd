import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { CertificateAuthority } from '../../tools/certificates.ts';

export interface Certificate {
  readonly certificateFile: string;
  /** Mode 0600. */
  readonly keyFile: string;
}

/** A certificate authority whose certificates lie in a directory. */
export class TestAuthority {
  readonly caFile: string;
  readonly #authority: CertificateAuthority;
  readonly #directory: string;
  readonly #name: string;

  private constructor(authority: CertificateAuthority, directory: string, name: string) {
    this.#authority = authority;
    this.#directory = directory;
    this.#name = name;
    this.caFile = join(directory, `${name}-ca.pem`);
  }

  static async make(directory: string, name: string): Promise<TestAuthority> {
    const authority = await CertificateAuthority.create(name);
    const made = new TestAuthority(authority, directory, name);
    writeFileSync(made.caFile, authority.certificate);
    return made;
  }

  /** For a server of these names, or a client of the first. */
  async issue(...names: readonly string[]): Promise<Certificate> {
    const [commonName = ''] = names;
    const at = (what: string): string => join(this.#directory, `${this.#name}-${commonName}-${what}.pem`);
    const [keyFile, certificateFile] = [at('key'), at('certificate')];
    const { certificate, key } = await this.#authority.issue(commonName, names);
    writeFileSync(certificateFile, certificate);
    writeFileSync(keyFile, key, { mode: 0o600 });
    return { certificateFile, keyFile };
  }
}
