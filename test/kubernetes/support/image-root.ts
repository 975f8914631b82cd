import { cp, mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join, matchesGlob, relative } from 'node:path';
import { execa } from 'execa';
import { argumentOf, type Stage, stagesOf } from './dockerfile.ts';

const root = join(import.meta.dirname, '../../..');
const dockerfile = join(root, 'deploy/docker/Dockerfile');
const stages = stagesOf(dockerfile);

/** The Debian packages that the files of the base image, distroless/cc, come from. */
const BASE_PACKAGES = ['libc6', 'libstdc++6', 'libgcc-s1', 'ca-certificates', 'netbase', 'tzdata'];

/** Its user. */
const PASSWD = 'nonroot:x:65532:65532:nonroot:/home/nonroot:/sbin/nologin\n';

export interface ImageRoot {
  /** The file tree of the image. */
  readonly path: string;
  readonly user: string;
  readonly environment: Readonly<Record<string, string>>;
  readonly workdir: string;
  readonly entrypoint: readonly string[];
}

/**
 * Carries the steps of deploy/docker/Dockerfile out in `directory`, without a container engine: those of the image that
 * the stage makes, by name, or of the services. The build stage uses this machine's npm and libraries, and the base of
 * the image is made of this machine's release of Debian.
 */
export async function buildImageRoot(directory: string, name = 'image'): Promise<ImageRoot> {
  const image = stageOf(name);
  const built = await buildTree(directory, root, name);
  const target = argumentOf(image, 'COPY').split(' ').at(-1)!;
  const path = join(directory, name);
  await unpackBase(directory, path);
  await cp(built, join(path, target), { recursive: true, verbatimSymlinks: true });
  const [variable = '', value = ''] = argumentOf(image, 'ENV').split('=');
  return {
    path,
    user: argumentOf(image, 'USER'),
    environment: { [variable]: value },
    workdir: argumentOf(image, 'WORKDIR'),
    entrypoint: JSON.parse(argumentOf(image, 'ENTRYPOINT')) as string[],
  };
}

/** The tree that an image has beside its base, built of a checkout in `directory`. Its path. */
export async function buildTree(directory: string, checkout: string, name = 'image'): Promise<string> {
  const [from = '', source] = argumentOf(stageOf(name), 'COPY').split(' ');
  const build = stageOf(from.replace('--from=', ''));
  if (source !== argumentOf(build, 'WORKDIR')) throw new Error(`${name} is not all of what ${build.name} makes`);
  const built = join(directory, build.name);
  await mkdir(built);
  await carryOut(build, built, checkout);
  return built;
}

/** What the target `sbom` gives, as CycloneDX. `directory`: where the image of the services was built. */
export async function buildSbom(directory: string): Promise<string> {
  const list = stageOf('list');
  const built = join(directory, list.from);
  await carryOut(list, built, root);
  return readFile(join(built, 'sbom.cdx.json'), 'utf8');
}

function stageOf(name: string): Stage {
  const found = stages.find((stage) => stage.name === name);
  if (found === undefined) throw new Error(`the Dockerfile has no stage ${name}`);
  return found;
}

async function carryOut({ instructions }: Stage, workdir: string, checkout: string): Promise<void> {
  for (const { name, argument } of instructions) {
    if (name === 'RUN') await execa('sh', ['-c', argument], { cwd: workdir });
    if (name === 'COPY') await copy(argument.split(' '), workdir, checkout);
  }
}

async function copy(paths: readonly string[], workdir: string, checkout: string): Promise<void> {
  const ignored = (await readFile(`${dockerfile}.dockerignore`, 'utf8')).trim().split('\n');
  const filter = (source: string): boolean =>
    !ignored.some((pattern) => matchesGlob(relative(checkout, source), pattern));
  for (const path of paths.slice(0, -1)) {
    await cp(join(checkout, path), join(workdir, path), { recursive: true, verbatimSymlinks: true, filter });
  }
}

async function unpackBase(directory: string, image: string): Promise<void> {
  const packages = join(directory, 'packages');
  await mkdir(packages, { recursive: true });
  // The packages come as the user _apt, who may not write into a private directory.
  await execa('apt-get', ['-o', 'APT::Sandbox::User=root', 'download', '-q', ...BASE_PACKAGES], { cwd: packages });
  for (const file of (await execa('find', [packages, '-name', '*.deb'])).stdout.split('\n')) {
    await execa('dpkg-deb', ['-x', file, image]);
  }
  await rm(packages, { recursive: true });
  for (const folder of ['tmp', 'proc', 'dev', 'data', 'run', 'etc'])
    await mkdir(join(image, folder), { recursive: true });
  await writeFile(join(image, 'etc/passwd'), PASSWD);
}
