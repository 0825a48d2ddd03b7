"""How letters look: the house's attributes for each tag, and what phones and dark mode change."""

from __future__ import annotations

from collections.abc import Mapping

# The house look. A template that sets no colour of its own also gets its dark form.
LOOK: Mapping[str, Mapping[str, str]] = {
    "mj-all": {"font-family": "Georgia, 'Times New Roman', serif"},
    "mj-section": {"background-color": "#ffffff", "padding": "12px 0"},
    "mj-wrapper": {"padding": "0"},
    "mj-text": {
        "color": "#15201c",
        "font-size": "17px",
        "line-height": "1.6",
        "padding": "6px 24px 10px",
    },
    "mj-button": {
        "background-color": "#17594a",
        "color": "#ffffff",
        "font-size": "17px",
        "font-weight": "600",
        "font-family": "Helvetica, Arial, sans-serif",
        "border-radius": "6px",
        "inner-padding": "14px 26px",
        "padding": "10px 24px 18px",
        "align": "left",
        "line-height": "1.2",
    },
    "mj-divider": {"border-color": "#d5ddd9", "border-width": "1px", "padding": "10px 24px"},
}
DARK = """
:root { color-scheme: light dark; supported-color-schemes: light dark; }
@media (prefers-color-scheme: dark) {
body, .t-page { background-color: #0e1513 !important; }
.t-card, .t-card > table { background: #161e1b !important; background-color: #161e1b !important; }
.t-box > table > tbody > tr > td { background-color: #22312b !important; }
.t-quiet > table > tbody > tr > td { background-color: #1b2521 !important; }
.t-text, .t-text div, .t-text p, .t-text span, .t-text li { color: #e6edea !important; }
.t-text h1, .t-text h2, .t-text h3 { color: #e6edea !important; }
.t-text a { color: #74c6ac !important; }
.t-button td, .t-button a { background: #74c6ac !important; color: #08150f !important; }
.t-rule p { border-color: #33403b !important; }
.t-foot, .t-foot table, .t-foot td { background: #0e1513 !important; }
.t-foot-text, .t-foot-text div { color: #a9b8b1 !important; }
.t-foot-text a { color: #74c6ac !important; }
}
"""
LIGHT = ":root { color-scheme: light only; }"
EVERY = ".t-text a { color: #17594a; } .t-text p { margin: 0 0 14px; } h1 { line-height: 1.2; }"
# Columns that stand out; a template that sets colours of its own sets these too.
LOOKS: Mapping[str, Mapping[str, str]] = {
    "box": {"background-color": "#eaf2ee", "border-radius": "10px", "padding": "14px 0 4px"},
    "quiet": {"background-color": "#f4f6f5", "border-radius": "10px", "padding": "14px 0 4px"},
}
CLASSES = {
    "mj-body": "t-page",
    "mj-section": "t-card",
    "mj-column": "t-column",
    "mj-text": "t-text",
    "mj-button": "t-button",
    "mj-divider": "t-rule",
}
