import { TestDomain } from '@keyfleet/test-support/domain';
import { randomBytes } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { openToken, sealToken } from '../tokens/sealed-token.ts';
import { CredentialToken } from '../tokens/stored-token.ts';
import { type Keyring, MAX_SEALINGS, newKeyring, type Sealings } from './keyring.ts';

describe('a retired domain key', () => {
  test('opens nothing, not even for resealing, until people reinstate it', () => {
    const domain = new TestDomain();
    const [hsm] = domain.hsms;
    const known = hsm!.keyring()!;
    const nonce = randomBytes;
    const header = { accessKeyId: 'AKIA', principal: 'arn:aws:iam::111122223333:user/eve' };
    const token = sealToken(CredentialToken, { header, secret: Buffer.alloc(40) }, { keyring: known, nonce });
    domain.rotate();
    domain.retire(known.active.id);
    expect(() => openToken(CredentialToken, token, hsm!.keyring()!)).toThrow('retired-domain-key');
    domain.step({ name: 'ReinstateDomainKeys', body: { ids: [known.active.id] } });
    expect(openToken(CredentialToken, token, hsm!.keyring()!).secret).toEqual(Buffer.alloc(40));
  });

  test('makes the member forget what it had opened', () => {
    const domain = new TestDomain();
    let forgotten = 0;
    const hsm = domain.newHsm('hsm-1', domain.hsms[0]!.sealedIdentity(), () => forgotten++);
    hsm.install(domain.tokens);
    const old = hsm.keyring()!.active.id;
    hsm.install([domain.rotate()]);
    expect(forgotten).toBe(0);
    hsm.install([domain.retire(old)]);
    expect(forgotten).toBe(1);
    hsm.install([domain.drop(old)]);
    expect(forgotten).toBe(1);
  });
});

test('a member seals no more than 2^32 times under one domain key, whatever is installed meanwhile', () => {
  const state = new TestDomain().hsms[0]!.installed!;
  const sealings: Sealings = new Map([[state.keyring.active.id, MAX_SEALINGS - 1]]);
  const keyring = newKeyring(state, 1, sealings);
  keyring.countSealing();
  expect(() => keyring.countSealing()).toThrow('overloaded');

  const domain = new TestDomain();
  const [hsm] = domain.hsms;
  const header = { accessKeyId: 'AKIA', principal: 'arn:aws:iam::111122223333:user/eve' };
  const full: Keyring = { ...hsm!.keyring()!, countSealing: () => keyring.countSealing() };
  const seal = () =>
    sealToken(CredentialToken, { header, secret: Buffer.alloc(40) }, { keyring: full, nonce: randomBytes });
  expect(seal).toThrow('overloaded');
});
