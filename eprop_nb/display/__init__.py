"""What a page shows: figures in one style, small pictures as SVG, and sliders that need no kernel.

Chapters use `plots` and `schematic` for figures; for sliders `sliders.view` and `Grid`, and `svg.Panel`, `figure`,
`span` and `number`. These say which argument cannot be drawn, and why. Names with an underscore are the room's own;
`themes` is for the tool that puts figures into the pages.
"""

from eprop_nb.display import plots, schematic, sliders, svg

__all__ = ["plots", "schematic", "sliders", "svg"]
