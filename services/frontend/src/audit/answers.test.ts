import { operations } from '@keyfleet/shared/api/registry';
import { type Shape, structureOf } from '@keyfleet/shared/api/shape';
import { expect, test } from 'vitest';
import { newDisclosure } from './record.ts';

const secret = 'SECRET-BYTES';
const disclosure = newDisclosure();

/** A value of the shape in which everything that is bytes or sensitive is the secret. */
function valueOf(shape: Shape): unknown {
  switch (shape.kind) {
    case 'structure':
      return Object.fromEntries(shape.members.map(({ name, shape: member }) => [name, valueOf(member)]));
    case 'list':
      return [valueOf(shape.item)];
    case 'blob':
      return Buffer.from(secret);
    case 'text':
      return 'secret' in shape && shape.secret ? secret : 'text';
    case 'integer':
      return 1;
    case 'flag':
      return true;
    case 'timestamp':
      return 0;
    case 'map':
      return {};
    case 'choice':
      return 'CHOICE';
  }
}

const answering = Object.values(operations).filter((operation) => operation.output !== null);

test.each(answering.map((operation) => [operation.name, operation] as const))(
  'whatever %s answers, no bytes and no secret of it are in the audit record',
  (_, operation) => {
    const answer = valueOf(structureOf(operation.output!.shape));
    const shown = disclosure.output(operation, answer, 'arn:aws:kms:us-east-1:111122223333:key/x');
    expect(JSON.parse(shown)).toMatchObject({ keyId: 'arn:aws:kms:us-east-1:111122223333:key/x' });
    for (const one of [secret, Buffer.from(secret).toString('base64')]) expect(shown).not.toContain(one);
  },
);
