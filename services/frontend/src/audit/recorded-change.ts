import type { Clock } from '@keyfleet/shared/clock';
import type { ServiceEvents } from './service-events.ts';
import type { KeyStore, StoredEvent } from '../store/store.ts';
import type { KmsKey } from '../keys/kms-key.ts';

/** How long whoever records what was done to a key has for it, before others take it that he is gone. */
export const RECORDING_MS = 60_000;

export interface RecordedChangeDeps {
  readonly keys: Pick<KeyStore, 'updateKey' | 'forgetEvents'>;
  readonly clock: Clock;
  readonly serviceEvents: Pick<ServiceEvents, 'record'>;
}

/**
 * Changes a key and records it: the event is stored with the change, and goes when it stands in the audit log.
 * `recorded` rejects when that failed: then it is still stored, and recorded when its claim is over.
 */
export async function changeAndRecord(
  key: KmsKey,
  event: StoredEvent,
  { keys, clock, serviceEvents }: RecordedChangeDeps,
): Promise<{ readonly changed: KmsKey; readonly recorded: Promise<void> }> {
  const claimed = { ...event, until: clock.now() + RECORDING_MS };
  const changed = await keys.updateKey(key, claimed);
  return { changed, recorded: serviceEvents.record([claimed]).then(() => keys.forgetEvents(key, [claimed])) };
}
