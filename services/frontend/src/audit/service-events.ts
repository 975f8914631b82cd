import { randomUUID } from 'node:crypto';
import type { Clock } from '@keyfleet/shared/clock';
import type { KmsKey } from '../keys/kms-key.ts';
import type { KeyTraces, StoredEvent } from '../store/store.ts';
import { type EventDetails, type EventName, toldBy, type ToldEvent } from './told-event.ts';
import { assertRecordable, type AuditSink } from './sink.ts';

const INTERNAL = 'AWS Internal';

/** Something the service did to a key on its own, as CloudTrail records it. There was no request. */
export interface ServiceEvent {
  readonly eventVersion: '1.11';
  readonly userIdentity: { readonly accountId: string; readonly invokedBy: typeof INTERNAL };
  readonly eventTime: string;
  readonly eventSource: 'kms.amazonaws.com';
  readonly eventName: EventName;
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
  readonly serviceEventDetails?: EventDetails;
}

/**
 * Makes the records of such events, to be stored with the changes they describe, and writes them after those changes.
 */
export class ServiceEvents {
  readonly #sink: AuditSink;
  readonly #clock: Clock;

  constructor(sink: AuditSink, clock: Clock) {
    this.#sink = sink;
    this.#clock = clock;
  }

  /** `key` is the key after the rotation. */
  rotationOf(key: KmsKey): StoredEvent {
    const [previous, current] = key.backingKeys.filter(({ pending }) => !pending).slice(-2);
    return this.#eventOf('RotateKey', key, {
      keyId: key.keyId,
      keyOrigin: key.origin,
      rotationType: current?.rotation,
      previousKeyMaterialId: previous?.materialId,
      currentKeyMaterialId: current?.materialId,
    });
  }

  expiryOf(key: KmsKey, keyMaterialId: string): StoredEvent {
    return this.#eventOf('DeleteExpiredKeyMaterial', key, { keyId: key.keyId, keyMaterialId });
  }

  /** `key` is a replica that received its primary's state. */
  synchronizationOf(key: KmsKey): StoredEvent {
    return this.#eventOf('SynchronizeMultiRegionKey', key, { keyId: key.keyId });
  }

  deletionOf(key: KmsKey): StoredEvent {
    return this.#eventOf('DeleteKey', key);
  }

  /** Resolves when the events, which this process made, are in the audit log. */
  async record(events: readonly StoredEvent[]): Promise<void> {
    for (const { text } of events) this.#sink.write(text);
    await this.#sink.settled();
  }

  /**
   * Records a key's events that another process may have made. Their text is not written: whoever has the record key
   * can store any, and a line of this log is what this frontend vouches for. Throws DamagedRecordError, and records
   * none, if one is not an event of this key.
   */
  async recordFound(key: KeyTraces, events: readonly StoredEvent[]): Promise<void> {
    const lines = events.map((event) => JSON.stringify(toEvent(toldBy(event, key))));
    for (const line of lines) this.#sink.write(line);
    await this.#sink.settled();
  }

  /** Throws AuditFullError while the service's own actions could not be recorded. */
  assertRecordable(): void {
    assertRecordable(this.#sink);
  }

  #eventOf(eventName: EventName, { accountId, arn, region }: KmsKey, serviceEventDetails?: EventDetails): StoredEvent {
    const eventTime = new Date(this.#clock.now()).toISOString();
    const eventID = randomUUID();
    const event = toEvent({ eventName, eventTime, eventID, accountId, arn, region, serviceEventDetails });
    return { id: eventID, text: JSON.stringify(event) };
  }
}

function toEvent({
  eventName,
  eventTime,
  eventID,
  accountId,
  arn,
  region,
  serviceEventDetails,
}: ToldEvent): ServiceEvent {
  return {
    eventVersion: '1.11',
    userIdentity: { accountId, invokedBy: INTERNAL },
    eventTime,
    eventSource: 'kms.amazonaws.com',
    eventName,
    awsRegion: region,
    sourceIPAddress: INTERNAL,
    userAgent: INTERNAL,
    requestParameters: null,
    responseElements: null,
    eventID,
    readOnly: false,
    resources: [{ accountId, type: 'AWS::KMS::Key', ARN: arn }],
    eventType: 'AwsServiceEvent',
    managementEvent: true,
    recipientAccountId: accountId,
    eventCategory: 'Management',
    ...(serviceEventDetails && { serviceEventDetails }),
  };
}
