import type { GetKeyPolicy } from '@keyfleet/shared/api/policies';
import type { Handler } from '../handler.ts';
import { assertDefaultPolicy } from './policy-name.ts';

export const getKeyPolicy: Handler<typeof GetKeyPolicy, object> = async ({ PolicyName }, { key }) => {
  assertDefaultPolicy(PolicyName);
  return { Policy: key.policy, PolicyName };
};
