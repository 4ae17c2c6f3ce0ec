"""Training with a reward on another machine, which fails and comes back."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path

from tests.journeys.journey import Journey, differences
from tests.support.reward_server import ServerProcess

NAME = "jpeg_compressibility"
SHORT = ("train.iterations=4", "checkpoint.every=9", "evaluation.every=9")


def test_a_server_that_is_killed_and_restarted_is_waited_for_and_nothing_changes(
    config_file: Path, tmp_path: Path
) -> None:
    local = Journey(tmp_path / "local", config_file, (*SHORT, f"rewards={{{NAME}: 1.0}}"))
    local.finish()
    with ServerProcess(NAME) as server:
        remote = f"rewards={{{NAME}: {{reward: remote, url: '{server.url}', name: {NAME}}}}}"
        journey = replace(local, folder=tmp_path / "remote", overrides=(*SHORT, remote))
        with journey.start() as started:
            started.wait_for(lambda: journey.rows >= 2)
            server.kill()
            rows = journey.rows
            time.sleep(2)
            assert journey.rows <= rows + 1  # it waits
            assert started.outputs()
            server.start().wait()
            assert started.wait() == [0], started.output
    assert differences(local, journey) == []


def test_a_server_that_is_gone_for_good_stops_the_run_with_a_line_and_it_can_be_resumed(
    config_file: Path, tmp_path: Path
) -> None:
    with ServerProcess(NAME) as server:
        options = f"reward: remote, url: '{server.url}', name: {NAME}, patience: 1"
        journey = Journey(tmp_path, config_file, (*SHORT, f"rewards={{{NAME}: {{{options}}}}}"))
        with journey.start() as started:
            started.wait_for(lambda: journey.rows >= 2)
            server.kill()
            assert started.wait() == [1], started.output
            assert f"{server.url}: no connection: Connection refused" in started.output
            assert "waited 1 s for it: start the server" in started.output
            assert "continue with `ddpo train" in started.output
        server.start().wait()
        journey.finish(resume=True)
    assert journey.rows == 5
