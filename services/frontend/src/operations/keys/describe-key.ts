import type { DescribeKey } from '@keyfleet/shared/api/keys';
import { metadataOf } from '../../keys/key-metadata.ts';
import type { Handler } from '../handler.ts';

export const describeKey: Handler<typeof DescribeKey, object> = async (_input, { key }) => ({
  KeyMetadata: metadataOf(key),
});
