import { list } from '@keyfleet/shared/api/shape';
import { z } from 'zod';
import { askedKeys } from '../../policy/asked-keys.ts';
import { authorizeIam } from '../access.ts';
import type { Admitted, QueryOperation } from '../query-operation.ts';
import { Arn, PolicyDocument } from './fields.ts';
import { assertInputPolicies, findSource } from './source-policies.ts';

const ofPolicies = z.object({ PolicyInputList: list(PolicyDocument) });
const ofPrincipal = z.object({ PolicySourceArn: Arn, PolicyInputList: list(PolicyDocument).optional() });

const getContextKeysForCustomPolicy: QueryOperation = {
  service: 'iam',
  name: 'GetContextKeysForCustomPolicy',
  readOnly: true,
  target: undefined,
  input: ofPolicies,
  async run(admitted, deps) {
    const { input, call } = admitted as object as Admitted<z.output<typeof ofPolicies>, 'user'>;
    const { accountId: ownerId } = call.caller;
    authorizeIam({ call, input, action: 'iam:GetContextKeysForCustomPolicy', resource: '*', ownerId }, deps);
    assertInputPolicies(input.PolicyInputList);
    return { ContextKeyNames: askedKeys(input.PolicyInputList) };
  },
};

const getContextKeysForPrincipalPolicy: QueryOperation = {
  service: 'iam',
  name: 'GetContextKeysForPrincipalPolicy',
  readOnly: true,
  target: undefined,
  input: ofPrincipal,
  async run(admitted, deps) {
    const { input, call } = admitted as object as Admitted<z.output<typeof ofPrincipal>, 'user'>;
    const { PolicySourceArn: arn, PolicyInputList: more = [] } = input;
    const { accountId: ownerId } = call.caller;
    authorizeIam({ call, input, action: 'iam:GetContextKeysForPrincipalPolicy', resource: arn, ownerId }, deps);
    const { policies } = await findSource(arn, ownerId, deps);
    assertInputPolicies(more);
    return { ContextKeyNames: askedKeys([...policies.map(({ document }) => document), ...more]) };
  },
};

export const contextKeyOperations = [getContextKeysForCustomPolicy, getContextKeysForPrincipalPolicy];
