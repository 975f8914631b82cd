import { camelCase, constraints, validationException, violation } from '@keyfleet/shared/errors/aws-messages';
import { KmsException } from '@keyfleet/shared/errors/exceptions';
import type { KeyUsage } from '@keyfleet/shared/key-specs';
import { AttestationError } from '../attestation/errors.ts';
import { provenBy } from '../attestation/of-recipient.ts';
import { isAway } from '../key-stores/key-place.ts';
import { assertOwnOrigin } from '../keys/key-rotation.ts';
import { assertAlgorithm, assertKeyState, assertUsage } from '../keys/key-states.ts';
import type { KmsKey } from '../keys/kms-key.ts';
import { assertFits, assertOpens, contextOf, requireCiphertext } from '../operations/ciphertexts.ts';
import { loadStore } from '../operations/custom-key-stores.ts';
import { dataKeyLengthOf, type DataKeySize } from '../operations/data-keys.ts';
import type { Deps } from '../operations/handler.ts';
import { assertSignable, type SignatureInput } from '../operations/sign.ts';
import { wrongState } from '../operations/store-work.ts';
import type { Recall } from '../store/last-known.ts';
import type { AccessRequestDeps } from './access-request.ts';
import { admit } from './access.ts';
import { check, type CheckedRequest } from './check.ts';

interface DryRunInput {
  readonly DryRun?: boolean | undefined;
  readonly DryRunModifiers?: readonly string[] | undefined;
}

type Context = Readonly<Record<string, string>>;

export const grantTokens = check<{ GrantTokens?: readonly string[] | undefined }>(
  'no grant token is one that nobody was given',
  (request) => {
    const { GrantTokens: tokens = [] } = request.input;
    return tokens.length === 0 ? undefined : openAll(request, tokens);
  },
);

async function openAll(request: CheckedRequest<object>, tokens: readonly string[]): Promise<void> {
  const { call, deps } = request;
  request.grantTokens = await Promise.all(tokens.map((token) => deps.grantTokens.open(token, call.deadline)));
}

/** A missing key is reported before a denied caller, and the key's state only to an authorized one. */
export const access = check('the key is there and the caller may', async (request) => {
  const { operation, call, keys, lastKnown, deps, grantTokens, attested } = request;
  const input = request.input as Readonly<Record<string, unknown>>;
  const { keys: stored, aliases, grants } = deps;
  const lookup = lastKnown
    ? { keys: lastKnown, aliases: lastKnown, grants: lastKnown }
    : { keys: stored, aliases, grants };
  // Its owner made the grants, or let them be made: they are not the caller's, who may use other keys as before.
  const onMoreGrants = ({ accountId, region }: KmsKey): void => deps.rates.charge({ accountId, region }, 'GrantPages');
  request.alias = await admit(
    { operation, input, call, grantTokens, onMoreGrants, attestation: provenBy(attested) },
    { ...accessDeps(deps), ...lookup },
    keys,
  );
});

export function accessDeps(deps: Deps): AccessRequestDeps {
  const { policies, partition, clock, lastUsages, aliases } = deps;
  return { policies, partition, clock, lastUsages, listAliases: (...page) => aliases.listAliases(...page) };
}

export const state = check('the key is in a state for it', ({ operation, call, keys, deps }) => {
  const isOutside = keys.some(({ customKeyStoreId }) => customKeyStoreId !== undefined);
  if (isOutside) return stateOutside(operation.name, keys, { ...deps, recall: call.recall });
  for (const key of keys) assertKeyState(operation.name, key, deps.clock.now());
  return undefined;
});

async function stateOutside(
  operation: string,
  keys: readonly KmsKey[],
  { clock, keyStores, recall }: Pick<Deps, 'clock' | 'keyStores'> & { readonly recall: Recall },
): Promise<void> {
  for (const key of keys) assertKeyState(operation, key, clock.now(), await isAway(key, keyStores, recall));
}

/** Keys in custom key stores cannot generate key pairs. */
export const outsideStores = check('the key is in no custom key store', ({ keys: [key] }) => {
  if (key!.customKeyStoreId !== undefined) assertOwnOrigin(key!);
});

/** For the operation's only key, or the first of two. */
const FIRST: number = 0;

export const usage = (wanted: KeyUsage, which = FIRST) =>
  check(`the key usage is \`${wanted}\``, ({ operation, keys }) => assertUsage(keys[which]!, wanted, operation.name));

export const algorithm = <M extends string>(member: M, which = FIRST) =>
  check<Readonly<Record<M, string>>>(`the key has the algorithm of \`${member}\``, ({ input, keys }) =>
    assertAlgorithm(keys[which]!, input[member]),
  );

export const symmetric = check('the key is symmetric', ({ keys: [key] }) => {
  if (key!.keySpec === 'SYMMETRIC_DEFAULT') return;
  throw new KmsException('InvalidKeyUsageException', 'You cannot generate a data key with an asymmetric CMK');
});

export const ciphertext = check<DryRunInput & { CiphertextBlob?: Uint8Array | undefined }>(
  'there is a ciphertext, or a dry run that may ignore it',
  ({ input }) => {
    if (!ignoresCiphertext(input)) requireCiphertext(input.CiphertextBlob);
  },
);

/** `algorithm`: the member that names the ciphertext's algorithm. */
export const ciphertextKey = <A extends string>(algorithm: A) =>
  check<Readonly<Record<A, string>> & { CiphertextBlob?: Uint8Array | undefined }>(
    'the key is the one that made the ciphertext',
    ({ input, keys: [key] }) => assertOpens(key!, input.CiphertextBlob, input[algorithm]),
  );

/** `member` holds the context, `algorithm` the algorithm that would bind it. */
export const encryptionContext = <M extends string, A extends string>(member: M, algorithm: A) =>
  check<Readonly<Partial<Record<M, Context | undefined>> & Record<A, string>>>(
    `\`${member}\` goes with the algorithm`,
    ({ input }) => void contextOf(input[member], input[algorithm]),
  );

export const plaintextSize = check<{ Plaintext: Uint8Array; EncryptionAlgorithm: string }>(
  'the plaintext fits the algorithm',
  ({ input, keys: [key] }) => assertFits(input.Plaintext, input.EncryptionAlgorithm, key!.keySpec),
);

export const dataKeySize = check<DataKeySize>('there is one size: `NumberOfBytes` or `KeySpec`', ({ input }) => {
  dataKeyLengthOf(input);
});

export const message = check<SignatureInput>('the message is one for the algorithm', ({ input, keys: [key] }) =>
  assertSignable(key!, input),
);

/** The caller wants the plaintext only inside an attested enclave, so an answer in clear would betray it. */
export const recipient = check<{ Recipient?: RecipientInput | undefined }>(
  '`Recipient` attests an enclave, if it is there',
  ({ input: { Recipient: recipient }, attested }) => {
    if (recipient === undefined || provenBy(attested)) return;
    const missing = (['KeyEncryptionAlgorithm', 'AttestationDocument'] as const).filter((name) => !recipient[name]);
    if (missing.length > 0) throw validationException(missing.map(missingFromRecipient));
    const message = attested instanceof AttestationError ? attested.message : '';
    throw new KmsException('ValidationException', message, { cause: attested });
  },
);

interface RecipientInput {
  readonly KeyEncryptionAlgorithm?: string | undefined;
  readonly AttestationDocument?: Uint8Array | undefined;
}

function missingFromRecipient(member: string) {
  return violation(null, `recipient.${camelCase(member)}`, constraints.notNull);
}

export const numberOfBytes = check<{ NumberOfBytes?: number | undefined }>('`NumberOfBytes` is there', ({ input }) => {
  if (input.NumberOfBytes === undefined) throw new KmsException('ValidationException', 'NumberOfBytes is required.');
});

/** Only a CloudHSM key store generates random bytes, and only while it is connected. */
export const randomSource = check<{ CustomKeyStoreId?: string | undefined }>(
  'no custom key store is named that makes no random bytes now',
  async ({ input, call, deps }) => {
    if (input.CustomKeyStoreId === undefined) return;
    const { store } = await loadStore(input.CustomKeyStoreId, call, deps);
    if (store.type === 'AWS_CLOUDHSM') {
      if (store.state !== 'CONNECTED') throw wrongState(store, 'used', 'CONNECTED');
      return;
    }
    const message = `The custom key store ${store.id} is of type ${store.type}, which is not valid for this operation.`;
    throw new KmsException('UnsupportedOperationException', message);
  },
);

export const dryRun = check<DryRunInput>('it is no dry run', ({ input }) => assertNotDryRun(input.DryRun));

export const dryRunWithoutCiphertext = check<DryRunInput>(
  'it is no dry run that ignores the ciphertext',
  ({ input }) => {
    if (ignoresCiphertext(input)) assertNotDryRun(input.DryRun);
  },
);

/** Ends a dry run that reached the work itself. AWS answers that with an error too. */
function assertNotDryRun(dryRun: boolean | undefined): void {
  if (!dryRun) return;
  throw new KmsException('DryRunOperationException', 'The request would have succeeded, but the DryRun option is set.');
}

/**
 * True for a dry run that tests permissions only, for which the ciphertext is optional (KMS Developer Guide, "Testing
 * your permissions"). Throws ValidationException for the modifier without a dry run.
 */
function ignoresCiphertext({ DryRun, DryRunModifiers = [] }: DryRunInput): boolean {
  if (!DryRunModifiers.includes('IGNORE_CIPHERTEXT')) return false;
  if (DryRun) return true;
  throw new KmsException('ValidationException', 'DryRunModifiers can only be specified when DryRun is true.');
}
