import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, fchownSync, openSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { execa } from 'execa';

const root = join(import.meta.dirname, '../../../..');
/** Node.js in every container of Keyfleet; the image has it at /keyfleet/bin/node. */
export const node = `/keyfleet/node_modules/node-linux-${process.arch}/bin/node`;

export interface Mount {
  /** A file or a directory of this machine. */
  readonly source: string;
  readonly target: string;
  readonly readOnly: boolean;
}

export interface ContainerParts {
  readonly namespace: string;
  readonly command: readonly string[];
  readonly mounts: readonly Mount[];
  readonly env: Readonly<Record<string, string>>;
  readonly user: { readonly runAsUser: number; readonly runAsGroup: number; readonly fsGroup: number };
  readonly logFile: string;
}

/**
 * $1: an empty directory; $2: the checkout; then for each mount its source, target and mode, `--`, user, group,
 * fsGroup.
 */
const enter = `
set -e
root=$1 checkout=$2
shift 2
mount --make-rprivate /
hostname "$HOSTNAME"
mount -t tmpfs -o mode=755 root "$root"
cd "$root"
mkdir usr etc proc dev run var keyfleet
for link in bin sbin lib lib64; do ln -s usr/$link $link; done
mount --bind /usr usr
mount --bind "$checkout" keyfleet
mount -o remount,bind,ro keyfleet
mount -t proc proc proc
for device in null urandom; do touch dev/$device; mount --bind /dev/$device dev/$device; done
ln -s /proc/self/fd/1 dev/stdout
echo 'hosts: files dns' >etc/nsswitch.conf
echo '127.0.0.1 localhost' >etc/hosts
while [ "$1" != -- ]; do
  if [ -d "$1" ]; then mkdir -p "$root$2"; else mkdir -p "$(dirname "$root$2")"; touch "$root$2"; fi
  mount --bind "$1" "$root$2"
  [ "$3" = rw ] || mount -o remount,bind,ro "$root$2"
  shift 3
done
user=$2 group=$3 extra=$4
shift 4
mount -o remount,ro "$root"
exec chroot "$root" setpriv --pdeathsig KILL --reuid "$user" --regid "$group" --groups "$extra" --no-new-privs --bounding-set=-all --inh-caps=-all "$@"
`;

/** Arguments of `setpriv` that run a program in a network, apart from the machine in what `unshare` names. */
export function insideNetwork(namespace: string, unshare: readonly string[]): string[] {
  return ['--pdeathsig', 'KILL', 'nsenter', `--net=/run/netns/${namespace}`, 'unshare', ...unshare];
}

/** A program in a Pod's network, in a mount, process and IPC namespace of its own, on a root that cannot be written. */
export class Container {
  readonly #parts: ContainerParts;
  readonly #child: ChildProcess;
  /** Its exit code, or the signal that killed it. */
  readonly ended: Promise<[number | null, NodeJS.Signals | null]>;

  constructor(parts: ContainerParts, emptyDirectory: string) {
    this.#parts = parts;
    const { namespace, command, mounts, env, user, logFile } = parts;
    const log = openSync(logFile, 'a', 0o600);
    // As a runtime does it, so that the program can open its stdout by name.
    fchownSync(log, user.runAsUser, user.runAsGroup);
    const args = mounts.flatMap(({ source, target, readOnly }) => [source, target, readOnly ? 'ro' : 'rw']);
    const inside = [emptyDirectory, root, ...args, '--', user.runAsUser, user.runAsGroup, user.fsGroup, ...command];
    this.#child = spawn(
      'setpriv',
      insideNetwork(namespace, ['--mount', '--pid', '--ipc', '--uts', '--fork', '--kill-child']).concat(
        ['sh', '-c', enter, 'enter'],
        inside.map(String),
      ),
      { stdio: ['ignore', log, log], env: { PATH: '/usr/sbin:/usr/bin:/sbin:/bin', ...env } },
    );
    closeSync(log);
    this.ended = once(this.#child, 'exit') as Promise<[number | null, NodeJS.Signals | null]>;
  }

  get running(): boolean {
    return this.#child.exitCode === null && this.#child.signalCode === null;
  }

  /** The program's own, as this machine sees it; undefined when it does not run. */
  get pid(): number | undefined {
    const { pid } = this.#child;
    try {
      const children = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim();
      return children === '' ? undefined : Number(children.split(' ')[0]);
    } catch {
      return undefined;
    }
  }

  signal(signal: 'SIGTERM' | 'SIGKILL' | 'SIGSTOP' | 'SIGCONT'): void {
    const { pid } = this;
    if (pid !== undefined) process.kill(pid, signal);
  }

  /** Runs a command in it, as `kubectl exec` does. The result tells of a failure too. */
  exec(command: readonly string[], timeoutMs: number) {
    const { user, env } = this.#parts;
    const enterIt = ['-t', `${this.pid ?? 0}`, '--mount', '--net', '--pid', '--ipc', '--uts', '--root', '--wd=/'];
    const asUser = ['--reuid', user.runAsUser, '--regid', user.runAsGroup, '--groups', user.fsGroup].map(String);
    return execa('nsenter', [...enterIt, 'setpriv', ...asUser, ...command], {
      reject: false,
      timeout: timeoutMs,
      env: { PATH: '/usr/sbin:/usr/bin:/sbin:/bin', ...env },
      extendEnv: false,
    });
  }
}
