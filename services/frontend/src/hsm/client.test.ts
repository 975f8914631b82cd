import { CHANGEOVER_MS } from '@keyfleet/shared/domain/state';
import type { DomainState } from '@keyfleet/shared/domain/state';
import { Writer } from '@keyfleet/shared/encoding/bytes';
import type { CommandName, InputOf, OutputOf } from '@keyfleet/shared/hsm/commands';
import { TestDomain } from '@keyfleet/test-support/domain';
import { expect, test } from 'vitest';
import { HsmClient } from './client.ts';
import { HsmUnavailableError, type MemberAnswer, type MemberCommands } from './commands.ts';

/** What a worker may answer instead of a token. */
const RUBBISH = 'rubbish';

/** Workers that answer in turn, each sealing under the domain key it believes in. */
class Workers implements MemberCommands {
  readonly sealedUnder: string[];

  constructor(sealedUnder: string[]) {
    this.sealedUnder = sealedUnder;
  }
  async execute<N extends CommandName>(name: N, input: InputOf<N>): Promise<OutputOf<N>> {
    return (await this.executeByMember(name, input)).output;
  }
  async executeByMember<N extends CommandName>(
    _name: N,
    _input: InputOf<N>,
    _deadline?: number,
    notBy?: ReadonlySet<string>,
  ): Promise<MemberAnswer<N>> {
    // They are one member, so there is no witness.
    if (notBy?.has('hsm-1')) throw new HsmUnavailableError('nobody-else');
    const id = this.sealedUnder.length > 1 ? this.sealedUnder.shift()! : this.sealedUnder[0]!;
    const output = { token: tokenUnder(id), secretAccessKey: id } as unknown as OutputOf<N>;
    return { output, memberId: 'hsm-1' };
  }
  async executeEverywhere(): Promise<void> {}
  async connects(): Promise<boolean> {
    return false;
  }
}

function tokenUnder(id: string): Buffer {
  if (id === RUBBISH) return Buffer.from(id);
  const header = new Writer();
  for (const text of ['keyfleet/credential-token/1', 'test', id]) header.text(text);
  const token = new Writer();
  token.bytes(header.finish());
  return token.finish();
}

const noEvents = { confirmed() {}, contradicted() {}, unconfirmed() {} };

function rotated() {
  const domain = new TestDomain({ members: 1 });
  domain.rotate();
  const [old, active] = domain.hsms[0]!.installed!.state.domainKeys.map(({ id }) => id) as [string, string];
  let view: DomainState | undefined;
  const { clock } = domain;
  const commandsOf = (hsm: MemberCommands) => {
    // What this frontend knows, which is not always the newest state.
    let seen = view ?? domain.hsms[0]!.installed!.state;
    const refreshDomain = async (): Promise<void> => void (seen = domain.hsms[0]!.installed!.state);
    return new HsmClient({
      hsm,
      domainState: () => seen,
      isDomainOfOne: () => true,
      refreshDomain,
      clock,
      workers: 1,
      events: noEvents,
    });
  };
  const sealedBy = async (...workers: string[]) => {
    const commands = commandsOf(new Workers(workers));
    const input = { accessKeyId: 'AKIA', principal: 'arn' };
    const { secretAccessKey } = await commands.execute('GenerateCredential', input, clock.now() + 5000);
    return secretAccessKey;
  };
  const look = (): void => void (view = domain.hsms[0]!.installed!.state);
  return { domain, old, active, commandsOf, sealedBy, look };
}

test('a stored token under a domain key that the domain never had is damaged, and no worker is asked', async () => {
  const { domain, active, commandsOf } = rotated();
  const hsm = new Workers([active]);
  const commands = commandsOf(hsm);
  const open = (token: Uint8Array) =>
    commands.execute('OpenCredential', { accessKeyId: 'AKIA', principal: 'arn', token }, domain.clock.now() + 5000);
  await open(tokenUnder(active));
  for (const token of [tokenUnder('ab'.repeat(16)), Buffer.from('no token at all')]) {
    await expect(open(token)).rejects.toMatchObject({ refusal: 'damaged-token' });
  }
});

test('an access key is opened by one member, and by another only if the domain has one', async () => {
  const { domain, active, commandsOf } = rotated();
  const [input, deadline] = [
    { accessKeyId: 'AKIA', principal: 'arn', token: tokenUnder(active) },
    domain.clock.now() + 5000,
  ];
  const commands = commandsOf(new Workers([active]));
  expect(await commands.openCredential(input, deadline, undefined)).toMatchObject({ memberId: 'hsm-1' });
  await expect(commands.openCredential(input, deadline, 'hsm-2')).rejects.toMatchObject({ reason: 'nobody-else' });
  const ofNobody = { ...input, token: tokenUnder('ab'.repeat(16)) };
  await expect(commands.openCredential(ofNobody, deadline, undefined)).rejects.toMatchObject({
    refusal: 'damaged-token',
  });
});

test('a token under the domain key before is taken while members change over', async () => {
  const { old, active, sealedBy } = rotated();
  expect(await sealedBy(old)).toBe(old);
  expect(await sealedBy(active)).toBe(active);
});

test('a token under a domain key that went out of use is not accepted: other workers are tried, a few times', async () => {
  const { domain, old, active, sealedBy } = rotated();
  domain.clock.advance(CHANGEOVER_MS + 1);
  expect(await sealedBy(old, old, active)).toBe(active);
  await expect(sealedBy(old)).rejects.toThrow('timed out');
});

test('a token under a domain key that is newer than this frontend knows is taken once it knows it', async () => {
  const { domain, sealedBy, look } = rotated();
  look();
  domain.rotate();
  const newest = domain.hsms[0]!.installed!.state.domainKeys.at(-1)!.id;
  expect(await sealedBy(newest)).toBe(newest);
});

test('a token under a domain key that was dropped is never taken', async () => {
  const { domain, old, active, sealedBy } = rotated();
  domain.rotate();
  domain.drop(old);
  expect(await sealedBy(old, old, active)).toBe(active);
  await expect(sealedBy(old)).rejects.toThrow('timed out');
});

test('a token under a domain key that was retired is never taken, however short ago it was active', async () => {
  const { domain, old, active, sealedBy } = rotated();
  expect(await sealedBy(old)).toBe(old);
  domain.retire(old);
  expect(await sealedBy(old, old, active)).toBe(active);
  await expect(sealedBy(old)).rejects.toThrow('timed out');
});

test('junk in place of a token is not accepted either', async () => {
  const { active, sealedBy } = rotated();
  expect(await sealedBy(RUBBISH, active)).toBe(active);
  await expect(sealedBy(RUBBISH)).rejects.toThrow('timed out');
});
