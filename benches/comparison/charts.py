"""Bars as SVG: one for each case, as long as its CPU time, with its own colour for the gateway; for light and dark pages."""

from html import escape

WIDTH, LABEL, BAR, GAP, TOP = 820, 330, 22, 10, 58
STYLE = """
  text { font: 13px system-ui, sans-serif; fill: #1f2328; }
  .title { font-weight: 600; font-size: 15px; }
  .faint { fill: #59636e; font-size: 12px; }
  .ours { fill: #0969da; }
  .peer { fill: #afb8c1; }
  .spread { stroke: #1f2328; stroke-width: 1.2; }
  .axis { stroke: #d1d9e0; }
  @media (prefers-color-scheme: dark) {
    text { fill: #f0f6fc; }
    .faint { fill: #9198a1; }
    .ours { fill: #4493f8; }
    .peer { fill: #656c76; }
    .spread { stroke: #f0f6fc; }
    .axis { stroke: #3d444d; }
  }
"""


def bars(title, unit, rows):
    """`rows`: (label, value, lowest, highest, is ours). The line at the end of a bar goes from the lowest round to the highest."""
    most = max(max(row[1], row[3]) for row in rows) or 1
    room = WIDTH - LABEL - 90
    height = TOP + len(rows) * (BAR + GAP) + 12
    scale = lambda value: LABEL + value / most * room
    drawn = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}" role="img" aria-label="{escape(title)}">',
        f"<style>{STYLE}</style>",
        f'<text class="title" x="12" y="24">{escape(title)}</text>',
        f'<text class="faint" x="12" y="43">{escape(unit)}</text>',
        f'<line class="axis" x1="{LABEL}" y1="{TOP - 6}" x2="{LABEL}" y2="{height - 8}"/>',
    ]
    for index, (label, value, lowest, highest, ours) in enumerate(rows):
        top = TOP + index * (BAR + GAP)
        middle = top + BAR / 2
        drawn += [
            f'<text x="{LABEL - 10}" y="{middle + 4.5}" text-anchor="end">{escape(label)}</text>',
            f'<rect class="{"ours" if ours else "peer"}" x="{LABEL}" y="{top}" width="{max(1, scale(value) - LABEL):.1f}" height="{BAR}" rx="3"/>',
            f'<text x="{max(scale(value), scale(highest)) + 8:.1f}" y="{middle + 4.5}">{number(value)}</text>',
        ]
        if highest > lowest:
            drawn.append(f'<line class="spread" x1="{scale(lowest):.1f}" y1="{middle}" x2="{scale(highest):.1f}" y2="{middle}"/>')
    return "\n".join([*drawn, "</svg>", ""])


def number(value):
    """Three figures that mean something."""
    return f"{value:,.0f}" if value >= 100 else f"{value:.1f}" if value >= 10 else f"{value:.2f}"
