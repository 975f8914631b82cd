import { randomUUID } from 'node:crypto';
import type { Operation } from '@keyfleet/shared/api/operation';
import type { Clock } from '@keyfleet/shared/clock';
import type { KmsException } from '@keyfleet/shared/errors/exceptions';
import type { KmsKey } from '../keys/kms-key.ts';
import type { Call, Caller } from '../operations/handler.ts';
import { newDisclosure } from './disclosure.ts';

/** One line of the audit log, in CloudTrail's shape, so that what reads CloudTrail reads this. */
export interface AuditRecord {
  readonly eventVersion: '1.11';
  readonly userIdentity: UserIdentity;
  /** ISO 8601, UTC. */
  readonly eventTime: string;
  readonly eventSource: 'kms.amazonaws.com';
  readonly eventName: string;
  readonly awsRegion: string;
  readonly sourceIPAddress: string;
  readonly userAgent: string;
  readonly errorCode?: string;
  readonly errorMessage?: string;
  /** Never a plaintext, a ciphertext, a message, a signature or a token. */
  readonly requestParameters: unknown;
  readonly responseElements: unknown;
  readonly additionalEventData?: { readonly keyMaterialId: string };
  readonly requestID: string;
  readonly eventID: string;
  readonly readOnly: boolean;
  readonly resources?: readonly AuditedResource[];
  readonly eventType: 'AwsApiCall';
  readonly managementEvent: true;
  readonly recipientAccountId: string;
  readonly eventCategory: 'Management';
}

interface UserIdentity {
  readonly type: string;
  readonly principalId: string;
  readonly arn: string;
  readonly accountId: string;
  readonly accessKeyId: string;
}

interface AuditedResource {
  readonly accountId: string;
  readonly type: 'AWS::KMS::Key';
  readonly ARN: string;
}

/** What is known of a request that reached its operation. */
export interface Attempt {
  readonly operation: Operation;
  readonly input: Readonly<Record<string, unknown>>;
  readonly call: Call;
  /** The keys the caller was admitted to. */
  readonly keys: readonly KmsKey[];
}

/** What is known of a request that was refused before: perhaps nobody signed it. */
export interface RefusedRequest {
  readonly operation: string;
  readonly request: { readonly requestId: string; readonly sourceIpAddress: string };
  readonly userAgent: string;
  readonly caller?: Caller & { readonly region: string };
  readonly exception: KmsException;
}

export interface AuditSink {
  write(record: AuditRecord): void;
}

/** Writes one record for every outcome of every request. */
export class Audit {
  readonly #sink: AuditSink;
  readonly #clock: Clock;
  readonly #disclose = newDisclosure();

  constructor(sink: AuditSink, clock: Clock) {
    this.#sink = sink;
    this.#clock = clock;
  }

  succeeded(attempt: Attempt & { readonly output: unknown }): void {
    const { operation, keys, output } = attempt;
    const materialId = materialIdOf(output);
    this.#sink.write({
      ...this.#recordOf(attempt),
      responseElements: operation.readOnly ? null : this.#disclose.output(operation, output, keys[0]?.arn),
      ...(materialId !== undefined && { additionalEventData: { keyMaterialId: materialId } }),
    });
  }

  failed(attempt: Attempt & { readonly exception: KmsException }): void {
    this.#sink.write({ ...this.#recordOf(attempt), ...errorOf(attempt.exception) });
  }

  refused({ operation, request, userAgent, caller, exception }: RefusedRequest): void {
    this.#sink.write({
      ...this.#envelope(operation, { ...request, userAgent, region: caller?.region ?? '', ...(caller && { caller }) }),
      requestParameters: null,
      responseElements: null,
      readOnly: false,
      ...errorOf(exception),
    });
  }

  #recordOf({ operation, input, call, keys }: Attempt): AuditRecord {
    return {
      ...this.#envelope(operation.name, call),
      requestParameters: this.#disclose.input(operation, input),
      responseElements: null,
      readOnly: operation.readOnly,
      ...(keys.length > 0 && { resources: keys.map(resourceOf) }),
    };
  }

  #envelope(eventName: string, of: EnvelopeSource) {
    return {
      eventVersion: '1.11',
      userIdentity: identityOf(of.caller),
      eventTime: new Date(this.#clock.now()).toISOString(),
      eventSource: 'kms.amazonaws.com',
      eventName,
      awsRegion: of.region,
      sourceIPAddress: of.sourceIpAddress,
      userAgent: of.userAgent,
      requestID: of.requestId,
      eventID: randomUUID(),
      eventType: 'AwsApiCall',
      managementEvent: true,
      recipientAccountId: of.caller?.accountId ?? '',
      eventCategory: 'Management',
    } as const;
  }
}

interface EnvelopeSource {
  readonly requestId: string;
  readonly sourceIpAddress: string;
  readonly userAgent: string;
  readonly region: string;
  readonly caller?: Caller;
}

function identityOf(caller: Caller | undefined): UserIdentity {
  if (!caller) return { type: 'Unknown', principalId: '', arn: '', accountId: '', accessKeyId: '' };
  const { arn, accountId, accessKeyId, userId } = caller;
  return { type: identityTypeOf(arn), principalId: userId, arn, accountId, accessKeyId };
}

function identityTypeOf(arn: string): string {
  if (arn.endsWith(':root')) return 'Root';
  return arn.includes(':sts:') ? 'AssumedRole' : 'IAMUser';
}

function resourceOf({ accountId, arn }: KmsKey): AuditedResource {
  return { accountId, type: 'AWS::KMS::Key', ARN: arn };
}

function errorOf({ code, message }: KmsException) {
  return { errorCode: code, ...(message !== '' && { errorMessage: message }) };
}

function materialIdOf(output: unknown): string | undefined {
  const id = (output as { readonly KeyMaterialId?: unknown } | undefined)?.KeyMaterialId;
  return typeof id === 'string' ? id : undefined;
}
