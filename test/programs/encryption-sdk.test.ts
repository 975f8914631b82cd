import { buildClient, CommitmentPolicy, getClient, KMS, KmsKeyringNode } from '@aws-crypto/client-node';
import { newKey } from '@keyfleet/test-support/sdk-keys';
import { randomBytes } from 'node:crypto';
import { expect, inject, test } from 'vitest';

const { encrypt, decrypt } = buildClient(CommitmentPolicy.REQUIRE_ENCRYPT_REQUIRE_DECRYPT);
// It is typed for compilers that take an absent member for an undefined one.
const clientProvider = getClient(KMS as unknown as Parameters<typeof getClient>[0], inject('cluster'));
const context = { purpose: 'test', stage: 'night' };

test('the AWS Encryption SDK protects a file under two keys, and either opens it', async () => {
  const [first, second] = [await newKey(), await newKey()];
  const both = new KmsKeyringNode({ clientProvider, generatorKeyId: first.Arn, keyIds: [second.Arn] });
  // More than a frame, so that the format is exercised too.
  const file = randomBytes(50_000);
  const { result } = await encrypt(both, file, { encryptionContext: context });
  for (const { Arn } of [first, second]) {
    const opened = await decrypt(new KmsKeyringNode({ clientProvider, keyIds: [Arn] }), result);
    expect(opened.plaintext.equals(file)).toBe(true);
    expect(opened.messageHeader.encryptionContext).toMatchObject(context);
  }
});

test('the AWS Encryption SDK opens nothing with another key, and nothing that was changed', async () => {
  const [key, other] = [await newKey(), await newKey()];
  const keyring = new KmsKeyringNode({ clientProvider, generatorKeyId: key.Arn });
  const { result } = await encrypt(keyring, 'attack at dawn');
  const stranger = new KmsKeyringNode({ clientProvider, keyIds: [other.Arn] });
  await expect(decrypt(stranger, result)).rejects.toThrow();
  result[result.length - 1]! ^= 1;
  await expect(decrypt(keyring, result)).rejects.toThrow();
});
