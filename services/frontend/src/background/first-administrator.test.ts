import { mkdtempDisposableSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createLog } from '@keyfleet/shared/log';
import { TestClock } from '@keyfleet/test-support/domain';
import { expect, test } from 'vitest';
import type { AccessKeyRecord } from '../store/store.ts';
import { CredentialsFile } from './credentials-file.ts';
import { provision, type ProvisionDeps, Provisioning, remembering } from './first-administrator.ts';

const administrator = { accountId: '000000000000', userName: 'admin', partition: 'aws' };

function fixture() {
  const folder = mkdtempDisposableSync(join(tmpdir(), 'keyfleet-provision-'));
  const path = join(folder.path, 'aws', 'credentials');
  const lines: string[] = [];
  const state: { first?: AccessKeyRecord; hsmFailures: number; isKeyRemoved: boolean } = {
    hsmFailures: 0,
    isKeyRemoved: false,
  };
  const deps: ProvisionDeps = {
    identities: {
      findFirstAccessKey: () => Promise.resolve(state.first),
      hasAccount: () => Promise.resolve(state.first !== undefined || state.isKeyRemoved),
      insertFirstAccessKey: (record) => {
        const isFirst = state.first === undefined;
        state.first ??= record;
        return Promise.resolve(isFirst);
      },
    },
    generateCredential: () => {
      if (state.hsmFailures-- > 0) throw new Error('no worker yet');
      return Promise.resolve({ secretAccessKey: Buffer.from('made-by-the-hsm'), token: new Uint8Array([1]) });
    },
    file: new CredentialsFile(path),
    log: createLog({ name: 'test', level: 'info' }, { write: (line) => void lines.push(line) }),
  };
  return { deps, state, path, folder, lines, [Symbol.dispose]: () => folder.remove() };
}

test('the first administrator may do everything, and its credentials are in a private file', async () => {
  using given = fixture();
  await provision(administrator, given.deps);
  expect(given.state.first).toMatchObject({
    accessKeyId: expect.stringMatching(/^AKIA[A-Z2-7]{16}$/) as unknown,
    principal: 'arn:aws:iam::000000000000:user/admin',
    userId: expect.stringMatching(/^AIDA[A-Z2-7]{17}$/) as unknown,
  });
  expect(JSON.parse(given.state.first!.policies[0]!)).toMatchObject({
    Statement: [{ Effect: 'Allow', Action: '*', Resource: '*' }],
  });
  expect(readFileSync(given.path, 'utf8')).toBe(
    `[default]\naws_access_key_id = ${given.state.first!.accessKeyId}\naws_secret_access_key = made-by-the-hsm\n`,
  );
  expect(statSync(given.path).mode & 0o777).toBe(0o600);
  expect(readdirSync(join(given.folder.path, 'aws'))).toEqual(['credentials']);
  expect(given.lines.join('')).not.toContain('made-by-the-hsm');
});

test('a second start changes nothing', async () => {
  using given = fixture();
  await provision(administrator, given.deps);
  const before = readFileSync(given.path, 'utf8');
  await provision(administrator, given.deps);
  expect(readFileSync(given.path, 'utf8')).toBe(before);
});

test('the slower of two frontends that start at once leaves no file', async () => {
  using given = fixture();
  using other = fixture();
  const race = {
    ...given.deps,
    identities: {
      ...given.deps.identities,
      findFirstAccessKey: () => Promise.resolve(undefined),
      hasAccount: () => Promise.resolve(false),
    },
  };
  await provision(administrator, { ...race, file: other.deps.file });
  await provision(administrator, race);
  expect(other.deps.file.holds(given.state.first!.accessKeyId)).toBe(true);
  expect(readdirSync(join(given.folder.path, 'aws'))).toEqual([]);
});

test('the slower of two frontends that have one directory leaves the credentials of the faster one there', async () => {
  using given = fixture();
  const faster = Promise.withResolvers<void>();
  const goOn = Promise.withResolvers<void>();
  const { insertFirstAccessKey } = given.deps.identities;
  // Its answer is on its way while the other one asks.
  const late = async (record: AccessKeyRecord) => {
    const isFirst = await insertFirstAccessKey(record);
    faster.resolve();
    await goOn.promise;
    return isFirst;
  };
  const first = provision(administrator, {
    ...given.deps,
    identities: { ...given.deps.identities, insertFirstAccessKey: late },
  });
  await faster.promise;
  let asked = 0;
  const findFirstAccessKey = () => Promise.resolve(asked++ === 0 ? undefined : given.state.first);
  const hasAccount = () => Promise.resolve(false);
  await provision(administrator, {
    ...given.deps,
    identities: { ...given.deps.identities, findFirstAccessKey, hasAccount },
  });
  goOn.resolve();
  await first;
  expect(given.deps.file.holds(given.state.first!.accessKeyId)).toBe(true);
  expect(readdirSync(join(given.folder.path, 'aws'))).toEqual(['credentials']);
});

test('attempts that the store refuses make one secret and one file, however many they are', async () => {
  using given = fixture();
  let tries = 0;
  const { insertFirstAccessKey } = given.deps.identities;
  const refusing = (record: AccessKeyRecord) =>
    ++tries < 4 ? Promise.reject(new Error('NOREPLICAS')) : insertFirstAccessKey(record);
  let made = 0;
  await using provisioning = new Provisioning(administrator, {
    ...given.deps,
    identities: { ...given.deps.identities, insertFirstAccessKey: refusing },
    generateCredential: (input) => {
      made += 1;
      return given.deps.generateCredential(input);
    },
  });
  await expect.poll(() => tries).toBeGreaterThan(2);
  expect(readdirSync(join(given.folder.path, 'aws'))).toHaveLength(1);
  await provisioning.finished;
  expect(made).toBe(1);
  expect(given.deps.file.holds(given.state.first!.accessKeyId)).toBe(true);
});

test('what is made for the store is made anew once a domain key may have been switched since', async () => {
  const clock = new TestClock();
  let made = 0;
  const make = remembering(async () => ++made, clock);
  for (let i = 0; i < 3; i++) expect(await make()).toBe(1);
  clock.advance(60_001);
  expect(await make()).toBe(2);
});

test('a crash after the access key was stored loses no secret', async () => {
  using given = fixture();
  const crashing = {
    ...given.deps,
    identities: {
      ...given.deps.identities,
      insertFirstAccessKey: async (record: AccessKeyRecord) => {
        await given.deps.identities.insertFirstAccessKey(record);
        throw new Error('killed');
      },
    },
  };
  await expect(provision(administrator, crashing)).rejects.toThrow('killed');
  expect(given.deps.file.exists).toBe(false);
  await provision(administrator, given.deps);
  expect(given.deps.file.holds(given.state.first!.accessKeyId)).toBe(true);
});

test('the rest of a start that died before its access key was stored is cleaned up', async () => {
  using given = fixture();
  const dying = () => Promise.reject(new Error('killed'));
  const crashing = { ...given.deps, identities: { ...given.deps.identities, insertFirstAccessKey: dying } };
  await expect(provision(administrator, crashing)).rejects.toThrow('killed');
  expect(readdirSync(join(given.folder.path, 'aws'))).toEqual([expect.stringMatching(/\.pending$/)]);
  await provision(administrator, given.deps);
  expect(readdirSync(join(given.folder.path, 'aws'))).toEqual(['credentials']);
});

test('a lost file is reported with what to do, and the access key stays', async () => {
  using given = fixture();
  await provision(administrator, given.deps);
  const { accessKeyId } = given.state.first!;
  writeFileSync(given.path, '');
  await provision(administrator, given.deps);
  expect(given.state.first!.accessKeyId).toBe(accessKeyId);
  expect(given.lines.at(-1)).toContain('restore the file from a backup');
});

test('a credentials file of someone else is never overwritten', async () => {
  using given = fixture();
  given.deps.file.writePending('AKIAOTHER', 'precious');
  given.deps.file.completePending('AKIAOTHER');
  await expect(provision(administrator, given.deps)).rejects.toThrow('Move the file away');
  expect(readFileSync(given.path, 'utf8')).toContain('precious');
});

test('the first administrator waits for what is still starting', async () => {
  using given = fixture();
  given.state.hsmFailures = 1;
  await using provisioning = new Provisioning(administrator, given.deps);
  await provisioning.finished;
  expect(provisioning.done).toBe(true);
  expect(given.deps.file.holds(given.state.first!.accessKeyId)).toBe(true);
});

test('an account whose first access key was removed since gets no other', async () => {
  using given = fixture();
  given.state.isKeyRemoved = true;
  await provision(administrator, given.deps);
  expect(given.state.first).toBeUndefined();
  expect(readdirSync(given.folder.path)).toEqual([]);
});
