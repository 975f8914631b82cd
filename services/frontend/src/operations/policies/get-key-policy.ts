import type { GetKeyPolicy } from '@keyfleet/shared/api/policies';
import type { Handler } from '../handler.ts';

export const getKeyPolicy: Handler<typeof GetKeyPolicy, object> = async ({ PolicyName }, { key }) => ({
  Policy: key.policy,
  PolicyName,
});
