import type { DomainKeyInfo, DomainState } from '@keyfleet/shared/domain/state';
import type { FleetDomain } from '@keyfleet/frontend/store/fleet-keys';
import { testDomainKey } from '../command-context.ts';

/** The domain keys of a domain, as one frontend knows them; its first one is that under which the fake HSMs seal. */
export class FakeDomain implements FleetDomain {
  state: DomainState = stateOf([keyOf(1, 0)]);
  /** How often newer tokens were asked for. */
  refreshed = 0;
  /** Takes what newer tokens bring. */
  onRefresh: () => void = () => {};

  async refresh(): Promise<void> {
    this.refreshed++;
    this.onRefresh();
  }

  get active(): string {
    return this.state.domainKeys.at(-1)!.id;
  }

  /** Makes the next domain key, and answers its id. */
  rotate(createdAt: number, { afterRemoval = false } = {}): string {
    const { domainKeys } = this.state;
    const old = domainKeys.map((key) => (key.status === 'active' ? { ...key, status: 'deactivated' as const } : key));
    this.state = stateOf([...old, { ...keyOf(domainKeys.length + 1, createdAt), afterRemoval }]);
    return this.active;
  }

  retire(id: string): void {
    const { domainKeys } = this.state;
    this.state = stateOf(domainKeys.map((key) => (key.id === id ? { ...key, status: 'retired' as const } : key)));
  }

  /** Drops all domain keys but the newest ones. */
  keepNewest(count: number): void {
    this.state = stateOf(this.state.domainKeys.slice(-count));
  }
}

function keyOf(createdGeneration: number, createdAt: number): DomainKeyInfo {
  const { id } = testDomainKey(String(createdGeneration));
  return { id, createdGeneration, createdAt, status: 'active', afterRemoval: false };
}

/** Nothing else of it is asked. */
function stateOf(domainKeys: DomainKeyInfo[]): DomainState {
  return { domainKeys } as DomainState;
}
