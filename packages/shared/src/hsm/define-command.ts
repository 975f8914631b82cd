import { z } from 'zod';
import { bytes, defineFormat, type Format } from '../encoding/canonical.ts';

/**
 * Every HSM command: what a service host can ask of an HSM inside a session. The wire form of input and output is the
 * canonical encoding of their schemas (labels `keyfleet/command/<name>/{input,output}/2`), so a signed command has one
 * byte string.
 */
export interface Command<
  Name extends string = string,
  Input extends z.ZodObject = z.ZodObject,
  Output extends z.ZodObject = z.ZodObject,
> {
  readonly name: Name;
  /** The command's number in a frame; never reused. */
  readonly code: number;
  /** True for what makes, imports, changes or destroys key material: carries the host's delegated Ed25519 signature. */
  readonly signed: boolean;
  /**
   * Whether its output holds a token that was sealed now, under the domain key that the HSM takes for the active one.
   */
  readonly sealsToken: boolean;
  /** Members of its output that are nobody's but the caller's: the HSM overwrites them when they are sealed. */
  readonly secretOutputs: readonly string[];
  readonly input: Format<z.output<Input>>;
  readonly output: Format<z.output<Output>>;
}

export type CommandInput<C extends Command> = ReturnType<C['input']['decode']>;
export type CommandOutput<C extends Command> = ReturnType<C['output']['decode']>;

export function defineCommand<const Name extends string, I extends z.ZodRawShape, O extends z.ZodRawShape>(
  code: number,
  name: Name,
  shape: { signed?: boolean; input: I; output: O },
): Command<Name, z.ZodObject<I>, z.ZodObject<O>> {
  return Object.freeze({
    name,
    code,
    signed: shape.signed ?? false,
    sealsToken: 'token' in shape.output,
    secretOutputs: Object.keys(shape.output).filter((name) => isSecret(shape.output[name])),
    input: defineFormat(`keyfleet/command/${name}/input/2`, z.object(shape.input)),
    output: defineFormat(`keyfleet/command/${name}/output/2`, z.object(shape.output)),
  });
}

/** Bytes of an output that are a secret. */
export const secret = bytes();
export const optionalSecret = secret.optional();

function isSecret(schema: unknown): boolean {
  return schema === secret || schema === optionalSecret;
}
