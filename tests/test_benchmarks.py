"""What the benchmarks compute and write: counts, means, reports, and the README's table."""

import json
import math

import numba
import numpy as np
import pytest

from benchmarks import compare, layers, long_lags, report, scaling, table, watching
from benchmarks.cases import CELLS, CHAR_LM, LAYER_CASES, Case, flops, random_ids
from benchmarks.timing import Budget, alternate, geometric_mean, torch_name

SMALL, LARGE = Case(1, 32, 32, 32), Case(64, 50, 128, 256)


def results():
    rows = [
        {**layers.row(cell, case, seconds), "workers": 2, "difference": 1e-6}
        for cell, case, seconds in (
            ("lstm", SMALL, {"bptt": 1e-3, "torch, 1 thread": 3e-3, "jax": 2e-3}),
            ("lstm", LARGE, {"bptt": 2e-3, "torch, 1 thread": 1.6e-2, "jax": 2e-2}),
            ("rnn", SMALL, {"bptt": 5e-4, "torch, 1 thread": 2e-3, "jax": 3e-3}),
        )
    ]
    training = {
        **CHAR_LM._asdict(),
        "k1": 50,
        "ms": {"bptt": 20.0, "torch, 1 thread": 40.0},
        "updates_per_second": 50.0,
        "steps_per_second": {"bptt": 125_000.0, "torch, 1 thread": 62_500.0},
        "peer": "torch, 1 thread",
        "ratio": 2.0,
    }
    found = {
        "schema": report.SCHEMA,
        "quick": False,
        "date": "2024-02-03T04:05:06+00:00",
        "machine": {"cpu": "A CPU", "cores": 2, "features": ["fma"], "system": "Linux"},
        "versions": {"python": "3.11.0", "bptt": "0.1.0", "jax": None},
        "notes": ["GRU is not in bptt yet."],
        "load": [[0.0, 0.0, 0.0], [1.0, 1.0, 1.0]],
        "peak": {"gflops_one_thread": 100.0, "gflops_all_threads": 200.0, "clock_ghz": 3.0},
        "layers": {"rows": rows, "geometric_means": layers.means(rows)},
        "char_lm": training,
        "k1": [{**training, "k1": 1, "lanes": lanes} for lanes in (1, 32)],
        "streaming": {"I": 128, "H": 128, "us": {"bptt": 10.0, "torch": 60.0}, "peer": "torch",
                      "ratio": 6.0},
        "startup": {"bptt, cold": 10.0, "bptt, warm": 1.2, "torch": 3.0},
        "memory": [{"case": "char-LM", "mb": {"bptt": 20.0, "torch": 30.0}, "ratio": 0.667}],
    }  # fmt: skip
    report.add_shares(found)
    return found


def test_flops_are_those_of_the_products_forward_and_twice_back():
    case = Case(lanes=2, steps=3, n_in=5, n=7)
    forward = sum(2 * 3 * 2 * rows * 4 * 7 for rows in (5, 7))
    assert flops("lstm", case) == 3 * forward
    assert flops("rnn", case) * 4 == flops("lstm", case)
    assert flops("gru", case) * 4 == flops("lstm", case) * 3


def test_the_cases_are_all_different():
    assert len(set(LAYER_CASES)) == len(LAYER_CASES) == 11
    assert set(CELLS) == {"lstm", "rnn", "gru"}


def test_random_ids_make_whole_windows_and_one_target_more():
    ids = random_ids(CHAR_LM, windows=2)
    assert len(ids) == 2 * CHAR_LM.lanes * CHAR_LM.steps + 1
    assert ids.min() >= 0
    assert ids.max() < CHAR_LM.vocabulary
    assert np.array_equal(ids, random_ids(CHAR_LM, windows=2))


def test_geometric_mean():
    assert geometric_mean([2.0, 8.0]) == pytest.approx(4.0)
    assert geometric_mean(iter([1.5])) == pytest.approx(1.5)
    assert math.isnan(geometric_mean([]))


def test_all_systems_take_turns_in_an_order_that_moves_on():
    calls = []
    systems = {name: lambda name=name: calls.append(name) for name in "abc"}
    seconds = alternate(systems, Budget(rounds=2, turn=0.0))
    assert list(seconds) == ["a", "b", "c"]
    assert all(time >= 0 for time in seconds.values())
    assert calls[:6] == ["a", "a", "b", "b", "c", "c"]
    later = list(dict.fromkeys(calls[6:]))
    assert later == [name for name in "bca" if name in later]


def test_names_of_pytorch():
    assert torch_name(1) == "torch, 1 thread"
    assert torch_name(8, " (fused)") == "torch (fused), 8 threads"


def test_a_row_is_compared_with_the_best_peer():
    row = layers.row("lstm", LARGE, {"bptt": 2e-3, "torch, 1 thread": 1.6e-2, "jax": 6e-3})
    assert (row["peer"], row["ratio"]) == ("jax", pytest.approx(3.0))
    assert row["ms"]["bptt"] == pytest.approx(2.0)
    assert row["gflops"]["bptt"] == pytest.approx(flops("lstm", LARGE) / 2e-3 / 1e9)
    assert [row[letter] for letter in "BTIH"] == list(LARGE)


def test_a_row_without_peers_has_no_ratio():
    row = layers.row("rnn", SMALL, {"bptt": 1e-3})
    assert row["peer"] is row["ratio"] is None
    assert layers.means([row]) == {}


def test_means_are_taken_cell_by_cell():
    assert results()["layers"]["geometric_means"] == {
        "lstm": pytest.approx(4.0),
        "rnn": pytest.approx(4.0),
    }


def test_difference_is_relative_to_each_array():
    one = {"y": np.array([1.0, -2.0]), "x": np.array([100.0])}
    other = {"y": np.array([1.0, -1.9]), "x": np.array([101.0])}
    assert layers.difference(one, other) == pytest.approx(0.05)
    assert layers.difference(one, one) == 0


def test_shares_refer_to_the_whole_machine():
    for row in results()["layers"]["rows"]:
        assert row["peak_share"]["bptt"] == pytest.approx(row["gflops"]["bptt"] / 200)


def test_the_json_file_gives_the_results_back(tmp_path):
    found = results()
    report.write(found, tmp_path / "new", "speed")
    read = json.loads((tmp_path / "new" / "speed.json").read_text(encoding="utf-8"))
    assert read == found
    assert table.table(read) == table.table(found)
    assert (tmp_path / "new" / "speed.md").read_text(encoding="utf-8") == report.markdown(found)


def columns(line):
    return [cell.strip() for cell in line.strip("|").split("|")]


def test_every_table_of_the_report_has_rows_as_wide_as_its_head():
    blocks = [b for b in report.markdown(results()).split("\n\n") if b.startswith("|")]
    assert len(blocks) == 6
    for block in blocks:
        assert len({len(columns(line)) for line in block.splitlines()}) == 1


def test_the_report_names_what_was_left_out():
    text = report.markdown(results())
    assert "GRU is not in bptt yet." in text
    assert "| LSTM (64, 50, 128, 256) | 2 | 16 | 20 | 8.00× |" in text
    assert "quick" not in text
    assert "A quick run" in report.markdown({**results(), "quick": True})


def test_a_report_of_one_section_is_possible():
    found = {name: value for name, value in results().items() if name not in
             ("layers", "k1", "char_lm", "startup", "memory")}  # fmt: skip
    assert "## One streaming LSTM step, I = 128, H = 128" in report.markdown(found)


def test_the_table_has_a_row_for_each_size_and_a_column_for_each_cell():
    lines = [columns(line) for line in table.table(results()).splitlines() if line.startswith("|")]
    assert lines[0] == ["(B, T, I, H)", "LSTM", "RNN"]
    assert lines[2] == ["(1, 32, 32, 32)", "1 ms, 2.00×", "0.5 ms, 4.00×"]
    assert lines[3] == ["(64, 50, 128, 256)", "2 ms, 8.00×", "–"]
    assert lines[4] == ["geometric mean", "4.00×", "4.00×"]
    assert ["char-LM training, characters/s", "125,000", "62,500", "2.00×"] in lines
    assert ["one streaming step, µs", "10", "60", "6.00×"] in lines


def test_the_table_goes_between_the_markers_again_and_again():
    text = f"# A\n\nbefore\n\n{table.BEGIN}\nold\n{table.END}\n\nafter\n"
    new = table.insert(text, table.table(results()))
    assert new.startswith(f"# A\n\nbefore\n\n{table.BEGIN}\n| (B, T, I, H) |")
    assert new.endswith(f"\n{table.END}\n\nafter\n")
    assert "\nold\n" not in new
    assert table.insert(new, table.table(results())) == new


@pytest.mark.parametrize(
    "text",
    ["none", table.BEGIN, table.END, f"{table.END} {table.BEGIN}",
     f"{table.BEGIN} {table.END} {table.BEGIN} {table.END}"],
)  # fmt: skip
def test_a_text_without_a_place_for_the_table_is_refused(text):
    with pytest.raises(ValueError, match="once each"):
        table.insert(text, "table")


def test_main_writes_the_readme_and_can_check_it(tmp_path, capsys):
    readme = tmp_path / "README.md"
    readme.write_text(f"{table.BEGIN}\n{table.END}\n", encoding="utf-8")
    report.write(results(), tmp_path, "speed")
    arguments = ["--results", str(tmp_path / "speed.json"), "--readme", str(readme)]
    with pytest.raises(SystemExit) as stale:
        table.main([*arguments, "--check"])
    assert stale.value.code == 1
    assert "out of date" in capsys.readouterr().err
    table.main(arguments)
    with pytest.raises(SystemExit) as fresh:
        table.main([*arguments, "--check"])
    assert fresh.value.code == 0


@pytest.mark.parametrize("arguments", [["--cells", "lstm,elman"], ["--repeats", "0"]])
def test_wrong_arguments_are_refused(arguments, capsys):
    with pytest.raises(SystemExit):
        compare.main(arguments)
    assert "error" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("flow", "says"),
    [(1e-3, "0.10% of an update: within the 2%"), (3e-2, "3.00% of an update: above the 2%")],
)
def test_what_looking_costs_is_held_against_its_bar(flow, says):
    us = {"update": 100.0, "watched": 150.0, "flow": 100 * flow}
    row = {"case": "one lane", "us": us, "flow_share": flow, "watch_share": 0.5}
    machine = {"cpu": "A CPU", "cores": 2}
    found = {"machine": machine, "date": "2024-02-03", "bar": watching.BAR, "rows": [row]}
    text = watching.markdown(found)
    assert says in text
    assert "| one lane | 100 |" in text
    assert "50.0% |" in text


def test_threads_are_doubled_up_to_all_cores():
    assert [scaling.counts(cores) for cores in (1, 2, 6, 16)] == [
        [1], [1, 2], [1, 2, 4, 6], [1, 2, 4, 8, 16],
    ]  # fmt: skip


def test_the_report_of_threads_compares_with_one_thread_and_with_the_peer():
    row = {
        "case": "LSTM (2, 1, 1, 1)",
        "usual": 2,
        "ms": {"bptt": {1: 8.0, 2: 4.0}, "torch": {1: 9.0, 2: 6.0, 4: 3.0}},
    }
    text = scaling.markdown({**results(), "rows": [row]})
    assert "LSTM (2, 1, 1, 1): 2 by itself" in text
    assert [columns(line) for line in text.splitlines() if line.startswith("| ")][2:] == [
        ["1", "8", "1.00×", "9", "1.00×", "1.12×"],
        ["2", "4", "2.00×", "6", "1.50×", "1.50×"],
        ["4", "–", "–", "3", "3.00×", "–"],
    ]


@pytest.mark.skipif(numba.config.DISABLE_JIT, reason="takes minutes without compiled kernels")
def test_chrono_learns_the_order_that_is_not_learned_without():
    found = [
        long_lags.sequences_until_solved(long_lags.ORDER, "GRU", options, seed=0, limit=8000)
        for options in ({"chrono": 100}, {})
    ]
    assert found[0] in range(1000, 8001, 1000)
    assert found[1] is None


def test_the_report_of_long_lags_says_what_was_not_solved():
    rows = [["adding", *(long_lags._said(found, 300_000) for found in (None, 27_000))]]
    assert "| adding | not in 300,000 | 27,000 |" in long_lags.markdown(rows)
