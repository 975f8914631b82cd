import type { ListKeyPolicies } from '@keyfleet/shared/api/policies';
import type { Handler } from '../handler.ts';
import { DEFAULT_POLICY } from './policy-name.ts';

export const listKeyPolicies: Handler<typeof ListKeyPolicies, object> = async () => ({
  PolicyNames: [DEFAULT_POLICY],
  Truncated: false,
});
