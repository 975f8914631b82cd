// @peculiar/x509 needs it before anything else of it is loaded.
import 'reflect-metadata';
import {
  BasicConstraintsExtension,
  type Extension,
  KeyUsageFlags,
  KeyUsagesExtension,
  X509Certificate,
} from '@peculiar/x509';
import { AttestationError } from './errors.ts';

const BASIC_CONSTRAINTS = '2.5.29.19';
const KEY_USAGE = '2.5.29.15';
const P384 = { name: 'ECDSA', namedCurve: 'P-384' };

/** DER. */
export interface Chain {
  /** From the root down. */
  readonly authorities: readonly Uint8Array[];
  readonly certificate: Uint8Array;
}

export interface TrustedAt {
  /** DER. */
  readonly roots: readonly Buffer[];
  /** Milliseconds since the epoch. */
  readonly now: number;
}

/** The key of a chain's last certificate. */
export interface SigningKey {
  readonly key: CryptoKey;
  /** When all of the chain is valid, in milliseconds since the epoch. */
  readonly notBefore: number;
  readonly notAfter: number;
}

/**
 * The key that the chain's certificate is for, to verify ECDSA signatures (RFC 5280, 6.1, for what Nitro's certificates
 * are: P-384 keys, names and basic constraints; no revocation). Throws `AttestationError`.
 */
export async function signingKeyOf(chain: Chain, trusted: TrustedAt): Promise<SigningKey> {
  try {
    return await keyUnder(chain, trusted);
  } catch (error) {
    if (error instanceof AttestationError) throw error;
    // The library reads extensions and keys when they are asked for.
    throw new AttestationError('has a malformed certificate', { cause: error });
  }
}

async function keyUnder({ authorities, certificate }: Chain, { roots, now }: TrustedAt): Promise<SigningKey> {
  const [root = Buffer.of()] = authorities;
  if (!roots.some((trusted) => trusted.equals(root))) throw new AttestationError('is not signed under a trusted root');
  const chain = [...authorities, certificate].map((der) => new X509Certificate(Buffer.from(der)));
  const leaf = chain.at(-1)!;
  for (const [at, one] of chain.entries()) {
    assertUsable(one, { isLeaf: one === leaf, below: chain.length - 2 - at, now });
    const issuer = chain[at - 1];
    if (issuer !== undefined) await assertIssued(one, issuer);
  }
  return {
    key: await leaf.publicKey.export(P384, ['verify']),
    notBefore: Math.max(...chain.map(({ notBefore }) => notBefore.getTime())),
    notAfter: Math.min(...chain.map(({ notAfter }) => notAfter.getTime())),
  };
}

/** `below`: how many authorities follow it. */
function assertUsable(one: X509Certificate, { isLeaf, below, now }: { isLeaf: boolean; below: number; now: number }) {
  if (now < one.notBefore.getTime() || now > one.notAfter.getTime()) {
    throw new AttestationError('has a certificate that is not valid now');
  }
  const constraints = one.getExtension(BASIC_CONSTRAINTS);
  const usage = one.getExtension(KEY_USAGE);
  const hasUsage = (flag: KeyUsageFlags): boolean => usage instanceof KeyUsagesExtension && (usage.usages & flag) !== 0;
  const isAuthority = constraints instanceof BasicConstraintsExtension && constraints.ca;
  const isRight = isLeaf
    ? !isAuthority && hasUsage(KeyUsageFlags.digitalSignature)
    : isAuthority && hasUsage(KeyUsageFlags.keyCertSign) && below <= (constraints.pathLength ?? Infinity);
  if (!isRight || !one.extensions.every(isUnderstood)) {
    throw new AttestationError('has a certificate that may not be used so');
  }
}

function isUnderstood({ critical, type }: Extension): boolean {
  return !critical || type === BASIC_CONSTRAINTS || type === KEY_USAGE;
}

async function assertIssued(one: X509Certificate, issuer: X509Certificate): Promise<void> {
  const isNamed = Buffer.from(one.issuerName.toArrayBuffer()).equals(Buffer.from(issuer.subjectName.toArrayBuffer()));
  if (!isNamed || !(await isSignedBy(one, issuer))) throw new AttestationError('has a certificate of another issuer');
}

async function isSignedBy(one: X509Certificate, issuer: X509Certificate): Promise<boolean> {
  const { name, hash } = one.signatureAlgorithm as typeof one.signatureAlgorithm & { readonly name: string };
  if (name !== 'ECDSA' || hash.name !== 'SHA-384') return false;
  const publicKey = await issuer.publicKey.export(P384, ['verify']);
  return one.verify({ publicKey, signatureOnly: true });
}
