import { execFile } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';

const run = promisify(execFile);

export interface Certificate {
  readonly certificateFile: string;
  /** Mode 0600. */
  readonly keyFile: string;
}

/** A certificate authority of its own in a directory, made with OpenSSL's command line. */
export class TestAuthority {
  readonly caFile: string;
  readonly #directory: string;
  readonly #name: string;

  private constructor(directory: string, name: string) {
    this.#directory = directory;
    this.#name = name;
    this.caFile = join(directory, `${name}-ca.pem`);
  }

  static async make(directory: string, name: string): Promise<TestAuthority> {
    const authority = new TestAuthority(directory, name);
    const key = join(directory, `${name}-ca-key.pem`);
    await openssl(['req', '-x509', ...newKey, '-subj', `/CN=${name}`, '-keyout', key, '-out', authority.caFile]);
    return authority;
  }

  /** For a server of these names, or a client of the first. */
  async issue(...names: readonly string[]): Promise<Certificate> {
    const [commonName = ''] = names;
    const at = (what: string): string => join(this.#directory, `${this.#name}-${commonName}-${what}.pem`);
    const [keyFile, certificateFile, extensions] = [at('key'), at('certificate'), at('extensions')];
    writeFileSync(extensions, `subjectAltName=${names.map((name) => `DNS:${name}`).join(',')}\n`);
    const subject = ['-subj', `/CN=${commonName}`] as const;
    await openssl(['req', ...newKey, ...subject, '-keyout', keyFile, '-out', at('request')]);
    const issuer = ['-CA', this.caFile, '-CAkey', join(this.#directory, `${this.#name}-ca-key.pem`)] as const;
    const about = ['-in', at('request'), '-extfile', extensions, '-days', '2', '-out', certificateFile] as const;
    await openssl(['x509', '-req', ...issuer, ...about]);
    return { certificateFile, keyFile };
  }
}

const newKey = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes'] as const;

async function openssl(args: readonly string[]): Promise<void> {
  await run('openssl', args);
}
