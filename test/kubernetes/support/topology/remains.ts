import { execa } from 'execa';
import { existsSync, readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';

const NAMESPACES = '/run/netns';
const DIRECTORIES = '/var/tmp';
const DIRECTORY = 'keyfleet-topology-';

/** Begins the name of all that a process makes outside itself: namespaces, links and directories. */
export function prefixOf(pid: number): string {
  return `kf${pid.toString(36)}`;
}

/** For mkdtemp. */
export const directoryPrefix = join(DIRECTORIES, `${DIRECTORY}${prefixOf(process.pid)}-`);

export interface Remains {
  readonly namespaces: readonly string[];
  readonly links: readonly string[];
  readonly directories: readonly string[];
}

/** What is there of the processes of which `of` is true. */
export async function remainsOf(of: (pid: number) => boolean): Promise<Remains> {
  const isOne = (name: string): boolean => {
    const [, pid] = /^v?kf([0-9a-z]+)(?:-|$)/.exec(name) ?? [];
    return pid !== undefined && of(Number.parseInt(pid, 36));
  };
  const { stdout } = await execa('ip', ['-json', 'link', 'show']);
  const links = (JSON.parse(stdout) as readonly { readonly ifname: string }[]).map(({ ifname }) => ifname);
  const directories = readdirSync(DIRECTORIES).filter((name) => name.startsWith(DIRECTORY));
  return {
    namespaces: (existsSync(NAMESPACES) ? readdirSync(NAMESPACES) : []).filter(isOne),
    links: links.filter(isOne),
    directories: directories
      .filter((name) => isOne(name.slice(DIRECTORY.length)))
      .map((name) => join(DIRECTORIES, name)),
  };
}

/** Of runs that were killed. */
export async function removeRemains(): Promise<void> {
  const alive = new Set(readdirSync('/proc'));
  const { namespaces, links, directories } = await remainsOf((pid) => !alive.has(`${pid}`));
  for (const name of namespaces) await execa('ip', ['netns', 'del', name]);
  // A bridge; the others went with their namespaces.
  for (const name of links.filter((link) => !link.startsWith('v'))) await execa('ip', ['link', 'del', name]);
  for (const path of directories) rmSync(path, { recursive: true });
}
