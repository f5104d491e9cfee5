"""Where the files that travel with the program are: inside the wheel, or at the root of a checkout."""

from pathlib import Path

_PACKAGED = Path(__file__).resolve().parent / "data"
_CHECKOUT = Path(__file__).resolve().parent.parent


def resource(name: str) -> Path:
    """Path of a shipped file or folder: ``alembic``, ``flows``, ``prompts`` or ``site.yaml``.

    Raises FileNotFoundError if the installation is incomplete.
    """
    for root in (_PACKAGED, _CHECKOUT):
        if (root / name).exists():
            return root / name
    raise FileNotFoundError(f"{name} is missing from this installation (looked in {_PACKAGED} and {_CHECKOUT})")
