"""Templates for the rules that a field of a request breaks, by their code."""

from __future__ import annotations

from collections.abc import Mapping

from chatbill.domain.shared.descriptions import Param
from chatbill.entrypoints.web.language import gettext as _
from chatbill.entrypoints.web.texts.amounts import Template, credits_text


def _too_long(params: Mapping[str, Param]) -> str:
    if "length" in params:
        return _("must be at most {max} characters, this has {length}").format_map(dict(params))
    return _("must be at most {max} characters").format_map(dict(params))


def _not_refundable(params: Mapping[str, Param]) -> str:
    return _("must be at least 1, and {left} of the charge can still be refunded").format(
        left=credits_text(params["left"])
    )


def _debt_too_high(params: Mapping[str, Param]) -> str:
    return _("can take at most {max} from this wallet").format(max=credits_text(params["max"]))


FIELDS: dict[str, Template] = {
    # Any field
    "required": "is required",
    "not_supported": "is not supported here; leave it out",
    "empty": "must not be empty",
    "zero": "must not be 0",
    "too_small": "must be at least {min}",
    "unknown_zone": "must be the name of a time zone, such as UTC or Europe/Paris",
    "unknown_locale": "must be the tag of a language, such as en or ru",
    "out_of_range": "must be {min} to {max}",
    "credits_out_of_range": "must be {min} to {max} credits",
    "length_out_of_range": "must be {min} to {max} characters long",
    "too_long": _too_long,
    "too_many_strings": "must be at most {max} strings",
    "too_many_bytes": "must be at most {max} bytes",
    "not_one_of": "must be one of: {known}",
    "not_a_date_or_moment": ("must be a date as in 2026-01-31, or a time with its offset as in 2026-01-31T12:00:00Z"),
    "texts_not_readable": "cannot be used: prompts and replies of other people are not readable for you here",
    "not_after_from": "must be after from",
    "too_many_rows": "would give more than {max} rows; ask for a shorter period, or for larger parts of it",
    "too_many_for_spreadsheet": "cannot be xlsx for more than {max} rows; ask for csv, for a shorter period, or by "
    "POST /admin/exports",
    "not_a_time": "must be a time as in 2026-01-31T12:00:00Z",
    "not_in_future": "must be in the future",
    "not_printable": "must be {min} to {max} printable characters",
    "not_printable_ascii": "must be {min} to {max} printable ASCII characters",
    "nul_character": "must not contain the NUL character",
    "lone_surrogates": "must be valid Unicode, without lone surrogates",
    "not_unicode": "must be valid Unicode text: {cause}",
    "unknown_cursor": "is not one that this list gave; leave it out to start from the newest",
    "reserved_kind": "must not be of the kind {kind}, which chatbill uses itself",
    "unknown_position": "is not a position that this list gave",
    # Bodies
    "connection_closed": "was closed",
    "ambiguous_http": "must be HTTP/1.1: lines end with CR and LF, and a body has one kind of length",
    "body_required": "is required: send a JSON object",
    "not_json": "is not valid JSON",
    "nested_too_deeply": "is nested too deeply",
    "parameter_missing": "lacks something that is required",
    "unsupported_role": "is not supported; use one of: {known}",
    "tools_not_supported": "is not supported: the models here call no tools",
    "only_text_supported": "is not supported: the models here read text alone",
    "tool_choice_without_tools": "is only allowed together with tools, which are not supported",
    "content_required": "is required: a string, or a list of text parts",
    "not_ended_by_user": "must end with a message of the user",
    "not_a_text_part": 'must be a part such as {{"type": "text", "text": "…"}}',
    "not_a_string": "must be a string",
    "not_json_body": "must be JSON",
    "not_an_object": "must be an object with the texts {fields}",
    "not_plain_digits": "must be a whole number of credits in plain digits, or empty",
    # Accounts
    "invalid_username": "may hold letters, digits, dots, dashes and underscores only",
    "mixed_scripts": "must not mix letters of several scripts, such as Latin and Cyrillic ones",
    "reserved_username": "must not look like a name of the staff, such as admin or support",
    "invalid_email": "must be an e-mail address, such as name@example.org",
    "password_is_name": "must not be the username or the e-mail address",
    "common_password": "is one that many people use, so it is guessed first; choose another one",
    "same_password": "must differ from the old one",
    "unknown_link": "belongs to no link, or the link was used, replaced or has expired; ask for a new link",
    "one_repeated_character": "must not be one character repeated",
    # Messages
    "unknown_model": "unknown model; choose one of: {known}",
    "duplicate_model_ids": "two models of the catalogue have the same id",
    "too_many_turns": "must be at most {max} turns, this has {count}",
    "history_not_begun_by_user": "must begin with a message of the user, after those of the system",
    "parent_without_conversation": "needs the conversation_id of its conversation",
    "history_with_conversation": "cannot come with a conversation that is kept here",
    "probability_out_of_range": "must be over 0 and at most 1",
    "not_64_bits": "must be a whole number of 64 bits",
    "stop_strings_out_of_range": "must be at most {max_count} strings of 1 to {max_length} characters",
    "unreadable_markers": "contains markers that this model cannot read as plain text",
    "refused_by_model": "is refused by this model as it was set; leave it out, or try another value",
    # Credits
    "unknown_package": "unknown package; choose one of: {known}",
    "package_or_amount": "give either a package or an amount",
    "not_refundable": _not_refundable,
    "debt_too_high": _debt_too_high,
    "wallet_limit": "a wallet cannot own or owe more than {max} credits",
    # Catalogues of models
    "models_not_in_catalogue": "no model is called {names}; the catalogue has: {known}",
    "price_too_high": "would make its longest reply cost {cost} credits; the most is {max}",
    "unreadable_catalogue": (
        "no catalogue {name} ({cause}); use one of {known}, or the path of a TOML file that can be read"
    ),
    "file_not_utf8": "{path} is not UTF-8 text; save it as UTF-8",
    "not_toml": "is not valid TOML: {cause}",
    "used_twice": "{names} is used twice; give each model its own id",
}
