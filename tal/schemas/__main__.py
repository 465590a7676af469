"""Make the schema of configuration files anew, or say whether the shipped one is up to date."""

from __future__ import annotations

import argparse
import sys

from tal.files import shipped, write_atomic
from tal.schemas.settings import config_schema, dumps


def main() -> int:
    """Return 0 if the shipped schema is what the settings say now, 1 if it has to be written anew."""
    parser = argparse.ArgumentParser(prog="python -m tal.schemas", description=__doc__)
    parser.add_argument("--write", action="store_true", help="write configs/schemas/config.json")
    path, text = shipped("configs") / "schemas" / "config.json", dumps(config_schema())
    if parser.parse_args().write:
        write_atomic(path, text)
    current = path.is_file() and path.read_text(encoding="utf-8") == text
    print(f"{path}: {'up to date' if current else 'out of date; run python -m tal.schemas --write'}")
    return 0 if current else 1


if __name__ == "__main__":
    sys.exit(main())
