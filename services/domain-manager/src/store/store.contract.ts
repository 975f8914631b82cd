import type { ResealItem, ShardReport } from '@keyfleet/shared/reseal-queue';
import { expect, test } from 'vitest';
import type { DomainStore, StoredProposal } from './store.ts';

const HOUR = 3_600_000;

function newProposal(overrides: Partial<StoredProposal> = {}): StoredProposal {
  return {
    proposalId: 'ab'.repeat(32),
    command: Buffer.from('command'),
    signatures: [{ operatorId: 'anna', signature: Buffer.from([1, 255]) }],
    expiresAt: Date.now() + HOUR,
    ...overrides,
  };
}

/** What every store of the domain guarantees. `newStore` makes an empty one; `report` acts as a frontend. */
export function describeDomainStore<Store extends DomainStore>(
  newStore: () => Promise<Store>,
  report: (store: Store, item: ResealItem, found: ShardReport) => Promise<unknown>,
): void {
  test('tokens come back in order, after a generation, in pages', async () => {
    const store = await newStore();
    for (const generation of [1, 2, 3]) {
      expect(await store.appendToken(generation, Buffer.from([generation, 255]))).toBe(true);
    }
    expect(await store.loadTokens(0, 2)).toEqual([Buffer.from([1, 255]), Buffer.from([2, 255])]);
    expect(await store.loadTokens(2, 2)).toEqual([Buffer.from([3, 255])]);
    expect(await store.loadTokens(3, 2)).toEqual([]);
  });

  test('one of two writers of one generation wins, and its token stays', async () => {
    const store = await newStore();
    const wins = await Promise.all(['a', 'b'].map((token) => store.appendToken(1, Buffer.from(token))));
    expect(wins.filter(Boolean)).toHaveLength(1);
    expect(await store.loadTokens(0, 9)).toEqual([Buffer.from(wins[0] ? 'a' : 'b')]);
  });

  test('a token is restored where those before it are, and not in a store that was emptied', async () => {
    const store = await newStore();
    expect(await store.restoreToken(1, Buffer.from('one'))).toBe(false);
    await store.appendToken(1, Buffer.from('one'));
    expect(await store.restoreToken(3, Buffer.from('three'))).toBe(false);
    expect(await store.restoreToken(2, Buffer.from('two'))).toBe(true);
    expect(await store.loadTokens(0, 9)).toEqual(['one', 'two'].map((token) => Buffer.from(token)));
  });

  test('a token takes the place of what was found there, and of nothing else', async () => {
    const store = await newStore();
    const [one, junk, two] = ['one', 'junk', 'two'].map((token) => Buffer.from(token));
    expect(await store.findToken(1)).toBeUndefined();
    expect(await store.replaceToken(1, junk!, one!)).toBe(false);
    await store.appendToken(1, one!);
    await store.appendToken(2, junk!);
    expect(await store.findToken(2)).toEqual(junk);
    expect(await store.replaceToken(2, one!, two!)).toBe(false);
    expect(await store.replaceToken(2, Buffer.of(), two!)).toBe(false);
    expect(await store.replaceToken(3, junk!, two!)).toBe(false);
    expect(await store.loadTokens(0, 9)).toEqual([one, junk]);
    expect(await store.replaceToken(2, junk!, two!)).toBe(true);
    expect(await store.loadTokens(0, 9)).toEqual([one, two]);
  });

  test('a generation cannot be skipped', async () => {
    const store = await newStore();
    expect(await store.appendToken(2, Buffer.from('x'))).toBe(false);
    expect(await store.loadTokens(0, 9)).toEqual([]);
  });

  test('signatures of a proposal add up, and one operator has one', async () => {
    const store = await newStore();
    const proposal = newProposal();
    expect(await store.putProposal(proposal, 8)).toBe(true);
    const more = [
      { operatorId: 'anna', signature: Buffer.from([2]) },
      { operatorId: 'berta', signature: Buffer.from([3]) },
    ];
    expect(await store.putProposal({ ...proposal, signatures: more }, 8)).toBe(true);
    const stored = await store.findProposal(proposal.proposalId);
    expect(stored?.signatures.toSorted((a, b) => a.operatorId.localeCompare(b.operatorId))).toEqual(more);
    expect(stored?.command).toEqual(proposal.command);
    expect(stored?.expiresAt).toBe(proposal.expiresAt);
  });

  test('a proposal has the earliest date that it was put with, and nothing is left of one that is over', async () => {
    const store = await newStore();
    const proposal = newProposal();
    for (const later of [0, 1, -2, -1, HOUR])
      await store.putProposal({ ...proposal, expiresAt: proposal.expiresAt + later }, 8);
    expect((await store.findProposal(proposal.proposalId))?.expiresAt).toBe(proposal.expiresAt - 2);
    await store.putProposal({ ...proposal, expiresAt: Date.now() - 1 }, 8);
    expect(await store.findProposal(proposal.proposalId)).toBeUndefined();
    const ofBerta = [{ operatorId: 'berta', signature: Buffer.from([3]) }];
    await store.putProposal({ ...proposal, signatures: ofBerta }, 8);
    expect(await store.findProposal(proposal.proposalId)).toEqual({ ...proposal, signatures: ofBerta });
  });

  test('a full store still takes signatures of a known proposal, and refuses a new one', async () => {
    const store = await newStore();
    expect(await store.putProposal(newProposal(), 1)).toBe(true);
    expect(await store.putProposal(newProposal({ proposalId: 'cd'.repeat(32) }), 1)).toBe(false);
    expect(await store.putProposal(newProposal(), 1)).toBe(true);
    expect(await store.listProposals()).toHaveLength(1);
  });

  test('an expired proposal makes room', async () => {
    const store = await newStore();
    const expired = newProposal({ proposalId: 'cd'.repeat(32), expiresAt: Date.now() - HOUR });
    await store.putProposal(expired, 1);
    expect(await store.putProposal(newProposal(), 1)).toBe(true);
    expect(await store.findProposal(expired.proposalId)).toBeUndefined();
  });

  test('a proposal that is dropped is gone, and makes room', async () => {
    const store = await newStore();
    const dropped = newProposal({ proposalId: 'cd'.repeat(32) });
    await store.putProposal(dropped, 1);
    await store.dropProposal(dropped.proposalId);
    await store.dropProposal(dropped.proposalId);
    expect(await store.findProposal(dropped.proposalId)).toBeUndefined();
    expect(await store.putProposal(newProposal(), 1)).toBe(true);
    expect(await store.listProposals()).toHaveLength(1);
  });

  test('a failure stays with its proposal until somebody else signs it, and makes no proposal by itself', async () => {
    const store = await newStore();
    const proposal = newProposal();
    await store.putProposal(proposal, 8);
    await store.setFailure(proposal.proposalId, 'refused');
    await store.setFailure('cd'.repeat(32), 'gone');
    const failure = async () => (await store.findProposal(proposal.proposalId))?.failure;
    expect(await failure()).toBe('refused');
    expect(await store.listProposals()).toHaveLength(1);
    const signedAgain = [{ operatorId: 'anna', signature: Buffer.from([2]) }];
    await store.putProposal({ ...proposal, signatures: signedAgain }, 8);
    expect(await failure()).toBe('refused');
    const signedByAnother = [{ operatorId: 'berta', signature: Buffer.from([3]) }];
    await store.putProposal({ ...proposal, signatures: signedByAnother }, 8);
    expect(await failure()).toBeUndefined();
  });

  test('a note that a proposal is done stays with it, and makes no proposal by itself', async () => {
    const store = await newStore();
    const proposal = newProposal();
    await store.putProposal(proposal, 8);
    expect((await store.findProposal(proposal.proposalId))?.done).toBeUndefined();
    await store.setDone(proposal.proposalId);
    await store.setDone('cd'.repeat(32));
    await store.putProposal(proposal, 8);
    expect((await store.findProposal(proposal.proposalId))?.done).toBe(true);
    expect(await store.listProposals()).toHaveLength(1);
  });

  test('a signature has the date that it came with first, whoever brings it again in whatever form', async () => {
    const store = await newStore();
    const signature = { operatorId: 'anna', signature: Buffer.from('r'.repeat(48) + 's'.repeat(48)) };
    const inAnotherForm = { operatorId: 'anna', signature: Buffer.from('r'.repeat(48) + 'S'.repeat(48)) };
    const another = { operatorId: 'anna', signature: Buffer.from('R'.repeat(48) + 's'.repeat(48)) };
    const [id, ofAnother] = ['ab', 'cd'].map((byte) => byte.repeat(32)) as [string, string];
    const over = Date.now() - 1;
    const later = Date.now() + HOUR;
    for (const until of [over, later])
      expect(await store.dateSignature(id, signature, until)).toEqual({ until: over, isOver: true });
    expect(await store.dateSignature(id, inAnotherForm, later)).toEqual({ until: over, isOver: true });
    for (const until of [later, over, later + 1])
      expect(await store.dateSignature(id, another, until)).toEqual({ until: later, isOver: false });
    const ofBerta = { ...signature, operatorId: 'berta' };
    expect(await store.dateSignature(id, ofBerta, later)).toEqual({ until: later, isOver: false });
    // Whoever has the key can make one with the same r for another proposal.
    for (const until of [later, over])
      expect(await store.dateSignature(ofAnother, inAnotherForm, until)).toEqual({ until: later, isOver: false });
  });

  test('a pass begins once, and its shards report', async () => {
    const store = await newStore();
    expect(await store.findReseal(2)).toBeUndefined();
    await store.startPass(2, { pass: 1, shards: 2, startedAt: 55 });
    await store.startPass(2, { pass: 1, shards: 9, startedAt: 56 });
    const item = { generation: 2, pass: 1, shard: 1, shards: 2 };
    const begun = { resealed: 3, remaining: 1, parts: 1, standing: 'in-part' } as const;
    await report(store, item, begun);
    const progress = { pass: 1, shards: 2, startedAt: 55, reports: new Map(), parts: 1, resealed: 3 };
    expect(await store.findReseal(2)).toEqual(progress);
    const done = { resealed: 5, remaining: 1, parts: 2, standing: 'done' } as const;
    await report(store, item, done);
    expect(await store.findReseal(2)).toEqual({ ...progress, reports: new Map([[1, done]]), parts: 2, resealed: 5 });

    // Whoever once wrote to the store may have left it.
    await report(store, { ...item, pass: 2, shard: 0 }, { ...done, resealed: 0, remaining: 0 });
    await store.startPass(2, { pass: 2, shards: 2, startedAt: 66 });
    expect(await store.findReseal(2)).toEqual({
      pass: 2,
      shards: 2,
      startedAt: 66,
      reports: new Map(),
      parts: 0,
      resealed: 5,
    });
    await store.setVerified(2, 77);
    expect((await store.findReseal(2))?.verifiedAt).toBe(77);
    expect(await store.findReseal(3)).toBeUndefined();
  });

  test('the newest sighting of a generation is kept', async () => {
    const store = await newStore();
    expect(await store.findSighting(3)).toBeUndefined();
    for (const sighting of [Buffer.from([0xff, 0]), Buffer.from([0, 0xff])]) await store.putSighting(3, sighting);
    expect(await store.findSighting(3)).toEqual(Buffer.from([0, 0xff]));
    expect(await store.findSighting(2)).toBeUndefined();
  });

  test('one holder has the lease until it gives it up', async () => {
    const store = await newStore();
    expect(await store.holdLease('one', HOUR)).toBe(true);
    expect(await store.holdLease('two', HOUR)).toBe(false);
    expect(await store.holdLease('one', HOUR)).toBe(true);
    await store.releaseLease('two');
    expect(await store.findLeaseHolder()).toBe('one');
    await store.releaseLease('one');
    expect(await store.findLeaseHolder()).toBeUndefined();
    expect(await store.holdLease('two', HOUR)).toBe(true);
  });
}
