import { randomUUID } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import type { HsmCommands } from './commands.ts';

const account = '111122223333';
const deadline = (): number => Date.now() + 10_000;
const plaintext = Buffer.from('attack at dawn');
const SYMMETRIC = { algorithm: 'SYMMETRIC_DEFAULT', encryptionContext: { purpose: 'test' } } as const;

async function newKey(hsm: HsmCommands) {
  const keyId = randomUUID();
  const kind = { keySpec: 'SYMMETRIC_DEFAULT', keyUsage: 'ENCRYPT_DECRYPT' } as const;
  const { token, materialId } = await hsm.execute('GenerateBackingKey', { keyId, account, ...kind }, deadline());
  return { key: { keyId, account, token }, materialId };
}

/** What handlers rely on in an HSM, whatever implements it. `open` starts one. */
export function hsmContract(name: string, open: () => Promise<{ hsm: HsmCommands } & AsyncDisposable>): void {
  describe(`HSM commands by ${name}`, () => {
    test('a plaintext encrypted under a key and a context is decrypted with them', async () => {
      await using opened = await open();
      const { key } = await newKey(opened.hsm);
      const { ciphertext } = await opened.hsm.execute('Encrypt', { ...key, ...SYMMETRIC, plaintext }, deadline());
      const decrypted = await opened.hsm.execute('Decrypt', { ...key, ...SYMMETRIC, ciphertext }, deadline());
      expect(Buffer.from(decrypted.plaintext)).toEqual(plaintext);
    });

    test('another context, another key and a changed ciphertext are refused alike', async () => {
      await using opened = await open();
      const [{ key }, { key: other }] = [await newKey(opened.hsm), await newKey(opened.hsm)];
      const { ciphertext } = await opened.hsm.execute('Encrypt', { ...key, ...SYMMETRIC, plaintext }, deadline());
      const changed = Buffer.from(ciphertext);
      changed[changed.length - 1]! ^= 1;
      for (const input of [
        { ...key, ...SYMMETRIC, encryptionContext: { purpose: 'other' }, ciphertext },
        { ...other, ...SYMMETRIC, ciphertext },
        { ...key, ...SYMMETRIC, ciphertext: changed },
      ]) {
        await expect(opened.hsm.execute('Decrypt', input, deadline())).rejects.toMatchObject({
          name: 'HsmRefusedError',
          refusal: 'cannot-open',
        });
      }
    });

    test('a token that was moved to another key is damaged', async () => {
      await using opened = await open();
      const { key } = await newKey(opened.hsm);
      const moved = { ...key, keyId: randomUUID() };
      await expect(
        opened.hsm.execute('Encrypt', { ...moved, ...SYMMETRIC, plaintext }, deadline()),
      ).rejects.toMatchObject({ name: 'HsmRefusedError', refusal: 'damaged-token' });
    });

    test('a data key comes with its plaintext only if that is wanted', async () => {
      await using opened = await open();
      const { key } = await newKey(opened.hsm);
      const wanted = { ...key, encryptionContext: {}, length: 32 };
      const made = await opened.hsm.execute('GenerateDataKey', { ...wanted, withPlaintext: true }, deadline());
      const { ciphertext } = made;
      const context = { algorithm: 'SYMMETRIC_DEFAULT', encryptionContext: {} };
      const { plaintext: dataKey } = await opened.hsm.execute(
        'Decrypt',
        { ...key, ...context, ciphertext },
        deadline(),
      );
      expect(Buffer.from(dataKey)).toEqual(Buffer.from(made.plaintext!));
      const without = await opened.hsm.execute('GenerateDataKey', { ...wanted, withPlaintext: false }, deadline());
      expect(without.plaintext).toBeUndefined();
    });

    test('a credential is opened for its owner', async () => {
      await using opened = await open();
      const owner = { accessKeyId: 'AKIAALICEALICEALICEA', principal: `arn:aws:iam::${account}:user/alice` };
      const { secretAccessKey, token } = await opened.hsm.execute('GenerateCredential', owner, deadline());
      const again = await opened.hsm.execute('OpenCredential', { ...owner, token }, deadline());
      expect(Buffer.from(again.secretAccessKey)).toEqual(Buffer.from(secretAccessKey));
    });

    test('a key is used after every HSM forgot its material', async () => {
      await using opened = await open();
      const { key, materialId } = await newKey(opened.hsm);
      await opened.hsm.executeEverywhere('EvictBackingKey', { materialId }, deadline());
      await opened.hsm.execute('Encrypt', { ...key, ...SYMMETRIC, plaintext }, deadline());
    });
  });
}
