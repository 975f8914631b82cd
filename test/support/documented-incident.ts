import { readFileSync } from 'node:fs';
import { join } from 'node:path';

const pageOf = (name: string) => readFileSync(join(import.meta.dirname, '../../docs', name), 'utf8');
const domain = pageOf('domain.md');

/** Ends the connections of the user of domain-managers, but for the one from this address. */
export function endsOthers(address: string, redisCli: string): string {
  const [line = ''] = domain.split('\n').filter((one) => one.trim().startsWith('redis-cli CLIENT LIST '));
  return line.replace(/\(10.*?\):/, `${address} `).replaceAll('redis-cli', redisCli);
}

/** The block of step 2 that holds these words, for a shell. */
export function blockOfIncident(words: string): string {
  const blocks = [...incident().matchAll(/^ +```sh\n(.*?)^ +```$/gms)].map(([, block]) => block!);
  const [found, ...others] = blocks.filter((block) => block.includes(words));
  if (found === undefined || others.length > 0) throw new Error(`docs/domain.md: ${words}`);
  return found;
}

/** What takes passwords away after a member was compromised (step 2), each by words of it, in the order of the page. */
export const inOrderOfIncident = <T>(parts: Parts<T>) => inOrder(incident(), parts);

/** What takes those of Redis away from an operator who leaves, in the same way. */
export const inOrderOfLeaving = <T>(parts: Parts<T>) =>
  inOrder(between(pageOf('ceremony.md'), '`--remove carla` takes', '\n- Replace the authority'), parts);

type Parts<T> = Readonly<Record<string, T>>;

function inOrder<T>(text: string, parts: Parts<T>): [words: string, part: T][] {
  const words = text.replace(/\s+/g, ' ');
  const at = (part: string): number => {
    const found = words.indexOf(part);
    if (found < 0) throw new Error(`not in the documents: ${part}`);
    return found;
  };
  return Object.entries(parts).toSorted(([one], [other]) => at(one) - at(other));
}

const incident = () =>
  between(domain.slice(domain.indexOf('**What to do after a member was compromised**')), '\n2. ', '\n3. ');

function between(text: string, from: string, to: string): string {
  const start = text.indexOf(from);
  return text.slice(start, text.indexOf(to, start));
}
