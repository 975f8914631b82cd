import { KmsException } from '@keyfleet/shared/errors/exceptions';
import { isAlias } from '@keyfleet/shared/ids';
import { assertAliasCharacters, assertAliasName } from '../operations/aliases.ts';
import { contextOf, requireCiphertext } from '../operations/ciphertexts.ts';
import { chooseKind, type KeyKindRequest } from '../operations/create-key.ts';
import { dataKeyLengthOf, type DataKeySize } from '../operations/data-keys.ts';
import { assertPendingWindow } from '../operations/key-deletion.ts';
import { assertDefaultPolicy } from '../operations/policies.ts';
import { assertNotReserved, assertTags, type Tag } from '../operations/tags.ts';
import { check } from './check.ts';

interface DryRunInput {
  readonly DryRun?: boolean | undefined;
  readonly DryRunModifiers?: readonly string[] | undefined;
}

type Context = Readonly<Record<string, string>>;

export const aliasName = check<{ AliasName: string }>('the alias has a name that a customer may give', ({ input }) =>
  assertAliasName(input.AliasName),
);

export const newAliasName = check<{ AliasName: string }>('the alias has no colon in its name', ({ input }) =>
  assertAliasCharacters(input.AliasName),
);

export const aliasTarget = check<{ TargetKeyId: string }>('the target is a key and no alias', ({ input }) => {
  if (isAlias(input.TargetKeyId))
    throw new KmsException('ValidationException', 'Aliases must refer to keys. Not aliases');
});

export const ciphertext = check<DryRunInput & { CiphertextBlob?: Uint8Array | undefined }>(
  'there is a ciphertext, or a dry run that may ignore it',
  ({ input }) => {
    if (!ignoresCiphertext(input)) requireCiphertext(input.CiphertextBlob);
  },
);

/** `member` holds the context, `algorithm` what it would be bound with. */
export const encryptionContext = <M extends string, A extends string>(member: M, algorithm: A) =>
  check<Readonly<Partial<Record<M, Context | undefined>> & Record<A, string>>>(
    `\`${member}\` goes with the algorithm`,
    ({ input }) => void contextOf(input[member], input[algorithm]),
  );

export const dataKeySize = check<DataKeySize>('there is one size: `NumberOfBytes` or `KeySpec`', ({ input }) => {
  dataKeyLengthOf(input);
});

export const numberOfBytes = check<{ NumberOfBytes?: number | undefined }>('`NumberOfBytes` is there', ({ input }) => {
  if (input.NumberOfBytes === undefined) throw new KmsException('ValidationException', 'NumberOfBytes is required.');
});

/** A plaintext is asked for inside an attested enclave only: without that, answering in clear would betray the caller. */
export const recipient = check<{ Recipient?: object | undefined }>('there is no `Recipient`', ({ input }) => {
  if (input.Recipient === undefined) return;
  throw new KmsException('ValidationException', 'Recipient is not supported by this release of Keyfleet.');
});

export const keyKind = check<KeyKindRequest>('there are keys of this kind', ({ input }) => void chooseKind(input));

export const tags = check<{ Tags?: readonly Tag[] | undefined }>('a key can have the tags', ({ input }) =>
  assertTags(input.Tags ?? []),
);

export const tagKeys = check<{ TagKeys: readonly string[] }>('no tag is reserved', ({ input }) =>
  assertNotReserved(input.TagKeys),
);

export const pendingWindow = check<{ PendingWindowInDays: number }>('the waiting period is 7 to 30 days', ({ input }) =>
  assertPendingWindow(input.PendingWindowInDays),
);

export const policyName = check<{ PolicyName: string }>('the policy is the one that there is', ({ input }) =>
  assertDefaultPolicy(input.PolicyName),
);

export const dryRun = check<DryRunInput>('it is no dry run', ({ input }) => assertNotDryRun(input.DryRun));

export const dryRunWithoutCiphertext = check<DryRunInput>(
  'it is no dry run that ignores the ciphertext',
  ({ input }) => {
    if (ignoresCiphertext(input)) assertNotDryRun(input.DryRun);
  },
);

/** Ends a dry run that got as far as the work itself. To AWS that is an error too. */
function assertNotDryRun(dryRun: boolean | undefined): void {
  if (!dryRun) return;
  throw new KmsException('DryRunOperationException', 'The request would have succeeded, but the DryRun option is set.');
}

/**
 * True for a dry run that asks about permissions only and may have no ciphertext (AWS KMS Developer Guide "Testing your
 * permissions"). Throws ValidationException for the modifier without the dry run.
 */
function ignoresCiphertext({ DryRun, DryRunModifiers = [] }: DryRunInput): boolean {
  if (!DryRunModifiers.includes('IGNORE_CIPHERTEXT')) return false;
  if (DryRun) return true;
  throw new KmsException('ValidationException', 'DryRunModifiers can only be specified when DryRun is true.');
}
