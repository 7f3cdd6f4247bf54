from marketplace.suppliers.simulator.habits import Fault, Habits


def test_nothing_is_wrong_by_default():
    assert not any(Habits().take(fault) for fault in Fault)


def test_a_fault_holds_for_its_number_of_requests():
    habits = Habits()
    habits.switch_on(Fault.GARBAGE, times=2)
    assert [habits.take(Fault.GARBAGE) for _ in range(4)] == [True, True, False, False]


def test_a_fault_without_a_number_holds_until_it_is_cleared():
    habits = Habits()
    habits.switch_on(Fault.SLOW)
    assert all(habits.take(Fault.SLOW) for _ in range(100))
    assert habits.active() == {"slow": None}
    habits.clear()
    assert not habits.take(Fault.SLOW)
