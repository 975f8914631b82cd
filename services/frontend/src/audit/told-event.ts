import { keyArn, parseKmsArn } from '@keyfleet/shared/arn';
import { origins, rotationTypes } from '@keyfleet/shared/key-specs';
import { z } from 'zod';
import { damagedRecord } from '../store/records.ts';
import type { KeyTraces, StoredEvent } from '../store/store.ts';

const EventName = z.enum(['RotateKey', 'DeleteKey', 'DeleteExpiredKeyMaterial', 'SynchronizeMultiRegionKey']);
export type EventName = z.output<typeof EventName>;

const MaterialId = z.string().regex(/^[0-9a-f]{64}$/);

const EventDetails = z.strictObject({
  keyId: z.string(),
  keyOrigin: z.enum(origins).optional(),
  rotationType: z.enum(rotationTypes).optional(),
  previousKeyMaterialId: MaterialId.optional(),
  currentKeyMaterialId: MaterialId.optional(),
  keyMaterialId: MaterialId.optional(),
});
export type EventDetails = z.output<typeof EventDetails>;

/** What one event says. Everything else is alike in all of them. */
export interface ToldEvent extends Pick<KeyTraces, 'accountId' | 'region'> {
  readonly eventName: EventName;
  /** ISO 8601. */
  readonly eventTime: string;
  readonly eventID: string;
  /** Of the key. */
  readonly arn: string;
  readonly serviceEventDetails?: EventDetails | undefined;
}

const Stored = z.object({
  eventName: EventName,
  eventTime: z.iso.datetime({ precision: 3 }),
  eventID: z.uuid(),
  resources: z.tuple([z.object({ ARN: z.string() })]),
  serviceEventDetails: EventDetails.optional(),
});

/** Throws DamagedRecordError unless it is an event of this key. */
export function toldBy({ id, text }: StoredEvent, { accountId, region, keyId }: KeyTraces): ToldEvent {
  const name = `event ${id} of key ${region}/${keyId}`;
  const { resources, ...told } = parse(text, name);
  const [{ ARN: arn }] = resources;
  const { partition = '' } = parseKmsArn(arn) ?? {};
  const isOfKey = told.eventID === id && arn === keyArn({ partition, region, accountId }, keyId);
  if (!isOfKey || (told.serviceEventDetails?.keyId ?? keyId) !== keyId)
    throw damagedRecord(name, 'it is an event of another key');
  return { ...told, accountId, region, arn };
}

function parse(text: string, name: string): z.output<typeof Stored> {
  try {
    return Stored.parse(JSON.parse(text));
  } catch (cause) {
    throw damagedRecord(name, 'it is none that the service makes', cause);
  }
}
