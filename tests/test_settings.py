"""Settings: their sources, and the messages for invalid ones."""

from __future__ import annotations

import json
import subprocess
import sys
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatbill.application.policy import Policy
from chatbill.domain.billing.payments import Money
from chatbill.domain.billing.prices import Price
from chatbill.settings import Settings, SettingsError, load_settings, unknown_variables, variable_value
from chatbill.settings.documentation import example, page

ROOT = Path(__file__).parent.parent


def load(**variables: str) -> Settings:
    """Return the settings of these variables alone. The names are without the prefix."""
    return load_settings({f"CHATBILL_{name}": value for name, value in variables.items()}, env_file=None)


def refusal(**variables: str) -> str:
    with pytest.raises(SettingsError) as raised:
        load(**variables)
    return str(raised.value)


def test_every_setting_is_optional() -> None:
    settings = load()
    assert (settings.models, settings.engine, settings.welcome_credits) == ("demo", "local", 100)
    assert (settings.host, settings.port) == ("127.0.0.1", 8000)
    assert (settings.access_token_s, settings.refresh_token_s) == (3_600, 30 * 24 * 3_600)
    assert settings.database == f"sqlite:///{settings.data_dir.as_posix()}/chatbill.sqlite3"
    assert settings.data_dir.is_absolute()


def test_arguments_override_the_environment_which_overrides_the_file(tmp_path: Path) -> None:
    file = tmp_path / ".env"
    file.write_text("CHATBILL_PORT=1\nCHATBILL_HOST=file\n# a comment\nCHATBILL_MODELS='gemma'\nOTHER=1\n")
    settings = load_settings({"CHATBILL_PORT": "2", "CHATBILL_HOST": "environ"}, env_file=file, port=3, host=None)
    assert (settings.port, settings.host, settings.models) == (3, "environ", "gemma")


def test_a_folder_of_a_user_that_is_not_there_is_refused_in_words() -> None:
    assert "no such user" in refusal(DATA_DIR="~nobody-here/data")


def test_the_file_is_optional(tmp_path: Path) -> None:
    assert load_settings({}, env_file=tmp_path / ".env").port == 8000


def test_an_unreadable_file_is_named(tmp_path: Path) -> None:
    file = tmp_path / ".env"
    file.write_bytes(b"CHATBILL_HOST=\xff\xfe")
    with pytest.raises(SettingsError, match="cannot be read"):
        load_settings({}, env_file=file)


def test_an_empty_variable_is_not_set() -> None:
    settings = load(PORT="", SECRET_KEY="", PRICES="", DATABASE_URL="", TRUSTED_PROXIES="")
    assert settings == load()


def test_a_setting_is_read_from_the_file_that_a_variable_names(tmp_path: Path) -> None:
    (tmp_path / "key").write_text("k" * 40 + "\n")
    (tmp_path / "url").write_text("sqlite:////data/shop.sqlite3")
    settings = load(SECRET_KEY_FILE=str(tmp_path / "key"), DATABASE_URL_FILE=str(tmp_path / "url"))
    assert settings.secret_key is not None
    assert settings.secret_key.get_secret_value() == "k" * 40
    assert settings.database == "sqlite:////data/shop.sqlite3"
    assert unknown_variables({"CHATBILL_SECRET_KEY_FILE": "key"}, env_file=None) == []


def test_a_file_named_in_the_environment_overrides_the_value_in_the_env_file(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("CHATBILL_PORT=1\n")
    (tmp_path / "port").write_text("2")
    environ = {"CHATBILL_PORT_FILE": str(tmp_path / "port")}
    assert load_settings(environ, env_file=tmp_path / ".env").port == 2


def test_a_setting_and_its_file_cannot_both_be_set(tmp_path: Path) -> None:
    (tmp_path / "port").write_text("2")
    told = refusal(PORT="1", PORT_FILE=str(tmp_path / "port"))
    assert told == "CHATBILL_PORT and CHATBILL_PORT_FILE are both set: remove one of them"


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (None, "cannot be read: No such file or directory"),
        (b"", "must have 1 to 65,536 bytes of text"),
        (b" \n", "must have 1 to 65,536 bytes of text"),
        (b"s3cret" * 20_000, "must have 1 to 65,536 bytes of text"),
        (b"s3cret\xff", "cannot be read: it is not text in UTF-8"),
    ],
    ids=["missing", "empty", "blank", "too long", "not text"],
)
def test_a_file_without_a_value_is_named_and_not_quoted(tmp_path: Path, content: bytes | None, told: str) -> None:
    file = tmp_path / "key"
    if content is not None:
        file.write_bytes(content)
    said = refusal(SECRET_KEY_FILE=str(file))
    assert said == f"CHATBILL_SECRET_KEY_FILE: the file {file} {told}"


def test_a_variable_of_the_catalogue_is_read_from_a_file_too(tmp_path: Path) -> None:
    (tmp_path / "key").write_text("sk-gpu\n")
    assert variable_value("GPU_KEY", {"GPU_KEY_FILE": str(tmp_path / "key")}, env_file=None) == "sk-gpu"
    assert variable_value("GPU_KEY", {"GPU_KEY": "sk-own"}, env_file=None) == "sk-own"
    assert variable_value("GPU_KEY", {}, env_file=None) is None


def test_the_case_of_a_variable_does_not_matter() -> None:
    assert load_settings({"chatbill_port": "9"}, env_file=None).port == 9


def test_prices_are_numbers_or_have_parts() -> None:
    prices = {"demo-mini": 2, "demo-pro": {"per_reply": 1, "per_1k_completion_tokens": 5}, "free": 0}
    overrides = load(PRICES=json.dumps(prices)).price_overrides()
    assert overrides == {
        "demo-mini": Price(per_reply=2),
        "demo-pro": Price(per_reply=1, per_1k_completion_tokens=5),
        "free": Price(per_reply=0),
    }


def test_the_price_of_credits_can_be_set() -> None:
    packages = [{"id": "big", "credits": 1000, "bonus": 50, "price": {"amount": "9.90", "currency": "EUR"}}]
    listed = load(PACKAGES=json.dumps(packages), CREDIT_PRICE="0.011", CURRENCY="EUR").price_list()
    assert listed.package("big").price == Money(Decimal("9.90"), "EUR")
    assert listed.package("big").total == 1_050
    assert listed.amount(100).price == Money(Decimal("1.10"), "EUR")


def test_the_default_packages_can_be_bought() -> None:
    assert [package.id for package in load().price_list().packages] == ["small", "medium", "large"]


@pytest.mark.parametrize(
    ("payments", "models", "provider"),
    [
        ("", "demo", "sandbox"),
        ("auto", "demo", "sandbox"),
        ("auto", "gemma", "none"),
        ("auto", "models.toml", "none"),
        ("none", "demo", "none"),
        ("sandbox", "gemma", "sandbox"),
    ],
)
def test_credits_are_given_away_only_with_the_demo_models_or_on_request(
    payments: str, models: str, provider: str
) -> None:
    assert load(PAYMENTS=payments, MODELS=models).payment_provider == provider


def test_accounts_purchases_and_refreshes_are_limited_unless_the_operator_says_otherwise() -> None:
    settings, default = load(), Policy()
    assert settings.registrations_per_hour == default.registrations.times == 60
    assert 4 * settings.registrations_per_hour == default.network_registrations.times
    assert settings.registrations_in_all_per_hour == default.all_registrations.times == 2_000
    assert settings.unpaid_replies_per_hour == default.unpaid_replies_per_hour == 30
    assert settings.unpaid_tokens_per_hour == default.unpaid_tokens_per_hour == 10_000
    assert settings.top_ups_per_hour == default.top_ups.times == 60
    assert settings.refreshes_per_session == default.session_refreshes.times == 20
    assert settings.refreshes_per_address == default.address_refreshes.times == 300


def test_lists_are_written_with_commas() -> None:
    settings = load(TRUSTED_PROXIES="10.0.0.0/8, 127.0.0.1,::1", CORS_ORIGINS="https://a.example,http://b.example:8080")
    assert settings.trusted_proxies == ("10.0.0.0/8", "127.0.0.1/32", "::1/128")
    assert settings.cors_origins == ("https://a.example", "http://b.example:8080")


@pytest.mark.parametrize("url", ["sqlite:////var/x.sqlite3", "postgresql://u:p@h/n", "postgresql+psycopg://h/n"])
def test_a_database_can_be_chosen(url: str) -> None:
    assert load(DATABASE_URL=url).database == url


def test_a_tilde_means_the_home_folder() -> None:
    assert load(DATA_DIR="~/chats").data_dir == Path.home() / "chats"


def test_log_levels_may_be_lower_case() -> None:
    assert load(LOG_LEVEL="debug").log_level == "DEBUG"


@pytest.mark.parametrize(
    ("name", "value", "allowed"),
    [
        ("PORT", "eighty", "valid integer"),
        ("PORT", "65536", "65535"),
        ("WELCOME_CREDITS", "-1", "greater than or equal to 0"),
        ("WELCOME_CREDITS", "1.5", "integer"),
        ("WELCOME_CREDITS", "x", "integer"),
        ("GENERATION_TIMEOUT_S", "0", "greater than 0"),
        ("GENERATION_TIMEOUT_S", "nan", "finite number"),
        ("GENERATION_TIMEOUT_S", "inf", "finite number"),
        ("LOCAL_ENGINE", "magic", "'auto', 'llama_cpp' or 'transformers'"),
        ("ENGINE", "magic", "'local', 'transformers', 'openai' or 'scripted'"),
        ("ENGINE_URL", "not an address", "http"),
        ("ENGINE_URL", "http://127.0.0.1:99999/v1", "as in http://host:8001/v1; port out of range"),
        ("ENGINE_URL", "http://[::1/v1", "as in http://host:8001/v1; invalid ipv6"),
        ("ENGINE_URL", "http://[zz]/v1", "as in http://host:8001/v1"),
        ("ENGINE_URL", "http://host:x/v1", "as in http://host:8001/v1; port could not"),
        ("ENGINE_URL", "http://host:0/v1", "as in http://host:8001/v1; the port must not be 0"),
        ("ENGINE_URL", "http://:8001/v1", "as in http://host:8001/v1; the scheme or the host is not valid"),
        ("ENGINE_URL", "http:///v1", "as in http://host:8001/v1; the scheme or the host is not valid"),
        ("ENGINE_URL", "http://a\\b/v1", "as in http://host:8001/v1; the scheme or the host is not valid"),
        ("SECRET_KEY", "short", "32"),
        ("DATABASE_URL", "mysql://h/n", "postgresql://"),
        ("DATABASE_URL", "chat.sqlite3", "sqlite:///"),
        ("PRICES", "{", "JSON"),
        ("PRICES", '{"demo-mini": -1}', "demo-mini"),
        ("PRICES", '{"demo-mini": 1.5}', "demo-mini"),
        ("PRICES", '{"demo-mini": true}', "demo-mini"),
        ("PRICES", '{"demo-mini": {"per_word": 1}}', "per_word"),
        ("PACKAGES", '[{"id": "x", "credits": 0, "price": {"amount": "1", "currency": "EUR"}}]', "credits"),
        ("PACKAGES", '[{"id": "x", "credits": 1, "price": {"amount": "1.001", "currency": "EUR"}}]', "decimal places"),
        ("TRUSTED_PROXIES", "everyone", "IP addresses or networks"),
        ("CORS_ORIGINS", "shop.example", "http"),
        ("LOG_FORMAT", "xml", "'console' or 'json'"),
        ("REGISTRATION_OPEN", "perhaps", "valid boolean"),
    ],
)
def test_an_invalid_setting_is_named_with_the_allowed_values(name: str, value: str, allowed: str) -> None:
    message = refusal(**{name: value})
    assert message.startswith(f"CHATBILL_{name}")
    assert allowed in message
    assert str(Settings.model_fields[name.lower()].description) in message


def test_all_invalid_settings_are_named_together() -> None:
    assert [line.split(":")[0] for line in refusal(PORT="x", HOST="y", ENGINE="z").splitlines()] == [
        "CHATBILL_ENGINE",
        "CHATBILL_PORT",
    ]


def test_the_openai_engine_needs_its_server() -> None:
    assert "CHATBILL_ENGINE_URL must be set" in refusal(ENGINE="openai")
    assert load(ENGINE="openai", ENGINE_URL="http://127.0.0.1:8001/v1").engine == "openai"


@pytest.mark.parametrize(("name", "value"), [("SECRET_KEY", "hunter2"), ("DATABASE_URL", "mysql://u:hunter2@h/n")])
def test_an_error_does_not_repeat_a_secret(name: str, value: str) -> None:
    assert "hunter2" not in refusal(**{name: value})


def test_secrets_are_not_shown() -> None:
    settings = load(SECRET_KEY="k" * 40, ENGINE_API_KEY="hunter2" * 5, DATABASE_URL="postgresql://me:hunter2@host/name")
    shown = repr(settings) + str(settings) + settings.model_dump_json()
    assert "hunter2" not in shown
    assert "kkkk" not in shown


def test_an_unknown_variable_is_reported(tmp_path: Path) -> None:
    file = tmp_path / ".env"
    file.write_text("CHATBILL_PROT=1\n")
    environ = {"CHATBILL_WELCOM_CREDITS": "5", "CHATBILL_PORT": "1", "PATH": "/bin", "CHATBILL_ZZZZZZ": "1"}
    assert unknown_variables(environ, env_file=file) == [
        "CHATBILL_PROT is not a setting; did you mean CHATBILL_PORT?",
        "CHATBILL_WELCOM_CREDITS is not a setting; did you mean CHATBILL_WELCOME_CREDITS?",
        "CHATBILL_ZZZZZZ is not a setting",
    ]


def test_an_unknown_argument_is_rejected() -> None:
    with pytest.raises(SettingsError, match="colour: is not a setting"):
        load_settings({}, env_file=None, colour="red")


@given(
    value=st.text(alphabet=st.characters(exclude_categories=["Cs"])), name=st.sampled_from(list(Settings.model_fields))
)
def test_any_text_is_accepted_or_gives_an_error_with_the_variable(name: str, value: str) -> None:
    variable = f"CHATBILL_{name.upper()}"
    try:
        load_settings({variable: value}, env_file=None)
    except SettingsError as error:
        assert variable in str(error)  # noqa: PT017 - some texts are valid


def test_the_page_of_settings_is_up_to_date() -> None:
    assert (ROOT / "docs" / "settings.md").read_text(encoding="utf-8") == page()


def test_the_example_file_is_up_to_date_and_changes_nothing() -> None:
    text = (ROOT / ".env.example").read_text(encoding="utf-8")
    assert text == example()
    assert load_settings({}, env_file=ROOT / ".env.example") == load()


def test_every_line_of_the_example_file_is_valid(tmp_path: Path) -> None:
    file = tmp_path / ".env"
    file.write_text(example().replace("\n#CHATBILL", "\nCHATBILL"), encoding="utf-8")
    assert load_settings({}, env_file=file) == load()
    assert unknown_variables({}, env_file=file) == []


def test_the_page_can_be_printed() -> None:
    command = [sys.executable, "-X", "utf8", "-m", "chatbill.settings"]
    printed = subprocess.run(command, capture_output=True, check=True, timeout=60, encoding="utf-8")
    assert printed.stdout == page()
