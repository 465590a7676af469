"""Hooks of MkDocs: pages that are made from the program itself at every build, so that they cannot be out of date.

The reference of the command line comes from the commands, that of the settings from their classes and shipped YAML,
and a notebook becomes a page of its cells.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import command_pages
import notebook_pages
import setting_pages
from mkdocs.structure.files import File

if TYPE_CHECKING:
    from mkdocs.config.defaults import MkDocsConfig
    from mkdocs.structure.files import Files

REFERENCE, GUIDES = "Reference", "Guides"


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Put the pages of the commands and the notebooks into the navigation."""
    entries = [{name: uri} for uri, name in command_pages.titles().items()]
    for section in config.nav or []:
        if isinstance(section, dict) and REFERENCE in section:
            section[REFERENCE].insert(0, {"Command line": entries})
        if isinstance(section, dict) and GUIDES in section:
            section[GUIDES][:0] = notebook_pages.pages(Path(config.docs_dir))
    return config


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages that are made here to those that lie in the folder."""
    made = {**command_pages.pages(), **setting_pages.pages(), **notebook_pages.pages(Path(config.docs_dir))}
    for uri, text in made.items():
        files.append(File.generated(config, uri, content=text))
    return files
