import { createHmac, type KeyObject } from 'node:crypto';
import { bytes, defineFormat } from '@keyfleet/shared/encoding/canonical';
import { z } from 'zod';

const format = defineFormat('keyfleet/key-material-id/1', z.strictObject({ keyId: z.string(), material: bytes() }));

/**
 * The public name of key material: 32 bytes, the same whenever the same material is in the same KMS key, different in
 * any other key. Keyed with a secret of the domain, so that outsiders cannot test guesses of a weak imported key.
 */
export function materialIdOf(materialIdKey: KeyObject, named: { keyId: string; material: Uint8Array }): Buffer {
  const encoded = format.encode(named);
  try {
    return createHmac('sha256', materialIdKey).update(encoded).digest();
  } finally {
    encoded.fill(0);
  }
}
