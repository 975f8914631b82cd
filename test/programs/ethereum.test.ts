import { newKms } from '@keyfleet/test-support/sdk-client';
import { newKey } from '@keyfleet/test-support/sdk-keys';
import { KMSSigner } from '@rumblefishdev/eth-signer-kms';
import { JsonRpcProvider, recoverAddress, Transaction, verifyMessage, verifyTypedData } from 'ethers';
import { afterAll, beforeAll, expect, test } from 'vitest';

/** Never asked: everything that it would tell is in the transaction. */
const provider = new JsonRpcProvider('http://127.0.0.1:9', 1, { staticNetwork: true });
type Provider = Parameters<typeof KMSSigner.create>[0];
let signer: KMSSigner;
beforeAll(async () => {
  const { KeyId } = await newKey({ KeySpec: 'ECC_SECG_P256K1', KeyUsage: 'SIGN_VERIFY' });
  // It is typed for the CommonJS build of the same ethers.
  signer = await KMSSigner.create(provider as unknown as Provider, KeyId, newKms());
});
afterAll(() => provider.destroy());

test('an Ethereum message signed by a key in Keyfleet recovers to its address', async () => {
  // The recovery bit is found by trying, so both of its values should come up.
  for (let i = 0; i < 8; i++) {
    const message = `message ${i}`;
    expect(verifyMessage(message, await signer.signMessage(message))).toBe(signer.address);
  }
});

test('an Ethereum transaction signed by a key in Keyfleet is from its address', async () => {
  const request = {
    type: 2,
    chainId: 1,
    nonce: 7,
    to: '0x000000000000000000000000000000000000dEaD',
    value: 10n ** 18n,
    gasLimit: 21_000n,
    maxFeePerGas: 30n * 10n ** 9n,
    maxPriorityFeePerGas: 10n ** 9n,
  };
  const transaction = Transaction.from(await signer.signTransaction(request));
  expect(transaction.from).toBe(signer.address);
  expect(recoverAddress(transaction.unsignedHash, transaction.signature!)).toBe(signer.address);
});

test('typed data signed by a key in Keyfleet recovers to its address', async () => {
  const domain = { name: 'Keyfleet', version: '1', chainId: 1 };
  const types = { Payment: [{ name: 'amount', type: 'uint256' }] };
  const signature = await signer.signTypedData(domain, types, { amount: 5n });
  expect(verifyTypedData(domain, types, { amount: 5n }, signature)).toBe(signer.address);
});
