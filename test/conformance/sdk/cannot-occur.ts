import type { Operation } from '@keyfleet/shared/api/operation';
import type { ExceptionCode } from '@keyfleet/shared/errors/exceptions';

const noStores = 'it takes a proxy of an external key store: tests of the handlers have it';
const noClusters = 'a deployment has no CloudHSM clusters';
const anyState = 'it works on a key in any state';

/** Declared errors that nothing a caller does can bring about in this release: of any operation, or of those named. */
const reasons: readonly (readonly [error: RegExp, operations: RegExp, because: string])[] = [
  [/^CloudHsm(?!ClusterNotFound)|^IncorrectTrustAnchor/, /./, noClusters],
  [/^CloudHsmClusterNotFound/, /^UpdateCustomKeyStore$/, noClusters],
  [/^Xks/, /./, noStores],
  [/^LimitExceeded/, /^CreateCustomKeyStore$/, noStores],
  [/^CustomKeyStore(?!NotFound)/, /./, noStores],
  [/^KeyUnavailable/, /./, 'only keys of custom key stores become unavailable'],
  [/^UnsupportedOperation/, /^(GenerateDataKeyPair|GenerateRandom|ListKeyRotations)/, noStores],
  [/^KMSInvalidState/, /^(GetKeyPolicy|PutKeyPolicy|ListKeyPolicies|DeleteAlias|DeleteImportedKeyMaterial)$/, anyState],
  [/^KMSInvalidState/, /^(GetKeyRotationStatus|ListKeyRotations)$/, anyState],
  [/^KMSInvalidState/, /^(ListGrants|RetireGrant|RevokeGrant)$/, anyState],
  [/^LimitExceeded/, /^CreateGrant$/, 'it takes 50,000 grants: a test of the handler has it'],
  [/^NotFound/, /^ListRetirableGrants$/, 'a principal that is gone has no grants to list'],
  [/^Disabled/, /^GetPublicKey$/, 'AWS has let it work on disabled keys since 2024'],
  [/^InvalidKeyUsage/, /^GetPublicKey$/, 'a key of any usage may show its public key'],
  [/^InvalidArn/, /^CreateKey$/, 'no member of the request is an ARN'],
  [/^UnsupportedOperation/, /^PutKeyPolicy$/, 'every customer key takes a policy'],
  [/^LimitExceeded/, /^EnableKey$/, 'enabled keys have no quota'],
  [/^LimitExceeded/, /^TagResource$/, 'too many tags are a TagException'],
  [/^ExpiredImportToken/, /./, 'it takes 24 hours: tests of the boundary and of the handler have it'],
  [/^Conflict/, /^RotateKeyOnDemand$/, 'the first automatic rotation comes 90 days after it is enabled'],
];

/** Undefined for what can occur, and so must be provoked. */
export function whyNever({ name }: Operation, error: ExceptionCode): string | undefined {
  return reasons.find(([code, operations]) => code.test(error) && operations.test(name))?.[2];
}
