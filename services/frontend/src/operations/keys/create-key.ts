import { keyArn } from '@keyfleet/shared/arn';
import type { CreateKey } from '@keyfleet/shared/api/keys';
import { timedOut } from '../../request/dependency-exceptions.ts';
import { metadataOf } from '../../keys/key-metadata.ts';
import type { KmsKey } from '../../keys/kms-key.ts';
import { newBackingKey } from '../../keys/new-backing-key.ts';
import { defaultKeyPolicy } from '../../policy/lockout.ts';
import type { Deps, Handler } from '../handler.ts';
import { chooseKind } from './key-kind.ts';

type CreateKeyDeps = Pick<Deps, 'keys' | 'hsm' | 'clock' | 'newKeyId' | 'partition'>;

export const createKey: Handler<typeof CreateKey, CreateKeyDeps> = async (input, call, deps) => {
  const { caller, region, deadline } = call;
  const kind = chooseKind(input);
  const tags = input.Tags ?? [];
  const keyId = deps.newKeyId(input.MultiRegion);
  const arn = keyArn({ partition: deps.partition, region, accountId: caller.accountId }, keyId);

  // The material is stored with its record in one write: a crash before it loses an unannounced key, and never leaves a key without.
  const { accountId } = caller;
  const wanted = { keyId, accountId, ...kind };
  const material = kind.origin === 'EXTERNAL' ? [] : [await newBackingKey(wanted, { ...deps, deadline })];
  // Nobody waits for it any more, and the domain key that it is sealed under may have been given up meanwhile.
  if (deps.clock.now() >= deadline) throw timedOut();
  const key: KmsKey = {
    schemaVersion: 1,
    revision: 1,
    keyId,
    arn,
    accountId,
    region,
    ...kind,
    multiRegion: input.MultiRegion,
    description: input.Description,
    state: kind.origin === 'EXTERNAL' ? 'PendingImport' : 'Enabled',
    createdAt: deps.clock.now(),
    policy: input.Policy ?? defaultKeyPolicy(deps.partition, accountId),
    tags,
    backingKeys: material,
  };
  await deps.keys.insertKey(key);
  return { KeyMetadata: metadataOf(key) };
};
