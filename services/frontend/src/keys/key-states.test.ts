import { keyReferencesOf, type Operation } from '@keyfleet/shared/api/operation';
import { operations } from '@keyfleet/shared/api/registry';
import { KmsException } from '@keyfleet/shared/errors/exceptions';
import type { StoredKeyState } from '@keyfleet/shared/key-specs';
import { expect, test } from 'vitest';
import { findHandler } from '../operations/index.ts';
import { newKey } from '../store/store.contract.ts';
import { assertKeyState } from './key-states.ts';

const states: StoredKeyState[] = ['Enabled', 'Disabled', 'PendingDeletion', 'PendingImport', 'Unavailable', 'Creating'];
const cells = {
  '-': undefined,
  d: 'is disabled.',
  p: 'is pending deletion.',
  i: 'is pending import.',
  u: 'is unavailable.',
  c: 'is creating.',
  n: 'is not pending deletion.',
  x: 'origin is EXTERNAL which is not valid for this operation.',
} as const;

// One letter for each of `states`, in that order; read off AWS's own table.
test.each([
  ['CancelKeyDeletion', 'nn-nnn'],
  ['CreateAlias', '--p---'],
  ['UpdateKeyDescription', '--p---'],
  ['TagResource', '--p---'],
  ['UntagResource', '--p---'],
  ['ScheduleKeyDeletion', '--p---'],
  ['UpdateAlias', '--p---'],
  ['Encrypt', '-dpiuc'],
  ['Decrypt', '-dpiuc'],
  ['ReEncrypt', '-dpiuc'],
  ['GenerateDataKey', '-dpiuc'],
  ['Sign', '-dpiuc'],
  ['Verify', '-dpiuc'],
  ['GenerateMac', '-dpiuc'],
  ['DeriveSharedSecret', '-dpiuc'],
  ['GetPublicKey', '--pi-c'],
  ['DescribeKey', '------'],
  ['GetKeyPolicy', '------'],
  ['PutKeyPolicy', '------'],
  ['ListResourceTags', '------'],
  ['GetKeyRotationStatus', '---x--'],
  ['EnableKey', '--pi-c'],
  ['DisableKey', '--pi-c'],
  ['EnableKeyRotation', '-dp--c'],
  ['RotateKeyOnDemand', '-dpi-c'],
  ['GetParametersForImport', '--p--c'],
  ['ImportKeyMaterial', '--p--c'],
  ['DeleteImportedKeyMaterial', '------'],
])('%s in each state: %s', (operation, row) => {
  const answers = states.map((state) => {
    const key = newKey({ state });
    try {
      assertKeyState(operation, key, 0);
      return '-';
    } catch (error) {
      if (!(error instanceof KmsException)) throw error;
      return Object.entries(cells).find(([, end]) => error.message === `${key.arn} ${end}`)?.[0];
    }
  });
  expect(answers.join('')).toBe(row);
});

test('every operation on a key that this release has, has its row', () => {
  const onKeys = Object.values<Operation>(operations).filter(
    (operation) => keyReferencesOf(operation).length > 0 && findHandler(operation.name),
  );
  expect(onKeys.length).toBeGreaterThan(5);
  for (const { name } of onKeys) expect(() => assertKeyState(name, newKey(), 0), name).not.toThrow(/no key state row/);
});
