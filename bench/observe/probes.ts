import { createConnection } from 'node:net';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { pathToFileURL } from 'node:url';
import { existsSync } from 'node:fs';

export type ProbeCommand = 'reset' | 'read' | 'start-profile' | 'stop-profile';

/** The probes of the services that were started with `nodeArgs`. */
export class Probes {
  readonly #folder: string;

  /** `folder`: short, as the path of a Unix socket may have 107 bytes. */
  constructor(folder: string) {
    this.#folder = folder;
  }

  get nodeArgs(): string[] {
    const probe = pathToFileURL(join(import.meta.dirname, 'probe.ts'));
    return ['--import', `${probe.href}?${encodeURIComponent(this.#folder)}`];
  }

  /** Undefined: that process has no probe, or none any more. */
  async ask(pid: number, command: ProbeCommand): Promise<unknown> {
    const path = join(this.#folder, `${pid}.sock`);
    if (!existsSync(path)) return undefined;
    const socket = createConnection(path);
    try {
      socket.write(command);
      return JSON.parse(await text(socket));
    } catch {
      return undefined;
    } finally {
      socket.destroy();
    }
  }
}
