import { type DomainState, isOfOne } from '@keyfleet/shared/domain/state';
import type { CommandName, InputOf, OutputOf } from '@keyfleet/shared/hsm/commands';
import { expect, test } from 'vitest';
import { HsmRefusedError, HsmUnavailableError, type MemberAnswer } from './commands.ts';
import { ConfirmedOpening } from './opening.ts';

const [RIGHT, WRONG, DENIED] = ['a'.repeat(40), 'b'.repeat(40), 'denied'];
const input = { accessKeyId: 'keyfleet-record-key-1', principal: 'keyfleet:frontends', token: Buffer.from('token') };

/**
 * Members are asked in this order; each says what is in the token. `connects` once others are waited for, and
 * `removed` is no member any more.
 */
function start(
  members: Record<string, string>,
  options: { workers?: number; domain?: string[]; connects?: Record<string, string>; removed?: string } = {},
) {
  const events: string[] = [];
  const all = { ...members };
  const executeByMember = async <N extends CommandName>(
    _name: N,
    _input: InputOf<N>,
    _deadline: number,
    notBy: ReadonlySet<string> = new Set(),
  ): Promise<MemberAnswer<N>> => {
    const memberId = Object.keys(all).find((id) => !notBy.has(id));
    if (memberId === undefined) throw new HsmUnavailableError('nobody-else');
    if (all[memberId] === DENIED) throw new HsmRefusedError('cannot-open', memberId);
    const said = Buffer.from(all[memberId]!);
    const output = { secretAccessKey: said, materialId: Buffer.of(1), publicKey: said };
    return { memberId, output: output as unknown as OutputOf<N> };
  };
  const connects = async (): Promise<boolean> => {
    domain = domain.filter(({ memberId }) => memberId !== options.removed);
    const isNew = Object.keys(options.connects ?? {}).some((id) => !(id in all));
    Object.assign(all, options.connects);
    return isNew;
  };
  let domain = (options.domain ?? ['a', 'b', 'c']).map((memberId) => ({ memberId }));
  const opening = new ConfirmedOpening({
    hsm: { executeByMember, connects },
    clock: { now: () => 0 },
    domainState: () => ({ members: domain }) as unknown as DomainState,
    isDomainOfOne: () => isOfOne({ members: domain } as unknown as DomainState),
    workers: options.workers ?? 3,
    events: {
      confirmed: () => events.push('confirmed'),
      contradicted: (_name, one, other) => events.push(`${other} contradicts ${one}`),
      unconfirmed: (_name, only) => events.push(`only ${only}`),
    },
  });
  const open = async (deadline = 5_000) => {
    const { secretAccessKey } = await opening.execute('OpenCredential', input, deadline);
    return Buffer.from(secretAccessKey).toString();
  };
  const key = { keyId: 'k', account: 'a', token: input.token };
  return { events, open, describe: () => opening.execute('DescribeBackingKey', key, 5_000) };
}

test('a finding of two members is believed', async () => {
  const { open, events } = start({ a: RIGHT, b: RIGHT, c: WRONG });
  expect(await open()).toBe(RIGHT);
  expect(events).toEqual(['confirmed']);
});

test.each([
  ['lies', WRONG],
  ['refuses', DENIED],
])('one member that %s is outvoted, whichever is asked first', async (_what, answer) => {
  for (const members of [
    { a: answer, b: RIGHT, c: RIGHT },
    { a: RIGHT, b: answer, c: RIGHT },
  ]) {
    const { open, events } = start(members);
    expect(await open()).toBe(RIGHT);
    expect(events).toContain('b contradicts a');
    expect(events.at(-1)).toBe('confirmed');
  }
});

test('neither of two members that contradict each other is believed if there is no third', async () => {
  await expect(start({ a: WRONG, b: RIGHT }).open()).rejects.toMatchObject({ reason: 'unconfirmed' });
  await expect(start({ a: DENIED, b: RIGHT }).open()).rejects.toMatchObject({ reason: 'unconfirmed' });
});

test('a public key is what two members find alike, too', async () => {
  const { describe, events } = start({ a: WRONG, b: RIGHT, c: RIGHT });
  expect(Buffer.from((await describe()).publicKey!).toString()).toBe(RIGHT);
  expect(events).toEqual(['b contradicts a', 'confirmed']);
});

test('a token that two members cannot open is refused', async () => {
  const refused = { refusal: 'cannot-open', isConfirmed: true };
  await expect(start({ a: DENIED, b: DENIED, c: RIGHT }).open()).rejects.toMatchObject(refused);
});

test('a former member counts for nothing', async () => {
  const { open, events } = start({ a: WRONG, d: WRONG, b: RIGHT, c: RIGHT }, { domain: ['b', 'c'] });
  expect(await open()).toBe(RIGHT);
  expect(events).toEqual(['confirmed']);
});

test('a member that connects first is not believed before the second has connected', async () => {
  const { open, events } = start({ a: WRONG }, { connects: { b: RIGHT, c: RIGHT } });
  expect(await open()).toBe(RIGHT);
  expect(events).toEqual(['b contradicts a', 'confirmed']);
});

test('a member that is removed while others are waited for counts for nothing, alone or with another', async () => {
  await expect(start({ a: WRONG }, { removed: 'a' }).open()).rejects.toMatchObject({ reason: 'nobody-else' });
  const { open, events } = start(
    { a: WRONG },
    { removed: 'a', connects: { b: WRONG, c: RIGHT, d: RIGHT }, domain: ['a', 'b', 'c', 'd'] },
  );
  expect(await open()).toBe(RIGHT);
  expect(events).toEqual(['c contradicts b', 'confirmed']);
});

test('a lone member is not believed because the time is over before another can connect', async () => {
  const { open, events } = start({ a: RIGHT });
  await expect(open(300)).rejects.toThrow('timed out: no HSM answered');
  expect(events).toEqual([]);
});

test('a lone member is believed, and that is said; only in a domain of one nothing is said', async () => {
  for (const options of [{}, { workers: 1 }]) {
    const alone = start({ a: RIGHT }, options);
    expect(await alone.open()).toBe(RIGHT);
    expect(alone.events).toEqual(['only a']);
  }
  const only = start({ a: RIGHT }, { domain: ['a'] });
  expect(await only.open()).toBe(RIGHT);
  expect(only.events).toEqual([]);
});
