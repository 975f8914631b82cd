import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { type Fields, judges, type Verdict } from './wycheproof-judges.ts';

/** C2SP/wycheproof testvectors_v1, run against the boundary's own cryptographic modules. */
const folder = join(
  process.env['KEYFLEET_VECTORS'] ?? resolve(import.meta.dirname, '../../../shared/vectors'),
  'wycheproof',
);
const isThere = existsSync(folder);
if (!isThere) console.error(`NOT RUN: the Wycheproof vectors are not at ${folder} (set KEYFLEET_VECTORS)`);

test.runIf(process.env['CI'] === 'true')('the Wycheproof vectors are there', () => {
  expect(isThere).toBe(true);
});

/** Files that no code of the boundary answers to. */
const elsewhere: Readonly<Record<string, string>> = {
  'hkdf_sha256_test.json': 'HKDF is used by the session alone',
};

interface File {
  readonly testGroups: readonly (Fields & { readonly type: string; readonly tests: readonly Fields[] })[];
}

const counts = { run: 0, skipped: new Map<string, number>() };

for (const name of isThere ? readdirSync(folder).filter((file) => file.endsWith('.json')) : []) {
  const { testGroups } = JSON.parse(readFileSync(join(folder, name), 'utf8')) as File;
  if (elsewhere[name] !== undefined) {
    for (const { tests } of testGroups) for (const _ of tests) skip(elsewhere[name]);
    continue;
  }
  test(name, { timeout: 120_000 }, async () => {
    const wrong: string[] = [];
    for (const { tests, ...group } of testGroups) {
      for (const vector of tests) {
        const verdict = await judged({ ...group, file: name }, vector);
        if (typeof verdict === 'object') skip(verdict.skip);
        else if (agrees(verdict, vector['result'])) counts.run++;
        else wrong.push(`${String(vector['tcId'])} ${String(vector['comment'])}: ${String(vector['result'])}`);
      }
    }
    expect(wrong).toEqual([]);
  });
}

afterAll(() => {
  if (!isThere) return;
  const skipped = [...counts.skipped].map(([reason, count]) => `\n  skipped ${count}: ${reason}`);
  console.log(`Wycheproof: ${counts.run} vectors agree${skipped.join('')}`);
});

async function judged(group: Fields, vector: Fields): Promise<Verdict> {
  try {
    return await judges[group['type'] as string]!(group, vector);
  } catch {
    return false;
  }
}

/** `acceptable` may be taken or refused, but what is taken must be right, which the judge has checked. */
function agrees(verdict: boolean, result: unknown): boolean {
  return result === 'acceptable' || verdict === (result === 'valid');
}

function skip(reason: string): void {
  counts.skipped.set(reason, (counts.skipped.get(reason) ?? 0) + 1);
}
