import { execa } from 'execa';
import type { ImageRoot } from './image-root.ts';

/**
 * Mounts as of a container with a read-only root: /tmp in memory, and one volume, at its own path. $1 the root, $2 the
 * volume, $3 user:group; then the command.
 */
const enter = `
set -e
mount --make-rprivate /
mount --bind "$1" "$1"
mkdir -p "$1$2"
mount --bind "$2" "$1$2"
mount -o remount,bind,nosuid,nodev,noexec "$1$2"
mount -t tmpfs -o mode=1777,nosuid,nodev,noexec tmp "$1/tmp"
mount -t proc -o nosuid,nodev,noexec proc "$1/proc"
touch "$1/dev/null" "$1/dev/urandom"
mount --bind /dev/null "$1/dev/null"
mount --bind /dev/urandom "$1/dev/urandom"
mount -o remount,bind,ro "$1"
root=$1 user=$3
shift 3
exec setpriv --no-new-privs chroot --userspec="$user" --groups="\${user##*:}" "$root" "$@"
`;

/**
 * Runs the entry point of the image with `args`, as its user, with no privilege to gain, in mount, process and IPC
 * namespaces of its own; the network is this machine's. `volume` can be written, the rest cannot. Asks for root.
 */
export function runInImage(image: ImageRoot, volume: string, args: readonly string[]) {
  const [command = '', ...first] = image.entrypoint;
  const inside = ['--', image.path, volume, image.user, command, ...first, ...args];
  const namespaces = ['--mount', '--pid', '--fork', '--ipc'];
  return execa('unshare', [...namespaces, 'sh', '-c', enter, ...inside], {
    reject: false,
    env: { PATH: process.env['PATH'], ...image.environment },
    extendEnv: false,
    stdin: 'ignore',
  });
}
