"""Settings, and the contracts of the parts that they hold. PYTEST_DONT_REWRITE"""

from dspex_core.config.defaults import (
    REFUSALS_VARIABLE,
    REPLAY_VARIABLE,
    Settings,
    SettingsCopy,
    configure,
    context,
    current,
    load_settings,
    settings,
)

__all__ = [
    "REFUSALS_VARIABLE",
    "REPLAY_VARIABLE",
    "Settings",
    "SettingsCopy",
    "configure",
    "context",
    "current",
    "load_settings",
    "settings",
]
