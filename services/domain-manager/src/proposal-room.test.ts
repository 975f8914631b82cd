import { describe, expect, test } from 'vitest';
import { makeRoom, type Waiting } from './proposal-room.ts';

let count = 0;
function of(signers: readonly string[], bytes = 100): Waiting {
  const signatures = signers.map((operatorId) => ({ operatorId, signature: Buffer.alloc(0) }));
  return { proposalId: `${count++}`, command: Buffer.alloc(bytes), signatures };
}

/** What waits after all of `proposed`, one after the other, oldest first. */
function afterAll(proposed: readonly Waiting[], before: readonly Waiting[] = []): Waiting[] {
  return proposed.reduce((waiting: readonly Waiting[], next) => {
    const dropped = makeRoom(next, waiting, []);
    return dropped === undefined ? waiting : [...waiting.filter((one) => !dropped.includes(one)), next];
  }, before) as Waiting[];
}

const many = (length: number, make: (index: number) => Waiting) => Array.from({ length }, (_, index) => make(index));

describe('the places of proposals', () => {
  test('what is carried out no more goes first, oldest first, and only when there is no room', () => {
    const [oldest, old, ...rest] = many(10, () => of(['alice']));
    const live = many(53, () => of(['alice']));
    expect(makeRoom(of(['alice']), live, [oldest!, old!, ...rest])).toEqual([]);
    expect(makeRoom(of(['alice']), [...live, of(['alice'])], [oldest!, old!, ...rest])).toEqual([oldest]);
    expect(makeRoom(of(['alice'], 100_000), live, [oldest!, old!, ...rest])).toEqual([oldest, old]);
  });

  test('then the newest of those who hold the most; who holds as much as anybody gets no more', () => {
    const bobs = many(4, () => of(['bob']));
    const full = afterAll(
      many(80, () => of(['alice'])),
      bobs,
    );
    expect(full).toHaveLength(64);
    expect(makeRoom(of(['alice']), full, [])).toBeUndefined();
    expect(makeRoom(of(['bob']), full, [])).toEqual([full.at(-1)]);
    expect(makeRoom(of(['alice', 'bob']), full, [])).toEqual([full.at(-1)]);
  });

  test('a large proposal takes several, and what is too large finds none', () => {
    const full = afterAll(many(64, () => of(['alice'])));
    expect(makeRoom(of(['bob'], 200_000), full, [])).toHaveLength(5);
    expect(makeRoom(of(['bob'], 4_000_000), full, [])).toBeUndefined();
  });

  test.each([1, 2, 3, 4, 7])('%i operators together, whatever they sign, leave another room for his share', (size) => {
    const hostile = Array.from({ length: size }, (_, index) => `h${index}`);
    const mine = many(Math.floor(64 / (size + 1)), () => of(['carol']));
    const alone = (index: number) => of([hostile[index % size]!], index % 5 === 0 ? 200_000 : 100);
    const together = () => of(hostile);
    for (const flood of [alone, together]) {
      // They sign his, too.
      const signed = mine.map((one) => ({ ...one, signatures: [...one.signatures, ...of(hostile).signatures] }));
      const full = afterAll([...many(100, flood), ...signed, ...many(100, flood)]);
      for (const one of signed) expect(full).toContain(one);
    }
  });
});
