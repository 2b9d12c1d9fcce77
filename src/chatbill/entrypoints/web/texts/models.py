"""Templates for why a model cannot answer, and for how it fits in memory."""

from __future__ import annotations

from collections.abc import Mapping

from chatbill.domain.shared.descriptions import Param
from chatbill.entrypoints.web.language import N_, ngettext
from chatbill.entrypoints.web.language import gettext as _
from chatbill.entrypoints.web.texts.amounts import Template

_STAGES = {
    "wait": N_("it waits for another process that fetches it"),
    "download": N_("it is being fetched"),
    "check": N_("its files are being checked"),
    "unpack": N_("its files are being unpacked"),
    "convert": N_("its files are being converted"),
    "turn": N_("it waits until other models are loaded"),
    "room": N_("it waits for another model to make room"),
    "load": N_("it is being loaded"),
}


def _loading(params: Mapping[str, Param]) -> str:
    """Return how far the loading is, as in "it is being loaded, 40 %"."""
    words = _(_STAGES.get(str(params["stage"]), _STAGES["load"]))
    return f"{words}, {params['percent']} %" if "percent" in params else words


def _still_loading(params: Mapping[str, Param]) -> str:
    return _("{loading}; try again in a moment").format(loading=_loading(params))


def _load_stalled(params: Mapping[str, Param]) -> str:
    return _(
        "its loading has not got further for {after_s} s ({loading}); it is loaded again once that comes to an end, or "
        "when the service is restarted"
    ).format(after_s=f"{params['after_s']:g}", loading=_loading(params))


def _not_reloaded(params: Mapping[str, Param]) -> str:
    template = MODELS[str(params["cause"])]
    cause = template(params) if callable(template) else _(template).format_map(dict(params))
    return _("it stopped answering and could not be loaded again: {cause}").format(cause=cause)


def _memory(params: Mapping[str, Param]) -> str:
    """Return what a model needs and what is free; and, where that is too little, what would help."""
    need, weights, slots = _int(params, "need_bytes"), _int(params, "weights_bytes"), _int(params, "slots")
    needed = _("needs {need} of {where}") if params["known"] else _("needs about {need} of {where}")
    parts = ngettext(
        "({weights} for its weights, {work} to load it and write {count} reply)",
        "({weights} for its weights, {work} to load it and write {count} replies at once)",
        slots,
    )
    free = _("and {free} are free")
    if params["without_others"]:
        free = _("and {free} would be free without other models")
    sentence = f"{needed} {parts} {free}".format(
        need=_gigabytes(need),
        where=params["where"],
        weights=_gigabytes(weights),
        work=_gigabytes(need - weights),
        count=slots,
        free=_gigabytes(_int(params, "free_bytes")),
    )
    if keeps := _int(params, "prefix_bytes") if "prefix_bytes" in params else 0:
        sentence += _(", {size} of which keep what it has read").format(size=_gigabytes(keeps))
    return sentence + _memory_advice(params)


def _memory_advice(params: Mapping[str, Param]) -> str:
    if "wanted_slots" in params:
        return _("; {wanted_slots} replies at once would take {wanted}, so it writes {slots}").format(
            wanted=_gigabytes(_int(params, "wanted_bytes")), wanted_slots=params["wanted_slots"], slots=params["slots"]
        )
    if "short_bytes" not in params:
        return ""
    missing = _("; free {size} more").format(size=_gigabytes(_int(params, "short_bytes")))
    if "context_tokens" in params:
        advice = _(", or set context_tokens to {context_tokens} in the catalogue, with which it would fit")
        return missing + advice.format_map(dict(params))
    if params["int8"]:
        return missing + _(", load it in int8, or choose a smaller model")
    return missing + _(", or choose a smaller model")


def _no_room(params: Mapping[str, Param]) -> str:
    return _("there is no room for it beside {others}; it {memory}").format(
        others=params["others"], memory=_memory(params)
    )


def _int(params: Mapping[str, Param], name: str) -> int:
    return int(params[name] or 0)


def _gigabytes(size: int) -> str:
    return f"{size / 1e9:.1f} GB"


_SEE_LOG = "the service's operator finds the cause in the log"

MODELS: dict[str, Template] = {
    "text": "{text}",
    "model_service_stopping": "the service is stopping",
    "model_unknown": "the engine does not know this model",
    "model_silent": "It has not written a token for too long; the service's log has the cause.",
    "model_failed_repeatedly": "it failed {failures} times in a row; it comes back once a trial works",
    # Models on servers
    "model_server_not_answered": "its server has not answered yet",
    "model_server_unreachable": "its server cannot be reached; try again in a moment",
    "model_server_broken": "its server is not working properly; try again in a moment",
    "model_server_busy": "its server takes no more requests for now; try again in a moment",
    "model_server_refuses": f"its server refuses requests; {_SEE_LOG}",
    "model_not_set_up": f"it is not set up correctly; {_SEE_LOG}",
    "model_window_too_small": f"it does not even take a short message; {_SEE_LOG}",
    # Models of this machine
    "model_loading": _loading,
    "model_still_loading": _still_loading,
    "model_load_stalled": _load_stalled,
    "model_waits_for_another": (
        "another model has been on its way into memory for too long; the service's log says which"
    ),
    "model_stuck": "it stopped answering for {after_s:g} s and is being loaded again",
    "model_not_loaded": "it could not be loaded ({error}); the log has the cause",
    "model_not_reloaded": _not_reloaded,
    "model_files_missing": "its files are not where the service looks for them",
    "model_not_fetched": f"its files could not be fetched; {_SEE_LOG}",
    "model_file_broken": f"its file is not a complete GGUF file of a text model; {_SEE_LOG}",
    "model_process_failed": f"its process ended while it was loaded (exit code {{exit_code}}); {_SEE_LOG}",
    "model_needs_package": "it needs the Python package {package}, which is not installed",
    "model_without_chat_template": "its tokenizer has no chat template, so it is not a chat model",
    "model_attention_unsupported": "its kind of attention is not supported",
    "model_layers_unsupported": "not all of its layers keep keys and values",
    "model_memory": _memory,
    "model_no_room": _no_room,
    "model_size_unknown": "its size is not known before it is fetched",
    "model_on_server": "runs on a server and needs no memory here",
}
"""A template for each code; those of loading and of memory are functions of their parameters."""
