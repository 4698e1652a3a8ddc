"""A page around a drawn figure: one HTML file without any request or script."""

from html import escape

WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM = 720, 420, 64, 16, 16, 44
STYLE = """
:root { color-scheme: light dark; --dim: light-dark(#667, #99a); --rule: light-dark(#dde, #334);
  --law: light-dark(#1f5fbf, #7ab0ff); --best: light-dark(#b3541e, #ffab70); }
body { font: 15px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 46rem; padding: 0 1rem; }
svg { width: 100%; height: auto; } text { font-size: 12px; fill: var(--dim); } .grid { stroke: var(--rule); }
.law { stroke: var(--law); stroke-width: 2; } .run { fill: var(--dim); opacity: .45; } .best { fill: var(--best); }
p { color: var(--dim); } code { font-family: ui-monospace, monospace; }
"""


def figure_page(title: str, body: str) -> str:
    """`body` is HTML."""
    title = escape(title)
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{title}</title>\n<style>{STYLE}</style>\n</head>\n"
        f"<body>\n<h1>{title}</h1>\n{body}\n</body>\n</html>\n"
    )
