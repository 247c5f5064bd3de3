"""What a page shows: figures in one style, small pictures as SVG, and sliders that need no kernel."""

from eprop_nb.display import plots, schematic, sliders, svg

__all__ = ["plots", "schematic", "sliders", "svg"]
