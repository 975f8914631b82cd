import type { Peers } from '@keyfleet/shared/grpc/peers';
import { createDomain, DEFAULT_BACKUP_HORIZON_MS, defaultRules } from '@keyfleet/cli/ceremony';
import { DomainManagerClient } from '@keyfleet/cli/domain-manager-client';
import type { NewMember, Operator, Role } from '@keyfleet/shared/domain/state';
import { parseTrustAnchor } from '@keyfleet/shared/domain/trust-anchor';
import { createPrivateKey, createPublicKey } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { type Home, identities } from './home.ts';
import { peersOf } from './home-tls.ts';
import type { Ports } from './ports.ts';
import { describeWorker, until } from './readiness.ts';
import { peerAddress } from './service-configs.ts';
import { StartError } from './start-error.ts';

/**
 * The development ceremony: one founding operator, whose key lies in the home, and rules that ask for that one
 * signature.
 */
export async function foundDomain(
  home: Home,
  ports: Ports,
  backupHorizonMs = DEFAULT_BACKUP_HORIZON_MS,
): Promise<void> {
  const anchor = parseTrustAnchor(readFileSync(home.trustAnchorFile, 'utf8'));
  const privateKey = createPrivateKey(readFileSync(home.keyFile(identities.operator)));
  const peers = peersOf(home);
  using client = new DomainManagerClient(peerAddress(home, ports.domainManager), peers.credentials);
  await createDomain(
    client,
    {
      anchor,
      members: await Promise.all(ports.workers.map((port) => memberAt(port, peers))),
      operators: [
        operatorOf(home, identities.operator, 'operator'),
        operatorOf(home, identities.frontend, 'service-host'),
        operatorOf(home, identities.domainManager, 'scheduler'),
      ],
      rules: defaultRules(1),
      backupHorizonMs,
    },
    [{ operatorId: identities.operator, privateKey }],
  );
}

/** A busy machine may let it miss a probe, though it was ready before. */
const ANSWERS_MS = 20_000;

async function memberAt(port: number, peers: Pick<Peers, 'credentials'>): Promise<NewMember> {
  let told: Awaited<ReturnType<typeof describeWorker>>;
  const isTold = async (): Promise<boolean> => (told = await describeWorker(port, peers)) !== undefined;
  await until(isTold, ANSWERS_MS, () => false);
  const { member_id, signing_key, agreement_key, encapsulation_key } = told ?? {};
  if (!member_id || !signing_key || !agreement_key || !encapsulation_key?.length) {
    throw new StartError(`the hsm-worker at port ${port} does not say who it is. See the log of the workers.`);
  }
  return {
    memberId: member_id,
    signingKey: signing_key,
    agreementKey: agreement_key,
    encapsulationKey: encapsulation_key,
  };
}

function operatorOf(home: Home, operatorId: string, role: Role): Operator {
  const publicKey = createPublicKey(readFileSync(home.keyFile(operatorId)));
  return { operatorId, role, signingKey: publicKey.export({ type: 'spki', format: 'der' }) };
}
