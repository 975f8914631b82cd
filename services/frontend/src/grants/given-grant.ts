import { KmsException } from '@keyfleet/shared/errors/exceptions';
import { type KeySpec, keySpecs, type KeyUsage } from '@keyfleet/shared/key-specs';
import type { KmsKey } from '../keys/kms-key.ts';
import { isAwsService } from '../policy/aws-services.ts';
import { type PrincipalIds, principalIdsOf, type Users } from '../policy/users.ts';
import type { GrantOperation } from './grant.ts';

/** For any key. */
const always: readonly GrantOperation[] = ['CreateGrant', 'DescribeKey', 'RetireGrant'];

const byUsage: Readonly<Record<KeyUsage, readonly GrantOperation[]>> = {
  ENCRYPT_DECRYPT: ['Encrypt', 'Decrypt', 'ReEncryptFrom', 'ReEncryptTo'],
  SIGN_VERIFY: ['Sign', 'Verify'],
  GENERATE_VERIFY_MAC: ['GenerateMac', 'VerifyMac'],
  KEY_AGREEMENT: ['DeriveSharedSecret'],
  ENCAPSULATE_DECAPSULATE: ['Encapsulate', 'Decapsulate'],
};

const dataKeys: readonly GrantOperation[] = [
  'GenerateDataKey',
  'GenerateDataKeyWithoutPlaintext',
  'GenerateDataKeyPair',
  'GenerateDataKeyPairWithoutPlaintext',
];

/** The operations that a grant on the key can allow (KMS Developer Guide, "Grant operations"). */
function grantableOf({ keySpec, keyUsage }: { readonly keySpec: KeySpec; readonly keyUsage: KeyUsage }) {
  const { kind } = keySpecs[keySpec];
  const ofKind: readonly GrantOperation[] =
    kind === 'symmetric' ? dataKeys : kind === 'hmac' ? [] : (['GetPublicKey'] as const);
  return new Set<GrantOperation>([...byUsage[keyUsage], ...ofKind, ...always]);
}

/** Throws ValidationException for a grant that nobody could use. The text is ours. */
export function assertGrantable(key: KmsKey, operations: readonly GrantOperation[]): void {
  if (operations.length === 0) throw invalid('A grant must have at least one operation.');
  const grantable = grantableOf(key);
  const wrong = operations.filter((operation) => !grantable.has(operation));
  if (wrong.length === 0) return;
  throw invalid(
    `Operations ${wrong.join(', ')} are not valid for a key with key usage ${key.keyUsage} and key spec ${key.keySpec}.`,
  );
}

export interface GivenPrincipals {
  readonly GranteePrincipal?: string | undefined;
  readonly GranteeServicePrincipal?: string | undefined;
  readonly RetiringPrincipal?: string | undefined;
  readonly RetiringServicePrincipal?: string | undefined;
  readonly Constraints?: { readonly SourceArn?: string | undefined } | undefined;
}

/**
 * Throws ValidationException unless there is exactly one grantee and at most one retiring principal. The text is ours.
 */
export function assertOneOfEach(given: GivenPrincipals): void {
  const { GranteePrincipal: grantee, GranteeServicePrincipal: service } = given;
  if ((grantee === undefined) === (service === undefined)) {
    throw invalid('Specify either GranteePrincipal or GranteeServicePrincipal.');
  }
  const isRetirable = given.RetiringPrincipal !== undefined || given.RetiringServicePrincipal !== undefined;
  if (given.RetiringPrincipal !== undefined && given.RetiringServicePrincipal !== undefined) {
    throw invalid('Specify either RetiringPrincipal or RetiringServicePrincipal.');
  }
  // Otherwise nobody but the key's owner could ever end a service's grant.
  if (service !== undefined && (given.Constraints?.SourceArn === undefined || !isRetirable)) {
    throw invalid('A grant with GranteeServicePrincipal needs a SourceArn constraint and a retiring principal.');
  }
}

export interface PrincipalsDeps {
  readonly users: Users;
  readonly partition: string;
}

/**
 * The unique ids of the grant's principals. Throws InvalidArnException for a principal that is impossible or does not
 * exist. It is not ours to know which exist in other accounts.
 */
export async function principalIdsOfGrant(
  given: GivenPrincipals,
  caller: Parameters<typeof principalIdsOf>[1]['caller'],
  { users, partition }: PrincipalsDeps,
): Promise<PrincipalIds> {
  const arns = [given.GranteePrincipal, given.RetiringPrincipal].filter((arn) => arn !== undefined);
  for (const arn of arns) {
    if (arn !== caller.arn && (!principalForm.test(arn) || arn.split(':')[1] !== partition))
      throw invalidPrincipal(arn);
  }
  for (const service of [given.GranteeServicePrincipal, given.RetiringServicePrincipal]) {
    if (service !== undefined && !isAwsService(service)) throw invalidPrincipal(service);
  }
  return principalIdsOf(
    arns.filter((arn) => !arn.endsWith(':root')),
    { caller, users },
    invalidPrincipal,
  );
}

const principalForm =
  /^arn:[a-z-]+:(?:iam::\d{12}:(?:root|(?:user|role)\/[\w+=,.@/-]+)|sts::\d{12}:(?:assumed-role|federated-user)\/[\w+=,.@/-]+)$/;

/** AWS's text, as services that call CreateGrant repeat it. */
function invalidPrincipal(name: string): KmsException {
  return new KmsException('InvalidArnException', `ARN does not refer to a valid principal: ${name}`);
}

function invalid(message: string): KmsException {
  return new KmsException('ValidationException', message);
}
