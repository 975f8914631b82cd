import { operations } from '@keyfleet/shared/api/registry';
import { keyReferencesOf, type Operation } from '@keyfleet/shared/api/operation';
import { error, type Row } from './row.ts';

const noAlias = error('InvalidArnException', 'Key Aliases are not supported for this operation.');

/** Every operation that takes a key and no alias, and has it in `KeyId`. */
const onKeysOnly = Object.values<Operation>(operations).filter((operation) =>
  keyReferencesOf(operation).some(({ member, identifiers }) => member === 'KeyId' && identifiers === 'key'),
);

const inPlaceOfKeys: readonly Row[] = [...onKeysOnly.map(({ name }) => name), 'ListAliases'].flatMap((operation) =>
  (['alias/no-such', 'alias', 'arn'] as const).map((form) => ({
    title: `${operation} of ${form === 'arn' ? 'an alias ARN' : form === 'alias' ? 'an alias' : 'an alias that is not there'}, other members missing, is about the alias (order: C)`,
    operation,
    body: ({ alias, prefix }) => ({
      KeyId: form === 'arn' ? `${prefix}${alias}` : form === 'alias' ? alias : form,
    }),
    answer: () => noAlias,
  })),
);

const asTargets: readonly Row[] = [
  ...(['CreateAlias', 'UpdateAlias'] as const).flatMap((operation): Row[] =>
    (['name', 'arn', 'missing'] as const).map((form) => ({
      title: `${operation} with an alias (${form}) as its target (B)`,
      operation,
      body: ({ alias, prefix }) => ({
        AliasName: operation === 'CreateAlias' ? 'alias/answers-new' : alias,
        TargetKeyId: form === 'name' ? alias : form === 'arn' ? prefix + alias : 'alias/no-such',
      }),
      answer: () => error('ValidationException', 'Aliases must refer to keys. Not aliases'),
    })),
  ),
  {
    title: "UpdateAlias of E's alias to S: usage comes before type, the alias by its name (B)",
    operation: 'UpdateAlias',
    body: ({ alias, S }) => ({ AliasName: alias, TargetKeyId: S.id }),
    answer: ({ alias }) =>
      error(
        'ValidationException',
        `Alias ${alias} cannot be changed from a CMK with key usage SIGN_VERIFY to a CMK with key usage ENCRYPT_DECRYPT. The key usage of the current CMK and the new CMK must be the same.`,
      ),
  },
];

export const aliasRows = [...inPlaceOfKeys, ...asTargets];
