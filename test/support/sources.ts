import { globSync, readFileSync } from 'node:fs';
import { join, relative, resolve } from 'node:path';

// Production code as text: what the tests of the repository's own rules look at.

export const root = join(import.meta.dirname, '../..');

/** Every file of the packages and services that runs in production, from the root. */
export const production = globSync('{packages,services}/*/src/**/*.ts', { cwd: root })
  .filter((file) => !file.includes('node_modules') && !isTest(file))
  .toSorted();

export function isTest(file: string): boolean {
  return /\.(test|contract)\.ts$/.test(file);
}

export function textOf(file: string): string {
  return readFileSync(join(root, file), 'utf8');
}

/** A file without its comments. Text that begins like a comment inside a string goes as well. */
export function codeOf(file: string): string {
  return textOf(file).replaceAll(/\/\*[\s\S]*?\*\/|(?<![:'"`/])\/\/[^\n]*/g, '');
}

export interface Import {
  /** Of the importing file, from the root. */
  readonly from: string;
  /** A relative import's path from the root; a package's name with its path; `node:...`. */
  readonly to: string;
}

export function importsOf(file: string): Import[] {
  const matches = textOf(file).matchAll(
    /^\s*(?:import|export)\b[^'"`;]*?from\s+'([^']+)'|\bimport\(\s*'([^']+)'\s*\)|^\s*import\s+'([^']+)'/gm,
  );
  return [...matches].map(([, named, dynamic, bare]) => {
    const target = named ?? dynamic ?? bare ?? '';
    return { from: file, to: target.startsWith('.') ? relative(root, resolve(root, file, '..', target)) : target };
  });
}

/** Where an import between the workspace's packages leads: `@keyfleet/shared/arn` is `packages/shared/src/arn.ts`. */
export function fileOf({ to }: Import): string {
  const [, name, path] = /^@keyfleet\/([a-z-]+)\/(.+)$/.exec(to) ?? [];
  if (name === undefined) return to;
  const folder = ['cli', 'client', 'kms-plugin', 'shared'].includes(name) ? 'packages' : 'services';
  return `${folder}/${name}/src/${path}.ts`;
}
