import { escape, short } from './format.ts';
import { linearScale, logScale, type Scale } from './scale.ts';

export interface Series {
  readonly name: string;
  readonly points: readonly { readonly x: number; readonly y: number; readonly label: string }[];
}

export interface LineChart {
  readonly title: string;
  readonly x: { readonly label: string; readonly kind: 'linear' | 'log' };
  readonly y: { readonly label: string; readonly kind: 'linear' | 'log' };
  readonly series: readonly Series[];
  /** Moments on the x axis. */
  readonly marks?: readonly { readonly x: number; readonly label: string }[];
  /** Without a dot for each point. */
  readonly dense?: boolean;
}

const SIZE = { width: 640, height: 320 };
const EDGE = { left: 64, right: 20, top: 16, bottom: 44 };
const MARK_LINE = 13;

/** An SVG in a figure with its title and legend; a point's label shows when the pointer rests on it. */
export function lineChart(chart: LineChart): string {
  const points = chart.series.flatMap((one) => one.points);
  const top = EDGE.top + (chart.marks?.length ?? 0) * MARK_LINE;
  const x = scaleOf(
    chart.x.kind,
    points.map((point) => point.x),
    EDGE.left,
    SIZE.width - EDGE.right,
  );
  const y = scaleOf(
    chart.y.kind,
    points.map((point) => point.y),
    SIZE.height - EDGE.bottom,
    top,
  );
  const body = [
    ...grid(x, y, top),
    ...(chart.marks ?? []).map((mark, index) => markLine(x.at(mark.x), EDGE.top + index * MARK_LINE, mark.label)),
    ...chart.series.map((one, index) => line(one, index, { x, y }, chart.dense ?? false)),
    `<text class="axis" x="${(EDGE.left + SIZE.width - EDGE.right) / 2}" y="${SIZE.height - 6}" text-anchor="middle">${escape(chart.x.label)}</text>`,
    `<text class="axis" transform="translate(14 ${(top + SIZE.height - EDGE.bottom) / 2}) rotate(-90)" text-anchor="middle">${escape(chart.y.label)}</text>`,
  ];
  const legend = chart.series.length < 2 ? '' : legendOf(chart.series.map(({ name }) => name));
  return `<figure><figcaption>${escape(chart.title)}</figcaption>${legend}<svg viewBox="0 0 ${SIZE.width} ${SIZE.height}" role="img" aria-label="${escape(chart.title)}">${body.join('')}</svg></figure>`;
}

export function legendOf(names: readonly string[]): string {
  const items = names.map(
    (name, index) => `<span><i style="background:var(--s${index % 8})"></i>${escape(name)}</span>`,
  );
  return `<p class="legend">${items.join('')}</p>`;
}

function scaleOf(kind: 'linear' | 'log', values: readonly number[], from: number, to: number): Scale {
  const found = values.filter((value) => Number.isFinite(value) && (kind === 'linear' || value > 0));
  const largest = Math.max(...found, Number.MIN_VALUE);
  return kind === 'linear' ? linearScale(largest, from, to) : logScale(Math.min(...found, largest), largest, from, to);
}

function grid(x: Scale, y: Scale, top: number): string[] {
  const [right, bottom] = [SIZE.width - EDGE.right, SIZE.height - EDGE.bottom];
  return [
    ...y.ticks.map((tick) => {
      const at = y.at(tick).toFixed(1);
      return `<line class="grid" x1="${EDGE.left}" x2="${right}" y1="${at}" y2="${at}"/><text x="${EDGE.left - 6}" y="${at}" dy="4" text-anchor="end">${short(tick)}</text>`;
    }),
    ...x.ticks.map((tick) => {
      const at = x.at(tick).toFixed(1);
      return `<line class="tick" x1="${at}" x2="${at}" y1="${bottom}" y2="${bottom + 4}"/><text x="${at}" y="${bottom + 17}" text-anchor="middle">${short(tick)}</text>`;
    }),
    `<line class="base" x1="${EDGE.left}" x2="${right}" y1="${bottom}" y2="${bottom}"/>`,
    `<line class="grid" x1="${EDGE.left}" x2="${EDGE.left}" y1="${top}" y2="${bottom}"/>`,
  ];
}

function line({ name, points }: Series, index: number, scales: { x: Scale; y: Scale }, dense: boolean): string {
  const colour = `var(--s${index % 8})`;
  const placed = points
    .filter((point) => Number.isFinite(point.y))
    .map((point) => ({ ...point, at: [scales.x.at(point.x).toFixed(1), scales.y.at(point.y).toFixed(1)] as const }));
  const path = placed.map(({ at }, step) => `${step === 0 ? 'M' : 'L'}${at[0]} ${at[1]}`).join('');
  const dots = placed.map(({ at, label }) => {
    const look = dense ? 'fill="transparent" r="5"' : `fill="${colour}" class="dot" r="4"`;
    return `<circle cx="${at[0]}" cy="${at[1]}" ${look}><title>${escape(`${name}: ${label}`)}</title></circle>`;
  });
  return `<path d="${path}" fill="none" stroke="${colour}" stroke-width="2" stroke-linejoin="round"/>${dots.join('')}`;
}

function markLine(x: number, y: number, label: string): string {
  const after = x < SIZE.width * 0.6;
  const text = `<text class="mark" x="${(after ? x + 4 : x - 4).toFixed(1)}" y="${y}" dy="4" text-anchor="${after ? 'start' : 'end'}">${escape(label)}</text>`;
  return `<line class="mark" x1="${x.toFixed(1)}" x2="${x.toFixed(1)}" y1="${y - 4}" y2="${SIZE.height - EDGE.bottom}"/>${text}`;
}
