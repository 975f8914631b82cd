import { ConfigError } from '@keyfleet/shared/config';
import type { VerifiedDomain } from '@keyfleet/shared/domain/state';
import {
  type Checkpoint,
  CheckpointText,
  formatCheckpoint,
  parseCheckpoint,
} from '@keyfleet/shared/domain/trust-anchor';
import { readIfThere, writeDurably } from '@keyfleet/shared/durable-file';
import { join } from 'node:path';
import { z } from 'zod';

/**
 * The newest domain token that this frontend has ever relied on. After a restart it rejects any chain that ends before
 * that token or diverges from it.
 */
export interface DomainFloor {
  readonly lowest: Checkpoint | undefined;
  /** Durable once it resolves. */
  raise(verified: VerifiedDomain): Promise<void>;
}

const FloorFile = CheckpointText.extend({ domain: z.string() });

/** A small file in `dataDir`. Throws ConfigError if the file is damaged or belongs to another domain. */
export async function openDomainFloor(dataDir: string, domain: string): Promise<DomainFloor> {
  const path = join(dataDir, 'domain-floor.json');
  const text = await readIfThere(path);
  let lowest = text && parseFloor(text.toString('utf8'), { path, domain });
  return {
    get lowest() {
      return lowest;
    },
    async raise({ state, hash }) {
      if (state.generation <= (lowest?.generation ?? 0)) return;
      const raised = { generation: state.generation, hash };
      await writeDurably(path, Buffer.from(`${JSON.stringify({ domain, ...formatCheckpoint(raised) })}\n`));
      lowest = raised;
    },
  };
}

function parseFloor(text: string, { path, domain }: { path: string; domain: string }): Checkpoint {
  const file = FloorFile.safeParse(jsonOf(text));
  if (!file.success) {
    throw new ConfigError(
      `${path} is damaged. Compare 'keyfleet domain show' with the other frontends; if it is right, remove the file.`,
    );
  }
  if (file.data.domain !== domain) {
    throw new ConfigError(`${path} belongs to the domain '${file.data.domain}': correct dataDir or trustAnchorFile.`);
  }
  return parseCheckpoint(file.data);
}

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
