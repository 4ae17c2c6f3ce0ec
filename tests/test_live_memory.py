"""Bytes held, counted by hand."""

from __future__ import annotations

import torch

from ddpo.live_memory import ACTIVATIONS, LiveMemory

CPU = torch.device("cpu")


def test_bytes_are_counted_while_anything_looks_at_them() -> None:
    live = LiveMemory(CPU)
    with live, live.stage("work"):
        thousand = torch.zeros(250)
        view = thousand.view(5, 50)[1:]
        more = thousand + 1
        assert live.now == {ACTIVATIONS: 2000}
        del thousand, more
        assert live.now == {ACTIVATIONS: 1000}
        del view
        assert live.now == {ACTIVATIONS: 0}
    assert live.peaks["work"].total == 2000


def test_a_backward_pass_holds_what_it_needs_until_it_is_over() -> None:
    live = LiveMemory(CPU)
    weight = torch.ones(250, requires_grad=True)
    live.label([weight, None], "weights")
    weight.register_post_accumulate_grad_hook(lambda w: live.label([w.grad], "gradients"))
    with live, live.stage("pass"):
        loss = (weight.exp().exp()).sum()
        assert live.now == {"weights": 1000, ACTIVATIONS: 2004}
        loss.backward()
        del loss
        assert live.now == {"weights": 1000, ACTIVATIONS: 0, "gradients": 1000}
    assert live.peaks["pass"].parts["weights"] == 1000


def test_a_stage_has_its_own_peak_and_the_one_around_it_goes_on() -> None:
    live = LiveMemory(CPU)
    with live, live.stage("outer"):
        kept = torch.zeros(25)
        with live.stage("inner"):
            torch.zeros(250)
        live.label([kept], "kept")
        torch.zeros(50)
    assert live.peaks["inner"].total == 1100
    assert live.peaks["outer"].total == 300
    assert live.peaks["outer"].parts == {"kept": 100, ACTIVATIONS: 200}


def test_work_that_was_seen_once_stands_for_the_next() -> None:
    live = LiveMemory(CPU)
    with live, live.stage("work"):
        torch.zeros(1000)
        kept, most = live.once(lambda: torch.zeros(250) + torch.ones(250))
        assert most == 2000
        assert live.peaks["work"].total == 4000
        another = torch.zeros(1000)
        live.as_if(most)
        live.label_rest("kept")
    assert live.peaks["work"].total == 1000 + 4000 + 2000
    assert live.now["kept"] == kept.nbytes + another.nbytes == 5000


def test_a_view_holds_all_that_it_is_a_view_of() -> None:
    whole = torch.zeros(250)
    live = LiveMemory(CPU)
    live.label([whole[:10]], "kept")
    assert live.now == {"kept": 1000}


def test_what_was_labelled_is_forgotten_under_its_label() -> None:
    live = LiveMemory(CPU)
    with live:
        kept = torch.zeros(25)
        live.label([kept], "kept")
        del kept
    assert live.now == {ACTIVATIONS: 0, "kept": 0}


def test_a_stage_in_which_nothing_happens_holds_what_there_was() -> None:
    live = LiveMemory(CPU)
    with live:
        kept = torch.zeros(25)
        with live.stage("idle"):
            pass
    assert live.peaks["idle"].total == kept.nbytes


def test_what_stands_for_work_is_activations() -> None:
    live = LiveMemory(CPU)
    with live, live.stage("work"):
        kept = torch.zeros(25)
        live.label([kept], "kept")
        live.as_if(50)
    assert live.peaks["work"].parts == {"kept": 100, ACTIVATIONS: 50}


def test_other_devices_are_not_counted() -> None:
    live = LiveMemory(CPU)
    with live:
        elsewhere = torch.zeros(9, device="meta")
    assert elsewhere.nbytes == 36
    assert not live.now
