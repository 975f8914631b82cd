/** A row of the budget, and what came of it. */
export interface Row {
  readonly row: string;
  readonly wanted: string;
  readonly measured: string;
  readonly met: boolean;
  /** The options of `npm run bench` that give the figure again. */
  readonly again: string;
}

/** In Markdown, as docs/performance.md has it. */
export function rowLines(rows: readonly Row[]): string[] {
  return [
    '| row | wanted | measured | | `npm run bench --` |',
    '| --- | --- | --- | --- | --- |',
    ...rows.map(({ row, wanted, measured, met, again }) => {
      return `| ${row} | ${wanted} | ${measured} | ${met ? 'met' : '**missed**'} | \`${again}\` |`;
    }),
  ];
}
