"""Run by `nox -s bare` where only the core is installed: all of it imports, and the command line says what to do."""

from __future__ import annotations

import importlib
import pkgutil
import subprocess
import sys

CORE = ("chatbill.domain", "chatbill.application", "chatbill.adapters.memory")


def import_all(package_name: str) -> int:
    """Import a package with all modules in it; returns how many there are."""
    package = importlib.import_module(package_name)
    found = [module.name for module in pkgutil.walk_packages(package.__path__, f"{package_name}.")]
    for name in found:
        importlib.import_module(name)
    return 1 + len(found)


def main() -> None:
    count = sum(map(import_all, CORE))
    told = subprocess.run([sys.executable, "-m", "chatbill"], capture_output=True, text=True, check=False, timeout=60)
    if told.returncode != 1 or "pip install 'chatbill[server]'" not in told.stderr or "Traceback" in told.stderr:
        sys.exit(f"chatbill without its service must say what to install, but said: {told.stderr or told.stdout}")
    sys.stdout.write(f"{count} modules of the core import with nothing but Python\n")


if __name__ == "__main__":
    main()
