import { afterEach, describe, expect, test } from 'vitest';
import {
  type Asked,
  type AskedElsewhere,
  awsRates,
  type RateClass,
  rateClassOf,
  rateClassOfKey,
  RequestRates,
  shareOf,
} from './request-rates.ts';
import { RedisAsked, ratesOf } from './rates.ts';

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

  test('leave the whole rate to the frontend that gets the requests', async () => {
    const { frontends } = fleet(3);
    ask(frontends[0]!, 50, 'SymmetricCryptography');
    for (const one of frontends) await one.endWindow();
    expect(ask(frontends[0]!, 200, 'SymmetricCryptography')).toBe(100);
  });
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

test('cryptography shares a rate by the kind of key; everything else has its own', () => {
  expect(rateClassOf('Encrypt')).toBeUndefined();
  expect(rateClassOf('GenerateMac')).toBe('SymmetricCryptography');
  expect(rateClassOf('CreateKey')).toBe('CreateKey');
  expect(rateClassOf('GenerateDataKeyPair', 'RSA_3072')).toBe('GenerateDataKeyPair/RSA_3072');
  expect(rateClassOf('GenerateDataKeyPairWithoutPlaintext', 'ECC_NIST_P256')).toBe('GenerateDataKeyPair/ECC');
  const kinds = (
    ['RSA_2048', 'SYMMETRIC_DEFAULT', 'HMAC_256', 'ECC_NIST_P256', 'ML_DSA_44', 'ML_KEM_512'] as const
  ).map(rateClassOfKey);
  expect(kinds).toEqual([
    'RsaCryptography',
    'SymmetricCryptography',
    'SymmetricCryptography',
    'EccCryptography',
    'MlCryptography',
    'MlCryptography',
  ]);
  expect(rateClassOfKey(undefined)).toBe('SymmetricCryptography');
});

test('a profile has a rate for everything, and the configuration may say another', () => {
  expect(ratesOf({ profile: 'aws', perSecond: {} })).toEqual(awsRates);
  expect(ratesOf({ profile: 'generous', perSecond: { CreateKey: 7 } })).toMatchObject({
    CreateKey: 7,
    CreateGrant: 50_000,
  });
});
