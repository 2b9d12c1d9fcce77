"""Settings from the environment and from `.env`."""

from chatbill.settings.loading import SettingsError, load_settings, unknown_variables, variable_value
from chatbill.settings.model import PREFIX, Settings

__all__ = ["PREFIX", "Settings", "SettingsError", "load_settings", "unknown_variables", "variable_value"]
