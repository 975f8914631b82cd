import { escape, short } from './format.ts';
import { legendOf } from './line-chart.ts';

export interface Bar {
  readonly label: string;
  /** In the order of `parts`. */
  readonly values: readonly number[];
}

/** Horizontal bars whose parts add up, longest possible to the full width. */
export function stackedBars(title: string, parts: readonly string[], bars: readonly Bar[], unit: string): string {
  const totals = bars.map(({ values }) => values.reduce((sum, value) => sum + value, 0));
  const longest = Math.max(...totals, Number.MIN_VALUE);
  const lines = bars.map(({ label, values }, row) => {
    const segments = values.map((value, index) => {
      const width = ((100 * value) / longest).toFixed(2);
      const hint = escape(`${parts[index]}: ${short(value)} ${unit}`);
      return value <= 0 ? '' : `<i style="width:${width}%;background:var(--s${index % 8})" title="${hint}"></i>`;
    });
    return `<div class="bar"><span>${escape(label)}</span><div>${segments.join('')}</div><b>${short(totals[row]!)} ${unit}</b></div>`;
  });
  const legend = parts.length < 2 ? '' : legendOf(parts);
  return `<figure><figcaption>${escape(title)}</figcaption>${legend}${lines.join('')}</figure>`;
}
