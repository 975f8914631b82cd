import { expect, test } from 'vitest';
import { proposalText } from './propose.ts';

const proposed = { proposalId: 'ab'.repeat(32), command: ['RotateDomainKeys'], signedBy: ['alice'], generation: 0 };

test('the departure of a member is shown as the word of the domain-manager', () => {
  const text = proposalText({ ...proposed, standing: 'done', reason: '' });
  expect(text).toContain('Done, says the domain-manager');
  expect(proposalText({ ...proposed, standing: 'done', reason: '', generation: 3 })).toContain('at generation 3.');
});
