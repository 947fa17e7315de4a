# frozen_string_literal: true

require_relative "../tests/support"

# The workflow `@name@` gives the answers of its scenario.
class Own@Name@Test < HandlersTest
  def test_the_scenario_is_answered_right
    assert_right "tier6/@name@_ruby"
  end
end
