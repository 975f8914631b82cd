import { DataKeyPairSpec } from '@keyfleet/shared/api/choices';
import { constraints, validationException, violation } from '@keyfleet/shared/errors/aws-messages';
import type { z } from 'zod';

type Spec = z.output<typeof DataKeyPairSpec>;

const outsideChina = DataKeyPairSpec.exclude(['SM2']).options;

/** Throws ValidationException for SM2, which AWS's enumeration has in China only. */
export function dataKeyPairSpecOf(spec: Spec): Exclude<Spec, 'SM2'> {
  if (spec !== 'SM2') return spec;
  throw validationException([violation(spec, 'keyPairSpec', constraints.choice(outsideChina))]);
}
