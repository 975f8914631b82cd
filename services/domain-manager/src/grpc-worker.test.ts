import { credentials, Server, ServerCredentials } from '@grpc/grpc-js';
import { Hsm } from '@keyfleet/proto';
import { newOperator, TestDomain } from '@keyfleet/test-support/domain';
import { expect, test } from 'vitest';
import { startGrpcWorker } from './grpc-worker.ts';
import { surveyWorkers } from './worker-survey.ts';

const { memberId, signingKey, agreementKey, encapsulationKey } = new TestDomain({ members: 1 }).hsms[0]!.describe();
const honest = {
  member_id: memberId,
  signing_key: signingKey,
  agreement_key: agreementKey,
  encapsulation_key: encapsulationKey,
  generation: 3,
  now: Date.now(),
};

/** The view of a worker that says this of itself. */
async function viewOf(description: object) {
  const server = new Server();
  const describe = (_: unknown, done: (error: null, answer: object) => void): void => done(null, description);
  server.addService(Hsm.service, { Describe: describe } as never);
  const port = await new Promise<number>((bound, failed) =>
    server.bindAsync('127.0.0.1:0', ServerCredentials.createInsecure(), (error, on) =>
      error ? failed(error) : bound(on),
    ),
  );
  const scheduler = newOperator('scheduler-1', 'scheduler');
  using worker = startGrpcWorker(`127.0.0.1:${port}`, {
    credentials: credentials.createInsecure(),
    domain: 'test',
    scheduler,
  });
  const [view] = await surveyWorkers([worker], undefined);
  server.forceShutdown();
  return view!;
}

test('a worker that describes itself is seen as it says', async () => {
  expect(await viewOf(honest)).toMatchObject({ standing: 'asking-to-join', description: { memberId, generation: 3 } });
  expect(await viewOf({ ...honest, encapsulation_key: Buffer.of() })).toMatchObject({ standing: 'asking-to-join' });
});

test.each([
  ['a name of megabytes', { member_id: 'x'.repeat(3_000_000) }],
  ['no name', { member_id: '' }],
  ['a name that is several lines', { member_id: 'hsm-1\nDone' }],
  ['a key of megabytes', { signing_key: Buffer.alloc(3_000_000) }],
  ['an encapsulation key of another length', { encapsulation_key: Buffer.alloc(1_000) }],
  ['a domain of megabytes', { domain: 'x'.repeat(3_000_000) }],
  ['a hash that is none', { token_hash: Buffer.alloc(3_000_000) }],
  ['a time that is none', { now: 2 ** 62 }],
])('one that says it has %s is not believed, and nothing of that is passed on', async (_, lie) => {
  const view = await viewOf({ ...honest, ...lie });
  expect(view).toMatchObject({ standing: 'unreachable', problem: 'it does not describe itself as an hsm-worker does' });
  expect(view.description).toBeUndefined();
});
