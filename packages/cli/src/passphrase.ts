/** NIST SP 800-63B-4, 3.1.1.2: a passphrase that is the only factor. */
const MIN_LENGTH = 15;
/** Characters that do not follow from those before them. */
const MIN_SURPRISES = 10;

/**
 * Why a passphrase is not acceptable, or undefined. It refuses short passphrases and those that repeat themselves or
 * count up. It cannot know which words are easy to guess, so the docs ask for random ones.
 */
export function weaknessOf(passphrase: string): string | undefined {
  const characters = Array.from(passphrase.normalize('NFKC'));
  if (characters.length < MIN_LENGTH) return `is too short: use at least ${MIN_LENGTH} characters`;
  if (surprisesIn(characters) < MIN_SURPRISES) return 'repeats itself: use five words chosen by dice or by a machine';
  return undefined;
}

/** A character does not count after its neighbour in the alphabet, nor where the same two occurred before. */
function surprisesIn(characters: readonly string[]): number {
  const pairs = new Set<string>();
  let surprises = 0;
  for (const [i, character] of characters.entries()) {
    const before = characters[i - 1] ?? '';
    const step = Math.abs(character.codePointAt(0)! - (before.codePointAt(0) ?? -2));
    if (step > 1 && !pairs.has(before + character)) surprises++;
    pairs.add(before + character);
  }
  return surprises;
}
