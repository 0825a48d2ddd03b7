"""Where MJML 4.18 renders otherwise than the compiler in Python, which follows an older one.

Round corners: a table's borders must then be separate, for collapsed ones have no corners, and the
letter's own head collapses them all. A rule's width in Outlook: a share of what the padding leaves.
A button's link: written as an attribute, not as it is read from one.

Source: getStyles of mjml-column and mjml-section, getOutlookWidth of mjml-divider, all 4.18.0.
"""

from __future__ import annotations

import html
from typing import Any

from mjml.elements import MjButton, MjColumn, MjDivider, MjSection, MjWrapper

Styles = dict[str, dict[str, Any]]
_APART = {"border-collapse": "separate"}


class Column(MjColumn):  # type: ignore[misc]
    """A column whose box may have round corners."""

    def get_styles(self) -> Styles:
        """Return the styles of its tags, by the compiler's names for them."""
        styles: Styles = super().get_styles()
        if self.getAttribute("border-radius"):
            styles["gutter"] |= _APART
            if not self.hasGutter():
                styles["table"] |= _APART
        return styles

    def renderGutter(self) -> str:  # noqa: N802
        """Return the table that holds its padding."""
        made = str(super().renderGutter())
        if not self.getAttribute("border-radius"):
            return made
        return made.replace("<table ", '<table style="border-collapse:separate" ', 1)


class Section(MjSection):  # type: ignore[misc]
    """A section that may have round corners: those of its cell, and cut off what stands over."""

    def get_styles(self) -> Styles:
        """Return the styles of its tags, by the compiler's names for them."""
        styles: Styles = super().get_styles()
        radius = self.getAttribute("border-radius")
        styles["table"].pop("border-radius", None)
        if radius:
            styles["table"] |= _APART
            styles["td"] |= {"border-radius": radius}
            styles["div"] |= {"overflow": "hidden"}
        return styles


class Wrapper(MjWrapper, Section):  # type: ignore[misc]
    """A wrapper, round as a section is."""


class Divider(MjDivider):  # type: ignore[misc]
    """A rule."""

    def getOutlookWidth(self) -> str:  # noqa: N802
        """Return its width in pixels."""
        width = str(self.getAttribute("width"))
        if not width.endswith("%"):
            return str(super().getOutlookWidth())
        around = [self.getShorthandAttrValue("padding", side) for side in ("left", "right")]
        room = int(float(self.context["containerWidth"].removesuffix("px"))) - sum(around)
        pixels = room * int(float(width.removesuffix("%"))) / 100
        return f"{int(pixels) if pixels == int(pixels) else pixels}px"


class Button(MjButton):  # type: ignore[misc]
    """A button."""

    def getAttribute(self, name: str, **options: Any) -> Any:  # noqa: N802
        """Return an attribute; a link as it is spelled between quotes."""
        value = super().getAttribute(name, **options)
        return html.escape(value) if name == "href" and isinstance(value, str) else value


COMPONENTS = (Button, Column, Section, Wrapper, Divider)
