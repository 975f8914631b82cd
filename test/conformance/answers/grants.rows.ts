import type { Keys } from './keys.ts';
import { error, type Row } from './row.ts';

const admin = 'arn:aws:iam::000000000000:user/admin';
const nobody = 'arn:aws:iam::000000000000:user/nobody';
const missing = '00000000-0000-4000-8000-000000000000';
const valid = { GranteePrincipal: admin, Operations: ['Decrypt'] };

const grant = (changes: object, of: (keys: Keys) => string = ({ S }) => S.id) => ({
  operation: 'CreateGrant',
  body: (keys: Keys) => ({ KeyId: of(keys), ...valid, ...changes }),
});

const junk = error('InvalidGrantTokenException', 'A grant token is not valid.');
const noPrincipal = error('InvalidArnException', `ARN does not refer to a valid principal: ${nobody}`);
const dryRun = error('DryRunOperationException', 'The request would have succeeded, but the DryRun option is set.');
const notThere = ({ prefix }: Keys) => error('NotFoundException', `Key '${prefix}key/${missing}' does not exist`);
const validation = (message: string) => error('ValidationException', message);
const noGrant = error('NotFoundException', 'Grant ID ab not found');
const badId = error('InvalidGrantIdException', 'The grant ID is not valid.');

/** A row's request has the flaw that its title names first, and all those after it. */
export const grantRows: readonly Row[] = [
  {
    title: 'CreateGrant: a junk token comes before a key that is not there (the order is ours)',
    ...grant({ GrantTokens: ['junk'] }, () => missing),
    answer: () => junk,
  },
  {
    title: 'CreateGrant: a key that is not there comes before its grantee (the order is ours)',
    ...grant({ GranteePrincipal: nobody }, () => missing),
    answer: notThere,
  },
  {
    title: 'CreateGrant: the state comes before the grantee (the order is ours; the state is A)',
    ...grant({ GranteePrincipal: nobody, Operations: ['Sign'] }, ({ dS }) => dS.id),
    answer: ({ dS }) => error('DisabledException', `${dS.arn} is disabled.`),
  },
  {
    title: 'CreateGrant of a key that is pending deletion (A)',
    ...grant({}, ({ pS }) => pS.id),
    answer: ({ pS }) => error('KMSInvalidStateException', `${pS.arn} is pending deletion.`),
  },
  {
    title: 'CreateGrant of a key without material (A)',
    ...grant({}, ({ X }) => X.id),
    answer: ({ X }) => error('KMSInvalidStateException', `${X.arn} is pending import.`),
  },
  {
    title: 'CreateGrant: the grantee comes before the operations (the order is ours; the text is A)',
    ...grant({ GranteePrincipal: nobody, Operations: ['Sign'] }),
    answer: () => noPrincipal,
  },
  {
    title: 'CreateGrant: the operations come before the constraints (ours)',
    ...grant({ Operations: ['Sign'], Constraints: { EncryptionContextEquals: { a: 'x'.repeat(385) } } }),
    answer: () =>
      validation(
        'Operations Sign are not valid for a key with key usage ENCRYPT_DECRYPT and key spec SYMMETRIC_DEFAULT.',
      ),
  },
  {
    title: 'CreateGrant: the constraints come before a dry run (ours)',
    ...grant({ DryRun: true, Constraints: { EncryptionContextEquals: { a: 'x'.repeat(385) } } }),
    answer: () => validation('An encryption context value in a grant constraint has at most 384 characters.'),
  },
  {
    // https://github.com/aws/aws-sdk-java/issues/328
    title: 'CreateGrant with both constraints of the encryption context (A)',
    ...grant({ Constraints: { EncryptionContextEquals: {}, EncryptionContextSubset: { a: 'b' } } }),
    answer: () => validation('More than one constraint supplied'),
  },
  {
    title: 'CreateGrant of an RSA key with an encryption context constraint (the text is ours)',
    ...grant({ Constraints: { EncryptionContextSubset: { a: 'b' } } }, ({ R }) => R.id),
    answer: () => validation('Encryption context constraints are not supported for asymmetric and HMAC keys.'),
  },
  {
    title: 'CreateGrant of GenerateDataKey with an RSA key (the text is ours)',
    ...grant({ Operations: ['GenerateDataKey', 'GetPublicKey'] }, ({ R }) => R.id),
    answer: () =>
      validation(
        'Operations GenerateDataKey are not valid for a key with key usage ENCRYPT_DECRYPT and key spec RSA_2048.',
      ),
  },
  { title: 'CreateGrant as a dry run (A)', ...grant({ DryRun: true }), answer: () => dryRun },
  {
    title: 'CreateGrant with two grantees (the text is ours)',
    ...grant({ GranteeServicePrincipal: 's3.amazonaws.com' }),
    answer: () => validation('Specify either GranteePrincipal or GranteeServicePrincipal.'),
  },
  {
    title: 'RevokeGrant: a key that is not there comes before its grant',
    operation: 'RevokeGrant',
    body: () => ({ KeyId: missing, GrantId: 'no!' }),
    answer: notThere,
  },
  {
    title: 'RevokeGrant of a grant that is not there (A; the text is ours)',
    operation: 'RevokeGrant',
    body: ({ pS }) => ({ KeyId: pS.id, GrantId: 'ab', DryRun: true }),
    answer: () => noGrant,
  },
  {
    title: 'RevokeGrant of what is no grant id (the text is ours)',
    operation: 'RevokeGrant',
    body: ({ S }) => ({ KeyId: S.id, GrantId: 'no!' }),
    answer: () => badId,
  },
  {
    title: 'RetireGrant: the grant id comes before the key (ours)',
    operation: 'RetireGrant',
    body: () => ({ KeyId: 'arn:aws:kms:us-east-1:nonsense', GrantId: 'no!' }),
    answer: () => badId,
  },
  {
    title: 'RetireGrant of a key that is not there is of a grant that is not there (ours)',
    operation: 'RetireGrant',
    body: ({ prefix }) => ({ KeyId: `${prefix}key/${missing}`, GrantId: 'ab' }),
    answer: () => noGrant,
  },
  {
    title: 'RetireGrant with nothing (the text is ours)',
    operation: 'RetireGrant',
    body: () => ({}),
    answer: () => validation('Specify either GrantToken, or KeyId and GrantId.'),
  },
  {
    title: 'RetireGrant with a junk token (A; the text is ours)',
    operation: 'RetireGrant',
    body: () => ({ GrantToken: 'junk', DryRun: true }),
    answer: () => junk,
  },
  {
    title: 'ListRetirableGrants with nothing (the text is ours)',
    operation: 'ListRetirableGrants',
    body: () => ({ Marker: 'nonsense' }),
    answer: () => validation('Specify either RetiringPrincipal or RetiringServicePrincipal.'),
  },
  {
    title: 'ListGrants of a key that is pending deletion (A)',
    operation: 'ListGrants',
    body: ({ pS }) => ({ KeyId: pS.id }),
    status: 200,
    answer: () => ({ Grants: [], Truncated: false }),
  },
];
