import type { GetKeyPolicy, ListKeyPolicies, PutKeyPolicy } from '@keyfleet/shared/api/policies';
import { KmsException } from '@keyfleet/shared/errors/exceptions';
import type { Deps, Handler } from './handler.ts';

/** A key has one policy, and this is its name. */
const DEFAULT_POLICY = 'default';

export const getKeyPolicy: Handler<typeof GetKeyPolicy, object> = async ({ PolicyName }, { key }) => ({
  Policy: key.policy,
  PolicyName,
});

export const putKeyPolicy: Handler<typeof PutKeyPolicy, Pick<Deps, 'keys'>> = async ({ Policy }, { key }, { keys }) => {
  await keys.updateKey({ ...key, policy: Policy });
};

export const listKeyPolicies: Handler<typeof ListKeyPolicies, object> = async () => ({
  PolicyNames: [DEFAULT_POLICY],
  Truncated: false,
});

/** Throws NotFoundException for any other name. */
export function assertDefaultPolicy(name: string): void {
  if (name !== DEFAULT_POLICY) throw new KmsException('NotFoundException', 'No such policy exists');
}
