import { DamagedRecordError } from './store.ts';

/** No HSM opens it, or by now it is not the one that was judged. */
export function doesNotOpen(number: number, cause?: unknown): DamagedRecordError {
  return new DamagedRecordError(
    `record key ${number} does not open. If nobody replaced the record key, remove kf:secret:{record-key-${number}}, which somebody put there; else restore it from a backup (docs/recovery.md)`,
    { cause },
  );
}

export function isPlanted(number: number): DamagedRecordError {
  return new DamagedRecordError(
    `nothing shows that record key ${number} was made after record key ${number - 1}: somebody put it there. Remove kf:secret:{record-key-${number}}, and run the command again.`,
  );
}

/** The HSM that made it has not heard of the newest domain token, or it was not known here. */
export function isFromElsewhen(number: number): DamagedRecordError {
  return new DamagedRecordError(
    `the hsm-worker that made record key ${number} has another domain token than the newest that is known here, so it was not stored. Run the command again.`,
  );
}

/** As a former frontend may have it; or as operators made it just before somebody left. */
export function isFromBefore(number: number): DamagedRecordError {
  return new DamagedRecordError(
    `record key ${number} was made before the last removal, and this frontend did not use it before: whoever left may have put it there. If operators did not make it, remove kf:secret:{record-key-${number}}; replace the record key in any case (docs/recovery.md)`,
  );
}

/** As a former frontend may have it, with access to Redis. */
export function isPlantedAsOldest(number: number, known: number): DamagedRecordError {
  return new DamagedRecordError(
    `record key ${number} is said to be the oldest, and nothing shows that it was made after record key ${known}: somebody put it there. Restore kf:record-keys from a backup, and remove kf:secret:{record-key-${number}} (docs/recovery.md).`,
  );
}

export function isReplaced(number: number): DamagedRecordError {
  return new DamagedRecordError(
    `record key ${number} is another than this frontend used before: restore kf:secret:{record-key-${number}} from a backup; if operators accepted another store, or other frontends use it, remove record-key-floor.json (docs/recovery.md)`,
  );
}

export function isLost(number: number): DamagedRecordError {
  return new DamagedRecordError(
    `record key ${number} is missing, and this frontend used it before: restore kf:secret:{record-key-${number}} from a backup; if operators accepted an older store, remove record-key-floor.json (docs/recovery.md)`,
  );
}

export function isMissing(number: number): DamagedRecordError {
  return new DamagedRecordError(
    `record key ${number} is missing, and records are under it: restore kf:secret:{record-key-${number}} from a backup (docs/recovery.md)`,
  );
}
