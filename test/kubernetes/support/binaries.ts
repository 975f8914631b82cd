import { existsSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { execa } from 'execa';
import { findProgram } from '../../../tools/debian-packages.ts';

/** The Kubernetes that the tests run. */
const VERSION = 'v1.36.3';

export interface Binaries {
  readonly apiServer: string;
  readonly etcd: string;
}

/**
 * Builds what is missing, outside the repository: about 7 minutes on two cores, once. Throws when it cannot be built.
 */
export async function kubernetesBinaries(): Promise<Binaries> {
  const folder = join(homedir(), '.cache/keyfleet/kubernetes', VERSION);
  const [apiServer, etcd] = [join(folder, 'kube-apiserver'), join(folder, 'etcd')];
  if (!existsSync(apiServer) || !existsSync(etcd)) {
    if (findProgram('go') === undefined) {
      throw new Error(
        'The Kubernetes tests build kube-apiserver, which needs Go 1.26 or newer. Install it from https://go.dev/dl/.',
      );
    }
    await execa(join(import.meta.dirname, 'build-kubernetes.sh'), [folder, VERSION], {
      stdout: 'inherit',
      stderr: 'inherit',
    });
  }
  return { apiServer, etcd };
}
