import { randomUUID } from 'node:crypto';
import type { Clock } from '@keyfleet/shared/clock';
import type { KmsKey } from '../keys/kms-key.ts';
import type { AuditSink } from './record.ts';

const INTERNAL = 'AWS Internal';

/** What the service did to a key by itself, as CloudTrail records it: nobody asked, so there is no request. */
export interface ServiceEvent {
  readonly eventVersion: '1.11';
  readonly userIdentity: { readonly accountId: string; readonly invokedBy: typeof INTERNAL };
  readonly eventTime: string;
  readonly eventSource: 'kms.amazonaws.com';
  readonly eventName: 'RotateKey' | 'DeleteKey';
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
    this.#write('RotateKey', key, {
      keyId: key.keyId,
      keyOrigin: key.origin,
      rotationType: current?.rotation,
      previousKeyMaterialId: previous?.materialId,
      currentKeyMaterialId: current?.materialId,
    });
  }

  keyDeleted(key: KmsKey): void {
    this.#write('DeleteKey', key);
  }

  #write(
    eventName: ServiceEvent['eventName'],
    { accountId, arn, region }: KmsKey,
    serviceEventDetails?: Readonly<Record<string, string | undefined>>,
  ): void {
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
    this.#sink.write(JSON.stringify(event));
  }
}
