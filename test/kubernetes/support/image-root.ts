import { cp, mkdir, readFile, rm } from 'node:fs/promises';
import { join, matchesGlob, relative } from 'node:path';
import { execa } from 'execa';
import { argumentOf, type Stage, stagesOf } from './dockerfile.ts';

const root = join(import.meta.dirname, '../../..');
const dockerfile = join(root, 'deploy/docker/Dockerfile');

/** The Debian packages that the files of the base image, distroless/cc, come from. */
const BASE_PACKAGES = ['libc6', 'libstdc++6', 'libgcc-s1', 'ca-certificates', 'netbase', 'tzdata'];

export interface ImageRoot {
  /** The file tree of the image. */
  readonly path: string;
  /** CycloneDX. */
  readonly sbom: string;
  readonly user: string;
  readonly environment: Readonly<Record<string, string>>;
  readonly workdir: string;
  readonly entrypoint: readonly string[];
}

/**
 * Carries the steps of deploy/docker/Dockerfile out in `directory`, without a container engine. The build stage uses
 * this machine's npm and libraries, and the base of the image is made of this machine's release of Debian.
 */
export async function buildImageRoot(directory: string): Promise<ImageRoot> {
  const stages = stagesOf(dockerfile);
  const stage = (name: string): Stage => stages.find((one) => one.name === name)!;
  const built = join(directory, 'build');
  await mkdir(built);
  await carryOut(stage('build'), built);
  const image = join(directory, 'image');
  await unpackBase(directory, image);
  await cp(built, join(image, 'keyfleet'), { recursive: true, verbatimSymlinks: true });
  await carryOut(stage('list'), built);
  const [name = '', value = ''] = argumentOf(stage('image'), 'ENV').split('=');
  return {
    path: image,
    sbom: await readFile(join(built, 'sbom.cdx.json'), 'utf8'),
    user: argumentOf(stage('image'), 'USER'),
    environment: { [name]: value },
    workdir: argumentOf(stage('image'), 'WORKDIR'),
    entrypoint: JSON.parse(argumentOf(stage('image'), 'ENTRYPOINT')) as string[],
  };
}

async function carryOut({ instructions }: Stage, workdir: string): Promise<void> {
  for (const { name, argument } of instructions) {
    if (name === 'RUN') await execa('sh', ['-c', argument], { cwd: workdir });
    if (name === 'COPY') await copy(argument.split(' '), workdir);
  }
}

async function copy(paths: readonly string[], workdir: string): Promise<void> {
  const ignored = (await readFile(`${dockerfile}.dockerignore`, 'utf8')).trim().split('\n');
  const filter = (source: string): boolean => !ignored.some((pattern) => matchesGlob(relative(root, source), pattern));
  for (const path of paths.slice(0, -1)) {
    await cp(join(root, path), join(workdir, path), { recursive: true, verbatimSymlinks: true, filter });
  }
}

async function unpackBase(directory: string, image: string): Promise<void> {
  const packages = join(directory, 'packages');
  await mkdir(packages);
  // The packages come as the user _apt, who may not write into a private directory.
  await execa('apt-get', ['-o', 'APT::Sandbox::User=root', 'download', '-q', ...BASE_PACKAGES], { cwd: packages });
  for (const file of (await execa('find', [packages, '-name', '*.deb'])).stdout.split('\n')) {
    await execa('dpkg-deb', ['-x', file, image]);
  }
  await rm(packages, { recursive: true });
  for (const folder of ['tmp', 'proc', 'dev', 'data', 'run', 'etc'])
    await mkdir(join(image, folder), { recursive: true });
}
