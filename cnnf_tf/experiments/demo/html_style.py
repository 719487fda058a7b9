"""The style sheet of `html_page`: one column of text, system fonts, light and dark, screen and paper."""

STYLE = """\
:root {
  --paper: #fbfaf7; --card: #ffffff; --ink: #1d1c1a; --soft: #5f5b54; --line: #e2ded5;
  --feedback: #b8480c; --plain: #2f5fb3; --good: #2b7a3d; --bad: #b3261e;
}
@media (prefers-color-scheme: dark) {
  :root {
    --paper: #16171a; --card: #1f2125; --ink: #eceae6; --soft: #a8a49c; --line: #34363c;
    --feedback: #ff9d5c; --plain: #8fb4ff; --good: #7fd491; --bad: #ff9a92;
  }
}
* { box-sizing: border-box; }
html { -webkit-text-size-adjust: 100%; }
body {
  margin: 0 auto; padding: 3rem 1.25rem 4rem; max-width: 46rem; background: var(--paper); color: var(--ink);
  font: 1.0625rem/1.6 system-ui, -apple-system, "Segoe UI", Roboto, "Liberation Sans", sans-serif;
}
h1, h2 { font-family: ui-serif, Georgia, "Times New Roman", "Liberation Serif", serif; font-weight: 600; }
h1 { font-size: clamp(2rem, 7vw, 3rem); line-height: 1.12; margin: 0 0 1rem; letter-spacing: -0.015em; }
h2 { font-size: clamp(1.45rem, 5vw, 1.85rem); line-height: 1.25; margin: 0 0 0.75rem; text-wrap: balance; }
h3 { font-size: 1.0625rem; line-height: 1.35; margin: 2rem 0 0.6rem; }
p { margin: 0 0 1rem; }
ul { margin: 0 0 1.25rem; padding-left: 1.2rem; }
li { margin: 0 0 0.4rem; }
header p { font-size: 1.15rem; color: var(--soft); }
section { margin-top: 3.5rem; padding-top: 2.25rem; border-top: 1px solid var(--line); }
.kicker {
  margin: 0 0 0.35rem; font-size: 0.8rem; font-weight: 600; letter-spacing: 0.08em; text-transform: uppercase;
  color: var(--feedback);
}
code { font: 0.88em ui-monospace, Menlo, Consolas, "Liberation Mono", monospace; overflow-wrap: anywhere; }
b.feedback { color: var(--feedback); }
b.plain { color: var(--plain); }
.cards {
  display: grid; grid-template-columns: repeat(auto-fit, minmax(9.5rem, 1fr)); gap: 0.75rem; margin: 2rem 0 0;
}
.card { background: var(--card); border: 1px solid var(--line); border-radius: 10px; padding: 0.9rem 1rem; }
.card dt { font-size: 0.8rem; font-weight: 600; color: var(--soft); }
.card dd { margin: 0; }
.card strong {
  display: block; margin: 0.15rem 0; font-size: 1.35rem; line-height: 1.25; font-variant-numeric: tabular-nums;
}
.card span { display: block; font-size: 0.85rem; line-height: 1.4; color: var(--soft); }
figure { margin: 0 0 1.5rem; }
figcaption { margin-top: 0.5rem; font-size: 0.9rem; line-height: 1.5; color: var(--soft); }
.row { display: grid; grid-template-columns: repeat(var(--columns), minmax(0, 1fr)); gap: 0.4rem; }
.row + .row { margin-top: 0.6rem; }
.tile { font-size: 0.8rem; line-height: 1.3; text-align: center; color: var(--soft); }
.tile span { display: block; overflow-wrap: anywhere; font-variant-numeric: tabular-nums; }
.above { padding: 0 0 0.25rem; }
.below { padding: 0.25rem 0 0; }
.below.good { color: var(--good); }
.below.bad { color: var(--bad); }
.pixels {
  display: block; width: 100%; border-radius: 4px; outline: 1px solid var(--line); image-rendering: pixelated;
}
.chart { margin-top: 1.5rem; }
.chart img { display: block; max-width: 100%; height: auto; }
.scroll { overflow-x: auto; }
table { width: 100%; border-collapse: collapse; font-size: 0.9rem; font-variant-numeric: tabular-nums; }
figcaption + .scroll { margin-top: 0.5rem; }
th, td { padding: 0.4rem 0.6rem; border-bottom: 1px solid var(--line); text-align: right; white-space: nowrap; }
th:first-child { padding-left: 0; text-align: left; font-weight: 500; white-space: normal; min-width: 8.5rem; }
th:last-child, td:last-child { padding-right: 0; }
thead th { font-weight: 600; vertical-align: bottom; white-space: normal; }
details { margin: 1rem 0 0; border: 1px solid var(--line); border-radius: 10px; padding: 0.6rem 1rem; }
details[open] { padding-bottom: 1rem; }
details figure { margin-bottom: 0; }
summary { cursor: pointer; font-weight: 500; }
summary + * { margin-top: 0.75rem; }
footer {
  margin-top: 3.5rem; padding-top: 1.5rem; border-top: 1px solid var(--line); font-size: 0.9rem; color: var(--soft);
}
@media (max-width: 30rem) {
  body { padding: 2rem 1rem 3rem; font-size: 1rem; }
  .tile { font-size: 0.72rem; }
  .row { gap: 0.25rem; }
}
@media print {
  body { max-width: none; padding: 0; }
  section, figure, .card { break-inside: avoid; }
}
"""
