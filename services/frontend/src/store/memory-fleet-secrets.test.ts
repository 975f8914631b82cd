import { fleetSecretsContract } from './fleet-secrets.contract.ts';
import { MemoryFleetSecrets } from './memory-fleet-secrets.ts';

fleetSecretsContract(async () => new MemoryFleetSecrets());
