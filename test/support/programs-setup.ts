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
}

declare module 'vitest' {
  interface ProvidedContext {
    programs: Programs;
  }
}

/** Program -> the Debian package that brings it. */
const packages: Readonly<Record<keyof Programs, string>> = {
  aws: 'awscli',
  curl: 'curl',
  python: 'python3-boto3',
};

/** A cluster, and the programs that come from Debian: installed where that can be, missed loudly where not, required in CI. */
export async function setup(project: TestProject): Promise<void> {
  await startSharedCluster(project);
  const missing = missingFrom(await findPrograms());
  const obstacle =
    missing.length > 0
      ? await installPackages(
          missing.map((name) => packages[name]),
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
  const answers = await Promise.all(pythons.map((python) => importsBoto3(python)));
  return { aws: findProgram('aws'), curl: findProgram('curl'), python: pythons.find((_, index) => answers[index]) };
}

async function importsBoto3(python: string): Promise<boolean> {
  return !(await execa(python, ['-c', 'import boto3'], { reject: false })).failed;
}

function missingFrom(programs: Programs): (keyof Programs)[] {
  return (Object.keys(packages) as (keyof Programs)[]).filter((name) => programs[name] === undefined);
}

function printLine(text: string): void {
  process.stdout.write(`${text}\n`);
}
