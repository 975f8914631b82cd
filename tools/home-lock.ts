import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { StartError } from './start-error.ts';

/** The time for the processes of an earlier launcher to stop in order. */
const ORPHAN_GRACE_MS = 8000;

/**
 * Takes the home at `path` for this launcher alone, and stops what a launcher that was killed left running. Dispose to
 * give it back.
 */
export async function lockHome(path: string, report: (line: string) => void): Promise<Disposable> {
  const directory = join(path, 'run');
  mkdirSync(directory, { recursive: true, mode: 0o700 });
  const file = join(directory, 'launcher.lock');
  takeLock(path, file);
  await stopOrphans(path, directory, report);
  return { [Symbol.dispose]: () => rmSync(file, { force: true }) };
}

function takeLock(path: string, file: string): void {
  try {
    writeFileSync(file, `${process.pid} ${startTimeOf(process.pid)}\n`, { mode: 0o600, flag: 'wx' });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
    const [pid = '', startTime] = readFileSync(file, 'utf8').trim().split(' ');
    // A process id alone may have been given to another process since.
    if (startTime !== undefined && startTimeOf(Number(pid)) === startTime) {
      throw new StartError(`${path} is in use by process ${pid}. Stop that one, or choose another --home.`);
    }
    rmSync(file, { force: true });
    takeLock(path, file);
  }
}

/** In clock ticks since boot (proc_pid_stat(5), field 22); undefined if no such process runs. */
function startTimeOf(pid: number): string | undefined {
  const stat = readProc(pid, 'stat');
  const fields = stat?.slice(stat.lastIndexOf(')') + 2).split(' ');
  // A zombie has ended; only nobody has asked how.
  return fields?.[0] === 'Z' ? undefined : fields?.[19];
}

async function stopOrphans(path: string, directory: string, report: (line: string) => void): Promise<void> {
  const files = readdirSync(directory).filter((name) => name.endsWith('.pid'));
  const orphans = files
    .map((name) => Number(readFileSync(join(directory, name), 'utf8')))
    .filter((pid) => belongsTo(path, pid));
  if (orphans.length > 0) report('Stopping what an earlier run left behind ...');
  orphans.forEach((pid) => signal(pid, 'SIGTERM'));
  const deadline = Date.now() + ORPHAN_GRACE_MS;
  while (orphans.some((pid) => belongsTo(path, pid))) {
    if (Date.now() > deadline) orphans.forEach((pid) => belongsTo(path, pid) && signal(pid, 'SIGKILL'));
    await setTimeout(20);
  }
  files.forEach((name) => rmSync(join(directory, name), { force: true }));
}

/** Every process of a cluster has the home's path in its command line; a zombie has none. */
function belongsTo(path: string, pid: number): boolean {
  return Number.isInteger(pid) && pid > 1 && (readProc(pid, 'cmdline')?.includes(`${path}/`) ?? false);
}

function readProc(pid: number, file: string): string | undefined {
  try {
    return readFileSync(`/proc/${pid}/${file}`, 'utf8');
  } catch {
    return undefined;
  }
}

function signal(pid: number, name: 'SIGTERM' | 'SIGKILL'): void {
  try {
    process.kill(pid, name);
  } catch {
    // It ended by itself in the meantime.
  }
}
