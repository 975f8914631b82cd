// @peculiar/x509 needs this loaded first.
import 'reflect-metadata';
import {
  BasicConstraintsExtension,
  type Extension,
  KeyUsageFlags,
  KeyUsagesExtension,
  type X509Certificate,
  X509CertificateGenerator,
} from '@peculiar/x509';
import { encode } from 'cborg';
import {
  constants,
  createDecipheriv,
  generateKeyPairSync,
  type KeyObject,
  privateDecrypt,
  randomBytes,
  type webcrypto,
} from 'node:crypto';

const P384 = { name: 'ECDSA', namedCurve: 'P-384', hash: 'SHA-384' };
const DAY_MS = 86_400_000;

/** A certificate and its key. */
export interface Signer {
  readonly certificate: X509Certificate;
  readonly keys: webcrypto.CryptoKeyPair;
}

interface Issuing {
  readonly name: string;
  readonly issuer?: Signer;
  readonly extensions: readonly Extension[];
  /** Milliseconds since the epoch. */
  readonly notBefore: number;
  readonly notAfter: number;
}

const certificateSigner = new KeyUsagesExtension(KeyUsageFlags.keyCertSign, true);

export const extensionsOf = {
  authority: (pathLength?: number): Extension[] => [
    new BasicConstraintsExtension(true, pathLength, true),
    certificateSigner,
  ],
  leaf: (usage = KeyUsageFlags.digitalSignature): Extension[] => [
    new BasicConstraintsExtension(false, undefined, true),
    new KeyUsagesExtension(usage, false),
  ],
};

export async function issue({ name, issuer, extensions, notBefore, notAfter }: Issuing): Promise<Signer> {
  const keys = await crypto.subtle.generateKey(P384, true, ['sign', 'verify']);
  const certificate = await X509CertificateGenerator.create({
    serialNumber: `00${randomBytes(15).toString('hex')}`,
    notBefore: new Date(notBefore),
    notAfter: new Date(notAfter),
    signingAlgorithm: P384,
    subject: `CN=${name}`,
    issuer: issuer?.certificate.subject ?? `CN=${name}`,
    publicKey: keys.publicKey,
    signingKey: (issuer?.keys ?? keys).privateKey,
    extensions: [...extensions],
  });
  return { certificate, keys };
}

/** The members of a document; `undefined` leaves one out. */
type Members = Readonly<Record<string, unknown>>;

/** Makes attestation documents as the Nitro hypervisor does, under a root of its own. */
export class TestNitro {
  /** From the root down to the certificate that signs documents. */
  readonly chain: readonly Signer[];
  readonly #now: number;

  private constructor(chain: readonly Signer[], now: number) {
    this.chain = chain;
    this.#now = now;
  }

  /** `now`: when its certificates are valid and its documents made, in milliseconds since the epoch. */
  static async make(now: number): Promise<TestNitro> {
    const valid = { notBefore: now - DAY_MS, notAfter: now + DAY_MS };
    const root = await issue({ name: 'root', extensions: extensionsOf.authority(), ...valid });
    const regional = await issue({ name: 'regional', issuer: root, extensions: extensionsOf.authority(1), ...valid });
    const host = await issue({ name: 'host', issuer: regional, extensions: extensionsOf.authority(0), ...valid });
    const leaf = await issue({ name: 'enclave', issuer: host, extensions: extensionsOf.leaf(), ...valid });
    return new TestNitro([root, regional, host, leaf], now);
  }

  withChain(chain: readonly Signer[]): TestNitro {
    return new TestNitro(chain, this.#now);
  }

  /** DER. */
  get root(): Buffer {
    return derOf(this.chain[0]!);
  }

  get rootPem(): string {
    return `${this.chain[0]!.certificate.toString('pem')}\n`;
  }

  /** `changed`: other members than an enclave's usual ones. */
  async document(publicKey: Uint8Array | undefined, changed: Members = {}): Promise<Buffer> {
    const members = { ...this.#members(publicKey), ...changed };
    return this.sign(encode(new Map(Object.entries(members).filter(([, value]) => value !== undefined))));
  }

  /** Of an EC2 instance, as its NitroTPM has it. */
  async instanceDocument(publicKey: Uint8Array | undefined): Promise<Buffer> {
    const registers = new Map(Array.from({ length: 24 }, (_, index) => [index, pcrOf(index)]));
    const module_id = 'i-0123456789abcdef0-tpm0000000000000000';
    return this.document(publicKey, { module_id, pcrs: undefined, nitrotpm_pcrs: registers });
  }

  /** Signs any payload as a document. */
  async sign(payload: Uint8Array): Promise<Buffer> {
    const header = Buffer.from('a1013822', 'hex');
    const signed = Uint8Array.from(encode(['Signature1', header, new Uint8Array(), payload]));
    const signature = await crypto.subtle.sign(P384, this.chain.at(-1)!.keys.privateKey, signed);
    return Buffer.from(encode([header, new Map(), payload, new Uint8Array(signature)]));
  }

  #members(publicKey: Uint8Array | undefined): Members {
    return {
      module_id: 'i-0123456789abcdef0-enc0123456789abcdef',
      digest: 'SHA384',
      timestamp: this.#now,
      pcrs: new Map([0, 1, 2, 3, 4, 8].map((index) => [index, pcrOf(index)])),
      certificate: derOf(this.chain.at(-1)!),
      cabundle: this.chain.slice(0, -1).map(derOf),
      public_key: publicKey ?? null,
      user_data: null,
      nonce: null,
    };
  }
}

/** The register's value in every enclave of a test. */
export function pcrOf(index: number): Buffer {
  return Buffer.alloc(48, index + 1);
}

function derOf({ certificate }: Signer): Buffer {
  return Buffer.from(certificate.rawData);
}

/** An enclave: it has the key that its document names. */
export class TestEnclave {
  readonly #privateKey: KeyObject;
  /** DER SubjectPublicKeyInfo. */
  readonly publicKey: Buffer;

  constructor(modulusLength = 2048) {
    const { privateKey, publicKey } = generateKeyPairSync('rsa', { modulusLength });
    this.#privateKey = privateKey;
    this.publicKey = publicKey.export({ format: 'der', type: 'spki' });
  }

  /** PKCS #8 PEM. */
  get privateKeyPem(): string {
    return String(this.#privateKey.export({ format: 'pem', type: 'pkcs8' }));
  }

  /** Opens a CiphertextForRecipient by the fixed places of its parts. */
  open(enveloped: Uint8Array): Buffer {
    const cms = Buffer.from(enveloped);
    const modulusBytes = this.#privateKey.asymmetricKeyDetails!.modulusLength! / 8;
    const keyAt = cms.indexOf(Buffer.from([0x04, 0x82, modulusBytes >> 8, modulusBytes & 0xff])) + 4;
    const padding = { padding: constants.RSA_PKCS1_OAEP_PADDING, oaepHash: 'sha256' };
    const key = privateDecrypt({ key: this.#privateKey, ...padding }, cms.subarray(keyAt, keyAt + modulusBytes));
    const ivAt = cms.indexOf(Buffer.from('60864801650304012a0410', 'hex')) + 11;
    const lengthAt = ivAt + 16 + 3;
    const [start, length] = lengthOf(cms, lengthAt);
    const decipher = createDecipheriv('aes-256-cbc', key, cms.subarray(ivAt, ivAt + 16));
    return Buffer.concat([decipher.update(cms.subarray(start, start + length)), decipher.final()]);
  }
}

/** Where the content starts, and its length, of the DER element whose length is at `at`. */
function lengthOf(der: Buffer, at: number): [start: number, length: number] {
  const first = der[at]!;
  if (first < 0x80) return [at + 1, first];
  const more = first - 0x80;
  return [at + 1 + more, der.readUIntBE(at + 1, more)];
}
