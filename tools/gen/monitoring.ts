/** A panel: its title, PromQL by the name of its series, and Grafana's name of the unit. */
interface Panel {
  readonly title: string;
  readonly series: Readonly<Record<string, string>>;
  readonly unit: string;
}

const rate = (metric: string, by: string) => `sum by (${by}) (rate(${metric}_total[$__rate_interval]))`;
const quantile = (q: number, metric: string) =>
  `histogram_quantile(${q}, sum by (le, operation) (rate(${metric}_bucket[$__rate_interval])))`;
const durations = (metric: string) => ({
  'p50 {{operation}}': quantile(0.5, metric),
  'p99 {{operation}}': quantile(0.99, metric),
});

/** Every metric of docs/monitoring.md, by its Prometheus name. */
const rows: Readonly<Record<string, readonly Panel[]>> = {
  Requests: [
    { title: 'Requests', unit: 'reqps', series: { '{{operation}}': rate('keyfleet_requests', 'operation') } },
    { title: 'Outcomes', unit: 'reqps', series: { '{{outcome}}': rate('keyfleet_requests', 'outcome') } },
    { title: 'Latency', unit: 'ms', series: durations('keyfleet_requests_duration_milliseconds') },
    {
      title: 'Throttled, and answered from memory while Redis is away',
      unit: 'reqps',
      series: {
        'throttled {{outcome}}': rate('keyfleet_requests_throttled', 'outcome'),
        'stale {{outcome}}': rate('keyfleet_requests_stale', 'outcome'),
      },
    },
  ],
  'HSM commands': [
    {
      title: 'As frontends see them',
      unit: 'ops',
      series: { '{{operation}} {{outcome}}': rate('keyfleet_hsm_commands', 'operation, outcome') },
    },
    {
      title: 'Their latency at frontends',
      unit: 'ms',
      series: durations('keyfleet_hsm_commands_duration_milliseconds'),
    },
    {
      title: 'As hsm-workers see them',
      unit: 'ops',
      series: { '{{operation}} {{outcome}}': rate('keyfleet_worker_commands', 'operation, outcome') },
    },
    {
      title: 'Their latency at hsm-workers',
      unit: 'ms',
      series: durations('keyfleet_worker_commands_duration_milliseconds'),
    },
    {
      title: 'Sessions and streams',
      unit: 'ops',
      series: {
        'sessions {{outcome}}': rate('keyfleet_hsm_sessions', 'outcome'),
        'streams {{outcome}}': rate('keyfleet_hsm_streams', 'outcome'),
      },
    },
    {
      title: 'Tokens that a second member opened',
      unit: 'ops',
      series: { '{{outcome}}': rate('keyfleet_hsm_confirmations', 'outcome') },
    },
  ],
  Domain: [
    {
      title: 'The domain',
      unit: 'short',
      series: {
        generation: 'max(keyfleet_domain_generation)',
        'domain keys': 'max(keyfleet_domain_keys)',
        'hsm-workers': 'max(keyfleet_domain_workers)',
        'members in reach': 'max(keyfleet_domain_members_reachable)',
        'Redis has its tokens': 'min(keyfleet_domain_stored)',
      },
    },
    { title: 'Age of the active domain key', unit: 's', series: { age: 'max(keyfleet_domain_key_age)' } },
    {
      title: 'Resealing',
      unit: 'short',
      series: {
        pass: 'max(keyfleet_reseal_pass)',
        parts: 'max(keyfleet_reseal_shards)',
        'parts done': 'max(keyfleet_reseal_shards_done)',
        'tokens resealed': 'max(keyfleet_reseal_resealed)',
        verified: 'max(keyfleet_reseal_verified)',
      },
    },
  ],
  'What they need': [
    {
      title: 'Redis and NATS, and frontends that lack something',
      unit: 'short',
      series: {
        'frontends that are not ready': 'count(keyfleet_ready == 0) or vector(0)',
        'services without Redis': 'count(keyfleet_redis_up == 0) or vector(0)',
        'services without NATS': 'count(keyfleet_nats_up == 0) or vector(0)',
        'replicas of Redis that keep up': 'max(keyfleet_redis_replicas)',
        'Redis writes its file': 'min(keyfleet_redis_persists)',
      },
    },
    {
      title: 'Memory of Redis in use',
      unit: 'percentunit',
      series: { used: 'max(keyfleet_redis_memory_used_ratio)' },
    },
    {
      title: 'Time until a certificate ends',
      unit: 's',
      series: { '{{job}} {{file}}': 'min by (job, file) (keyfleet_certificate_expiry_timestamp_seconds) - time()' },
    },
  ],
};

const WIDTH = 12;
const HEIGHT = 8;

/** Grafana's dashboard as JSON. It asks which Prometheus to use. */
export function dashboard(): string {
  const datasource = { type: 'prometheus', uid: '${datasource}' };
  const panels: object[] = [];
  let [id, y] = [0, 0];
  for (const [title, content] of Object.entries(rows)) {
    panels.push({ id: ++id, type: 'row', title, gridPos: { x: 0, y: y++, w: 2 * WIDTH, h: 1 }, panels: [] });
    content.forEach((panel, index) => {
      const gridPos = { x: (index % 2) * WIDTH, y: y + Math.floor(index / 2) * HEIGHT, w: WIDTH, h: HEIGHT };
      const targets = Object.entries(panel.series).map(([legendFormat, expr], at) => {
        return { refId: String.fromCodePoint(65 + at), datasource, expr, legendFormat };
      });
      const fieldConfig = { defaults: { unit: panel.unit, min: 0 }, overrides: [] };
      panels.push({ id: ++id, type: 'timeseries', title: panel.title, gridPos, datasource, fieldConfig, targets });
    });
    y += Math.ceil(content.length / 2) * HEIGHT;
  }
  const variable = { name: 'datasource', label: 'Prometheus', type: 'datasource', query: 'prometheus' };
  const time = { from: 'now-3h', to: 'now' };
  const facts = { uid: 'keyfleet', title: 'Keyfleet', schemaVersion: 39, version: 1, refresh: '30s', time };
  return `${JSON.stringify({ ...facts, templating: { list: [variable] }, panels }, undefined, 2)}\n`;
}

/** Prometheus's rules in the form for its Kubernetes operator. */
export function alertsResource(rules: string): string {
  const [, groups = ''] = rules.split(/^(?=groups:)/m);
  return `# Generated from deploy/monitoring/alerts.yaml by \`npm run gen\`.
apiVersion: monitoring.coreos.com/v1
kind: PrometheusRule
metadata: { name: keyfleet }
spec:
${groups.replaceAll(/^(?=.)/gm, '  ')}`;
}
