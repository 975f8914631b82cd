import { createHash, createPublicKey, type KeyObject, webcrypto } from 'node:crypto';
import { BoundedCache } from '@keyfleet/shared/bounded-cache';
import { type Chain, type SigningKey, signingKeyOf } from './certificate-chain.ts';
import { readDocument } from './document.ts';
import { AttestationError } from './errors.ts';

/** How old a document may be, and how far in the future: five minutes, as in AWS. */
const WINDOW_MS = 5 * 60_000;
const MAX_CHAINS = 1000;
const modulusBits: readonly (number | undefined)[] = [2048, 3072, 4096];

/** What an attestation document proves about who is to get the answer. */
export interface Attestation {
  /** Who made it: a Nitro enclave, or an EC2 instance by its NitroTPM. Their registers mean different things. */
  readonly platform: 'enclave' | 'nitro-tpm';
  readonly moduleId: string;
  /** What its platform configuration registers hold, by number. */
  readonly pcrs: ReadonlyMap<number, Buffer>;
  /** Its RSA key, to encrypt the answer to; DER SubjectPublicKeyInfo. */
  readonly publicKey: Uint8Array;
}

/** Verifies attestation documents of Nitro enclaves and of NitroTPM. */
export class Attestations {
  readonly #roots: readonly Buffer[];
  /** Of chains that were verified, by their hash: an enclave has the same for hours, and to verify it takes 25 ms. */
  readonly #keys = new BoundedCache<SigningKey>({ maxWeight: MAX_CHAINS });

  /** `roots`: DER certificates. */
  constructor(roots: readonly Buffer[]) {
    this.#roots = roots;
  }

  /** `now`: milliseconds since the epoch. Throws `AttestationError`. */
  async verify(document: Uint8Array, now: number): Promise<Attestation> {
    const { payload, signed, signature } = readDocument(document);
    const { timestamp, certificate, cabundle: authorities, public_key: publicKey } = payload;
    if (Math.abs(now - timestamp) > WINDOW_MS) throw new AttestationError('is not of the last five minutes');
    const { key } = await this.#signingKeyOf({ authorities, certificate }, now);
    if (!(await webcrypto.subtle.verify({ name: 'ECDSA', hash: 'SHA-384' }, key, signature, signed))) {
      throw new AttestationError('has a signature that does not verify');
    }
    const [platform, pcrs] =
      'pcrs' in payload ? (['enclave', payload.pcrs] as const) : (['nitro-tpm', payload.nitrotpm_pcrs] as const);
    return {
      platform,
      moduleId: payload.module_id,
      pcrs: new Map([...pcrs].map(([index, pcr]) => [index, Buffer.from(pcr)])),
      publicKey: assertedKey(publicKey ?? undefined),
    };
  }

  async #signingKeyOf(chain: Chain, now: number): Promise<SigningKey> {
    const hash = hashOf(chain);
    const known = this.#keys.get(hash);
    if (known !== undefined && now >= known.notBefore && now <= known.notAfter) return known;
    const verified = await signingKeyOf(chain, { roots: this.#roots, now });
    this.#keys.set(hash, verified);
    return verified;
  }
}

function hashOf({ authorities, certificate }: Chain): string {
  const hash = createHash('sha256');
  for (const der of [...authorities, certificate]) hash.update(`${der.length} `).update(der);
  return hash.digest('base64');
}

function assertedKey(der: Uint8Array | undefined): Uint8Array {
  if (der === undefined) throw new AttestationError('has no public key');
  const { asymmetricKeyType: type, asymmetricKeyDetails: details } = keyOf(der);
  const isRight = type === 'rsa' && modulusBits.includes(details?.modulusLength) && details?.publicExponent === 65_537n;
  if (!isRight) throw new AttestationError('has a public key that is none of RSA with 2048, 3072 or 4096 bits');
  return Uint8Array.from(der);
}

function keyOf(der: Uint8Array): KeyObject {
  try {
    return createPublicKey({ key: Buffer.from(der), format: 'der', type: 'spki' });
  } catch (error) {
    throw new AttestationError('has a malformed public key', { cause: error });
  }
}
