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
