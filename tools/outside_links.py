"""A Sphinx extension for `make links`: whether a DOI exists is asked of the DOI system and not of the publisher.

Publishers refuse programs, so that most DOIs would seem broken. The DOI system answers by the code 404 if it has no
such DOI, and says where it leads if it has.
"""

from sphinx.application import Sphinx

DOI, RECORD = "https://doi.org/", "https://doi.org/api/handles/"


def record(_app: Sphinx, address: str) -> str | None:
    """Return the address of the record of a DOI; nothing for any other address, which is then asked itself."""
    if not address.startswith(DOI) or address.startswith(RECORD):
        return None
    return RECORD + address.removeprefix(DOI)


def setup(app: Sphinx) -> dict[str, bool]:
    """Change the addresses that are asked, and no link."""
    app.connect("linkcheck-process-uri", record)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
