import { list } from '@keyfleet/shared/api/shape';
import { askedKeys } from '../../policy/asked-keys.ts';
import { defineAccountRead } from '../account-reads.ts';
import { chargeReading } from '../rates.ts';
import { Arn, PolicyDocument } from './fields.ts';
import { assertInputPolicies, findSource } from './source-policies.ts';

const getContextKeysForCustomPolicy = defineAccountRead({
  service: 'iam',
  name: 'GetContextKeysForCustomPolicy',
  input: { PolicyInputList: list(PolicyDocument) },
  async run({ input: { PolicyInputList: policies }, call }, deps) {
    chargeReading(policies, call.caller.accountId, deps);
    assertInputPolicies(policies);
    return { ContextKeyNames: askedKeys(policies) };
  },
});

const getContextKeysForPrincipalPolicy = defineAccountRead({
  service: 'iam',
  name: 'GetContextKeysForPrincipalPolicy',
  input: { PolicySourceArn: Arn, PolicyInputList: list(PolicyDocument).optional() },
  resource: ({ PolicySourceArn }) => PolicySourceArn,
  async run({ input: { PolicySourceArn: arn, PolicyInputList: more = [] }, call }, deps) {
    const { accountId } = call.caller;
    const { policies } = await findSource(arn, accountId, deps);
    const all = [...policies.map(({ document }) => document), ...more];
    chargeReading(all, accountId, deps);
    assertInputPolicies(more);
    return { ContextKeyNames: askedKeys(all) };
  },
});

export const contextKeyOperations = [getContextKeysForCustomPolicy, getContextKeysForPrincipalPolicy];
