import type { Call } from '../targets/target.ts';
import { bytesOf, check, contextOf, type Preparation, type Scenario } from './scenario.ts';

/** Enough for no cache of ciphertexts to be what is measured. */
const CIPHERTEXTS = 256;
const AT_ONCE = 32;

export const symmetricScenarios: readonly Scenario[] = [
  {
    name: 'encrypt',
    operation: 'Encrypt',
    async prepare(preparation) {
      const [input] = await encryptInputs(preparation);
      await encryptChecked(preparation, input!);
      return (await encryptInputs(preparation)).map((each) => ({ operation: 'Encrypt', input: each }));
    },
  },
  {
    name: 'decrypt',
    operation: 'Decrypt',
    async prepare(preparation) {
      const { EncryptionContext } = contextOf(preparation.context);
      const sealed = await ciphertexts(preparation);
      return sealed.map(({ keyId, CiphertextBlob }) => ({
        operation: 'Decrypt',
        input: { CiphertextBlob, EncryptionContext },
        keyId,
      }));
    },
  },
  {
    name: 're-encrypt',
    operation: 'ReEncrypt',
    async prepare(preparation) {
      const { EncryptionContext } = contextOf(preparation.context);
      const sealed = await ciphertexts(preparation);
      const DestinationKeyId = await preparation.pool.one({});
      return sealed.map(({ keyId, CiphertextBlob }) => ({
        operation: 'ReEncrypt',
        keyId,
        input: { CiphertextBlob, DestinationKeyId, SourceEncryptionContext: EncryptionContext },
      }));
    },
  },
  dataKeys('generate-data-key', 'GenerateDataKey'),
  dataKeys('generate-data-key-without-plaintext', 'GenerateDataKeyWithoutPlaintext'),
  {
    name: 'generate-random',
    operation: 'GenerateRandom',
    async prepare({ caller }) {
      const input = { NumberOfBytes: 32 };
      const [one, other] = [await caller.call('GenerateRandom', input), await caller.call('GenerateRandom', input)];
      const isRandom = lengthOf(one['Plaintext']) === 32 && one['Plaintext'] !== other['Plaintext'];
      check(isRandom, 'GenerateRandom does not give 32 bytes that differ from call to call');
      return [{ operation: 'GenerateRandom', input }];
    },
  },
];

function dataKeys(name: string, operation: string): Scenario {
  return {
    name,
    operation,
    async prepare({ caller, pool, keys, context }) {
      const rest = { KeySpec: 'AES_256', ...contextOf(context) };
      const ids = await pool.get({}, keys);
      const input = { KeyId: ids[0], ...rest };
      const made = await caller.call(operation, input);
      const opened = await decrypt({ caller }, made['CiphertextBlob'], context, ids[0]!);
      const isSame = made['Plaintext'] === undefined ? lengthOf(opened) === 32 : opened === made['Plaintext'];
      check(isSame, `what ${operation} seals does not decrypt to the data key`);
      return ids.map((KeyId): Call => ({ operation, input: { KeyId, ...rest } }));
    },
  };
}

async function encryptInputs({ pool, keys, payload, context }: Preparation) {
  const rest = { Plaintext: bytesOf(payload), ...contextOf(context) };
  return (await pool.get({}, keys)).map((KeyId) => ({ KeyId, ...rest }));
}

/** Ciphertexts under all keys, each opened once. */
async function ciphertexts(preparation: Preparation): Promise<{ keyId: string; CiphertextBlob: unknown }[]> {
  const inputs = await encryptInputs(preparation);
  const made: { keyId: string; CiphertextBlob: unknown }[] = [];
  const wanted = Math.max(CIPHERTEXTS, inputs.length);
  while (made.length < wanted) {
    const next = Array.from({ length: Math.min(AT_ONCE, wanted - made.length) }, async (_, index) => {
      const input = inputs[(made.length + index) % inputs.length]!;
      return { keyId: input.KeyId, CiphertextBlob: await encryptChecked(preparation, input) };
    });
    made.push(...(await Promise.all(next)));
  }
  return made;
}

async function encryptChecked(preparation: Preparation, input: { KeyId: string; Plaintext: string }): Promise<unknown> {
  const { CiphertextBlob } = await preparation.caller.call('Encrypt', input);
  const opened = await decrypt(preparation, CiphertextBlob, preparation.context, input.KeyId);
  check(opened === input.Plaintext, 'what was encrypted does not decrypt to itself');
  return CiphertextBlob;
}

async function decrypt({ caller }: Pick<Preparation, 'caller'>, blob: unknown, context: number, keyId: string) {
  return (await caller.call('Decrypt', { CiphertextBlob: blob, ...contextOf(context) }, keyId))['Plaintext'];
}

function lengthOf(base64: unknown): number {
  return Buffer.from(String(base64), 'base64').length;
}
