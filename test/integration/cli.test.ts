import { Writer } from '@keyfleet/shared/encoding/bytes';
import { storeAt } from '@keyfleet/shared/stored/names';
import { keyfleetJson, runKeyfleet, type Transcript } from '@keyfleet/test-support/cli';
import { eventually, type Fleet, newFleet } from '@keyfleet/test-support/fleet';
import { connectTestRedis } from '@keyfleet/test-support/redis-client';
import { startRedis } from '@keyfleet/test-support/servers';
import { randomUUID } from 'node:crypto';
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { Redis } from 'ioredis';
import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest';
import { formatOperator } from '@keyfleet/cli/public-files';

/**
 * Operators' command lines on a real fleet of three workers, in the order of a domain's life. What differs from run to
 * run (hashes, ports, times) is written as <...>.
 */
let fleet: Fleet;
let manager: string[];
let domain: string[];

beforeAll(async () => {
  fleet = await newFleet({ workers: 3 });
  writeFileSync(fleet.path('passphrase'), 'correct horse battery staple\n', { mode: 0o600 });
  manager = ['--domain-manager', fleet.manager()];
  domain = [...manager, '--trust-anchor', fleet.path('trust-anchor.json')];
  // The ceremony below makes its own trust anchor.
  rmSync(fleet.path('trust-anchor.json'));
});
afterAll(() => fleet[Symbol.asyncDispose]());

async function keyfleetCli(...args: readonly string[]): Promise<Transcript> {
  const { exitCode, out, notes } = await runKeyfleet(...args);
  return { exitCode, out: settled(out), notes: settled(notes) };
}

/** Without what differs from run to run. */
function settled(text: string): string {
  return text
    .replaceAll(fleet.dir, '<dir>')
    .replaceAll(/\b([0-9a-f]{4} ){7}[0-9a-f]{4}\b/g, '<fingerprint>')
    .replaceAll(/\b[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\b/g, '<store>')
    .replaceAll(/\b[0-9a-f]{12,64}\b/g, '<hash>')
    .replaceAll(/under [0-9a-f]{8} /g, 'under <short> ')
    .replaceAll(/\d{4}-\d\d-\d\dT[\d:]+Z/g, '<time>')
    .replaceAll(/127\.0\.0\.1:\d+/g, '<address>')
    .replaceAll(/Leader: \S+/g, 'Leader: <replica>')
    .replaceAll(/\S+ leads$/gm, '<replica> leads')
    .replaceAll(/ {3,}/g, '  ');
}

function signer(id: string): string[] {
  return ['--as', id, '--key', fleet.path(`${id}-key.pem`), '--passphrase-file', fleet.path('passphrase')];
}
function identity(number: number): string {
  return fleet.path(`hsm-${number}/identity.pub.json`);
}
function publicKeys(...names: string[]): string {
  return names.map((name) => fleet.path(`${name}-key.pub.json`)).join();
}

test('operators make their keys and the trust anchor', async () => {
  const passphrase = ['--passphrase-file', fleet.path('passphrase')];
  for (const id of ['anna', 'berta']) {
    const made = await keyfleetCli(
      'operator',
      'create-key',
      '--id',
      id,
      '--out',
      fleet.path(`${id}-key.pem`),
      ...passphrase,
    );
    expect(made).toEqual({
      exitCode: 0,
      notes: '',
      out:
        `Key of ${id} (operator): <dir>/${id}-key.pem\n` +
        `Public part, for the other operators: <dir>/${id}-key.pub.json\n` +
        'Fingerprint, to compare aloud: <fingerprint>',
    });
  }
  const renewed = ['--key', fleet.path('berta-key.pem'), '--new-passphrase-file', fleet.path('passphrase')];
  expect((await keyfleetCli('operator', 'change-passphrase', ...renewed, ...passphrase)).out).toContain(
    'The key is the same: <fingerprint>',
  );
  const host = ['--id', 'frontend-1', '--role', 'service-host', '--out', fleet.path('frontend-1-key.pem')];
  expect((await keyfleetCli('operator', 'create-key', ...host)).exitCode).toBe(0);
  expect((await keyfleetCli('operator', 'create-key', ...host)).notes).toContain('the file already exists');

  // The fleet made the key of its domain-manager.
  writeFileSync(fleet.path('domain-manager-1-key.pub.json'), formatOperator(fleet.scheduler));

  const anchor = ['--domain', 'test', '--minimum', '2', '--founders', publicKeys('anna', 'berta')];
  expect(await keyfleetCli('domain', 'anchor', ...anchor, '--out', fleet.path('trust-anchor.json'))).toEqual({
    exitCode: 0,
    notes: '',
    out:
      'Trust anchor of the domain test: <dir>/trust-anchor.json\n2 of these must sign its foundation:\n' +
      '  anna  <fingerprint>\n  berta  <fingerprint>',
  });
  await fleet.startAll();
});

test('every verb says before the ceremony that there is no domain', async () => {
  expect((await keyfleetCli('domain', 'status', ...manager)).out).toContain('Domain test is not founded yet.');
  for (const command of ['show', 'verify']) {
    const said = await keyfleetCli('domain', command, ...domain);
    expect([said.exitCode, said.notes]).toEqual([1, expect.stringContaining('does not exist yet')]);
  }
});

test('a domain without a scheduler is not proposed', async () => {
  const files = ['--members', identity(1), '--operators', publicKeys('anna', 'berta'), '--quorum', '2'];
  const said = await keyfleetCli('domain', 'create', ...domain, ...signer('anna'), ...files);
  expect(said).toEqual({
    exitCode: 1,
    out: '',
    notes:
      'keyfleet: --operators names no scheduler: members accept changes only from a domain-manager that has this role. ' +
      'Make its key with: keyfleet operator create-key --role scheduler',
  });
});

test('the domain begins when the second founder signs', async () => {
  const members = ['--members', `${identity(1)},${identity(2)}`];
  const operators = ['--operators', publicKeys('anna', 'berta', 'frontend-1', 'domain-manager-1')];
  const create = (id: string) =>
    keyfleetCli(
      'domain',
      'create',
      ...domain,
      ...signer(id),
      ...members,
      ...operators,
      '--quorum',
      '2',
      '--backup-horizon',
      '0s',
    );
  expect((await create('anna')).out).toContain('begins when enough founders have run this');
  const founded = await create('berta');
  expect(founded.notes).toBe('');
  expect(founded.out).toBe(
    [
      'member hsm-1  <fingerprint>',
      'member hsm-2  <fingerprint>',
      'operator anna  <fingerprint>',
      'operator berta  <fingerprint>',
      'service-host frontend-1  <fingerprint>',
      'scheduler domain-manager-1  <fingerprint>',
      'rule: RotateDomainKeys needs 1 scheduler, or 1 operator',
      'rule: RetireDomainKeys needs 1 scheduler, or 2 operator',
      'rule: ReinstateDomainKeys needs 2 operator',
      'rule: DropDomainKeys needs 2 operator',
      'rule: ModifyMembers needs 2 operator',
      'rule: ModifyOperators needs 2 operator',
      'rule: ModifyRules needs 2 operator',
      'rule: LeaveDomain needs 2 operator',
      'old domain keys are kept for 0 days',
      'The domain test is founded: generation 1.',
    ].join('\n'),
  );
});

test('one operator rotates the domain keys alone, because the rules say so', async () => {
  expect(await keyfleetCli('domain', 'rotate', ...domain, ...signer('anna'))).toEqual({
    exitCode: 0,
    notes: '',
    out:
      'Proposal <hash>\nRotateDomainKeys in domain test, at generation 1, carried out by hsm-1\n  make a new domain key\n' +
      'Signed by anna.\nDone: the domain is at generation 2.',
  });
});

test('a worker is admitted when the second operator approves', async () => {
  const listed = await keyfleetCli('member', 'list', ...domain);
  expect(listed.out).toContain('hsm-3  <fingerprint>  asking-to-join');
  const proposed = await keyfleetCli('member', 'admit', identity(3), ...domain, ...signer('anna'));
  expect(proposed.out).toContain('Not enough yet');
  const { out } = await keyfleetCli('domain', 'proposals', ...manager, '--json');
  expect(out).toContain('"standing": "collecting"');
  const id = (await newestProposal()).slice(0, 32);
  const tooFew = await keyfleetCli('domain', 'approve', id.slice(1), ...domain, ...signer('berta'));
  expect(tooFew).toMatchObject({ exitCode: 1, notes: expect.stringContaining('give 32 digits of the id') });
  const approved = await keyfleetCli('domain', 'approve', id, ...domain, ...signer('berta'));
  expect(approved.notes).toBe(
    'ModifyMembers in domain test, at generation 2, carried out by hsm-1\n  admit member hsm-3  <fingerprint>',
  );
  expect(approved.out).toContain('Signed by anna, berta.\nDone: the domain is at generation 3.');
});

test('a removed member is shut out, and everything verifies', async () => {
  await keyfleetCli('member', 'remove', 'hsm-2', ...domain, ...signer('anna'));
  await keyfleetCli('domain', 'approve', await newestProposal(), ...domain, ...signer('berta'));
  await eventually('the status shows the removal', async () => {
    const { out } = await keyfleetCli('domain', 'status', ...manager);
    return out.includes('hsm-2  removed') && out.includes('hsm-3  member  4  4');
  });
  expect((await keyfleetCli('domain', 'verify', ...domain)).out).toBe(
    'All 4 tokens of the domain test verify; the newest is generation 4.\nEvery worker that the domain-manager lists as a member holds it.',
  );
  expect((await keyfleetCli('domain', 'show', ...domain)).out).not.toContain('member hsm-2');
});

test('the removed member is told by quorum to erase what it is, and then it is a worker like any new one', async () => {
  const before = readFileSync(identity(2), 'utf8');
  expect((await keyfleetCli('member', 'leave', 'hsm-2', ...domain, ...signer('anna'))).out).toContain('Not enough yet');
  const approved = await keyfleetCli('domain', 'approve', await newestProposal(), ...domain, ...signer('berta'));
  expect(approved.notes).toBe(
    'LeaveDomain in domain test, at generation 4, carried out by hsm-2\n  erase the identity and all keys of member hsm-2',
  );
  expect(approved.out).toContain('Done, says the domain-manager: no worker is that member any more.');
  await eventually('it asks to join', async () => {
    const { out } = await keyfleetCli('domain', 'status', ...manager);
    return out.includes('hsm-2  asking-to-join');
  });
  expect(readFileSync(identity(2), 'utf8')).not.toBe(before);
});

test('the status says why nothing is carried out where somebody has put another identity into Redis', async () => {
  await using redis = await connectTestRedis(fleet.redis.port);
  const id = (await redis.hget(storeAt('test'), 'id'))!;
  await redis.hset(storeAt('test'), 'id', randomUUID());
  await eventually('it says so', async () => {
    const { out, exitCode } = await keyfleetCli('domain', 'status', ...manager);
    return exitCode === 1 && out.includes('Redis: it is another store (');
  });
  await redis.hset(storeAt('test'), 'id', id);
  await eventually('it goes on', async () => {
    const { out } = await keyfleetCli('domain', 'status', ...manager);
    return !out.includes('another store');
  });
});

test('old domain keys are retired, reinstated and dropped by two', async () => {
  const { domainKeys } = await keyfleetJson<{ domainKeys: { id: string }[] }>('domain', 'show', ...domain);
  const oldest = domainKeys[0]!.id;
  const retired = await keyfleetCli('domain', 'retire', oldest.slice(0, 9), ...domain, ...signer('anna'));
  expect(retired.out).toContain('Not enough yet');
  const approve = async () => keyfleetCli('domain', 'approve', await newestProposal(), ...domain, ...signer('berta'));
  expect((await approve()).out).toContain('Done: the domain is at generation 5.');
  expect((await keyfleetCli('domain', 'show', ...domain)).out).toContain('retired  since generation 1');
  expect((await keyfleetCli('domain', 'status', ...manager)).out).toContain(
    'Domain keys: 1 active, 1 deactivated, 1 retired; 2 may be dropped (keyfleet domain drop all-old).',
  );
  const reinstated = await keyfleetCli('domain', 'reinstate', oldest, ...domain, ...signer('anna'));
  expect(reinstated.out).toContain('Not enough yet');
  expect((await approve()).out).toContain('Done: the domain is at generation 6.');
  const redis = ['--redis', `redis://127.0.0.1:${fleet.redis.port}`];
  const drop = () => keyfleetCli('domain', 'drop', 'all-old', ...domain, ...signer('anna'), ...redis);
  const store = new Redis(fleet.redis.port);
  onTestFinished(() => store.disconnect());
  const place = 'kf:key-stores:{000000000000/us-east-1}';
  await store.set(place, keyStoresWith({ cluster: { token: claimingToBeUnder(oldest) } }));
  expect((await drop()).notes).toContain('1 tokens in Redis are sealed under domain key <hash>, and would be lost');
  await store.set(place, keyStoresWith({ another: {} }));
  expect((await drop()).notes).toContain(`1 values are damaged (${settled(place)}): restore them from a backup first`);
  await store.set(place, keyStoresWith({ cluster: { token: claimingToBeUnder(domainKeys[1]!.id) } }));
  const one = await keyfleetCli('domain', 'drop', oldest, ...domain, ...signer('anna'), ...redis);
  expect(one.notes).toContain('1 tokens in Redis are not sealed under the active domain key');
  await store.del(place);
  const recordKeys = [1, 2].map((number) => `record-key-${number}`);
  for (const name of recordKeys) {
    const token = claimingToBeUnder(domainKeys[2]!.id, `keyfleet-${name}/${domainKeys[2]!.id}`);
    await store.set(`kf:secret:{${name}}`, Buffer.from(token, 'base64'));
  }
  expect((await drop()).notes).toContain(
    'record keys 1 and 2 are stored: if they are being replaced, finish that first',
  );
  for (const name of recordKeys) await store.del(`kf:secret:{${name}}`);
  expect((await drop()).out).toContain('Not enough yet');
  expect((await approve()).notes).toContain('drop domain key <hash>: what is sealed under it is lost, in backups too');
  const left = await keyfleetJson<{ domainKeys: object[] }>('domain', 'show', ...domain);
  expect(left.domainKeys).toMatchObject([{ status: 'active', afterRemoval: true }]);
  expect((await drop()).notes).toContain('no domain key may be dropped yet');
});

function keyStoresWith(store: object): string {
  return JSON.stringify({ stores: [store] });
}

/** The beginning of a token, in which alone it says so. */
function claimingToBeUnder(domainKeyId: string, accessKeyId = ''): string {
  const header = new Writer();
  for (const text of ['', fleet.anchor.domain, domainKeyId, accessKeyId]) header.text(text);
  const token = new Writer();
  token.bytes(header.finish());
  return token.finish().toString('base64');
}

test('a backup is taken while everything runs, and restores into an empty Redis', async () => {
  await using other = await startRedis();
  const from = ['--redis', `redis://127.0.0.1:${fleet.redis.port}`];
  const to = ['--redis', `redis://127.0.0.1:${other.port}`];
  const file = fleet.path('backup');
  const taken = await keyfleetCli('backup', ...from, '--out', file);
  expect(taken).toEqual({
    exitCode: 0,
    notes: '',
    out: '2 values are in <dir>/backup. It was read back and is whole.',
  });
  expect((await keyfleetCli('restore', file, ...to)).out).toBe('2 values were restored and compared.');
  const again = fleet.path('backup-again');
  await keyfleetCli('backup', ...to, '--out', again);
  // Redis gives the fields of a hash in an order of its own.
  const piecesOf = (path: string) =>
    readFileSync(path, 'utf8')
      .match(/^\{"name".*$/gm)!
      .map((piece) => JSON.parse(piece) as { value: Record<string, string> });
  const [kept, restored] = [piecesOf(file), piecesOf(again)];
  // These begin anew.
  for (const { value } of kept) delete value['mark'];
  for (const { value } of restored) delete value['restoredAt'];
  expect(restored).toEqual(kept);
});

test('the doctor says what is well, and what to do about the rest', async () => {
  const redis = ['--redis', `redis://127.0.0.1:${fleet.redis.port}`];
  await eventually('every member has the newest token', async () =>
    (await keyfleetCli('doctor', ...domain, ...redis)).out.includes('2 members, all reached, generation 7'),
  );
  const well = await keyfleetCli('doctor', '--census', ...domain, ...redis);
  expect(well).toEqual({
    exitCode: 0,
    notes: '',
    out: [
      'well  Redis: answers, and keeps every acknowledged write',
      'well  store: <store>, which has lost nothing',
      'well  domain-manager: answers; <replica> leads',
      'well  NATS: the domain-manager reaches it',
      'well  domain tokens: all 7 verify from the trust anchor; generation 7',
      'well  clocks: agree with this machine',
      'well  hsm-workers: 2 members, all reached, generation 7',
      'well  record key: none was needed yet',
      // This fleet has no frontend, so that nothing is stored.
      'well  domain keys: tokens: 0 under <short> (active); domain keys: 1 active, 0 deactivated, 0 retired',
      'well  dates: nothing that lasts is to vanish',
      'advice  domain: the trust anchor has no checkpoint: a service that starts with an empty disk would accept an older domain state. Run: keyfleet domain checkpoint',
      "advice  domain: a change of members needs everyone's signature (2 people): admit one more, in case a key is lost",
      'advice  domain: no offline member: if all workers are lost, all keys are. Run: keyfleet member create-offline',
      'advice  domain: old domain keys are kept for less than a day: an older backup would not open. Run: keyfleet domain propose rules',
    ].join('\n'),
  });
  const moved = fleet.path('trust-anchor-7.json');
  expect((await keyfleetCli('domain', 'checkpoint', ...domain, '--out', moved)).out).toContain(
    'Trust anchor with the checkpoint 7 (<hash>): <dir>/trust-anchor-7.json',
  );
  const advised = await keyfleetCli('doctor', ...manager, '--trust-anchor', moved, ...redis);
  expect(advised.out).toContain('well  domain tokens: all 7 verify');
  expect(advised.out).not.toContain('checkpoint');
  writeFileSync(moved, readFileSync(moved, 'utf8').replace(/"hash": "../, '"hash": "00'));
  expect((await keyfleetCli('domain', 'verify', ...manager, '--trust-anchor', moved)).notes).toContain(
    'token 7 is not the one that was known before',
  );

  await fleet.workers[0]!.end('SIGKILL');
  await eventually('the doctor misses the worker', async () => {
    const unwell = await keyfleetCli('doctor', ...domain, ...redis);
    return unwell.exitCode === 1 && unwell.out.includes('NOT WELL  hsm-workers: <address>');
  });

  const store = new Redis(fleet.redis.port);
  onTestFinished(() => store.disconnect());
  await store.config('SET', 'min-replicas-to-write', '1');
  expect((await keyfleetCli('doctor', ...domain, ...redis)).out).toContain(
    'NOT WELL  Redis: it accepts no writes: every write must reach 1 replicas, and 0 answer',
  );
  await store.config('SET', 'min-replicas-to-write', '0');
});

test('a wrong key, an unknown operator, an unknown option and a dead domain-manager get one clear line', async () => {
  const cases: [string[], number, string][] = [
    [['domain', 'rotate', ...domain, ...signer('carla')], 1, 'carla is not an operator of this domain'],
    [
      ['domain', 'rotate', ...domain, '--as', 'anna', '--key', fleet.path('frontend-1-key.pem')],
      1,
      'is not the key of anna',
    ],
    [['domain', 'rotate', ...domain, ...signer('anna'), '--dorp', 'x'], 2, 'there is no option --dorp'],
    [['domain', 'rotate', ...domain], 2, 'Missing required argument'],
    [['domain', 'status', '--domain-manager', '127.0.0.1:1'], 1, 'cannot reach the domain-manager at <address>'],
    [['domain', 'fly'], 2, 'Unknown command fly'],
  ];
  for (const [args, exitCode, note] of cases) {
    const said = await keyfleetCli(...args);
    expect(said).toMatchObject({ exitCode, notes: expect.stringContaining(note) });
    expect(said.notes.split('\n')).toHaveLength(1);
  }
});

test('each trouble of the domain-manager reaches the doctor as itself', async () => {
  const { redis, nats, managers } = fleet;
  const options = [...domain, '--redis', `redis://127.0.0.1:${redis.port}`];
  const doctorSays = (finding: string) =>
    eventually(finding, async () => {
      const { exitCode, out } = await keyfleetCli('doctor', ...options);
      return exitCode === 1 && out.includes(finding);
    });
  await nats.kill();
  await doctorSays('NOT WELL  NATS: the domain-manager cannot reach it');

  const store = new Redis(redis.port);
  onTestFinished(() => store.disconnect());
  const tokens = `kf:domain:{${fleet.anchor.domain}}:tokens`;
  const good = await store.lrangeBuffer(tokens, 0, -1);
  const changed = Buffer.from(good[0]!).fill(0xff, good[0]!.length - 4);
  const damages: [string, () => Promise<unknown>, string][] = [
    ['changed', () => store.lset(tokens, 0, changed), 'token 1 does not verify'],
    ['no list', () => store.set(tokens, 'x'), 'something else stands in the place of the domain tokens'],
  ];
  for (const [, damage, finding] of damages) {
    await damage();
    // A replica that has verified the tokens before goes on with them; a new one has nothing to say.
    for (const manager of managers) {
      await manager.end('SIGKILL');
      manager.start();
    }
    await doctorSays(`NOT WELL  domain tokens: the domain-manager is in trouble: ${finding}`);
  }
  await store.del(tokens);
  await store.rpush(tokens, ...good);
  await eventually('the tokens are read again', async () =>
    (await keyfleetCli('doctor', ...options)).out.includes('well  domain tokens: all 7 verify'),
  );
  store.disconnect();
  await redis.kill();
  await doctorSays('NOT WELL  domain-manager: the domain-manager is in trouble: it cannot reach its store (Redis)');
});

async function newestProposal(): Promise<string> {
  const { proposals } = await keyfleetJson<{ proposals: { proposalId: string }[] }>('domain', 'proposals', ...manager);
  return proposals.at(-1)!.proposalId;
}
