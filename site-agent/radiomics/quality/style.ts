/** Style of the quality page: one column of tables, quiet colours, readable in print. */
export const STYLE = `
:root { color-scheme: light; --ink: #1d2630; --quiet: #5b6875; --line: #d8dee4; --flag: #9a4b00; --flag-back: #fff6e8; }
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 76rem; padding: 1.5rem; color: var(--ink); background: #fff; font: 15px/1.5 system-ui, "DejaVu Sans", sans-serif; }
h1 { margin: 1.2rem 0 0; font-size: 1.6rem; font-weight: 600; }
h2 { margin: 2.2rem 0 .5rem; font-size: 1.15rem; font-weight: 600; }
p { margin: .4rem 0; max-width: 52rem; }
.about { color: var(--quiet); }
.stays { margin: 0; padding: .6rem .9rem; max-width: none; border: 1px solid #e3b873; border-left-width: 5px; background: var(--flag-back); }
.tiles { display: grid; grid-template-columns: repeat(5, minmax(0, 1fr)); gap: .6rem; margin: 1rem 0 0; }
.tiles + .tiles { margin-top: .6rem; }
.tiles div { padding: .5rem .8rem; border: 1px solid var(--line); border-radius: 4px; color: var(--quiet); }
.tiles b { display: block; color: var(--ink); font-size: 1.35rem; font-weight: 600; font-variant-numeric: tabular-nums; }
.tiles .flagged b { color: var(--flag); }
table { width: 100%; border-collapse: collapse; font-size: .87rem; }
th, td { padding: .3rem .7rem .3rem 0; text-align: left; vertical-align: top; border-bottom: 1px solid var(--line); }
th { color: var(--quiet); font-weight: 600; white-space: nowrap; border-bottom-color: var(--quiet); }
.n { width: 1%; text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; }
.id { white-space: nowrap; }
.name { overflow-wrap: anywhere; }
.out { color: var(--flag); }
code { font-size: .95em; }
.pictures { display: grid; grid-template-columns: repeat(auto-fill, minmax(15rem, 1fr)); gap: 1rem; }
figure { margin: 0; break-inside: avoid; }
figure img { display: block; max-width: 100%; height: auto; background: #000; image-rendering: auto; }
figcaption { margin-top: .3rem; color: var(--quiet); font-size: .82rem; line-height: 1.4; }
figcaption b { color: var(--ink); font-weight: 600; }
@media print {
  body { max-width: none; padding: 0; font-size: 10pt; }
  thead { display: table-header-group; }
  tr { break-inside: avoid; }
  .pictures { grid-template-columns: repeat(4, 1fr); }
}
`;
