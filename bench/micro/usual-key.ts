import type { KmsKey } from '@keyfleet/frontend/keys/kms-key';
import { defaultKeyPolicy } from '@keyfleet/frontend/policy/default-key-policy';
import { newKeyId } from '@keyfleet/shared/ids';
import { randomBytes } from 'node:crypto';

/** As long as the token of a key of the development domain. */
const TOKEN_BYTES = 291;
const scope = { accountId: '111122223333', region: 'us-east-1' };

/** A key as CreateKey makes it when nothing is asked for. */
export function newUsualKey(): KmsKey {
  const keyId = newKeyId(false);
  const createdAt = Date.now();
  return {
    revision: 1,
    keyId,
    arn: `arn:aws:kms:${scope.region}:${scope.accountId}:key/${keyId}`,
    ...scope,
    keySpec: 'SYMMETRIC_DEFAULT',
    keyUsage: 'ENCRYPT_DECRYPT',
    origin: 'AWS_KMS',
    multiRegion: false,
    description: '',
    state: 'Enabled',
    createdAt,
    policy: defaultKeyPolicy('aws', scope.accountId),
    tags: [],
    backingKeys: [{ materialId: randomBytes(32).toString('hex'), token: randomBytes(TOKEN_BYTES), createdAt }],
  };
}
