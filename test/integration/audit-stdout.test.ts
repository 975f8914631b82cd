import { execa } from 'execa';
import { expect, test } from 'vitest';

// An audit log on stdout, as on Kubernetes, where that is a pipe of the container runtime.

const RECORDS = 20_000;
const sink = new URL('../../services/frontend/src/audit/sink.ts', import.meta.url);

const program = `
const { openFileSink } = await import('${sink.href}');
await using sink = await openFileSink({ path: '/dev/stdout', onProblem: (error) => console.error(String(error)), maxBacklogBytes: 1_000_000 });
let full = false;
for (let number = 0; number < ${RECORDS}; number++) {
  sink.write(JSON.stringify({ number, text: 'x'.repeat(1000) }));
  full ||= sink.isFull;
}
console.error('full', full);
`;

test('no record is lost while nobody reads it for a time, and the frontend knows that they wait', async () => {
  // `sh` makes a pipe, where Node.js would make a socket, which nobody can open by name.
  const script = '"$0" --input-type=module --eval "$1" | (sleep 1; cat)';
  const { stdout, stderr } = await execa('sh', ['-c', script, process.execPath, program], { maxBuffer: 100_000_000 });
  const numbers = stdout.split('\n').map((line) => (JSON.parse(line) as { readonly number: number }).number);
  expect(numbers).toEqual(Array.from({ length: RECORDS }, (_, number) => number));
  expect(stderr).toContain('full true');
  expect(stderr).toContain('too many records are waiting');
});
