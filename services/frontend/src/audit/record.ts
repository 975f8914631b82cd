import { randomUUID } from 'node:crypto';
import type { Operation } from '@keyfleet/shared/api/operation';
import type { Clock } from '@keyfleet/shared/clock';
import type { KmsException } from '@keyfleet/shared/errors/exceptions';
import type { KmsKey } from '../keys/kms-key.ts';
import type { Call, Caller } from '../operations/handler.ts';
import type { ServiceEvent } from './service-events.ts';
import { newDisclosure } from './disclosure.ts';

/** One line of the audit log, in CloudTrail's shape, so that what reads CloudTrail reads this. Undefined members are left out. */
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
  readonly errorCode?: string | undefined;
  readonly errorMessage?: string | undefined;
  /** Never a plaintext, a ciphertext, a message, a signature or a token. */
  readonly requestParameters: unknown;
  readonly responseElements: unknown;
  readonly additionalEventData?: { readonly keyMaterialId: string } | undefined;
  readonly requestID: string;
  readonly eventID: string;
  readonly readOnly: boolean;
  readonly resources?: readonly AuditedResource[] | undefined;
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
  write(record: AuditRecord | ServiceEvent): void;
}

/** Writes one record for every outcome of every request. It is on every request's way: one object, built in one go. */
export class Audit {
  readonly #sink: AuditSink;
  readonly #clock: Clock;
  readonly #disclose = newDisclosure();
  readonly #identities = new WeakMap<object, UserIdentity>();
  #time = { milliseconds: Number.NaN, text: '' };

  constructor(sink: AuditSink, clock: Clock) {
    this.#sink = sink;
    this.#clock = clock;
  }

  /** Returns the record's eventID. */
  succeeded({ operation, input, call, keys, output }: Attempt & { readonly output: unknown }): string {
    const materialId = materialIdOf(output);
    return this.#write(operation.name, call, {
      readOnly: operation.readOnly,
      requestParameters: this.#disclose.input(operation, input),
      responseElements: operation.readOnly ? null : this.#disclose.output(operation, output, keys[0]?.arn),
      resources: resourcesOf(keys),
      additionalEventData: materialId === undefined ? undefined : { keyMaterialId: materialId },
    });
  }

  failed({ operation, input, call, keys, exception }: Attempt & { readonly exception: KmsException }): void {
    this.#write(operation.name, call, {
      readOnly: operation.readOnly,
      requestParameters: this.#disclose.input(operation, input),
      resources: resourcesOf(keys),
      exception,
    });
  }

  refused({ operation, request, userAgent, caller, exception }: RefusedRequest): void {
    const { requestId, sourceIpAddress } = request;
    const source = { requestId, sourceIpAddress, userAgent, region: caller?.region ?? '', caller };
    this.#write(operation, source, { readOnly: false, exception });
  }

  #write(eventName: string, source: Source, event: Event): string {
    const { caller } = source;
    const eventID = randomUUID();
    this.#sink.write({
      eventVersion: '1.11',
      userIdentity: this.#identityOf(caller),
      eventTime: this.#now(),
      eventSource: 'kms.amazonaws.com',
      eventName,
      awsRegion: source.region,
      sourceIPAddress: source.sourceIpAddress,
      userAgent: source.userAgent,
      errorCode: event.exception?.code,
      errorMessage: event.exception?.message || undefined,
      requestParameters: event.requestParameters ?? null,
      responseElements: event.responseElements ?? null,
      additionalEventData: event.additionalEventData,
      requestID: source.requestId,
      eventID,
      readOnly: event.readOnly,
      resources: event.resources,
      eventType: 'AwsApiCall',
      managementEvent: true,
      recipientAccountId: caller?.accountId ?? '',
      eventCategory: 'Management',
    });
    return eventID;
  }

  /** Many requests share a millisecond. */
  #now(): string {
    const milliseconds = this.#clock.now();
    if (this.#time.milliseconds !== milliseconds) {
      this.#time = { milliseconds, text: new Date(milliseconds).toISOString() };
    }
    return this.#time.text;
  }

  #identityOf(caller: Caller | undefined): UserIdentity {
    if (!caller) return nobody;
    const known = this.#identities.get(caller);
    if (known) return known;
    const { arn, accountId, accessKeyId, userId } = caller;
    const identity = { type: identityTypeOf(arn), principalId: userId, arn, accountId, accessKeyId };
    this.#identities.set(caller, identity);
    return identity;
  }
}

type Source = Pick<Call, 'requestId' | 'sourceIpAddress' | 'userAgent' | 'region'> & {
  readonly caller: Caller | undefined;
};

interface Event {
  readonly readOnly: boolean;
  readonly requestParameters?: unknown;
  readonly responseElements?: unknown;
  readonly resources?: readonly AuditedResource[] | undefined;
  readonly additionalEventData?: AuditRecord['additionalEventData'];
  readonly exception?: KmsException;
}

const nobody: UserIdentity = { type: 'Unknown', principalId: '', arn: '', accountId: '', accessKeyId: '' };

function identityTypeOf(arn: string): string {
  if (arn.endsWith(':root')) return 'Root';
  return arn.includes(':sts:') ? 'AssumedRole' : 'IAMUser';
}

function resourcesOf(keys: readonly KmsKey[]): readonly AuditedResource[] | undefined {
  if (keys.length === 0) return undefined;
  return keys.map(({ accountId, arn }) => ({ accountId, type: 'AWS::KMS::Key', ARN: arn }));
}

function materialIdOf(output: unknown): string | undefined {
  const id = (output as { readonly KeyMaterialId?: unknown } | undefined)?.KeyMaterialId;
  return typeof id === 'string' ? id : undefined;
}
