import { expect, test } from 'vitest';
import { proposalText } from './propose.ts';

const proposed = { proposalId: 'ab'.repeat(32), command: ['RotateDomainKeys'], signedBy: ['alice'], generation: 0 };

test('control characters in what the domain-manager says reach no terminal', () => {
  const text = proposalText({ ...proposed, standing: 'failed', reason: '\x1b[2J\x9b1A\rall is well' });
  expect(text).toContain('failed: \\x1b[2J\\x9b1A\\x0dall is well');
  expect(text.split('\n')).toHaveLength(4);
});

test('that a member left is shown as the word of the domain-manager', () => {
  const text = proposalText({ ...proposed, standing: 'done', reason: '' });
  expect(text).toContain('Done, says the domain-manager');
  expect(proposalText({ ...proposed, standing: 'done', reason: '', generation: 3 })).toContain('at generation 3.');
});
