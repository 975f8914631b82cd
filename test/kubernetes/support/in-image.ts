import { execa } from 'execa';
import type { ImageRoot } from './image-root.ts';

export interface Mount {
  /** A file or a directory of this machine. */
  readonly source: string;
  readonly target: string;
  readonly readOnly: boolean;
}

export interface InImage {
  readonly mounts: readonly Mount[];
  /** Beside the image's own. */
  readonly environment?: Readonly<Record<string, string>>;
}

/**
 * Mounts as of a container with a read-only root: /tmp in memory, and what is given. $1 the root; then for each mount
 * its source, target and mode, `--`, user:group; then the command.
 */
const enter = `
set -e
root=$1
shift
mount --make-rprivate /
mount --bind "$root" "$root"
while [ "$1" != -- ]; do
  if [ -d "$1" ]; then mkdir -p "$root$2"; else mkdir -p "$(dirname "$root$2")"; touch "$root$2"; fi
  mount --bind "$1" "$root$2"
  mount -o "remount,bind,$3,nosuid,nodev,noexec" "$root$2"
  shift 3
done
mount -t tmpfs -o mode=1777,nosuid,nodev,noexec tmp "$root/tmp"
mount -t proc -o nosuid,nodev,noexec proc "$root/proc"
touch "$root/dev/null" "$root/dev/urandom"
mount --bind /dev/null "$root/dev/null"
mount --bind /dev/urandom "$root/dev/urandom"
mount -o remount,bind,ro "$root"
user=$2
shift 2
exec setpriv --no-new-privs chroot --userspec="$user" --groups="\${user##*:}" "$root" "$@"
`;

/**
 * Runs the entry point of the image with `args`, as its user, with no privilege to gain, in mount, process and IPC
 * namespaces of its own; the network is this machine's. Nothing can be written but what is mounted so. Asks for root.
 */
export function runInImage(image: ImageRoot, { mounts, environment }: InImage, args: readonly string[]) {
  const mounted = mounts.flatMap(({ source, target, readOnly }) => [source, target, readOnly ? 'ro' : 'rw']);
  const inside = ['--', image.path, ...mounted, '--', image.user, ...image.entrypoint, ...args];
  const namespaces = ['--mount', '--pid', '--fork', '--ipc'];
  return execa('unshare', [...namespaces, 'sh', '-c', enter, ...inside], {
    reject: false,
    env: { PATH: process.env['PATH'], ...image.environment, ...environment },
    extendEnv: false,
    stdin: 'ignore',
  });
}
