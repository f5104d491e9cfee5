"""What telephones do besides calling and hanging up: hold, offer late, want reliability, repeat themselves, vanish."""

from __future__ import annotations

import pytest

from tests.acceptance.call_centre import HOLD, MENU, CallCentre, site
from tests.peers.baresip import Baresip
from tests.peers.company import Company, Make
from tests.peers.patience import until
