import { type KeySpec, keySpecs } from '@keyfleet/shared/key-specs';
import type { SigningAlgorithm } from '@keyfleet/shared/algorithms';
import { constants, createPublicKey, hash, verify } from 'node:crypto';
import { bytesOf, check, type Preparation, type Scenario } from './scenario.ts';
import { shortName, specsFor } from './spec-names.ts';

interface Variant {
  readonly name: string;
  readonly spec: KeySpec;
  readonly algorithm: SigningAlgorithm;
}

/** For RSA both paddings, for Ed25519 whole messages; every other spec has one algorithm. */
const variants: readonly Variant[] = specsFor('SIGN_VERIFY').flatMap((spec): Variant[] => {
  const { kind, usages } = keySpecs[spec] as { kind: string; usages: { SIGN_VERIFY: readonly SigningAlgorithm[] } };
  const name = shortName(spec);
  if (kind !== 'rsa') return [{ name, spec, algorithm: usages.SIGN_VERIFY[0]! }];
  return [
    { name, spec, algorithm: 'RSASSA_PSS_SHA_256' },
    { name: `${name}-pkcs1`, spec, algorithm: 'RSASSA_PKCS1_V1_5_SHA_256' },
  ];
});

export const signingScenarios: readonly Scenario[] = variants.flatMap((variant) => [
  {
    name: `sign-${variant.name}`,
    operation: 'Sign',
    prepare: async (p) => [{ operation: 'Sign', input: (await signed(p, variant)).input }],
  },
  {
    name: `verify-${variant.name}`,
    operation: 'Verify',
    async prepare(preparation) {
      const { input, Signature } = await signed(preparation, variant);
      return [{ operation: 'Verify', input: { ...input, Signature } }];
    },
  },
]);

async function signed({ caller, pool, payload }: Preparation, { spec, algorithm }: Variant) {
  const KeyId = await pool.one({ KeySpec: spec, KeyUsage: 'SIGN_VERIFY' });
  const input = { KeyId, Message: bytesOf(payload), SigningAlgorithm: algorithm };
  const { Signature } = await caller.call('Sign', input);
  const { SignatureValid } = await caller.call('Verify', { ...input, Signature });
  check(SignatureValid === true, `it does not verify its own ${algorithm} signature`);
  const { PublicKey } = await caller.call('GetPublicKey', { KeyId });
  check(
    isSignature(String(PublicKey), input.Message, String(Signature), algorithm),
    `its ${algorithm} signature is not one`,
  );
  await checkRefusal(caller, { ...input, Message: bytesOf(payload + 1), Signature });
  return { input, Signature };
}

/** A server that says yes to everything is not measured. */
async function checkRefusal(caller: Preparation['caller'], input: Readonly<Record<string, unknown>>): Promise<void> {
  // AWS answers with an error, others with a `false`.
  const answer = await caller.call('Verify', input).catch(() => ({ SignatureValid: false }));
  check((answer as { SignatureValid?: unknown }).SignatureValid !== true, 'it verifies a signature of another message');
}

/** OpenSSL's opinion; PublicKey and signature in base64. */
function isSignature(publicKey: string, message: string, signature: string, algorithm: SigningAlgorithm): boolean {
  const key = createPublicKey({ key: Buffer.from(publicKey, 'base64'), format: 'der', type: 'spki' });
  const [data, bytes] = [Buffer.from(message, 'base64'), Buffer.from(signature, 'base64')];
  const digest = `sha${algorithm.slice(-3)}`;
  if (algorithm.startsWith('RSASSA_PSS')) {
    const saltLength = hash(digest, '', 'buffer').length;
    return verify(digest, data, { key, padding: constants.RSA_PKCS1_PSS_PADDING, saltLength }, bytes);
  }
  if (algorithm.startsWith('ED25519') || algorithm.startsWith('ML_DSA')) return verify(null, data, key, bytes);
  return verify(digest, data, key, bytes);
}
