import { CHANGES } from '@keyfleet/shared/stored/names';
import { z } from 'zod';
import type { ChangeListener } from './change-feed.ts';
import { splitMac } from './record-mac.ts';
import type { RecordMacs } from './record-macs.ts';

const PREFIX = 'acknowledged ';
/** No record is stored there, so that no announcement is one. */
const place = { name: CHANGES };
const Announcement = z.object({ id: z.string(), revision: z.int().min(0) });

interface AnnouncementsDeps {
  readonly macs: RecordMacs;
  readonly publish: (change: string) => Promise<unknown>;
  /** Another frontend, or this one, durably wrote or removed the record; announced under this record key. */
  readonly heard: (id: string, revision: number, keyNumber: number) => void;
}

/**
 * Frontends tell each other through Redis which revisions they acknowledged, each with the MAC of a record: whoever
 * else can publish there makes nobody believe that a revision exists, nor fills what frontends remember.
 */
export class Announcements implements ChangeListener {
  readonly #deps: AnnouncementsDeps;

  constructor(deps: AnnouncementsDeps) {
    this.#deps = deps;
  }

  /** Call after the change itself. What is not heard is only not known elsewhere. */
  send(id: string, revision: number): void {
    this.#send(JSON.stringify({ id, revision })).catch(() => {});
  }

  changed(change: string): void {
    if (change.startsWith(PREFIX)) this.#hear(change.slice(PREFIX.length)).catch(() => {});
  }

  async #send(announcement: string): Promise<void> {
    const { text } = await this.#deps.macs.withMac(place, announcement);
    await this.#deps.publish(`${PREFIX}${text}`);
  }

  async #hear(stored: string): Promise<void> {
    const { id, revision } = Announcement.parse(JSON.parse(await this.#deps.macs.verified(place, stored)));
    this.#deps.heard(id, revision, splitMac(stored)!.keyNumber);
  }
}
