import type { Hello } from '@keyfleet/shared/hsm/session';
import { expect, test } from 'vitest';
import { HelloMemory } from './hello-memory.ts';
import { MAX_FRONTENDS_OF_HOST } from './host-load.ts';

function newMemory() {
  let time = 1_000_000;
  const memory = new HelloMemory({ now: () => time });
  let said = 0;
  const hello = (hostId: string): Hello => ({
    domain: 'test',
    hostId,
    ephemeralKey: new Uint8Array(97),
    delegatedKey: new Uint8Array(32),
    issuedAt: time,
  });
  return {
    /** Takes a hello that was never sent before. */
    take: (hostId = 'frontend-1') => memory.take(Buffer.from(String(said++)), hello(hostId)),
    again: (name: number) => memory.take(Buffer.from(String(name)), hello('frontend-1')),
    advance: (ms: number) => (time += ms),
  };
}

test('a hello is taken once', () => {
  const memory = newMemory();
  expect(memory.take()).toBe(true);
  expect(memory.again(0)).toBe(false);
});

test('as many frontends as may share a host key, each with a hello a second, are all listened to for as long as they go on', () => {
  const memory = newMemory();
  for (let second = 0; second < 300; second++) {
    for (let frontend = 0; frontend < MAX_FRONTENDS_OF_HOST; frontend++) expect(memory.take()).toBe(true);
    memory.advance(1_000);
  }
});

test('a host that says very many is not listened to until they are old; others are', () => {
  const memory = newMemory();
  const taken = Array.from({ length: 16_500 }, () => memory.take()).filter(Boolean).length;
  expect(taken).toBe(16_384);
  expect(memory.take('frontend-2')).toBe(true);
  memory.advance(60_001);
  expect(memory.take()).toBe(true);
});
