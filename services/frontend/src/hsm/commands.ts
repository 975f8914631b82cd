import type { CommandName, InputOf, OutputOf } from '@keyfleet/shared/hsm/commands';

/**
 * Runs a command on some hsm-worker. Re-sent to another when one dies; throws KmsException when no answer came before `deadline`
 * (milliseconds since the epoch), and `HsmRefusedError` when an HSM refused.
 */
export interface HsmCommands {
  execute<N extends CommandName>(command: N, input: InputOf<N>, deadline: number): Promise<OutputOf<N>>;
}
