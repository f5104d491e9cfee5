"""Builds the media engine from C when the project is installed or packed: a hook for hatchling, and a command.

``python hatch_build.py`` builds it in place, for a checkout that is not installed. The engine uses nothing of
Python's, so one wheel serves every version of Python 3 on a platform.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:

    class BuildHookInterface:
        target_name: str
        root: str

else:
    try:
        from hatchling.builders.hooks.plugin.interface import BuildHookInterface
    except ImportError:
        BuildHookInterface = object

SOURCES = Path("gateway/media/native")
LIBRARY = Path("gateway/media/_engine.so")
FLAGS = ("-std=gnu11", "-O2", "-shared", "-fPIC", "-fvisibility=default", "-pthread", "-Wall", "-Wextra")


def build_engine(root: Path) -> Path:
    """Compile the engine's sources under ``root`` into its shared library; SystemExit when that is impossible.

    The compiler is ``$CC``, or else ``cc``, ``gcc`` or ``clang``, whichever is found first.
    """
    wanted = os.environ.get("CC")
    compiler = next(
        (path for name in ([wanted] if wanted else ["cc", "gcc", "clang"]) if (path := shutil.which(name))), None
    )
    if compiler is None:
        raise SystemExit("a C compiler is needed: apt-get install gcc")
    sources = sorted(str(path) for path in (root / SOURCES).glob("*.c"))
    if not sources:
        raise SystemExit(f"no C sources in {root / SOURCES}")
    library = root / LIBRARY
    # A process may have the present library mapped: it keeps the old file while the new one takes its name.
    fresh = library.with_suffix(f".{os.getpid()}.tmp")
    try:
        if subprocess.run([compiler, *FLAGS, "-o", str(fresh), *sources, "-lm", "-ldl"]).returncode:
            raise SystemExit("the media engine does not compile; the compiler's messages are above")
        fresh.replace(library)
    finally:
        fresh.unlink(missing_ok=True)
    return library


def platform_tag() -> str:
    """The wheel platform tag of this machine, with the C library's version where that is known.

    ``manylinux_2_36_x86_64`` keeps pip from installing the wheel where the C library is older; ``linux_x86_64``, which
    stands before it in newer releases of packaging, would not.
    """
    try:
        from packaging.tags import platform_tags
    except ImportError:
        return sysconfig.get_platform().replace("-", "_").replace(".", "_")
    tags = list(platform_tags())
    return next((tag for tag in tags if tag.startswith(("manylinux", "musllinux"))), tags[0])


class MediaEngineBuildHook(BuildHookInterface):
    """Runs for ordinary and for editable wheels; a source distribution carries the C files only."""

    PLUGIN_NAME = "custom"

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        if self.target_name != "wheel":
            return
        build_engine(Path(self.root))
        build_data["pure_python"] = False
        build_data["tag"] = f"py3-none-{platform_tag()}"


if __name__ == "__main__":
    print(build_engine(Path(__file__).parent), file=sys.stderr)
