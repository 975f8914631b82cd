import { execFileSync } from 'node:child_process';
import { globSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const GENERATOR = 'node_modules/@grpc/proto-loader/build/bin/proto-loader-gen-types.js';
/** The same as `loadOptions` of proto/load.ts, or the types would be wrong. */
const OPTIONS = [
  '--keepCase',
  '--longs=Number',
  '--enums=String',
  '--grpcLib=@grpc/grpc-js',
  '--importFileExtension=.ts',
];
const PROTOCOLS = ['hsm/v1/hsm.proto', 'domain/v1/domain.proto', 'kubernetes/v2/kms-plugin.proto'];

/** The types of the protocols that are not generated: path below proto/gen -> content. */
export function protoTypes(protoDirectory: string): Record<string, string> {
  const directory = mkdtempSync(join(tmpdir(), 'keyfleet-gen-'));
  try {
    const args = [GENERATOR, ...OPTIONS, '--includeDirs=.', `--outDir=${directory}`, ...PROTOCOLS];
    execFileSync(process.execPath, args, { cwd: protoDirectory, stdio: ['ignore', 'ignore', 'inherit'] });
    const files = globSync('**/*.ts', { cwd: directory }).toSorted();
    return Object.fromEntries(files.map((file) => [file, readFileSync(join(directory, file), 'utf8')]));
  } finally {
    rmSync(directory, { recursive: true });
  }
}
