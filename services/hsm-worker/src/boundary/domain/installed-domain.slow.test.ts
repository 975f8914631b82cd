import { TestDomain } from '@keyfleet/test-support/domain';
import { describe, expect, test } from 'vitest';
import { ACTIVATION_DELAY_MS } from './installed-domain.ts';

describe('the new domain key of a rotation', () => {
  test('is held at once, and seals after the activation of its generation', () => {
    const domain = new TestDomain();
    const [hsm] = domain.hsms;
    const old = hsm!.keyring()!.active.id;
    domain.rotate();
    expect(hsm!.keyring()!.active.id).toBe(old);
    expect(hsm!.describe()).toMatchObject({ generation: 2, activeGeneration: 1 });

    hsm!.activate(1);
    expect(hsm!.describe().activeGeneration).toBe(1);
    hsm!.activate(2);
    expect(hsm!.keyring()!.active.id).not.toBe(old);
    hsm!.activate(1);
    expect(hsm!.describe().activeGeneration).toBe(2);
  });

  test('seals a minute after it was installed when the activation is lost, however often domain keys rotate', () => {
    const domain = new TestDomain();
    const [hsm] = domain.hsms;
    domain.rotate();
    domain.clock.advance(ACTIVATION_DELAY_MS - 1);
    domain.rotate();
    expect(hsm!.describe().activeGeneration).toBe(1);
    domain.clock.advance(1);
    expect(hsm!.keyring()!.active.id).toBe(hsm!.installed!.state.domainKeys[2]!.id);
    expect(hsm!.describe().activeGeneration).toBe(3);
  });

  test.each(['drop', 'retire'] as const)('seals at once when the key before it goes: %s', (end) => {
    const domain = new TestDomain();
    const first = domain.hsms[0]!.keyring()!.active.id;
    domain.rotate();
    domain[end](first);
    expect(domain.hsms[0]!.describe().activeGeneration).toBe(2);
    expect(domain.hsms[0]!.keyring()!.find(first)).toBeUndefined();
  });

  test('seals at once when a member was removed, who knows the key before it', () => {
    const domain = new TestDomain();
    const [hsm, removed] = domain.hsms;
    const known = removed!.keyring()!.active.id;
    domain.hsms.pop();
    domain.step({ name: 'ModifyMembers', body: { admit: [], remove: ['hsm-2'] } });
    expect(hsm!.keyring()!.active.id).not.toBe(known);
    expect(hsm!.describe().activeGeneration).toBe(2);
  });

  test('seals at once also when the member learns of the removal together with a later rotation', () => {
    const domain = new TestDomain({ members: 3 });
    const late = domain.hsms.pop()!;
    domain.step({ name: 'ModifyMembers', body: { admit: [], remove: ['hsm-2'] } }, domain.people);
    domain.rotate();
    late.install(domain.tokens);
    expect(late.describe().activeGeneration).toBe(3);
  });

  test('seals at once after a restart, so that no member goes back to a key it had stopped using', () => {
    const domain = new TestDomain();
    domain.rotate();
    const restarted = domain.newHsm('hsm-1', domain.hsms[0]!.sealedIdentity());
    restarted.install(domain.tokens.slice(-1));
    expect(restarted.describe().activeGeneration).toBe(2);
  });
});
