import { accessKeyAt, firstAccessKeyAt, keyAt, keyStoresAt, secretAt } from '@keyfleet/shared/stored/names';
import { redisWith, type StoredTestValue } from '@keyfleet/test-support/fakes/stored-values';
import { expect, test } from 'vitest';
import { holdsTokens, loadTokens } from './stored-tokens.ts';

const [one, two] = [Buffer.from('one'), Buffer.from('two')];
const [inBase64, twoInBase64] = [one, two].map((token) => token.toString('base64'));
const accessKey = JSON.stringify({ token: inBase64 });
const key = {
  keyId: 'k',
  accountId: '111122223333',
  backingKeys: [{ token: inBase64, materialId: 'm' }, { materialId: 'n' }],
};

const values: Record<string, readonly [name: string, value: StoredTestValue, tokens: readonly Buffer[]]> = {
  'a key': [keyAt('us-east-1', 'k'), { record: JSON.stringify(key) }, [one]],
  'an access key': [accessKeyAt('AKIA1'), accessKey, [one]],
  'a first access key that is not stored yet': [firstAccessKeyAt('111122223333'), `AKIA1 ${accessKey}`, [one]],
  'a first access key that is stored': [firstAccessKeyAt('111122223333'), 'AKIA1', []],
  'custom key stores': [
    keyStoresAt({ accountId: '111122223333', region: 'us-east-1' })[0],
    JSON.stringify({ stores: [{ xks: { token: inBase64 } }, { cluster: { token: twoInBase64 } }] }),
    [one, two],
  ],
  'a secret of the fleet': [secretAt('record-key-1'), one, [one]],
};

test.each(Object.entries(values))('what is sealed in %s is found', async (_, [name, value, tokens]) => {
  expect((await loadTokens(redisWith({ [name]: value }), name)).map(({ token }) => token)).toEqual(tokens);
  expect(holdsTokens(name)).toBe(true);
  expect(await loadTokens(redisWith({}), name)).toEqual([]);
});
