import type { CommandName, InputOf, OutputOf } from '@keyfleet/shared/hsm/commands';
import { expect, test } from 'vitest';
import type { KmsKey } from './kms-key.ts';
import { PublicKeys } from './public-keys.ts';

const [right, wrong] = [Buffer.from('right'), Buffer.from('wrong')];
const backingKey = { token: Buffer.from('token'), publicKey: right };
const key = { keyId: 'k', arn: 'arn', accountId: 'a', backingKeys: [backingKey] } as object as KmsKey;

/** What HSMs find in the token. */
function start() {
  const state = { found: right as Buffer | undefined, asked: 0 };
  const execute = async <N extends CommandName>(_name: N, _input: InputOf<N>): Promise<OutputOf<N>> => {
    state.asked++;
    return { publicKey: state.found } as unknown as OutputOf<N>;
  };
  return { state, publicKeys: new PublicKeys({ execute }) };
}

test('a public key is matched to its token once, and again after a member has left', async () => {
  const { state, publicKeys } = start();
  for (let time = 0; time < 3; time++) expect(await publicKeys.of(key, 0)).toBe(right);
  expect(state.asked).toBe(1);
  publicKeys.forget();
  state.found = wrong;
  await expect(publicKeys.of(key, 0)).rejects.toThrow('a different public key from its key material');
});

test('what was found before a member left is not kept when it is heard afterwards', async () => {
  const { state, publicKeys } = start();
  const before = publicKeys.of(key, 0);
  publicKeys.forget();
  await before;
  await publicKeys.of(key, 0);
  expect(state.asked).toBe(2);
});

test('a public key that another key material has is given to nobody', async () => {
  const { state, publicKeys } = start();
  for (const found of [wrong, undefined]) {
    state.found = found;
    await expect(publicKeys.of(key, 0)).rejects.toThrow('a different public key from its key material');
  }
  const without = { ...key, backingKeys: [{ token: backingKey.token }] } as object as KmsKey;
  await expect(publicKeys.of(without, 0)).rejects.toThrow('has no public key');
});
