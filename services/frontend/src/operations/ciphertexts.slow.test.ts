import { Decrypt, Encrypt, ReEncrypt } from '@keyfleet/shared/api/cipher';
import { GenerateDataKey } from '@keyfleet/shared/api/data-keys';
import { CreateKey, DisableKey, EnableKey } from '@keyfleet/shared/api/keys';
import type { Operation, OutputOf } from '@keyfleet/shared/api/operation';
import { RotateKeyOnDemand } from '@keyfleet/shared/api/rotation';
import { TagResource } from '@keyfleet/shared/api/tags';
import { FakeFrontend } from '@keyfleet/test-support/fakes/frontend';
import { LocalHsm } from '@keyfleet/test-support/fakes/local-hsm';
import fc from 'fast-check';
import { beforeEach, expect, test } from 'vitest';

// What the HSM promises about ciphertexts, tested from outside: from a request's JSON to the answer, with the HSM's
// real cryptography.
type Context = Readonly<Record<string, string>>;

const opaque = 'InvalidCiphertextException';
const ofNoKey =
  'on the resource associated with this ciphertext because the resource does not exist in this Region, no resource-based policies allow access, or a resource-based policy explicitly denies access';
/** `__proto__` is a name like any other, and easily lost. */
const lookalikes: [Context, Context] = [{}, JSON.parse('{"__proto__":""}') as Context];
const runs = { numRuns: 200, examples: [lookalikes, lookalikes.toReversed() as [Context, Context]] };

let frontend: FakeFrontend<LocalHsm>;
let keys: readonly string[];
beforeEach(async () => {
  frontend = new FakeFrontend(new LocalHsm());
  keys = [await newKey(), await newKey()];
});

async function newKey(): Promise<string> {
  const { KeyMetadata } = await frontend.call(CreateKey, {});
  return KeyMetadata?.KeyId ?? '';
}

/** The request as a client sends it, with bytes in base64. */
function send<O extends Operation>(operation: O, request: object): Promise<OutputOf<O>> {
  const members = Object.entries(request).map(([name, value]: [string, unknown]) => [
    name,
    value instanceof Uint8Array ? Buffer.from(value).toString('base64') : value,
  ]);
  return frontend.callJson(operation, JSON.stringify(Object.fromEntries(members)));
}

async function encrypt(KeyId: string, EncryptionContext: Context, plaintext = Buffer.of(1)): Promise<Uint8Array> {
  const request = { KeyId, Plaintext: plaintext, EncryptionContext };
  return (await send(Encrypt, request)).CiphertextBlob!;
}

async function decrypt(blob: Uint8Array, EncryptionContext: Context = {}): Promise<Buffer> {
  const request = { CiphertextBlob: blob, EncryptionContext };
  return Buffer.from((await send(Decrypt, request)).Plaintext!);
}

/** Few letters, so that similar contexts are common, plus names that every object has. */
const text = fc.oneof(
  fc.string({ maxLength: 3, unit: fc.constantFrom('a', 'b', 'é', '\u0000') }),
  fc.constantFrom('__proto__', 'constructor', 'toString', '1'),
);
const context: fc.Arbitrary<Context> = fc
  .uniqueArray(fc.tuple(text, text), { maxLength: 4, selector: ([name]) => name })
  .map((pairs) => Object.fromEntries(pairs));

function inOrder(pairs: Context): string {
  return JSON.stringify(Object.entries(pairs).toSorted(([a], [b]) => (a < b ? -1 : 1)));
}

test('a ciphertext opens under its own context, in any order, and under no other', async () => {
  await fc.assert(
    fc.asyncProperty(context, context, async (one, other) => {
      const sealed = await encrypt(keys[0]!, one);
      const reversed = Object.fromEntries(Object.entries(one).toReversed());
      expect(await decrypt(sealed, reversed)).toEqual(Buffer.of(1));
      fc.pre(inOrder(one) !== inOrder(other));
      await expect(decrypt(sealed, other)).rejects.toMatchObject({ code: opaque, message: '' });
      const SourceEncryptionContext = other;
      const moving = { CiphertextBlob: sealed, DestinationKeyId: keys[1], SourceEncryptionContext };
      await expect(send(ReEncrypt, moving)).rejects.toMatchObject({ code: opaque, message: '' });
    }),
    runs,
  );
});

test('a data key is bound to its context like any text', async () => {
  await fc.assert(
    fc.asyncProperty(context, context, async (one, other) => {
      const request = { KeyId: keys[0], KeySpec: 'AES_256', EncryptionContext: one };
      const made = await send(GenerateDataKey, request);
      expect(await decrypt(made.CiphertextBlob!, one)).toEqual(Buffer.from(made.Plaintext!));
      fc.pre(inOrder(one) !== inOrder(other));
      await expect(decrypt(made.CiphertextBlob!, other)).rejects.toMatchObject({ code: opaque, message: '' });
    }),
    runs,
  );
});

test('a changed ciphertext does not reveal what was changed', async () => {
  const plaintext = Buffer.from('attack at dawn');
  const sealed = Buffer.from(await encrypt(keys[0]!, {}, plaintext));
  const foreign = Buffer.from(await encrypt(keys[1]!, {}, plaintext));
  const at = fc.nat({ max: sealed.length - 1 });
  const changed = fc.oneof(
    fc.tuple(at, fc.nat({ max: 7 })).map(([i, bit]) => sealed.map((byte, j) => (i === j ? byte ^ (1 << bit) : byte))),
    at.map((length) => sealed.subarray(0, length)).filter(({ length }) => length > 0),
    fc.uint8Array({ minLength: 1, maxLength: 40 }).map((more) => Buffer.concat([sealed, more])),
    // The beginning of one key's ciphertext and the end of another's.
    at.filter((i) => i > 0).map((i) => Buffer.concat([sealed.subarray(0, i), foreign.subarray(i)])),
    fc.uint8Array({ minLength: 1, maxLength: 200 }),
  );
  await fc.assert(
    fc.asyncProperty(changed, async (bytes) => {
      fc.pre(!sealed.equals(bytes) && !foreign.equals(bytes));
      const answer = send(Decrypt, { CiphertextBlob: bytes }).then(
        () => 'opened',
        (error: Error) => `${error.name}: ${error.message.replace(/^User: .* perform: kms:Decrypt /, '')}`,
      );
      // A changed key id names a missing key, as if the ciphertext were somebody else's.
      expect([`${opaque}: `, `AccessDeniedException: ${ofNoKey}`]).toContain(await answer);
    }),
    { numRuns: 400 },
  );
  expect(JSON.stringify(frontend.audit)).not.toContain(plaintext.toString('base64'));
  expect(frontend.faults).toEqual([]);
});

const steps = ['encrypt', 'rotate', 'disable and enable', 'tag', 're-encrypt', 'away and back'] as const;

test('whatever happens to a key, each of its ciphertexts opens as long as it is enabled', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(fc.constantFrom(...steps), { minLength: 1, maxLength: 12 }), async (life) => {
      const [KeyId, other] = [await newKey(), keys[0]!];
      const sealed = [{ plaintext: Buffer.of(255), blob: await encrypt(KeyId, {}, Buffer.of(255)) }];
      const move = async (blob: Uint8Array, DestinationKeyId: string) =>
        (await frontend.call(ReEncrypt, { CiphertextBlob: blob, DestinationKeyId })).CiphertextBlob!;
      const doing: Record<(typeof steps)[number], (i: number) => Promise<unknown>> = {
        encrypt: async (i) => sealed.push({ plaintext: Buffer.of(i), blob: await encrypt(KeyId, {}, Buffer.of(i)) }),
        rotate: () => frontend.call(RotateKeyOnDemand, { KeyId }),
        'disable and enable': async () => {
          await frontend.call(DisableKey, { KeyId });
          await expect(decrypt(sealed[0]!.blob)).rejects.toMatchObject({ code: 'DisabledException' });
          await frontend.call(EnableKey, { KeyId });
        },
        tag: (i) => frontend.call(TagResource, { KeyId, Tags: [{ TagKey: `${i}`, TagValue: '' }] }),
        're-encrypt': async () =>
          sealed.push({ plaintext: sealed[0]!.plaintext, blob: await move(sealed[0]!.blob, KeyId) }),
        'away and back': async () => {
          const last = sealed.at(-1)!;
          sealed.push({ plaintext: last.plaintext, blob: await move(await move(last.blob, other), KeyId) });
        },
      };
      for (const [i, name] of life.entries()) await doing[name](i);
      for (const { plaintext, blob } of sealed) expect(await decrypt(blob)).toEqual(plaintext);
    }),
    { numRuns: 60 },
  );
});
