// Loaded before a service's own code (node --import). Shifts its clock by the milliseconds in a file beside its
// configuration: clock-NAME, or else clock. A test writes the file to move the clock of a running process. That only
// sets the clock; by the milliseconds in passed-NAME, time seems to pass as well.
import { readFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';

const LOOK_MS = 50;
const configuration = process.argv.at(-1) ?? '';
const name = basename(configuration, '.json');
const now = Date.now.bind(Date);
const elapsed = performance.now.bind(performance);
let [shift, passed] = [0, 0];

/** The number in the first of these files that is there. */
function numberIn(...files: readonly string[]): number | undefined {
  for (const file of files) {
    try {
      return Number(readFileSync(join(dirname(configuration), file), 'utf8'));
    } catch {
      // Not this one.
    }
  }
  return undefined;
}

function look(): void {
  shift = numberIn(`clock-${name}`, 'clock') ?? shift;
  passed = numberIn(`passed-${name}`) ?? passed;
}

look();
setInterval(look, LOOK_MS).unref();
Date.now = () => now() + shift;
performance.now = () => elapsed() + passed;
