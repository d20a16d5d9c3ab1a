"""The table's rows: which network is selected, and which lie on the Pareto front."""

import numpy as np

from training.compare.table import Row, draw, pareto_front, select_model


def network(model: str, accuracy: float, milliseconds: float, half: float = 0.02) -> Row:
    return Row(model, 1e-3, [accuracy], accuracy - half, accuracy + half, 10**6, 0.5, 4.0, milliseconds, 224)


def test_the_fastest_network_within_the_interval_of_the_best_is_selected() -> None:
    best, close, poor = network("best", 0.95, 80), network("close", 0.94, 20), network("poor", 0.90, 5)
    assert select_model([poor, best, close]) == close
    assert select_model([best, network("below", 0.929, 20)]) == best
    assert select_model([best, network("at its end", 0.93, 79)]).model == "at its end"
    assert select_model([best]) == best


def test_a_network_is_selected_though_rounding_puts_the_interval_above_the_mean() -> None:
    third = Row("third", 1e-3, [1 / 3], np.nextafter(1 / 3, 1), 0.4, 10**6, 0.5, 4.0, 5.0, 224)
    assert select_model([third]) == third


def test_the_pareto_front_holds_the_networks_that_no_other_beats() -> None:
    rows = [network("slow", 0.95, 80), network("worse", 0.93, 90), network("fast", 0.90, 5)]
    rows += [network("middle", 0.94, 20), network("as fast", 0.89, 5), network("as good", 0.94, 30)]
    assert [row.model for row in pareto_front(rows)] == ["fast", "middle", "slow"]
    assert pareto_front(rows[:1]) == rows[:1]
    line = draw(rows).axes[0].lines[0]
    assert np.column_stack(line.get_data()).tolist() == [[5, 0.90], [20, 0.94], [80, 0.95]]


def test_the_accuracy_is_the_mean_of_the_seeds() -> None:
    assert Row("m", 1e-3, [0.5, 0.75, 1.0], 0.6, 0.9, 1, 1.0, 1.0, 1.0, 32).accuracy == 0.75
