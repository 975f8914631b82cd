import { z } from 'zod';
import { authorizeIam } from './access.ts';
import type { Admitted, IamDeps, QueryOperation } from './query-operation.ts';

type Asked<S extends z.ZodRawShape> = Pick<Admitted<z.output<z.ZodObject<S>>, never>, 'input' | 'call'>;

interface Definition<S extends z.ZodRawShape> {
  readonly service: QueryOperation['service'];
  readonly name: string;
  readonly input: S;
  /** ARN of what the caller must be allowed to ask about, if the request names it. */
  readonly resource?: (input: z.output<z.ZodObject<S>>) => string;
  readonly run: (asked: Asked<S>, deps: IamDeps) => Promise<object>;
}

/** An operation that changes nothing, of the caller's account as a whole: nobody is authorized for another's. */
export function defineAccountRead<const S extends z.ZodRawShape>(definition: Definition<S>): QueryOperation {
  const { service, name, resource, run } = definition;
  const action = `${service}:${name}`;
  return {
    service,
    name,
    readOnly: true,
    target: undefined,
    input: z.object(definition.input),
    async run(admitted, deps) {
      const { input, call } = admitted as object as Asked<S>;
      const about = { action, resource: resource?.(input) ?? '*', ownerId: call.caller.accountId };
      authorizeIam({ call, input: { ...input }, ...about }, deps);
      return run({ input, call }, deps);
    },
  };
}
