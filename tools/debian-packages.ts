import { accessSync, constants } from 'node:fs';
import { delimiter, join } from 'node:path';
import { execa } from 'execa';

/** Its path; undefined when it is not installed. */
export function findProgram(name: string): string | undefined {
  // Debian installs nats-server where only root's PATH looks.
  const folders = [...(process.env['PATH'] ?? '').split(delimiter), '/usr/sbin', '/usr/local/sbin'];
  return folders.map((folder) => join(folder, name)).find(isExecutable);
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

/** Installs Debian packages. Returns the obstacle, if there was one. */
export async function installPackages(
  names: readonly string[],
  report: (line: string) => void,
): Promise<string | undefined> {
  if (findProgram('apt-get') === undefined) return 'this system has no apt-get to install it with';
  const sudo = process.getuid?.() === 0 ? [] : ['sudo', '-n'];
  if (sudo.length > 0 && (await execa('sudo', ['-n', 'true'], { reject: false })).failed) {
    return 'installing it needs root, or sudo without a password';
  }
  const apt = (...args: string[]) => {
    const [command = 'env', ...rest] = [...sudo, 'env', 'DEBIAN_FRONTEND=noninteractive', 'apt-get', ...args];
    return execa(command, rest, { reject: false, stdin: 'ignore', all: true });
  };
  const install = ['install', '-y', '-q', '--no-install-recommends', '-o', 'DPkg::Lock::Timeout=120', ...names];
  report(`Installing ${names.join(' and ')} with apt-get (once) ...`);
  let result = await apt(...install);
  if (result.failed) {
    report('Refreshing the list of packages ...');
    await apt('update', '-q');
    result = await apt(...install);
  }
  if (!result.failed) return undefined;
  return `apt-get could not install it: ${result.all.trim().split('\n').at(-1) ?? 'no reason given'}`;
}
