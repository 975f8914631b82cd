import { keyReferencesOf, type Operation } from '@keyfleet/shared/api/operation';
import { operations } from '@keyfleet/shared/api/registry';
import { KmsException } from '@keyfleet/shared/errors/exceptions';
import type { KeyState } from '@keyfleet/shared/key-specs';
import { expect, test } from 'vitest';
import { findHandler } from '../operations/index.ts';
import { newKey } from '../store/key-store.contract.ts';
import { assertKeyState } from './key-states.ts';

const states: KeyState[] = [
  'Enabled',
  'Disabled',
  'PendingDeletion',
  'PendingImport',
  'Unavailable',
  'Creating',
  'PendingReplicaDeletion',
  'Updating',
];
const updating = {
  multiRegion: true,
  related: { version: 1, primary: 'us-east-1', replicas: ['eu-west-1'], next: 'eu-west-1' },
} as const;
const cells = {
  '-': undefined,
  d: 'is disabled.',
  p: 'is pending deletion.',
  i: 'is pending import.',
  u: 'is unavailable.',
  c: 'is creating.',
  t: 'is updating.',
  n: 'is not pending deletion.',
  x: 'origin is EXTERNAL which is not valid for this operation.',
} as const;

// One letter for each of `states`, in that order; taken from AWS's own table.
test.each([
  ['CancelKeyDeletion', 'nn-nnn-n'],
  ['CreateAlias', '--p---p-'],
  ['UpdateKeyDescription', '--p---p-'],
  ['TagResource', '--p---p-'],
  ['UntagResource', '--p---p-'],
  ['ScheduleKeyDeletion', '--p---pt'],
  ['UpdateAlias', '--p---p-'],
  ['Encrypt', '-dpiucp-'],
  ['Decrypt', '-dpiucp-'],
  ['ReEncrypt', '-dpiucp-'],
  ['GenerateDataKey', '-dpiucp-'],
  ['Sign', '-dpiucp-'],
  ['Verify', '-dpiucp-'],
  ['GenerateMac', '-dpiucp-'],
  ['DeriveSharedSecret', '-dpiucp-'],
  ['GetPublicKey', '--pi-cp-'],
  ['DescribeKey', '--------'],
  ['GetKeyPolicy', '--------'],
  ['PutKeyPolicy', '--------'],
  ['ListResourceTags', '--------'],
  ['GetKeyRotationStatus', '---x----'],
  ['EnableKey', '--pi-cpt'],
  ['DisableKey', '--pi-cpt'],
  ['EnableKeyRotation', '-dp--cp-'],
  ['RotateKeyOnDemand', '-dpi-cp-'],
  ['GetParametersForImport', '--p--cpt'],
  ['ImportKeyMaterial', '--p--cp-'],
  ['DeleteImportedKeyMaterial', '-----c-t'],
  ['ReplicateKey', '-dpiucpt'],
  ['UpdatePrimaryRegion', '-dpiucp-'],
])('%s in each state: %s', (operation, row) => {
  const answers = states.map((state) => {
    const key = newKey(state === 'Updating' ? updating : { state });
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
