import { createSecretKey } from 'node:crypto';
import { RecordMacs } from '@keyfleet/frontend/store/record-macs';

/** The MACs of frontends that have one record key, and no HSM. */
export function testMacs(): RecordMacs {
  const key = createSecretKey(Buffer.alloc(32, 7));
  return new RecordMacs({ newest: () => ({ number: 1, key }), find: (number) => (number === 1 ? key : undefined) });
}
