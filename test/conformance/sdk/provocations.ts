import { call } from '@keyfleet/test-support/sdk-client';
import { type Key, type Kind, type State, sharedKey } from '@keyfleet/test-support/sdk-keys';
import { randomUUID } from 'node:crypto';
import type { OperationName } from '@keyfleet/shared/api/registry';
import type { ExceptionCode } from '@keyfleet/shared/errors/exceptions';
import { requestAbout, requests } from './requests.ts';
import { specialProvocations } from './special-provocations.ts';

/** A call that must fail, and what AWS says then. */
export interface Provoked {
  readonly answer: Promise<unknown>;
  /** Absent: AWS says nothing. */
  readonly says?: string;
}

export interface Provocation {
  /** Operations without which there is no way to bring it about. */
  readonly needs?: readonly OperationName[];
  readonly provoke: () => Promise<Provoked>;
}

/** Undefined if nobody has said how. */
export function provocationOf(operation: OperationName, error: ExceptionCode): Provocation | undefined {
  return specialProvocations[`${operation}.${error}`] ?? onAnyKey[error]?.(operation, requests[operation].kind!);
}

const otherUsage = (kind: Kind): Kind => (kind === 'mac' ? 'symmetric' : 'mac');
const isUse = (operation: OperationName): boolean =>
  requests[operation].kind !== 'encapsulation' && uses.has(operation);
const uses: ReadonlySet<OperationName> = new Set([
  ...(['Decrypt', 'DeriveSharedSecret', 'Encrypt', 'GenerateDataKey', 'GenerateDataKeyPair'] as const),
  ...(['GenerateDataKeyPairWithoutPlaintext', 'GenerateDataKeyWithoutPlaintext', 'GenerateMac'] as const),
  ...(['ReEncrypt', 'RotateKeyOnDemand', 'Sign', 'Verify', 'VerifyMac'] as const),
]);

/** What is said of any operation on a key. */
const onAnyKey: Partial<Record<ExceptionCode, (operation: OperationName, kind: Kind) => Provocation>> = {
  NotFoundException: (operation, kind) => ({
    provoke: async () => {
      const key = await sharedKey(kind);
      const id = randomUUID();
      const says = `Key '${key.Arn.replace(key.KeyId, id)}' does not exist`;
      return { answer: call(operation, await requestAbout(operation, key, id)), says };
    },
  }),
  InvalidArnException: (operation, kind) => ({
    provoke: async () => {
      const arn = 'arn:aws:kms:us-east-1:nonsense';
      return {
        answer: call(operation, await requestAbout(operation, await sharedKey(kind), arn)),
        says: `Invalid arn ${arn}`,
      };
    },
  }),
  DisabledException: inState('disabled', 'is disabled.'),
  KMSInvalidStateException: (operation, kind) =>
    isUse(operation)
      ? inState('pendingImport', 'is pending import.')(operation, kind)
      : inState('pendingDeletion', 'is pending deletion.')(operation, kind),
  InvalidKeyUsageException: (operation, kind) => ({
    provoke: async () => {
      const other = await sharedKey(otherUsage(kind));
      const says = `${other.Arn} key usage is ${other.KeyUsage} which is not valid for ${operation}.`;
      return { answer: call(operation, await about(operation, kind, other)), says };
    },
  }),
  DryRunOperationException: (operation, kind) => ({
    provoke: async () => {
      const request = await requestAbout(operation, await sharedKey(kind));
      const says = 'The request would have succeeded, but the DryRun option is set.';
      return { answer: call(operation, { ...request, DryRun: true }), says };
    },
  }),
  InvalidGrantTokenException: (operation, kind) => ({
    provoke: async () => {
      const request = await requestAbout(operation, await sharedKey(kind));
      return { answer: call(operation, { ...request, GrantTokens: ['junk'] }), says: 'A grant token is not valid.' };
    },
  }),
  InvalidMarkerException: (operation, kind) => ({
    provoke: async () => {
      const request = kind === undefined ? {} : await requestAbout(operation, await sharedKey(kind));
      return { answer: call(operation, { ...request, Marker: 'nonsense' }), says: 'The marker is not valid.' };
    },
  }),
};

function inState(state: State, ending: string) {
  return (operation: OperationName, kind: Kind): Provocation => ({
    needs: state === 'disabled' ? ['DisableKey'] : state === 'pendingDeletion' ? ['ScheduleKeyDeletion'] : [],
    provoke: async () => {
      const key = await sharedKey(kind, state);
      return { answer: call(operation, await about(operation, kind, key)), says: `${key.Arn} ${ending}` };
    },
  });
}

/** The request of a key that works, about another. */
async function about(operation: OperationName, kind: Kind, key: Key): Promise<object> {
  return requestAbout(operation, await sharedKey(kind), key.KeyId);
}
