import type { Operation } from '@keyfleet/shared/api/operation';
import { operations } from '@keyfleet/shared/api/registry';
import { type MemberShape, type Shape, structureOf } from '@keyfleet/shared/api/shape';
import { exceptions } from '@keyfleet/shared/errors/exceptions';
import { expect, test } from 'vitest';
import { awsOperations, awsStructures, choice, type Described } from './aws-model.ts';
import { deviations } from './deviations.ts';

const all: readonly Operation[] = Object.values(operations);
const aws = awsOperations();

test('the registry has the operations of the KMS API, no more and no fewer', () => {
  expect(aws.size).toBe(56);
  expect(Object.keys(operations).toSorted()).toEqual([...aws.keys()].toSorted());
  for (const [name, { name: declared }] of Object.entries<Operation>(operations)) expect(declared).toBe(name);
});

test('every structure has the members of its AWS structure, but for the deviations that are listed', () => {
  const theirs = awsStructures();
  const differences: string[] = [];
  for (const [name, ours] of Object.entries(ourStructures())) {
    const members = theirs[name] ?? {};
    for (const member of new Set([...Object.keys(ours), ...Object.keys(members)])) {
      if (ours[member] !== members[member]) differences.push(`${name}.${member}`);
    }
  }
  expect(differences.toSorted()).toEqual(Object.keys(deviations).toSorted());
});

test.each(all)('$name declares the errors that AWS declares', ({ name, errors }) => {
  const everywhere = new Set(['KMSInternalException', 'DependencyTimeoutException']);
  const declared = aws.get(name)!.errors.filter((error) => !everywhere.has(error));
  expect(declared.length).toBeGreaterThan(0);
  expect([...errors].toSorted()).toEqual(declared.toSorted());
  for (const error of declared) expect(exceptions).toHaveProperty(error);
});

test.each(all)('$name answers a body exactly when AWS does', ({ name, output }) => {
  expect(output !== null).toBe(aws.get(name)!.output !== undefined);
});

/** Under the names of AWS's model, so that both can be compared. */
function ourStructures(): Described {
  const found: Described = {};
  for (const { name, input, output } of all) {
    const model = aws.get(name)!;
    collect(model.input, structureOf(input.shape).members, found);
    if (output !== null) collect(model.output!, structureOf(output.shape).members, found);
  }
  return found;
}

function collect(name: string, members: readonly MemberShape[], found: Described): void {
  found[name] = Object.fromEntries(
    members.map((member) => [member.name, `${describe(member.shape)}${member.required ? ', required' : ''}`]),
  );
  for (const { shape } of members) {
    const inner = shape.kind === 'list' ? shape.item : shape;
    if (inner.kind === 'structure') collect(inner.name!, inner.members, found);
  }
}

function describe(shape: Shape): string {
  switch (shape.kind) {
    case 'choice':
      return choice(shape.values);
    case 'list':
      return `list of ${describe(shape.item)}`;
    case 'structure':
      return shape.name!;
    case 'text':
    case 'integer':
    case 'flag':
    case 'timestamp':
    case 'blob':
    case 'map':
      return shape.kind;
  }
}
