// Loaded before a service's own code (node --import). Shifts its clock by the milliseconds in a file beside its
// configuration: clock-NAME, or else clock. A test writes the file to move the clock of a running process.
import { readFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';

const LOOK_MS = 50;
const configuration = process.argv.at(-1) ?? '';
const files = [`clock-${basename(configuration, '.json')}`, 'clock'].map((name) => join(dirname(configuration), name));
const now = Date.now.bind(Date);
let shift = 0;

function look(): void {
  for (const file of files) {
    try {
      shift = Number(readFileSync(file, 'utf8'));
      return;
    } catch {
      // Not this one.
    }
  }
}

look();
setInterval(look, LOOK_MS).unref();
Date.now = () => now() + shift;
