// The hsm-worker; as hsm-worker-2 it overwrites nothing. A working search finds in the second what the first must
// not hold. Backing keys are known, as in known-random-worker.ts.
import { basename } from 'node:path';

const memberId = basename(process.argv.at(-1) ?? '', '.json');

type Fill = (this: Uint8Array, value: unknown, ...range: unknown[]) => Uint8Array;

if (memberId === 'hsm-worker-2') {
  for (const prototype of [Uint8Array.prototype, Buffer.prototype] as { fill: Fill }[]) {
    const { fill } = prototype;
    prototype.fill = function (this: Uint8Array, value, ...range) {
      return value === 0 ? this : fill.call(this, value, ...range);
    };
  }
}
await import('./known-random-worker.ts');
