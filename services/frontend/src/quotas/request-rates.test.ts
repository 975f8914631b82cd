import { algorithmsOf, type KeySpec, specsOf } from '@keyfleet/shared/key-specs';
import { afterEach, describe, expect, test } from 'vitest';
import { awsRates, type RateClass, ratesOf } from './rates.ts';
import { RedisAsked } from './redis-asked.ts';
import { type Asked, type AskedElsewhere, rateClassOf, RequestRates, shareOf } from './request-rates.ts';

const alice = { accountId: '111122223333', region: 'us-east-1' };
const rates = { ...awsRates, CreateKey: 5, SymmetricCryptography: 100 };
const opened: RequestRates[] = [];
afterEach(() => opened.splice(0).forEach((one) => one[Symbol.dispose]()));

/** Frontends that exchange counts, window by window. */
function fleet(count: number) {
  const told = new Map<number, Asked>();
  const problems: unknown[] = [];
  const refused: RateClass[] = [];
  const frontends = Array.from({ length: count }, (_, i) => {
    const elsewhere: AskedElsewhere = {
      exchange: async (_of, asked) => {
        told.set(i, asked);
        return [...told].filter(([other]) => other !== i).map(([, theirs]) => theirs);
      },
    };
    const onRefused = (rateClass: RateClass) => void refused.push(rateClass);
    const one = new RequestRates({ rates, elsewhere, onRefused, onProblem: (problem) => void problems.push(problem) });
    opened.push(one);
    return one;
  });
  return { frontends, problems, refused };
}

/** How many of this many requests are admitted. */
function ask(frontend: RequestRates, count: number, rateClass: RateClass = 'CreateKey', of = alice): number {
  let passed = 0;
  for (let i = 0; i < count; i++) {
    try {
      frontend.charge(of, rateClass);
      passed += 1;
    } catch (error) {
      expect(String(error)).toContain(
        'You have exceeded the rate at which you may call KMS. Reduce the frequency of your calls.',
      );
      expect(error).toMatchObject({ code: 'ThrottlingException' });
    }
  }
  return passed;
}

describe('one frontend', () => {
  test('lets as many through in a second as the rate says, by account, Region and class', async () => {
    const {
      frontends: [one],
      refused,
    } = fleet(1);
    expect(ask(one!, 9)).toBe(5);
    expect(refused).toEqual(Array.from({ length: 4 }, () => 'CreateKey'));
    expect(ask(one!, 9, 'PutKeyPolicy')).toBe(9);
    expect(ask(one!, 9, 'CreateKey', { ...alice, region: 'eu-west-1' })).toBe(5);
    expect(ask(one!, 9, 'CreateKey', { ...alice, accountId: '999999999999' })).toBe(5);
    await one!.endWindow();
    expect(ask(one!, 9)).toBe(5);
  });

  test('that hears nothing of the others goes on with the share that it has', async () => {
    const problems: unknown[] = [];
    const elsewhere = { exchange: () => Promise.reject(new Error('away')) };
    const one = new RequestRates({ rates, elsewhere, onRefused: () => {}, onProblem: (p) => void problems.push(p) });
    opened.push(one);
    ask(one, 9);
    await one.endWindow();
    expect(problems).toHaveLength(1);
    expect(ask(one, 9)).toBe(5);
  });
});

describe('several frontends', () => {
  test('together let no more through than the rate, after a second or two', async () => {
    const { frontends } = fleet(4);
    for (let second = 0; second < 6; second++) {
      const passed = frontends.map((one, i) => ask(one, 40 * (i + 1), 'SymmetricCryptography'));
      const all = passed.reduce((sum, each) => sum + each, 0);
      if (second >= 2) {
        expect(all).toBeLessThanOrEqual(100);
        expect(all).toBeGreaterThan(90);
      }
      for (const one of frontends) await one.endWindow();
    }
  });

  test('give one whose share is small the rate again once the others ask for nothing, however little it is asked', async () => {
    let theirs: Asked[] = [{ SymmetricCryptography: 20_000 }];
    const elsewhere = { exchange: () => Promise.resolve(theirs) };
    const onProblem = (problem: unknown) => expect.unreachable(String(problem));
    const one = new RequestRates({ rates, elsewhere, onRefused: () => {}, onProblem });
    opened.push(one);
    ask(one, 10, 'SymmetricCryptography');
    await one.endWindow();
    theirs = [];
    expect(ask(one, 5, 'SymmetricCryptography')).toBe(1);
    await one.endWindow();
    expect(ask(one, 5, 'SymmetricCryptography')).toBe(5);
  });

  test.each([
    [1, 100],
    [4, 100],
    // Forgotten: nobody knows who will ask.
    [5, 400],
  ])('after %i quiet seconds admit %i of another burst', async (quiet, admitted) => {
    const { frontends } = fleet(4);
    const burst = () => frontends.reduce((sum, one) => sum + ask(one, 200, 'SymmetricCryptography'), 0);
    const endWindow = async () => {
      for (const one of frontends) await one.endWindow();
    };
    for (let second = 0; second < 2; second++) {
      burst();
      await endWindow();
    }
    for (let second = 0; second < quiet; second++) await endWindow();
    expect(burst()).toBe(admitted);
  });

  test('leave the whole rate to the frontend that gets the requests', async () => {
    const { frontends } = fleet(3);
    ask(frontends[0]!, 50, 'SymmetricCryptography');
    for (const one of frontends) await one.endWindow();
    expect(ask(frontends[0]!, 200, 'SymmetricCryptography')).toBe(100);
  });
});

test('what a request costs beside itself counts, and ends it only if the rate was exceeded before', () => {
  const [one] = fleet(1).frontends;
  const costMore = (requests: number) => one!.chargeMore(alice, 'SymmetricCryptography', requests);
  expect(ask(one!, 60, 'SymmetricCryptography')).toBe(60);
  costMore(30);
  expect(ask(one!, 20, 'SymmetricCryptography')).toBe(10);
  // The last one that was admitted.
  costMore(30);
  expect(() => costMore(30)).toThrow('You have exceeded the rate');
  expect(ask(one!, 1, 'SymmetricCryptography')).toBe(0);
});

test.each(['-1', '0.5', '1e300', '"1"'])('a count of %s from another frontend is none', async (count) => {
  const heard = async () => [`{"CreateKey":${count}}`];
  const asked = new RedisAsked({ scriptUndurably: heard } as object as ConstructorParameters<typeof RedisAsked>[0]);
  await expect(asked.exchange(alice, {})).rejects.toThrow('CreateKey');
});

test('a share is what the others leave, or a part, and never nothing', () => {
  expect(shareOf(100, 10, 0)).toBe(100);
  expect(shareOf(100, 10, 30)).toBe(70);
  expect(shareOf(100, 100, 300)).toBe(25);
  expect(shareOf(5, 0, 100)).toBe(1);
});

test('cryptography shares a rate by the kind of key that its algorithm needs; everything else has its own', () => {
  const ofPair = (KeyPairSpec: string) => rateClassOf('GenerateDataKeyPairWithoutPlaintext', { KeyPairSpec });
  expect([ofPair('RSA_3072'), ofPair('ECC_NIST_P256')]).toEqual([
    'GenerateDataKeyPair/RSA_3072',
    'GenerateDataKeyPair/ECC',
  ]);
  expect(rateClassOf('GenerateMac', { MacAlgorithm: 'HMAC_SHA_256' })).toBe('SymmetricCryptography');
  expect(rateClassOf('CreateKey', {})).toBe('CreateKey');
  expect(rateClassOf('Sign', {})).toBe('SymmetricCryptography');
});

/** What names the algorithm of its key. */
const cryptography = [
  ['Encrypt', 'ENCRYPT_DECRYPT', 'EncryptionAlgorithm'],
  ['Decrypt', 'ENCRYPT_DECRYPT', 'EncryptionAlgorithm'],
  ['ReEncrypt', 'ENCRYPT_DECRYPT', 'SourceEncryptionAlgorithm'],
  ['Sign', 'SIGN_VERIFY', 'SigningAlgorithm'],
  ['Verify', 'SIGN_VERIFY', 'SigningAlgorithm'],
  ['DeriveSharedSecret', 'KEY_AGREEMENT', 'KeyAgreementAlgorithm'],
  ['Encapsulate', 'ENCAPSULATE_DECAPSULATE', 'EncapsulationAlgorithm'],
  ['Decapsulate', 'ENCAPSULATE_DECAPSULATE', 'EncapsulationAlgorithm'],
] as const;

test.each<[RateClass, readonly KeySpec[]]>([
  ['SymmetricCryptography', specsOf('symmetric')],
  ['RsaCryptography', specsOf('rsa')],
  ['EccCryptography', specsOf('ec', 'ed25519', 'sm2')],
  ['MlCryptography', specsOf('ml-dsa', 'ml-kem')],
])('%s is charged what is done with %j', (rateClass, specs) => {
  const charged = specs.flatMap((keySpec) =>
    cryptography.flatMap(([operation, keyUsage, member]) =>
      algorithmsOf({ keySpec, keyUsage }).map((algorithm) => rateClassOf(operation, { [member]: algorithm })),
    ),
  );
  expect(charged.length).toBeGreaterThan(1);
  expect(new Set(charged)).toEqual(new Set([rateClass]));
});

test('a profile has a rate for everything, and the configuration may say another', () => {
  expect(ratesOf({ profile: 'aws', perSecond: {} })).toEqual(awsRates);
  expect(ratesOf({ profile: 'generous', perSecond: { CreateKey: 7 } })).toMatchObject({
    CreateKey: 7,
    CreateGrant: 50_000,
    // A bound of our own: nobody has a thousand times the Redis.
    GrantPages: 500,
  });
});
