import { ScheduleKeyDeletionCommand, CreateKeyCommand } from '@aws-sdk/client-kms';
import { kmsClient } from '@keyfleet/test-support/aws-client';
import { startNotices } from '@keyfleet/shared/notices';
import { startTestCluster, type TestCluster } from '@keyfleet/test-support/cluster';
import { eventually } from '@keyfleet/test-support/fleet';
import { connect, type NatsConnection } from 'nats';
import { readFileSync } from 'node:fs';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type NatsUser, natsUsers } from '../../tools/servers/nats-users.ts';

let cluster: TestCluster;
const connections = new Map<NatsUser, NatsConnection>();

beforeAll(async () => {
  cluster = await startTestCluster({ rotateEvery: '5s', dueWorkEvery: '1s' });
  for (const user of natsUsers) {
    const pass = readFileSync(cluster.home.natsPasswordFile(user), 'utf8').trim();
    const settings = { servers: `127.0.0.1:${cluster.ports.nats}`, user, pass, inboxPrefix: `_INBOX.${user}` };
    connections.set(user, await connect(settings));
    void listen(user);
  }
});

afterAll(async () => {
  await Promise.all([...connections.values()].map((connection) => connection.close()));
  await cluster?.[Symbol.asyncDispose]();
});

/** What the users were refused, as "publish SUBJECT" or "subscription SUBJECT". */
const refused = new Map<NatsUser, Set<string>>();

async function listen(user: NatsUser): Promise<void> {
  const said = new Set<string>();
  refused.set(user, said);
  for await (const { permissionContext } of connections.get(user)!.status()) {
    if (permissionContext !== undefined) said.add(`${permissionContext.operation} ${permissionContext.subject}`);
  }
}

async function maySay(user: NatsUser, subject: string): Promise<boolean> {
  const connection = connections.get(user)!;
  connection.publish(subject);
  // A refusal comes before the answer to what follows.
  await connection.flush();
  await nextTurn();
  return !refused.get(user)!.has(`publish ${subject}`);
}

async function mayHear(user: NatsUser, subject: string): Promise<boolean> {
  const connection = connections.get(user)!;
  const subscription = connection.subscribe(subject, { callback: () => {} });
  await connection.flush();
  await nextTurn();
  subscription.unsubscribe();
  return !refused.get(user)!.has(`subscription ${subject}`);
}

test('services never ask for what they may not, while domain keys are rotated and due work is done', async () => {
  using kms = Object.assign(kmsClient(cluster), { [Symbol.dispose]: () => kms.destroy() });
  const { KeyMetadata } = await kms.send(new CreateKeyCommand({}));
  await kms.send(new ScheduleKeyDeletionCommand({ KeyId: KeyMetadata!.KeyId!, PendingWindowInDays: 7 }));
  const log = (name: string) => readFileSync(cluster.home.in('log', `${name}.log`), 'utf8');
  const { streams } = await connections.get('domain-manager')!.jetstreamManager();
  for (const queue of ['KEYFLEET_DUE', 'KEYFLEET_RESEAL_SHARDS']) {
    await eventually(`frontends have taken what was in ${queue}`, async () => {
      const { state } = await streams.info(queue);
      return state.last_seq > 0 && state.first_seq > 1;
    });
  }
  expect(log('nats').match(/.*Violation.*/g)).toBeNull();
});

describe('a frontend and an hsm-worker may not', () => {
  const tokens = [
    'keyfleet.domain.token',
    'keyfleet.domain.proposal',
    'keyfleet.due.0',
    'keyfleet.reseal.shard.0',
    '$JS.API.STREAM.DELETE.KEYFLEET_DUE',
    '$JS.API.STREAM.PURGE.KEYFLEET_DUE',
    '$JS.API.STREAM.CREATE.KEYFLEET_DUE',
    '$JS.API.STREAM.CREATE.MINE',
    '$JS.API.CONSUMER.DELETE.KEYFLEET_DUE.frontends',
    '$JS.API.CONSUMER.CREATE.KEYFLEET_DUE.mine',
    '_INBOX.domain-manager.x',
    'other',
  ];
  test.each(tokens)('say %s', async (subject) => {
    expect([await maySay('frontend', subject), await maySay('hsm-worker', subject)]).toEqual([false, false]);
  });

  test.each(['>', 'keyfleet.domain.proposal', 'keyfleet.due.*', '_INBOX.>', '_INBOX.domain-manager.>', '$JS.API.>'])(
    'hear %s',
    async (subject) => {
      expect([await mayHear('frontend', subject), await mayHear('hsm-worker', subject)]).toEqual([false, false]);
    },
  );
});

describe('an hsm-worker may not', () => {
  test.each([
    '$JS.API.CONSUMER.MSG.NEXT.KEYFLEET_DUE.frontends',
    '$JS.ACK.KEYFLEET_DUE.frontends.1.1.1.1.1',
    '$JS.API.INFO',
    '$JS.API.STREAM.MSG.GET.KEYFLEET_DUE',
  ])('say anything: %s', async (subject) => {
    expect(await maySay('hsm-worker', subject)).toBe(false);
  });

  test('hear answers', async () => {
    expect(await mayHear('hsm-worker', '_INBOX.hsm-worker.>')).toBe(false);
  });
});

describe('a domain-manager may not', () => {
  test.each([
    '$JS.API.STREAM.PURGE.KEYFLEET_DUE',
    '$JS.API.STREAM.DELETE.MINE',
    '$JS.API.STREAM.CREATE.MINE',
    '$SYS.REQ.SERVER.PING',
    'other',
  ])('say %s', async (subject) => {
    expect(await maySay('domain-manager', subject)).toBe(false);
  });

  test.each(['_INBOX.frontend.>', '>'])('hear %s', async (subject) => {
    expect(await mayHear('domain-manager', subject)).toBe(false);
  });
});

test('what a user may not say is a problem that its service tells of', async () => {
  const nats = {
    servers: [`127.0.0.1:${cluster.ports.nats}`],
    username: 'hsm-worker',
    passwordFile: cluster.home.natsPasswordFile('hsm-worker'),
  };
  const problems: string[] = [];
  const onProblem = (problem: unknown): void => void problems.push(String(problem));
  await using notices = startNotices({ nats, name: 'test', onProblem });
  await eventually('it is connected', () => notices.connection() !== undefined);
  await notices.publish('proposal', {});
  await eventually('it is told', () => problems.length > 0);
  expect(problems).toEqual(['Error: NATS: PERMISSIONS_VIOLATION publish keyfleet.domain.proposal']);
});

test('each may do what is its own', async () => {
  expect(await maySay('domain-manager', 'keyfleet.domain.token')).toBe(true);
  expect(await mayHear('hsm-worker', 'keyfleet.domain.token')).toBe(true);
  expect(await mayHear('frontend', '_INBOX.frontend.x')).toBe(true);
});

describe('JetStream answers to any subject that is named to it, whoever may ask', () => {
  test('so what a stream keeps is bounded, and no answer is taken for a notice', async () => {
    const [frontend, manager] = [connections.get('frontend')!, connections.get('domain-manager')!];
    const { streams } = await manager.jetstreamManager();
    const { config, state } = await streams.info('KEYFLEET_DUE');
    frontend.publish('$JS.API.INFO', undefined, { reply: 'keyfleet.due.planted' });
    await eventually('the answer is in the stream', async () => {
      const now = (await streams.info('KEYFLEET_DUE')).state;
      return now.last_seq > state.last_seq;
    });
    expect([config.max_bytes, config.discard]).toEqual([1_048_576, 'old']);
  });

  test.each([
    ['sealed', { sealed: true }],
    ['without deletion, and for messages of one byte', { deny_delete: true, max_msg_size: 1 }],
    ['for other subjects', { subjects: ['keyfleet.due.none'] }],
  ])('a stream that somebody left %s, with the password of domain-managers, is put right', async (_, altered) => {
    const { streams } = await connections.get('domain-manager')!.jetstreamManager();
    const { config } = await streams.info('KEYFLEET_DUE');
    await streams.update('KEYFLEET_DUE', { ...config, ...altered });
    await eventually('work is asked for again, and taken', async () => {
      const now = await streams.info('KEYFLEET_DUE').catch(() => undefined);
      if (now === undefined) return false;
      const { subjects, sealed, deny_delete: isKept, max_msg_size: size } = now.config;
      return subjects[0] === 'keyfleet.due.*' && !sealed && !isKept && size === -1 && now.state.first_seq > 1;
    });
  });
});
