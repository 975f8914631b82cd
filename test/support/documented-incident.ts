import { readFileSync } from 'node:fs';
import { join } from 'node:path';

const text = readFileSync(join(import.meta.dirname, '../../docs/domain.md'), 'utf8');

/** Ends the connections of the user of domain-managers, but for the one from this address. */
export function endsOthers(address: string, redisCli: string): string {
  const [line = ''] = text.split('\n').filter((one) => one.trim().startsWith('redis-cli CLIENT LIST '));
  return line.replace(/\(10.*?\):/, `${address} `).replaceAll('redis-cli', redisCli);
}

/** What takes passwords away after a member was compromised (step 2), each by words of it, in the order of the page. */
export function inOrderOfThePage<T>(parts: Readonly<Record<string, T>>): [words: string, part: T][] {
  const from = text.indexOf('**What to do after a member was compromised**');
  const step = text.slice(text.indexOf('\n2. ', from), text.indexOf('\n3. ', from)).replace(/\s+/g, ' ');
  const at = (words: string): number => {
    const found = step.indexOf(words);
    if (found < 0) throw new Error(`docs/domain.md: ${words}`);
    return found;
  };
  return Object.entries(parts).toSorted(([one], [other]) => at(one) - at(other));
}
