import { randomBytes } from 'node:crypto';
import { integer, list, structure, text } from '@keyfleet/shared/api/shape';
import type { Call } from '../../operations/handler.ts';
import { identityArn, sessionArn } from '../callers.ts';
import { newAccessKeyId } from '../ids.ts';
import { defaultDocumentOf } from '../identity.ts';
import { assertIdentityPolicy } from '../iam/documents.ts';
import { Arn, PolicyDocument } from '../iam/fields.ts';
import { QueryException } from '../query-exception.ts';
import type { IamDeps } from '../query-operation.ts';
import type { IamTag, RoleRecord } from '../iam-records.ts';
import { ShownOnce } from '../shown-once.ts';
import type { SessionContent } from '../sts-session-token.ts';
import { findPolicy } from '../targets.ts';

/** Members shared by the operations that give a role's session. */
export const RoleSessionName = text({ min: 2, max: 64, pattern: String.raw`[\w+=,.@-]*` });
export const SourceIdentity = text({ min: 2, max: 64, pattern: String.raw`[\w+=,.@-]*` });
export const TransitiveTagKeys = list(text({ min: 1, max: 128 }), { max: 50 });
export const DurationSeconds = integer(900, 43_200);
export const limits = {
  PolicyArns: list(structure('PolicyDescriptorType', { arn: Arn.optional() }), { max: 10 }).optional(),
  Policy: PolicyDocument.optional(),
  DurationSeconds: DurationSeconds.optional(),
};

/** AWS's quota, in characters, for all session policies together. */
const MAX_POLICY_LENGTH = 2_048;
/** Session policies and tags in bytes, limited so that a token fits into a header. */
const MAX_PACKED = 4_096;
const DEFAULT_SECONDS = 3_600;
/** For a role assumed by another role's session. */
const MAX_CHAINED_SECONDS = 3_600;

interface Limits {
  readonly PolicyArns?: readonly { readonly arn?: string | undefined }[] | undefined;
  readonly Policy?: string | undefined;
  readonly DurationSeconds?: number | undefined;
}

/**
 * The session policies that a request passes, inline and managed. Throws MalformedPolicyDocument, PackedPolicyTooLarge
 * or NoSuchEntity.
 */
export async function sessionPolicies(
  { Policy, PolicyArns = [] }: Limits,
  accountId: string,
  deps: Pick<IamDeps, 'iam' | 'partition'>,
): Promise<readonly string[]> {
  if (Policy !== undefined) {
    if (Policy.length > MAX_POLICY_LENGTH) throw tooLarge();
    assertIdentityPolicy(Policy);
  }
  const managed = await Promise.all(PolicyArns.map(({ arn = '' }) => documentOf(arn, accountId, deps)));
  const policies = Policy === undefined ? managed : [Policy, ...managed];
  if (policies.join('').length > MAX_POLICY_LENGTH) throw tooLarge();
  return policies;
}

async function documentOf(arn: string, accountId: string, deps: Pick<IamDeps, 'iam' | 'partition'>): Promise<string> {
  const policy = await findPolicy(deps, accountId, arn);
  const document = policy && defaultDocumentOf(policy);
  if (document === undefined)
    throw new QueryException('ValidationError', `The policy ${arn} does not exist or is not attachable.`);
  return document;
}

function tooLarge(): QueryException {
  return new QueryException(
    'PackedPolicyTooLarge',
    'Packed size of session tags and session policies consumes more than 100% of allotted space.',
  );
}

/**
 * How much of a session's capacity is used, in percent; undefined for a session with neither policies nor tags, as in
 * AWS's answers. Throws PackedPolicyTooLarge.
 */
function packedSize({ policies, tags }: Pick<SessionContent, 'policies' | 'tags'>): number | undefined {
  const texts = [...policies, ...tags.flatMap(({ key, value }) => [key, value])];
  if (texts.length === 0) return undefined;
  const bytes = texts.reduce((sum, one) => sum + Buffer.byteLength(one), 0);
  if (bytes > MAX_PACKED) throw tooLarge();
  return Math.ceil((100 * bytes) / MAX_PACKED);
}

/** Throws ValidationError for more than the role allows or, for a session made by a session, more than an hour. */
export function durationOf({ DurationSeconds: given }: Limits, role: RoleRecord, isChained: boolean): number {
  const max = isChained ? MAX_CHAINED_SECONDS : role.maxSessionSeconds;
  if (given === undefined) return Math.min(DEFAULT_SECONDS, max);
  if (given <= max) return given;
  throw new QueryException(
    'ValidationError',
    isChained
      ? 'The requested DurationSeconds exceeds the 1 hour session limit for roles assumed by role chaining.'
      : 'The requested DurationSeconds exceeds the MaxSessionDuration set for this role.',
  );
}

export interface NewSession {
  readonly seconds: number;
  readonly policies: readonly string[];
  readonly tags: readonly IamTag[];
  readonly transitiveTagKeys: readonly string[];
  readonly sessionName?: string;
  readonly sourceIdentity?: string | undefined;
  readonly federatedProvider?: string;
}

interface Of {
  readonly kind: 'role' | 'user';
  readonly accountId: string;
  readonly name: string;
  readonly id: string;
}

/** Makes temporary credentials, without storing any part of them. */
export async function newCredentials(
  { kind, accountId, name, id }: Of,
  { seconds, ...session }: NewSession,
  { call, deps }: { readonly call: Call; readonly deps: IamDeps },
): Promise<{ credentials: object; packedPolicySize: number | undefined; expiresAt: number }> {
  const issuedAt = Math.floor(deps.clock.now() / 1000) * 1000;
  const content: SessionContent = {
    accessKeyId: newAccessKeyId('ASIA'),
    secretAccessKey: randomBytes(30).toString('base64'),
    accountId,
    kind,
    name,
    id,
    issuedAt,
    expiresAt: issuedAt + 1000 * seconds,
    ...session,
    policies: [...session.policies],
    tags: [...session.tags],
    transitiveTagKeys: [...session.transitiveTagKeys],
  };
  const packedPolicySize = packedSize(content);
  const credentials = {
    AccessKeyId: content.accessKeyId,
    SecretAccessKey: new ShownOnce(content.secretAccessKey),
    SessionToken: new ShownOnce(await deps.sessionTokens.seal(content, call.deadline)),
    Expiration: new Date(content.expiresAt),
  };
  return { credentials, packedPolicySize, expiresAt: content.expiresAt };
}

/** The part of an answer that describes the role. */
export function assumedRole(role: RoleRecord, sessionName: string, partition: string): object {
  return {
    AssumedRoleId: `${role.id}:${sessionName}`,
    Arn: sessionArn(role, identityArn(partition, role), sessionName),
  };
}

const roleArnForm = /^arn:([^:]+):iam::(\d{12}):role(\/(?:[!-~]+\/)?)([\w+=,.@-]+)$/;

/**
 * The role with this ARN, in any account; undefined if there is none. Throws ValidationError if this is not a role's
 * ARN.
 */
export async function findRole(
  { iam, partition }: Pick<IamDeps, 'iam' | 'partition'>,
  arn: string,
): Promise<RoleRecord | undefined> {
  const [, inPartition, accountId = '', path, name = ''] = roleArnForm.exec(arn) ?? [];
  if (inPartition !== partition) throw new QueryException('ValidationError', `${arn} is invalid`);
  const role = await iam.find(accountId, 'role', name);
  return role?.path === path && role?.name === name ? role : undefined;
}
