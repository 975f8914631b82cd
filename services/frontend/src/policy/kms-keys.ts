import { type KmsKey, multiRegionTypeOf } from '../keys/kms-key.ts';
import { type ConditionKey, ConditionKeys } from './condition-keys.ts';
import { type ContextValue, undecidable } from './conditions/context.ts';
import { type GlobalFacts, globalKeys } from './global-keys.ts';

/** The facts of a KMS operation's request that a policy can ask for. */
export interface KmsFacts extends GlobalFacts {
  readonly operation: string;
  /** For example `kms:ReEncryptFrom`. */
  readonly action: string;
  readonly input: Readonly<Record<string, unknown>>;
  /** The subject: a key, an alias by itself, or the account. For aliases AWS has only the global keys. */
  readonly about: 'key' | 'alias' | 'account';
  /** Present if the subject is an existing key. */
  readonly key?: KmsKey | undefined;
  /** A replica still to be created. */
  readonly replica?: KmsKey | undefined;
  /** The name of the alias by which the request names the key. */
  readonly requestAlias?: string | undefined;
  /** Of the enclave or instance that gets the answer: what its platform configuration registers hold, by number. */
  readonly attestation?:
    { readonly platform: 'enclave' | 'nitro-tpm'; readonly pcrs: ReadonlyMap<number, Buffer> } | undefined;
  /** What had to be looked up because a policy asks for it (see `slowKeys`). */
  readonly lookedUp?: LookedUp | undefined;
}

export interface LookedUp {
  /** undecidable: more than a key may have. */
  readonly resourceAliases?: readonly string[] | typeof undecidable | undefined;
  readonly daysWithoutUse?: number;
  readonly isSameKey?: boolean;
}

/**
 * Condition keys whose value must be looked up, in lower case. The lookup is made only for requests whose policies ask
 * for them.
 */
export const slowKeys = {
  resourceAliases: 'kms:resourcealiases',
  daysWithoutUse: 'kms:trailingdayswithoutkeyusage',
  isSameKey: 'kms:reencryptonsamekey',
} as const satisfies Record<keyof LookedUp, string>;

type Key = ConditionKey<KmsFacts>;
type Value = (facts: KmsFacts) => ContextValue;

function text(value: unknown): string | undefined {
  return typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean'
    ? String(value)
    : undefined;
}

/** A member of the request, with AWS's default if the registry has one. */
const member =
  (name: string): Value =>
  ({ input }) =>
    text(input[name]);

/** In policies a time is in seconds; in a request that has been read it is in milliseconds. */
function secondsOf(time: unknown): string | undefined {
  return typeof time === 'number' ? String(time / 1_000) : undefined;
}

/** A property of the key, or of the key to be created. */
function property(ofKey: (key: KmsKey) => ContextValue, ofRequest: (input: KmsFacts['input']) => unknown): Value {
  return (facts) => {
    const key = facts.key ?? facts.replica;
    if (key) return ofKey(key);
    return facts.operation === 'CreateKey' ? text(ofRequest(facts.input)) : undefined;
  };
}

const keySpec = property(
  (key) => key.keySpec,
  (input) => input['KeySpec'] ?? input['CustomerMasterKeySpec'] ?? 'SYMMETRIC_DEFAULT',
);
const keyUsage = property(
  (key) => key.keyUsage,
  (input) => input['KeyUsage'] ?? 'ENCRYPT_DECRYPT',
);

const ofTheKey: readonly Key[] = [
  { name: 'kms:KeySpec', type: 'string', value: keySpec },
  { name: 'kms:CustomerMasterKeySpec', type: 'string', value: keySpec },
  { name: 'kms:KeyUsage', type: 'string', value: keyUsage },
  { name: 'kms:CustomerMasterKeyUsage', type: 'string', value: keyUsage },
  {
    name: 'kms:KeyOrigin',
    type: 'string',
    value: property(
      (key) => key.origin,
      (input) => input['Origin'],
    ),
  },
  {
    name: 'kms:MultiRegion',
    type: 'bool',
    value: property(
      (key) => String(key.multiRegion),
      (input) => input['MultiRegion'],
    ),
  },
  {
    name: 'kms:MultiRegionKeyType',
    type: 'string',
    value: property(
      (key) => multiRegionTypeOf(key),
      (input) => (input['MultiRegion'] === true ? 'PRIMARY' : undefined),
    ),
  },
  {
    name: 'kms:ResourceAliases',
    type: 'string',
    multivalued: true,
    identityOnly: true,
    value: ({ lookedUp }) => lookedUp?.resourceAliases,
  },
  { name: 'kms:RequestAlias', type: 'string', value: ({ requestAlias }) => requestAlias },
  { name: 'kms:CallerAccount', type: 'string', value: ({ caller }) => caller.accountId },
  {
    name: 'kms:TrailingDaysWithoutKeyUsage',
    type: 'numeric',
    value: ({ lookedUp }) => text(lookedUp?.daysWithoutUse),
  },
];

/** The member for the key that the action concerns: those of ReEncrypt concern one of its two keys. */
function ofAction({ action, input }: KmsFacts, name: string): unknown {
  if (action === 'kms:ReEncryptFrom') return input[`Source${name}`];
  return input[action === 'kms:ReEncryptTo' ? `Destination${name}` : name];
}

/** Data keys are always encrypted with it. */
const encryptionAlgorithm: Value = (facts) =>
  facts.action.startsWith('kms:GenerateDataKey') ? 'SYMMETRIC_DEFAULT' : text(ofAction(facts, 'EncryptionAlgorithm'));

/** For CreateGrant, the pairs in the grant's constraints (KMS Developer Guide, "kms:EncryptionContext"). */
function contextPairs(facts: KmsFacts): [string, string][] {
  if (facts.action !== 'kms:CreateGrant') return pairsOf(ofAction(facts, 'EncryptionContext'));
  const { EncryptionContextEquals, EncryptionContextSubset } = constraintsOf(facts);
  return [...pairsOf(EncryptionContextEquals), ...pairsOf(EncryptionContextSubset)];
}

function pairsOf(context: unknown): [string, string][] {
  return context === undefined ? [] : Object.entries(context as Readonly<Record<string, string>>);
}

function constraintsOf({ input }: KmsFacts): Readonly<Record<string, unknown>> {
  return (input['Constraints'] ?? {}) as Readonly<Record<string, unknown>>;
}

/** In lower-case hex, as the measurements of an image are given. `ImageSha384` is PCR0 of an enclave. */
function pcrs({ attestation }: KmsFacts): [name: string, value: string][] {
  if (attestation === undefined) return [];
  const isEnclave = attestation.platform === 'enclave';
  return [...attestation.pcrs].flatMap(([number, pcr]): [string, string][] => {
    const value = pcr.toString('hex');
    const register: [string, string] = [`${isEnclave ? '' : 'NitroTPM'}PCR${number}`, value];
    return isEnclave && number === 0 ? [register, ['ImageSha384', value]] : [register];
  });
}

const ofCryptography: readonly Key[] = [
  { name: 'kms:EncryptionAlgorithm', type: 'string', value: encryptionAlgorithm },
  { name: 'kms:EncryptionContext:', type: 'string', pairs: contextPairs },
  {
    name: 'kms:EncryptionContextKeys',
    type: 'string',
    multivalued: true,
    value: (facts) => contextPairs(facts).map(([name]) => name),
  },
  { name: 'kms:SigningAlgorithm', type: 'string', value: member('SigningAlgorithm') },
  { name: 'kms:MessageType', type: 'string', value: member('MessageType') },
  { name: 'kms:MacAlgorithm', type: 'string', value: member('MacAlgorithm') },
  { name: 'kms:KeyAgreementAlgorithm', type: 'string', value: member('KeyAgreementAlgorithm') },
  { name: 'kms:DataKeyPairSpec', type: 'string', value: member('KeyPairSpec') },
  { name: 'kms:ReEncryptOnSameKey', type: 'bool', value: ({ lookedUp }) => text(lookedUp?.isSameKey) },
  { name: 'kms:RecipientAttestation:', type: 'string', pairs: pcrs },
];

const grantOperations: ReadonlySet<string> = new Set(['kms:CreateGrant', 'kms:ListGrants', 'kms:RevokeGrant']);

function constraintTypeOf(facts: KmsFacts): ContextValue {
  const { EncryptionContextEquals, EncryptionContextSubset } = constraintsOf(facts);
  const types = [
    ...(EncryptionContextEquals === undefined ? [] : ['EncryptionContextEquals']),
    // Every context has a subset of no pairs: that constrains nothing.
    ...(pairsOf(EncryptionContextSubset).length === 0 ? [] : ['EncryptionContextSubset']),
  ];
  return types.length > 1 ? undecidable : types[0];
}

const ofGrants: readonly Key[] = [
  { name: 'kms:GranteePrincipal', type: 'string', value: member('GranteePrincipal') },
  { name: 'kms:RetiringPrincipal', type: 'string', value: member('RetiringPrincipal') },
  { name: 'kms:GranteeServicePrincipal', type: 'string', value: member('GranteeServicePrincipal') },
  { name: 'kms:RetiringServicePrincipal', type: 'string', value: member('RetiringServicePrincipal') },
  { name: 'kms:GrantConstraintType', type: 'string', value: constraintTypeOf },
  { name: 'kms:GrantConstraintSourceArn', type: 'arn', value: (facts) => text(constraintsOf(facts)['SourceArn']) },
  {
    name: 'kms:GrantOperations',
    type: 'string',
    multivalued: true,
    value: ({ action, input }) =>
      action === 'kms:CreateGrant' ? (input['Operations'] as readonly string[]) : undefined,
  },
  {
    // No service calls here.
    name: 'kms:GrantIsForAWSResource',
    type: 'bool',
    value: ({ action }) => (grantOperations.has(action) ? 'false' : undefined),
  },
];

/**
 * AWS distinguishes a caller that left the member out from one that set it to false; here both count as leaving it out.
 */
const bypass: Value = ({ input }) => (input['BypassPolicyLockoutSafetyCheck'] === true ? 'true' : undefined);

const ofManagement: readonly Key[] = [
  { name: 'kms:BypassPolicyLockoutSafetyCheck', type: 'bool', value: bypass },
  {
    name: 'kms:ScheduleKeyDeletionPendingWindowInDays',
    type: 'numeric',
    value: member('PendingWindowInDays'),
  },
  {
    name: 'kms:RotationPeriodInDays',
    type: 'numeric',
    value: ({ action, input }) =>
      action === 'kms:EnableKeyRotation' ? text(input['RotationPeriodInDays'] ?? 365) : undefined,
  },
  { name: 'kms:ExpirationModel', type: 'string', value: member('ExpirationModel') },
  { name: 'kms:ValidTo', type: 'epoch', value: ({ input }) => secondsOf(input['ValidTo']) },
  { name: 'kms:WrappingAlgorithm', type: 'string', value: member('WrappingAlgorithm') },
  { name: 'kms:WrappingKeySpec', type: 'string', value: member('WrappingKeySpec') },
  { name: 'kms:PrimaryRegion', type: 'string', value: member('PrimaryRegion') },
  { name: 'kms:ReplicaRegion', type: 'string', value: member('ReplicaRegion') },
  // No service calls here.
  { name: 'kms:ViaService', type: 'string' },
];

const kmsOnly: readonly Key[] = [...ofTheKey, ...ofCryptography, ...ofGrants, ...ofManagement];

/** KMS Developer Guide, "AWS KMS condition keys". */
export const kmsKeys = new ConditionKeys<KmsFacts>([
  ...globalKeys,
  ...kmsOnly.map((key): Key => {
    const { value, pairs } = key;
    return {
      ...key,
      ...(value && { value: (facts) => (facts.about === 'alias' ? undefined : value(facts)) }),
      ...(pairs && { pairs: (facts) => (facts.about === 'alias' ? [] : pairs(facts)) }),
    };
  }),
]);
