import { testContext } from '@keyfleet/test-support/command-context';
import { createHash, randomBytes } from 'node:crypto';
import { monotonicClock, systemClock } from '@keyfleet/shared/clock';
import type { CommandName, InputOf, OutputOf } from '@keyfleet/shared/hsm/commands';
import type { KeySpec, KeyUsage } from '@keyfleet/shared/key-specs';
import type { CommandHandler } from '../../services/hsm-worker/src/boundary/commands/command.ts';
import { handlers } from '../../services/hsm-worker/src/boundary/commands/handlers.ts';
import { measureCost } from './cost.ts';
import { newNonceSource } from '../../services/hsm-worker/src/boundary/crypto/random.ts';
import { BackingKeyCache } from '../../services/hsm-worker/src/boundary/keys/backing-keys.ts';

/**
 * What each command costs inside the boundary, with the backing key in the cache: `node bench/micro/boundary.ts
 * [name]`. CPU time of the whole process (thread pool and collector too), one call at a time, the best of five batches.
 */
const context = testContext({
  clock: systemClock,
  random: randomBytes,
  nonce: newNonceSource(),
  backingKeys: new BackingKeyCache({ monotonicClock, maxBytes: 64 << 20, maxAgeMs: 600_000 }),
});
const keyId = '00000000-0000-4000-8000-000000000000';
const account = '111122223333';
const message = Buffer.alloc(64, 1);
const digest = createHash('sha512').update(message).digest();

function run<N extends CommandName>(name: N, input: InputOf<N>): OutputOf<N> | Promise<OutputOf<N>> {
  const handler = handlers[name] as unknown as CommandHandler<N>;
  return handler(input, context, undefined);
}

async function key(
  keySpec: KeySpec,
  keyUsage: KeyUsage,
): Promise<{ keyId: string; account: string; token: Uint8Array }> {
  const { token } = await run('GenerateBackingKey', { keyId, account, keySpec, keyUsage });
  return { keyId, account, token };
}

const symmetric = await key('SYMMETRIC_DEFAULT', 'ENCRYPT_DECRYPT');
for (const encryptionContext of [{}, { tenant: '42', purpose: 'backup' }]) {
  const options = { ...symmetric, algorithm: 'SYMMETRIC_DEFAULT', encryptionContext };
  const { ciphertext } = await run('Encrypt', { ...options, plaintext: message });
  const pairs = `${Object.keys(encryptionContext).length} context pairs`;
  await measureCost(`Encrypt, ${pairs}`, 50_000, () => run('Encrypt', { ...options, plaintext: message }));
  await measureCost(`Decrypt, ${pairs}`, 50_000, () => run('Decrypt', { ...options, ciphertext }));
  const dataKey = { ...symmetric, encryptionContext, length: 32, withPlaintext: true };
  await measureCost(`GenerateDataKey, ${pairs}`, 50_000, () => run('GenerateDataKey', dataKey));
}
const making = { keyId, account, keySpec: 'SYMMETRIC_DEFAULT', keyUsage: 'ENCRYPT_DECRYPT' } as const;
await measureCost('GenerateBackingKey SYMMETRIC_DEFAULT', 20_000, () => run('GenerateBackingKey', making));
await measureCost('open a token that is not cached', 20_000, () => {
  context.backingKeys.clear();
  return context.backingKeys.open(symmetric.token, context.keyring);
});

const hmac = { ...(await key('HMAC_256', 'GENERATE_VERIFY_MAC')), algorithm: 'HMAC_SHA_256', message };
await measureCost('GenerateMac HMAC_256', 50_000, () => run('GenerateMac', hmac));

const signing: [KeySpec, string, ('RAW' | 'DIGEST' | 'EXTERNAL_MU')[]][] = [
  ['ECC_NIST_P256', 'ECDSA_SHA_256', ['RAW', 'DIGEST']],
  ['ECC_SECG_P256K1', 'ECDSA_SHA_256', ['RAW', 'DIGEST']],
  ['ECC_NIST_P384', 'ECDSA_SHA_384', ['RAW', 'DIGEST']],
  ['ECC_NIST_P521', 'ECDSA_SHA_512', ['RAW', 'DIGEST']],
  ['ECC_NIST_EDWARDS25519', 'ED25519_SHA_512', ['RAW']],
  ['ECC_NIST_EDWARDS25519', 'ED25519_PH_SHA_512', ['DIGEST']],
  ['RSA_2048', 'RSASSA_PSS_SHA_256', ['RAW', 'DIGEST']],
  ['RSA_4096', 'RSASSA_PKCS1_V1_5_SHA_256', ['RAW']],
  ['ML_DSA_44', 'ML_DSA_SHAKE_256', ['RAW', 'EXTERNAL_MU']],
  ['ML_DSA_87', 'ML_DSA_SHAKE_256', ['RAW', 'EXTERNAL_MU']],
];
for (const [keySpec, algorithm, messageTypes] of signing) {
  const signer = await key(keySpec, 'SIGN_VERIFY');
  for (const messageType of messageTypes) {
    const length = messageType === 'EXTERNAL_MU' ? 64 : Number(algorithm.slice(-3)) / 8;
    const signed = messageType === 'RAW' ? message : digest.subarray(0, length);
    const input = { ...signer, algorithm, messageType, message: signed };
    const { signature } = await run('Sign', input);
    await measureCost(`Sign ${keySpec} ${algorithm} ${messageType}`, 100, () => run('Sign', input));
    await measureCost(`Verify ${keySpec} ${algorithm} ${messageType}`, 100, () =>
      run('Verify', { ...input, signature }),
    );
  }
}
