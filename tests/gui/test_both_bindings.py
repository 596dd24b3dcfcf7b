"""The tests of the plugin, once more with the Qt binding that this run does not use."""

from __future__ import annotations

import os

import pytest
from other_binding import OtherBinding, binding_not_used, is_installed


@pytest.mark.gui
@pytest.mark.skipif(os.environ.get("BLUSH_ONE_BINDING") == "1", reason="this is the run with the other one")
def test_the_plugin_works_with_the_other_binding(other_binding: OtherBinding | None) -> None:
    if other_binding is None:
        name = binding_not_used()
        assert not is_installed(name)
        if os.environ.get("BLUSH_REQUIRE_GUI") == "1":
            pytest.fail(f"BLUSH_REQUIRE_GUI=1, but {name} is not installed (scripts/setup --gui)")
        pytest.skip(f"{name} is not installed")
    code, said = other_binding.end()
    assert code == 0, f"with {other_binding.name}, by {code}:\n{said[-12000:]}"
    assert " passed" in said
