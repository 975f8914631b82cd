import { randomUUID } from 'node:crypto';
import type { Clock } from '@keyfleet/shared/clock';
import type { KmsKey } from '../keys/kms-key.ts';
import { assertRecordable, type AuditSink } from './sink.ts';

const INTERNAL = 'AWS Internal';

/** What the service did to a key by itself, as CloudTrail records it: nobody asked, so there is no request. */
export interface ServiceEvent {
  readonly eventVersion: '1.11';
  readonly userIdentity: { readonly accountId: string; readonly invokedBy: typeof INTERNAL };
  readonly eventTime: string;
  readonly eventSource: 'kms.amazonaws.com';
  readonly eventName: 'RotateKey' | 'DeleteKey' | 'DeleteExpiredKeyMaterial' | 'SynchronizeMultiRegionKey';
  readonly awsRegion: string;
  readonly sourceIPAddress: typeof INTERNAL;
  readonly userAgent: typeof INTERNAL;
  readonly requestParameters: null;
  readonly responseElements: null;
  readonly eventID: string;
  readonly readOnly: false;
  readonly resources: readonly { readonly accountId: string; readonly type: 'AWS::KMS::Key'; readonly ARN: string }[];
  readonly eventType: 'AwsServiceEvent';
  readonly managementEvent: true;
  readonly recipientAccountId: string;
  readonly eventCategory: 'Management';
  readonly serviceEventDetails?: Readonly<Record<string, string | undefined>>;
}

export class ServiceEvents {
  readonly #sink: AuditSink;
  readonly #clock: Clock;

  constructor(sink: AuditSink, clock: Clock) {
    this.#sink = sink;
    this.#clock = clock;
  }

  /** `key` as it is after the rotation. */
  keyRotated(key: KmsKey): void {
    const [previous, current] = key.backingKeys.slice(-2);
    const event = this.#eventOf('RotateKey', key, {
      keyId: key.keyId,
      keyOrigin: key.origin,
      rotationType: current?.rotation,
      previousKeyMaterialId: previous?.materialId,
      currentKeyMaterialId: current?.materialId,
    });
    this.#sink.write(event);
  }

  /** `key` as it is since then. */
  keyMaterialExpired(key: KmsKey): void {
    this.#sink.write(this.#eventOf('DeleteExpiredKeyMaterial', key, { keyMaterialId: key.imported?.materialId }));
  }

  /** `key`: a replica that was given what its primary has. */
  keySynchronized(key: KmsKey): void {
    this.#sink.write(this.#eventOf('SynchronizeMultiRegionKey', key, { keyId: key.keyId }));
  }

  /** What is to be recorded of a key that is deleted now, as `record` takes it. */
  deletionOf(key: KmsKey): string {
    return this.#eventOf('DeleteKey', key);
  }

  /** Resolves when the event stands in the audit log. */
  async record(event: string): Promise<void> {
    this.#sink.write(event);
    await this.#sink.settled();
  }

  /** Throws AuditFullError while what the service does could not be recorded. */
  assertRecordable(): void {
    assertRecordable(this.#sink);
  }

  #eventOf(
    eventName: ServiceEvent['eventName'],
    { accountId, arn, region }: KmsKey,
    serviceEventDetails?: Readonly<Record<string, string | undefined>>,
  ): string {
    const event: ServiceEvent = {
      eventVersion: '1.11',
      userIdentity: { accountId, invokedBy: INTERNAL },
      eventTime: new Date(this.#clock.now()).toISOString(),
      eventSource: 'kms.amazonaws.com',
      eventName,
      awsRegion: region,
      sourceIPAddress: INTERNAL,
      userAgent: INTERNAL,
      requestParameters: null,
      responseElements: null,
      eventID: randomUUID(),
      readOnly: false,
      resources: [{ accountId, type: 'AWS::KMS::Key', ARN: arn }],
      eventType: 'AwsServiceEvent',
      managementEvent: true,
      recipientAccountId: accountId,
      eventCategory: 'Management',
      ...(serviceEventDetails && { serviceEventDetails }),
    };
    return JSON.stringify(event);
  }
}
