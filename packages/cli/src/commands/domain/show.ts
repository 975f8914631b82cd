import { command } from '../../command.ts';
import { anchorOptions, managerOptions, openDomain } from '../../options.ts';
import { memberLine, operatorLine, ruleLines } from '../../proposal-text.ts';
import { timeOf } from '../../text.ts';

export const show = command({
  description: 'The state of the domain, verified from the trust anchor: members, operators, rules, domain keys.',
  args: { ...managerOptions, ...anchorOptions },
  async run(args) {
    using domain = openDomain(args);
    const { state, hash } = await domain.client.getDomain(domain.anchor);
    return {
      domain: state.domain,
      generation: state.generation,
      tokenHash: Buffer.from(hash).toString('hex'),
      members: state.members.map(memberLine),
      operators: state.operators.map(operatorLine),
      rules: ruleLines(state.rules, state.backupHorizonMs),
      domainKeys: state.domainKeys.map(({ id, createdGeneration, createdAt, status, afterRemoval }) => ({
        id,
        createdGeneration,
        createdAt: timeOf(createdAt),
        status,
        afterRemoval,
      })),
    };
  },
  text: ({ domain, generation, tokenHash, members, operators, rules, domainKeys }) =>
    [
      `Domain ${domain}, generation ${generation}, token ${tokenHash}`,
      ...members,
      ...operators,
      ...rules,
      ...domainKeys.map(
        ({ id, createdGeneration, createdAt, status, afterRemoval }) =>
          `domain key ${id}  ${status}  since generation ${createdGeneration}, ${createdAt}` +
          (afterRemoval ? ', after a removal' : ''),
      ),
    ].join('\n'),
});
