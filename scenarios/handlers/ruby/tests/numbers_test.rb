# frozen_string_literal: true

require_relative "support"

class NumbersTest < HandlersTest
  def test_integers_of_any_size_are_exact
    tree = lambda do |number|
      ended("hierarchical_tree_ruby", { even_number: number }, "tree_final_convergence")
    end
    assert_equal({ "value" => (6**64).to_s }, tree.call(6))
    assert_equal({ "value" => "0" }, tree.call(0))
    largest = (2**53) - 2
    assert_equal({ "value" => (largest**64).to_s }, tree.call(largest))
  end

  def test_odd_and_other_input_is_refused
    { { even_number: 7 } => "even_number is 7, which is odd", {} => "even_number is nil, not",
      { even_number: -2 } => "even_number is -2, not",
      { even_number: "6" } => 'even_number is "6", not',
      { even_number: 6.0 } => "even_number is 6.0, not",
      { even_number: true } => "even_number is true, not" }
      .each do |context, message|
      task = run_task("mathematical_sequence_ruby", context)
      assert_match message, task.steps["linear_step_1"].error["message"]
      assert_equal ["Error", 1], [task.state, task.steps["linear_step_1"].attempts]
    end
  end

  Step = Struct.new(:parent_results, :context)

  def test_parents_that_give_no_integer_are_refused
    parents = { "a" => { "value" => "6" }, "b" => { "value" => "1_0" } }
    message = 'b gave "1_0", not an integer'
    %i[multiply_and_square square].each do |handler|
      step = Step.new(parents)
      error = assert_raises(Stepmark::Fail) { Handlers::Numbers.public_send(handler, step) }
      assert_equal message, error.message
    end
    two = Step.new({ "a" => { "value" => "6" }, "b" => { "value" => "-2" } })
    assert_equal({ value: "144" }, Handlers::Numbers.multiply_and_square(two))
    assert_raises(Stepmark::Fail) { Handlers::Numbers.square(two) }
    assert_raises(Stepmark::Fail) { Handlers::Numbers.multiply_and_square(Step.new({})) }
  end
end
