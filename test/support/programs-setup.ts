import { join } from 'node:path';
import { execa } from 'execa';
import type { TestProject } from 'vitest/node';
import { findProgram, installPackages } from '../../tools/debian-packages.ts';
import { startSharedCluster, teardown } from './sdk-setup.ts';

export { teardown };

/** How each program is started; absent where this machine does not have it and cannot get it. */
export interface Programs {
  readonly aws?: string | undefined;
  readonly curl?: string | undefined;
  /** A Python that has boto3. */
  readonly python?: string | undefined;
  /** A Python that has gRPC. */
  readonly grpcPython?: string | undefined;
  /** protoc, and its plugin for Python. */
  readonly protoc?: string | undefined;
  readonly go?: string | undefined;
}

declare module 'vitest' {
  interface ProvidedContext {
    programs: Programs;
  }
}

/** Program -> the Debian packages that bring it. */
const packages: Readonly<Record<keyof Programs, string>> = {
  aws: 'awscli',
  curl: 'curl',
  python: 'python3-boto3',
  grpcPython: 'python3-grpcio',
  protoc: 'protobuf-compiler-grpc libprotobuf-dev',
  go: 'golang-go',
};

/**
 * A cluster, and the programs that come from Debian: installed where that can be, missed loudly where not, required in
 * CI.
 */
export async function setup(project: TestProject): Promise<void> {
  await startSharedCluster(project);
  const missing = missingFrom(await findPrograms());
  const obstacle =
    missing.length > 0
      ? await installPackages(
          missing.flatMap((name) => packages[name].split(' ')),
          printLine,
        )
      : undefined;
  const programs = await findPrograms();
  for (const name of missingFrom(programs)) {
    const message = `DID NOT RUN: the tests of ${packages[name]}, which was not found: ${obstacle ?? 'it does not start'}.`;
    if (process.env['CI'] === 'true') throw new Error(message);
    printLine(message);
  }
  project.provide('programs', programs);
}

async function findPrograms(): Promise<Programs> {
  // Debian's own Python is the one that Debian's boto3 is for.
  const pythons = [findProgram('python3'), '/usr/bin/python3'].filter((path) => path !== undefined);
  const pythonWith = async (module: string): Promise<string | undefined> => {
    const answers = await Promise.all(
      pythons.map((python) => execa(python, ['-c', `import ${module}`], { reject: false })),
    );
    return pythons.find((_, index) => answers[index]?.failed === false);
  };
  return {
    aws: findProgram('aws'),
    curl: findProgram('curl'),
    python: await pythonWith('boto3'),
    grpcPython: await pythonWith('grpc, google.protobuf'),
    protoc: await findProtoc(),
    go: findProgram('go'),
  };
}

/** One that can compile kms.proto: it needs the plugin for Python, and Google's own protos. */
async function findProtoc(): Promise<string | undefined> {
  const protoc = findProgram('grpc_python_plugin') && findProgram('protoc');
  if (protoc === undefined) return undefined;
  const kms = ['-I', join(import.meta.dirname, '../../proto/kms/v1'), 'kms.proto'];
  const compiled = await execa(protoc, [...kms, '--descriptor_set_out=/dev/null'], { reject: false });
  return compiled.failed ? undefined : protoc;
}

function missingFrom(programs: Programs): (keyof Programs)[] {
  return (Object.keys(packages) as (keyof Programs)[]).filter((name) => programs[name] === undefined);
}

function printLine(text: string): void {
  process.stdout.write(`${text}\n`);
}
