import { encodeAcceptance, isAcceptedBy } from '@keyfleet/shared/redis/store-acceptance';
import { expect, test } from 'vitest';
import vector from './kms/store-acceptance.json' with { type: 'json' };

test('a store that an operator accepted is accepted', () => {
  const { acceptance, encoded, operatorId, signingKey, signature } = vector;
  expect(encodeAcceptance(acceptance).toString('hex')).toBe(encoded);
  const operator = { operatorId, role: 'operator', signingKey: Buffer.from(signingKey, 'hex') } as const;
  expect(isAcceptedBy([operator], acceptance, { acceptedBy: operatorId, signature })).toBe(true);
});
