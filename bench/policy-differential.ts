// Asks the policy engine and an independent one the same questions: node bench/policy-differential.ts [50000] [seed].
import { newCase } from '@keyfleet/test-support/policy/cases';
import { agrees, decisionOf, differences, oracleAnswer } from '@keyfleet/test-support/policy/differences';
import { newSeeded } from '@keyfleet/test-support/seeded';

const [count = 50_000, seed = Date.now() % 2 ** 32] = process.argv.slice(2).map(Number);
const random = newSeeded(seed);
const decisions = new Map<string, number>();
const explained = new Map<string, number>();
let unexplained = 0;

const countIn = (counts: Map<string, number>, name: string): void => void counts.set(name, (counts.get(name) ?? 0) + 1);

for (let i = 0; i < count; i++) {
  const one = newCase(random);
  const ours = decisionOf(one);
  countIn(decisions, ours);
  const theirs = await oracleAnswer(one);
  if (agrees(one, ours, theirs)) continue;
  const reasons = differences.filter(({ concerns }) => concerns(one));
  if (reasons.length === 0) {
    unexplained++;
    process.stdout.write(`UNEXPLAINED: we say ${ours}, the oracle ${theirs}, of ${JSON.stringify(one)}\n`);
  }
  // Of a case that several concern, the one that it is due to is not told apart.
  countIn(explained, reasons.length === 1 ? reasons[0]!.why : 'several of the above');
}

process.stdout.write(`${count} cases, seed ${seed}\n`);
for (const [decision, n] of decisions) process.stdout.write(`${String(n).padStart(8)}  ${decision}\n`);
process.stdout.write(
  `${[...explained.values()].reduce((sum, n) => sum + n, 0)} differences, ${unexplained} unexplained\n`,
);
for (const [why, n] of explained) process.stdout.write(`${String(n).padStart(8)}  ${why}\n`);
if (unexplained > 0) process.exitCode = 1;
