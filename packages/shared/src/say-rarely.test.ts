import { expect, test } from 'vitest';
import { SayRarely } from './say-rarely.ts';

test('something is said once a minute, with how often it happened meanwhile, and each subject for itself', () => {
  let now = 0;
  const rarely = new SayRarely({ now: () => now });
  const said: string[] = [];
  const say = (subject: string) => rarely.say(subject, (omitted) => said.push(`${now / 1_000} ${subject} ${omitted}`));
  for (; now < 60_000; now += 1_000) say('a');
  say('b');
  say('a');
  say('a');
  now = 120_000;
  say('a');
  say('b');
  expect(said).toEqual(['0 a 0', '60 b 0', '60 a 59', '120 a 1', '120 b 0']);
});

test('each text is said once a minute, and twenty of them', () => {
  let now = 0;
  const rarely = new SayRarely({ now: () => now });
  const said: string[] = [];
  const say = (text: string) => rarely.say('a', (omitted) => said.push(`${text} ${omitted}`), text);
  for (let i = 0; i < 100; i++) say(`${i % 4}`);
  expect(said).toEqual(['0 0', '1 0', '2 0', '3 0']);
  for (let i = 4; i < 30; i++) say(`${i}`);
  expect(said).toHaveLength(20);
  now = 60_000;
  say('0');
  expect(said.at(-1)).toBe('0 10');
});
