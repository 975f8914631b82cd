/**
 * Of the HTML report; `--s0` to `--s7` are the colours of series, apart from each other for most eyes in either mode.
 */
export const style = `
:root { color-scheme: light dark; --paper: #fcfcfb; --ink: #0b0b0b; --soft: #52514e; --line: #e1e0d9; --base: #c3c2b7; --warn: #b3261e;
  --s0: #2a78d6; --s1: #eb6834; --s2: #1baf7a; --s3: #eda100; --s4: #e87ba4; --s5: #008300; --s6: #4a3aa7; --s7: #e34948; }
@media (prefers-color-scheme: dark) { :root { --paper: #1a1a19; --ink: #ffffff; --soft: #c3c2b7; --line: #2c2c2a; --base: #52514e; --warn: #ff8a80;
  --s0: #3987e5; --s1: #d95926; --s2: #199e70; --s3: #c98500; --s4: #d55181; --s5: #2f9e2f; --s6: #9085e9; --s7: #e66767; } }
body { margin: 0; background: var(--paper); color: var(--ink); font: 15px/1.5 system-ui, sans-serif; }
main { max-width: 1320px; margin: 0 auto; padding: 24px; }
h1 { margin: 0 0 8px; font-size: 24px; } h2 { margin: 40px 0 12px; font-size: 20px; } h3 { font-size: 16px; } h4 { margin: 16px 0 4px; font-size: 14px; }
.facts { margin: 0; color: var(--soft); } .warning { margin: 4px 0; color: var(--warn); font-weight: 600; }
pre { padding: 8px 12px; border: 1px solid var(--line); border-radius: 6px; overflow-x: auto; }
.wide { overflow-x: auto; } table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
th, td { padding: 4px 16px 4px 0; border-bottom: 1px solid var(--line); text-align: right; white-space: nowrap; }
th { color: var(--soft); font-weight: 500; } th:first-child, td:first-child, th:last-child, td:last-child { text-align: left; }
.charts { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 560px), 1fr)); gap: 24px; margin: 20px 0; }
figure { margin: 0; min-width: 0; } figcaption { font-weight: 600; }
svg { display: block; width: 100%; height: auto; font: 12px system-ui, sans-serif; } svg text { fill: var(--soft); }
svg .grid { stroke: var(--line); } svg .base, svg .tick { stroke: var(--base); } svg .dot { stroke: var(--paper); stroke-width: 2; }
svg line.mark { stroke: var(--soft); stroke-dasharray: 3 3; } svg text.mark { fill: var(--ink); font-size: 11px; }
.legend { display: flex; flex-wrap: wrap; gap: 4px 16px; margin: 4px 0; color: var(--soft); font-size: 13px; }
.legend i { display: inline-block; width: 10px; height: 10px; margin-right: 6px; border-radius: 2px; }
.bar { display: grid; grid-template-columns: minmax(0, 230px) minmax(0, 1fr) 84px; gap: 10px; align-items: center; margin: 5px 0; font-size: 13px; }
.bar span { overflow: hidden; text-overflow: ellipsis; white-space: nowrap; color: var(--soft); } .bar b { font-weight: 500; font-variant-numeric: tabular-nums; }
.bar div { display: flex; gap: 2px; height: 16px; } .bar i { border-radius: 2px; }
details { margin: 12px 0; } summary { cursor: pointer; color: var(--soft); }
`;
