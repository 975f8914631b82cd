// Before a service's own code (node --import): its clock is as far off as a file beside its configuration says, in
// milliseconds: clock-NAME, or else clock. A test that writes the file moves the clock of a process that runs.
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
