import { GrantOperation } from '@keyfleet/shared/api/choices';
import { type GrantedKey, ListedGrant } from '@keyfleet/shared/stored/grants';
import { z } from 'zod';
import { decodeRecord, damagedRecord } from '../store/records.ts';
import type { Grant } from './grant.ts';

const GrantRecord = z.strictObject({
  schemaVersion: z.literal(1),
  grantId: z.string().regex(/^[0-9a-f]{64}$/),
  region: z.string().min(1),
  keyId: z.string().min(1),
  accountId: z.string().regex(/^\d{12}$/),
  name: z.string().min(1).optional(),
  createdAt: z.int(),
  grantee: z.string().min(1),
  granteeId: z.string().min(1).optional(),
  retiring: z.string().min(1).optional(),
  retiringId: z.string().min(1).optional(),
  issuingAccount: z.string().regex(/^\d{12}$/),
  operations: ListedGrant.shape.operations.pipe(z.array(GrantOperation).min(1)),
  constraints: z.strictObject({
    ...ListedGrant.shape.constraints.shape,
    sourceArn: z.string().min(1).optional(),
  }),
});

export function encodeGrant(grant: Grant): string {
  return JSON.stringify(grant);
}

/** Throws DamagedRecordError unless `text` is this very grant's record. */
export function decodeGrant(text: string, { region, keyId }: GrantedKey, grantId: string): Grant {
  const name = `grant ${grantId} of key ${region}/${keyId}`;
  const grant = decodeRecord(GrantRecord, text, name);
  if (grant.region === region && grant.keyId === keyId && grant.grantId === grantId) return grant;
  throw damagedRecord(name, 'it is the record of another grant');
}
