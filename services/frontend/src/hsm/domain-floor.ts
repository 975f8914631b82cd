import type { VerifiedDomain } from '@keyfleet/shared/domain/state';
import {
  type Checkpoint,
  CheckpointText,
  formatCheckpoint,
  parseCheckpoint,
} from '@keyfleet/shared/domain/trust-anchor';
import { z } from 'zod';
import { openFloorFile } from '../floor-file.ts';

/**
 * The newest domain token that this frontend has ever relied on. After a restart it rejects any chain that ends before
 * that token or diverges from it.
 */
export interface DomainFloor {
  readonly lowest: Checkpoint | undefined;
  /** Durable once it resolves. */
  raise(verified: VerifiedDomain): Promise<void>;
}

/** A small file in `dataDir`. Throws ConfigError if the file is damaged or belongs to another domain. */
export async function openDomainFloor(dataDir: string, domain: string): Promise<DomainFloor> {
  const file = await openFloorFile({
    dataDir,
    domain,
    name: 'domain-floor.json',
    schema: CheckpointText.extend({ domain: z.string() }),
    advice: "Compare 'keyfleet domain show' with the other frontends; if it is right, remove the file.",
  });
  return {
    get lowest() {
      return file.content && parseCheckpoint(file.content);
    },
    async raise({ state, hash }) {
      const { generation } = state;
      if (generation > (file.content?.generation ?? 0))
        await file.write({ domain, ...formatCheckpoint({ generation, hash }) });
    },
  };
}
