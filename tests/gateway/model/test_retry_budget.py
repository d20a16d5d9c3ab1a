from gateway.model.retry_budget import RetryBudget


def test_a_share_of_the_calls_may_be_repeated():
    budget = RetryBudget(per_call=0.25, most=2)
    assert [budget.take() for _ in range(3)] == [True, True, False]
    taken = 0
    for _ in range(40):
        budget.earn()
        taken += budget.take()
    assert taken == 10


def test_no_more_than_the_most_is_saved_up():
    budget = RetryBudget(per_call=0.25, most=2)
    for _ in range(40):
        budget.earn()
    budget.give_back()
    assert [budget.take() for _ in range(3)] == [True, True, False]
    budget.give_back()
    assert budget.take()
