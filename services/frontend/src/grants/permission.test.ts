import { expect, test } from 'vitest';
import { newKey } from '../store/key-store.contract.ts';
import type { Grant } from './grant.ts';
import { newGrant } from './grant-store.contract.ts';
import { type FewGrants, tooMany } from './grant-store.ts';
import { granteeOf } from './permission.ts';

const key = newKey();
const useless = newGrant(key, { constraints: { sourceArn: 'arn:aws:s3:::b' } });
const useful = newGrant(key);
const caller = { arn: useful.grantee, userId: 'AIDABOB' };

/** Who may by the grants in these pages, and how often more was read than usual. */
async function decided(pages: readonly (readonly Grant[])[]) {
  let more = 0;
  const grants = {
    grantsOf: (): FewGrants => tooMany,
    async *candidates() {
      yield* pages;
    },
    find: () => Promise.resolve(undefined),
  } as const;
  const asker = { caller, tokens: [], onMore: () => void more++ };
  const grantee = await granteeOf(key, { operation: 'Encrypt' }, asker, grants);
  return { grantee, more };
}

test('of many grants the pages beyond the usual ones are counted, until one has what allows the request', async () => {
  expect(await decided([[useful]])).toEqual({ grantee: 'caller', more: 0 });
  expect(await decided([[useless], [useful]])).toEqual({ grantee: 'caller', more: 0 });
  expect(await decided([[useless], []])).toEqual({ grantee: undefined, more: 1 });
  expect(await decided([[], [useless], [], [useless], [useless, useful], []])).toEqual({ grantee: 'caller', more: 3 });
});
