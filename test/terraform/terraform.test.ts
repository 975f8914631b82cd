import { copyFile, mkdtempDisposable } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { execa } from 'execa';
import { afterAll, beforeAll, expect, inject, test } from 'vitest';
import { findProgram } from '../../tools/debian-packages.ts';
import { awsEnvironment } from '../programs/environment.ts';

const resources = new AsyncDisposableStack();
let folder: string;
beforeAll(async () => {
  folder = resources.use(await mkdtempDisposable(join(tmpdir(), 'keyfleet-terraform-'))).path;
  await copyFile(join(import.meta.dirname, 'main.tf'), join(folder, 'main.tf'));
});
afterAll(() => resources.disposeAsync());

/** What it says, whatever its exit code. */
async function terraform(...args: string[]): Promise<string> {
  const program = findProgram('terraform');
  if (program === undefined) throw new Error('Terraform is not there: install it, and run this again');
  const env = { ...awsEnvironment(), TF_VAR_endpoint: inject('cluster').endpoint, TF_IN_AUTOMATION: '1' };
  const { all } = await execa(program, [...args, '-no-color'], { cwd: folder, env, reject: false, all: true });
  return all;
}

test('terraform makes keys, grants, users, roles, groups and policies, finds them as they shall be, changes and removes them', async () => {
  expect(await terraform('init')).toContain('Terraform has been successfully initialized!');
  expect(await terraform('apply', '-auto-approve')).toContain('Apply complete! Resources: 16 added');
  expect(await terraform('plan')).toContain('No changes. Your infrastructure matches the configuration.');
  const later = ['-var', 'later=-later'];
  expect(await terraform('apply', '-auto-approve', ...later)).toMatch(
    /Apply complete! Resources: \d added, [1-9]\d* changed/,
  );
  expect(await terraform('plan', ...later)).toContain('No changes. Your infrastructure matches the configuration.');
  expect(await terraform('destroy', ...later, '-auto-approve')).toContain('Destroy complete! Resources: 16 destroyed.');
});
