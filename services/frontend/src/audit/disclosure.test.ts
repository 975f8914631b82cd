import { operations } from '@keyfleet/shared/api/registry';
import type { Operation } from '@keyfleet/shared/api/operation';
import { type Shape, structureOf } from '@keyfleet/shared/api/shape';
import { expect, test } from 'vitest';
import { newDisclosure } from './disclosure.ts';

const secretText = 'SECRET';

/** A value of the shape with a secret in every place that may hold one. */
function valueOf(shape: Shape): unknown {
  switch (shape.kind) {
    case 'blob':
      return Buffer.from(secretText);
    case 'text':
      return shape.secret ? secretText : 'open';
    case 'list':
      return [valueOf(shape.item)];
    case 'structure':
      return Object.fromEntries(shape.members.map(({ name, shape: member }) => [name, valueOf(member)]));
    case 'map':
      return { key: 'open' };
    case 'choice':
      return shape.values[0];
    case 'integer':
      return shape.min;
    case 'flag':
      return true;
    case 'timestamp':
      return 0;
  }
}

test.each(Object.values<Operation>(operations))('$name shows no bytes and no secret', (operation) => {
  const disclosure = newDisclosure();
  const input = valueOf(structureOf(operation.input.shape)) as Record<string, unknown>;
  const output = operation.output ? valueOf(structureOf(operation.output.shape)) : undefined;
  const shown = [disclosure.input(operation, input), disclosure.output(operation, output, 'arn')];
  const text = shown.join();
  expect(text).not.toContain(secretText);
  expect(text).not.toContain('"type":"Buffer"');
  expect(text).not.toContain(Buffer.from(secretText).toString('base64'));
  const [request, response] = shown.map((json) => JSON.parse(json) as unknown);
  if ('KeyId' in operation.input.shape) expect(request).toMatchObject({ keyId: 'open' });
  expect(response).toMatchObject({ keyId: 'arn' });
});
