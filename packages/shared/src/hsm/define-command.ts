import { z } from 'zod';
import { bytes, defineFormat, type Format } from '../encoding/canonical.ts';

/**
 * An HSM command: something that a service host can ask of an HSM inside a session. Input and output are encoded
 * canonically by their schemas (labels `keyfleet/command/<name>/{input,output}/2`), so a signed command has exactly one
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
  /**
   * True for commands that make, import, change or destroy key material: they carry the host's delegated Ed25519
   * signature.
   */
  readonly signed: boolean;
  /** Whether its output contains a freshly sealed token, under the domain key that the HSM considers active. */
  readonly sealsToken: boolean;
  /** Output members that belong only to the caller: the HSM overwrites them once they are sealed. */
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

/** Secret bytes in an output. */
export const secret = bytes();
export const optionalSecret = secret.optional();

function isSecret(schema: unknown): boolean {
  return schema === secret || schema === optionalSecret;
}
