"""Places, health and status of a model, the same for local and remote models."""

from __future__ import annotations

import math
import time

import pytest

from chatbill.adapters.inference.availability.health import CircuitBreaker, Fault, Health, ProbeIntervals
from chatbill.adapters.inference.availability.model_availability import STOPPING, ModelAvailability
from chatbill.application.ports.engine import ModelState
from chatbill.domain.shared.descriptions import Description
from chatbill.domain.shared.errors import ModelUnavailable, Overloaded, RateLimited
from chatbill.domain.shared.ids import ModelId, UserId

MINI = ModelId("demo-mini")
BROKEN = Fault(Description("model_server_broken"), 5)


def breaker() -> CircuitBreaker:
    return CircuitBreaker(2, lambda failures: Fault(Description.of("model_failed_repeatedly", failures=failures)))


def health(*, idle_s: float = 30, first_pause_s: float = 60, shared: CircuitBreaker | None = None) -> Health:
    intervals = ProbeIntervals(idle_s=idle_s, answer_s=10, first_pause_s=first_pause_s, max_pause_s=2 * first_pause_s)
    return Health(intervals, shared or breaker())


def test_failures_in_a_row_take_a_model_out_until_it_works() -> None:
    model = health()
    faults = []
    for report in (model.record_failure, model.record_failure, model.record_success):
        report()
        faults.append((model.fault, round(model.probe_in_s)))

    out = Fault(Description.of("model_failed_repeatedly", failures=2))
    assert faults == [(None, 0), (out, 60), (None, 30)]


def test_a_reply_that_works_resets_the_count() -> None:
    model = health()
    for _ in range(3):
        model.record_failure()
        model.record_success()

    assert model.fault is None


def test_models_of_one_server_share_its_breaker() -> None:
    shared = breaker()
    first, second = health(shared=shared), health(shared=shared)
    first.record_failure()
    first.record_failure()
    assert second.fault
    first.record_success()
    assert second.fault is None


def test_pauses_between_probes_double_up_to_their_limit() -> None:
    model = health(first_pause_s=0.02)
    pauses = []
    for _ in range(4):
        model.take_out(BROKEN)
        pauses.append(model.probe_in_s)
        time.sleep(model.probe_in_s)

    assert model.probe_in_s == 0
    assert pauses[0] <= 0.02 < pauses[1] <= 0.04
    assert max(pauses) <= 0.04


def test_replies_that_fail_together_do_not_lengthen_the_pause() -> None:
    model = health()
    for _ in range(20):
        model.record_failure()

    assert model.probe_in_s <= 60


def test_a_doubted_model_is_probed_at_once_and_only_once_when_it_is_out() -> None:
    model = health()
    model.record_success()
    model.request_probe()
    assert model.probe_in_s == 0
    model.take_out(BROKEN)
    assert model.probe_in_s > 59


def test_without_an_interval_an_idle_model_is_never_probed_and_counts_as_working() -> None:
    model = health(idle_s=0)

    assert (model.is_known_to_write, model.probe_in_s) == (True, math.inf)


def test_a_model_is_known_to_write_only_after_a_token() -> None:
    model = health()
    assert not model.is_known_to_write
    model.record_token()
    assert model.is_known_to_write


def test_places_are_limited_and_given_back() -> None:
    model = ModelAvailability(MINI, at_once=1, max_queued=1, health=health())
    first, second, third = object(), object(), object()
    model.take(first)
    model.take(second)
    with pytest.raises(Overloaded) as refused:
        model.take(third, mean_reply_s=10)
    assert refused.value.retry_after_s == 10
    status = model.status(running=1)
    assert (status.running, status.queued) == (1, 1)

    model.give_back(first)
    model.give_back(first)
    model.take(third)
    assert len(model) == 2


def test_a_model_that_is_out_or_closed_gives_no_place() -> None:
    state = health()
    model = ModelAvailability(MINI, at_once=1, max_queued=1, health=state)
    state.take_out(BROKEN)
    with pytest.raises(ModelUnavailable) as out:
        model.take(object())
    assert (out.value.reason, out.value.retry_after_s) == (BROKEN.reason, 5)
    assert (model.status().state, model.status().reason) == (ModelState.UNAVAILABLE, BROKEN.reason)

    model.closed = True
    with pytest.raises(ModelUnavailable) as closed:
        model.take(object())
    assert closed.value.reason == model.status().reason == STOPPING


def test_an_offered_model_is_unhealthy_without_a_token_and_a_lost_one_until_it_is_loaded() -> None:
    model = ModelAvailability(MINI, at_once=1, max_queued=1, health=health())
    assert not model.status().healthy

    unloaded = ModelAvailability(MINI, at_once=1, max_queued=1)
    assert unloaded.status(ModelState.RESTING).healthy
    assert not unloaded.status(ModelState.LOADING, lost=True).healthy


def places_of(model: ModelAvailability, owner: str | None) -> int:
    """Take places for this owner until one is refused; return how many it got."""
    taken = 0
    while True:
        try:
            model.take(object(), UserId(owner) if owner else None)
        except (RateLimited, Overloaded):
            return taken
        taken += 1


def test_an_owner_has_the_running_places_and_a_share_of_the_queue() -> None:
    model = ModelAvailability(MINI, at_once=8, max_queued=100, share_percent=25)
    assert places_of(model, "alice") == 8 + 25
    with pytest.raises(RateLimited) as refused:
        model.take(object(), UserId("alice"), mean_reply_s=2.5)
    assert refused.value.description == Description.of("share_of_queue_taken", retry_after_s=3, count=33)
    model.take(object(), UserId("bob"))


@pytest.mark.parametrize(
    ("at_once", "queued", "percent", "places"),
    [(1, 100, 25, 26), (64, 100, 25, 89), (8, 0, 25, 2), (1, 0, 25, 1), (1, 1, 25, 1), (8, 100, 100, 108)],
)
def test_the_share_follows_the_size_of_the_queue(at_once: int, queued: int, percent: int, places: int) -> None:
    model = ModelAvailability(MINI, at_once=at_once, max_queued=queued, share_percent=percent)
    assert places_of(model, "alice") == places


def test_several_owners_that_take_all_they_can_leave_places_for_others() -> None:
    model = ModelAvailability(MINI, at_once=1, max_queued=100, share_percent=25)
    taken = [places_of(model, f"person {number}") for number in range(4)]
    assert taken == sorted(taken, reverse=True)
    assert 101 - sum(taken) >= 25


def test_a_place_that_is_given_back_can_be_taken_again_by_its_owner() -> None:
    model = ModelAvailability(MINI, at_once=1, max_queued=7, share_percent=25)
    place = object()
    model.take(place, UserId("alice"))
    places_of(model, "alice")
    model.give_back(place)
    model.give_back(place)
    model.take(object(), UserId("alice"))
    with pytest.raises(RateLimited):
        model.take(object(), UserId("alice"))


def test_requests_without_an_owner_have_no_share() -> None:
    model = ModelAvailability(MINI, at_once=1, max_queued=7, share_percent=25)
    assert places_of(model, None) == 8


def test_a_model_whose_server_is_dead_is_not_healthy() -> None:
    sick = health()
    places = ModelAvailability(MINI, at_once=1, max_queued=1, health=sick)
    sick.take_out(BROKEN)
    assert (places.status().available, places.status().healthy) == (False, False)
