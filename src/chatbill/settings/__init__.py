"""Settings from the environment and from `.env`, checked before anything starts."""

from chatbill.settings.loading import SettingsError, load_settings, misspelt, variable_value
from chatbill.settings.model import PREFIX, Settings

__all__ = ["PREFIX", "Settings", "SettingsError", "load_settings", "misspelt", "variable_value"]
