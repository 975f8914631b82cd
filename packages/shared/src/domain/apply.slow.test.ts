import {
  type Change,
  memberOf,
  newOperator,
  publicPart,
  refusalOf,
  rotation,
  TestDomain,
} from '@keyfleet/test-support/domain';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { z } from 'zod';
import { bytes, defineFormat } from '../encoding/canonical.ts';
import { makesDomainKey, nextState } from './apply.ts';
import { DomainError } from './domain-error.ts';
import { boundTo, type DomainChange, parseDomainChange } from './proposal.ts';
import { DomainState, isMember, type Operator, operators } from './state.ts';
import { assertValidState } from './valid-state.ts';

const domain = new TestDomain();
const founded = domain.hsms[0]!.installed!.state;
const memberPool = ['hsm-3', 'hsm-4'].map((id) => memberOf(domain.newHsm(id)));
const operatorPool = ['dave', 'erin'].map((id) => publicPart(newOperator(id)));

function commandOf(change: Change, { generation }: DomainState): DomainChange {
  const bound = { domain: 'test', generation, previousHash: Buffer.alloc(32), preparer: 'hsm-1' };
  return { version: 3, unwitnessed: false, ...bound, ...change } as DomainChange;
}
function after(change: Change, state = founded): DomainState {
  return nextState(state, commandOf(change, state), { keyId: 'ab'.repeat(16), madeAt: domain.clock.now() });
}

const DomainCommand = defineFormat(
  'keyfleet/domain-command/2',
  z.object({
    domain: z.string(),
    generation: z.int(),
    previousHash: bytes(),
    preparer: z.string(),
    name: z.string(),
    body: bytes(),
  }),
);
const OldModifyOperators = defineFormat(
  'keyfleet/domain-command/modify-operators/1',
  z.object({ admit: operators, remove: z.array(z.string()) }),
);

describe('a command', () => {
  test('changes what it says, and nothing else', () => {
    const modified = after({ name: 'ModifyOperators', body: { admit: [], remove: ['carol'] } });
    expect(modified).toEqual({
      ...founded,
      generation: 2,
      operators: founded.operators.filter(({ operatorId }) => operatorId !== 'carol'),
    });
    const rules = founded.rules.slice(0, 2);
    const ruled = after({ name: 'ModifyRules', body: { rules, backupHorizonMs: 5 } });
    expect(ruled).toEqual({ ...founded, generation: 2, rules, backupHorizonMs: 5 });
    const admitted = after({ name: 'ModifyMembers', body: { admit: memberPool, remove: [] } });
    expect(admitted).toEqual({ ...founded, generation: 2, members: [...founded.members, ...memberPool] });
  });

  test('that removes or replaces a service host makes a new domain key', () => {
    const { frontend } = domain;
    const removal: Change = { name: 'ModifyOperators', body: { admit: [], remove: [frontend.operatorId] } };
    const another = publicPart(newOperator(frontend.operatorId, 'service-host'));
    for (const change of [removal, { ...removal, body: { ...removal.body, admit: [another] } }]) {
      expect(after(change).domainKeys).toMatchObject([{ status: 'deactivated' }, { afterRemoval: true }]);
    }
  });

  test('of the first release that removes a service host makes none: chains that hold one verify', () => {
    const frontend = domain.frontend.operatorId;
    const body = OldModifyOperators.encode({ admit: [], remove: [frontend] });
    const bound = boundTo({ state: founded, hash: Buffer.alloc(32) }, 'hsm-1');
    const old = parseDomainChange(DomainCommand.encode({ ...bound, name: 'ModifyOperators', body }));
    const next = nextState(founded, old, { keyId: 'ab'.repeat(16), madeAt: domain.clock.now() });
    expect(next.domainKeys).toEqual(founded.domainKeys);
    expect(hostsOf(next)).toEqual([]);
  });

  test('is refused when it removes who is not there, admits who is, or leaves nobody', () => {
    const refusal = (change: Change) => refusalOf(() => after(change));
    expect(refusal({ name: 'ModifyMembers', body: { admit: [], remove: ['hsm-9'] } })).toBe('invalid-change');
    expect(refusal({ name: 'ModifyMembers', body: { admit: [memberOf(domain.hsms[0]!)], remove: [] } })).toBe(
      'invalid-change',
    );
    expect(refusal({ name: 'ModifyMembers', body: { admit: [], remove: ['hsm-1', 'hsm-2'] } })).toBe('invalid-change');
    expect(refusal({ name: 'ModifyOperators', body: { admit: [], remove: ['alice', 'bob'] } })).toBe('invalid-change');
    const impossible = [[{ role: 'operator' as const, minimum: 4 }]];
    const rules = [{ command: 'ModifyRules' as const, alternatives: impossible }];
    expect(refusal({ name: 'ModifyRules', body: { rules, backupHorizonMs: 0 } })).toBe('invalid-change');
  });

  test('that gives an operator the key of a member, or a member one key for two purposes, is refused', () => {
    const [member] = memberPool;
    const { signingKey } = founded.members[0]!;
    const operator = { operatorId: 'dave', role: 'operator' as const, signingKey };
    expect(refusalOf(() => after({ name: 'ModifyOperators', body: { admit: [operator], remove: [] } }))).toBe(
      'invalid-change',
    );
    const lazy = { ...member!, agreementKey: member!.signingKey };
    expect(refusalOf(() => after({ name: 'ModifyMembers', body: { admit: [lazy], remove: [] } }))).toBe(
      'invalid-change',
    );
  });

  test('that leaves or founds a domain makes no next state', () => {
    expect(refusalOf(() => after({ name: 'LeaveDomain', body: { memberId: 'hsm-1' } }))).toBe('wrong-state');
  });
});

const subset = <T>(all: readonly T[]) => fc.subarray([...all]);
const change: fc.Arbitrary<Change> = fc.oneof(
  fc.record({ name: fc.constant('RotateDomainKeys' as const), body: fc.constant({}) }),
  fc.record({
    name: fc.constantFrom('RetireDomainKeys' as const, 'ReinstateDomainKeys' as const, 'DropDomainKeys' as const),
    body: fc.record({ ids: subset(Array.from({ length: 8 }, (_, i) => keyId(i))) }),
  }),
  fc.record({
    name: fc.constant('ModifyMembers' as const),
    body: fc.record({ admit: subset(memberPool), remove: subset(['hsm-1', 'hsm-2', 'hsm-3', 'hsm-4']) }),
  }),
  fc.record({
    name: fc.constant('ModifyOperators' as const),
    body: fc.record({ admit: subset(operatorPool), remove: subset(['carol', 'dave', 'erin', 'bob', 'frontend-1']) }),
  }),
  fc.record({
    name: fc.constant('ModifyRules' as const),
    body: fc.record({ rules: subset(founded.rules), backupHorizonMs: fc.nat(3) }),
  }),
);

test('any sequence of commands leads through valid states, and keeps every key a backup may need', () => {
  fc.assert(
    fc.property(fc.array(fc.tuple(change, fc.nat(3)), { maxLength: 12 }), (steps) => {
      const first = { ...founded.domainKeys[0]!, id: keyId(0), createdAt: 0 };
      let state: DomainState = { ...founded, madeAt: 0, domainKeys: [first] };
      let now = 0;
      for (const [step, elapsed] of steps) {
        now += elapsed;
        const command = commandOf(step, state);
        const next = applied(state, command, { keyId: keyId(state.generation), madeAt: now });
        if (next === undefined) continue;
        assertValidState(next);
        expect(DomainState.decode(DomainState.encode(next))).toEqual(next);
        expect(next.generation).toBe(state.generation + 1);
        expect(next.domainKeys.at(-1)!.createdGeneration === next.generation).toBe(makesDomainKey(state, command));
        assertKeysKept(state, next, now);
        // A removed party never sees the domain key that seals from then on.
        const isGone =
          state.members.some((member) => !isMember(next, member)) ||
          hostsOf(state).some((host) => !hostsOf(next).includes(host));
        const after = { createdGeneration: next.generation, afterRemoval: true };
        if (isGone) expect(next.domainKeys.at(-1)).toMatchObject(after);
        state = next;
      }
    }),
    { numRuns: 300 },
  );
});

function hostsOf({ operators }: DomainState): Operator[] {
  return operators.filter(({ role }) => role === 'service-host');
}

function assertKeysKept(state: DomainState, next: DomainState, now: number): void {
  state.domainKeys.forEach(({ id }, i) => {
    if (next.domainKeys.some((key) => key.id === id)) return;
    const successor = state.domainKeys[i + 1];
    expect(now - successor!.createdAt).toBeGreaterThanOrEqual(state.backupHorizonMs);
  });
}

describe('a domain with many keys', () => {
  const withKeys = (count: number): DomainState => {
    const one = founded.domainKeys[0]!;
    const domainKeys = Array.from({ length: count }, (_, i) => ({
      ...one,
      id: keyId(i),
      createdGeneration: i + 1,
      status: i === count - 1 ? ('active' as const) : ('deactivated' as const),
    }));
    return { ...founded, generation: count, domainKeys };
  };
  const removal: Change = { name: 'ModifyMembers', body: { admit: [], remove: ['hsm-2'] } };

  test('rotates until 256 places are left, which removals alone may take', () => {
    expect(after(rotation, withKeys(3_839)).domainKeys).toHaveLength(3_840);
    expect(refusalOf(() => after(rotation, withKeys(3_840)))).toBe('invalid-change');
    expect(after(removal, withKeys(3_840)).domainKeys).toHaveLength(3_841);
    expect(after(removal, withKeys(4_095)).domainKeys).toHaveLength(4_096);
    expect(refusalOf(() => after(removal, withKeys(4_096)))).toBe('invalid-change');
  });

  test('continues rotating when people dropped some', () => {
    const full = withKeys(3_840);
    const dropped = after(
      { name: 'DropDomainKeys', body: { ids: full.domainKeys.slice(0, 10).map(({ id }) => id) } },
      full,
    );
    expect(after(rotation, dropped).domainKeys).toHaveLength(3_831);
  });
});

function applied(...args: Parameters<typeof nextState>): DomainState | undefined {
  try {
    return nextState(...args);
  } catch (error) {
    if (error instanceof DomainError) return undefined;
    throw error;
  }
}

function keyId(i: number): string {
  return i.toString(16).padStart(32, '0');
}
