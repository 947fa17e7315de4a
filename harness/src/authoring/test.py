"""The workflow `@name@` gives the answers of its scenario."""


def test_the_scenario_is_answered_right(check_scenario):
    check_scenario("tier6/@name@_python")
