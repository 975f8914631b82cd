import { lstatSync, readlinkSync, realpathSync, statSync, type Stats, unlinkSync } from 'node:fs';
import { connect } from 'node:net';
import { dirname, resolve } from 'node:path';
import { ConfigError } from '@keyfleet/shared/config';

/**
 * Makes room for a socket at `path`: removes the one of a plugin that was killed. Throws ConfigError if another process
 * listens there, if something else is there, or if others could put a socket of their own in its place.
 */
export async function claimSocket(path: string): Promise<void> {
  const folder = dirname(path);
  const isWritable = ({ mode }: Stats): boolean => (mode & 0o022) !== 0;
  assertNobodyElses(folder, isWritable);
  // Above it the sticky bit is enough: it keeps others from what is there already.
  for (const passed of waysTo(folder)) {
    assertNobodyElses(passed, (stats) => isWritable(stats) && (stats.mode & 0o1000) === 0);
  }
  const there = lstatSync(path, { throwIfNoEntry: false });
  if (there === undefined) return;
  if (!there.isSocket())
    throw new ConfigError(`socket: ${path} exists and is not a socket. Remove it, or correct the path.`);
  if (await answers(path)) {
    throw new ConfigError(`socket: another process listens at ${path}. Stop it, or correct the path.`);
  }
  unlinkSync(path);
}

/** From `/` on, every folder and link that the path leads through: whoever may change one leads it elsewhere. */
function* waysTo(path: string): Generator<string> {
  const parent = dirname(path);
  if (parent !== path) yield* waysTo(parent);
  yield path;
  if (lstatSync(path).isSymbolicLink()) yield* waysTo(resolve(realpathSync(parent), readlinkSync(path)));
}

/** Whoever owns a folder, or may write in it, can replace what it holds; whoever owns a link, where it leads. */
function assertNobodyElses(folder: string, isOpen: (stats: Stats) => boolean): void {
  const stats = statOf(folder);
  if (isOpen(stats))
    throw new ConfigError(`socket: other users may replace files in ${folder}. Run: chmod go-w ${folder}`);
  assertOwn(stats, `chown $(id -u) ${folder}`, folder);
  assertOwn(lstatSync(folder), `chown -h $(id -u) ${folder}`, folder);
}

function assertOwn({ uid }: Stats, remedy: string, folder: string): void {
  if (uid === 0 || uid === process.geteuid?.()) return;
  throw new ConfigError(`socket: ${folder} belongs to another user. Run: ${remedy}`);
}

function statOf(folder: string): Stats {
  const stats = statSync(folder, { throwIfNoEntry: false });
  if (stats?.isDirectory() === true) return stats;
  throw new ConfigError(`socket: ${folder} is not a directory. Create it, or correct the path.`);
}

function answers(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(path, () => {
      socket.destroy();
      resolve(true);
    });
    socket.on('error', () => resolve(false));
  });
}
